"""The promise of docs/json.md: whoever reads ``gpudoctor.report/1`` today reads what later versions write.

``tests/published`` holds the schemas as they were first published. Until 0.1.0 is released they may be written anew
from docs/; after that only a new number (``/2``) allows what these tests refuse.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAIRS = {
    "report-1": ROOT / "docs" / "report.schema.json",
    "difference-1": ROOT / "docs" / "difference.schema.json",
}
# Where a reader must expect values that it does not know yet.
OPEN = ("facts", "window", "smoke[].stage", "smoke[].precision_mode", "smoke[].perceptron")

Schema = dict[str, Any]


def published(name: str) -> Schema:
    read: Schema = json.loads((ROOT / "tests" / "published" / f"{name}.schema.json").read_text("utf-8"))
    return read


def broken(kept: Schema, now: Schema) -> list[str]:
    """What a reader of ``kept`` relies on and ``now`` does not give."""
    return sorted(set(_broken(kept, now, (kept, now), "", frozenset())))


def _broken(kept: Schema, now: Schema, roots: tuple[Schema, Schema], path: str, seen: frozenset[Any]) -> Iterator[str]:
    pair = (kept.get("$ref"), now.get("$ref"))
    if pair != (None, None) and pair in seen:
        return
    seen |= {pair}
    kept, now = _resolved(kept, roots[0]), _resolved(now, roots[1])
    if "anyOf" in kept or "anyOf" in now:
        yield from _alternatives(kept, now, roots, path, seen)
        return
    if not _types(now) <= _types(kept):
        yield f"{path}: {', '.join(sorted(_types(now) - _types(kept)))}"
    if "enum" in kept and not path.startswith(OPEN) and not set(now.get("enum", ["any"])) <= set(kept["enum"]):
        yield f"{path}: another value"
    for name in set(kept.get("required", ())) - set(now.get("required", ())):
        yield f"{path}.{name}: no longer always there".lstrip(".")
    for name, value in kept.get("properties", {}).items():
        below = f"{path}.{name}".lstrip(".")
        if name not in now.get("properties", {}):
            yield f"{below}: gone"
        else:
            yield from _broken(value, now["properties"][name], roots, below, seen)
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(kept.get(key), dict):
            yield from _broken(kept[key], now.get(key) or {}, roots, path + mark, seen)


def _resolved(schema: Schema, root: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found: Schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return found


def _types(schema: Schema) -> set[str]:
    told = schema.get("type") or ([] if "enum" in schema else ["any"])
    return {told} if isinstance(told, str) else set(told)


def _alternatives(
    kept: Schema, now: Schema, roots: tuple[Schema, Schema], path: str, seen: frozenset[Any]
) -> Iterator[str]:
    """Each of now's must be one of kept's; of those that fit none, the nearest says why."""
    for one in now.get("anyOf", [now]):
        tried = [list(_broken(other, one, roots, path, seen)) for other in kept.get("anyOf", [kept])]
        yield from min(tried, key=len)


@pytest.mark.parametrize("name", PAIRS)
def test_what_was_published_is_still_given(name: str) -> None:
    assert broken(published(name), json.loads(PAIRS[name].read_text("utf-8"))) == []


def _of(now: Schema, name: str) -> Schema:
    found: Schema = now["$defs"][name]
    return found


def _drop(now: Schema) -> None:
    del _of(now, "FindingWire")["properties"]["because_of"]


def _not_always(now: Schema) -> None:
    _of(now, "ReportWire")["required"].remove("status")


def _retype(now: Schema) -> None:
    _of(now, "ReportWire")["properties"]["quick"] = {"type": "string"}


def _value(now: Schema) -> None:
    _of(now, "ReportWire")["properties"]["status"]["enum"].append("unwell")


def _null(now: Schema) -> None:
    _of(now, "FindingWire")["properties"]["title"] = {"anyOf": [{"type": "string"}, {"type": "null"}]}


def _fact(now: Schema) -> None:
    del _of(now, "Gpu")["properties"]["pci"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_drop, "findings[].because_of: gone"),
        (_not_always, "status: no longer always there"),
        (_retype, "quick: string"),
        (_value, "status: another value"),
        (_null, "findings[].title: null"),
        (_fact, "facts.gpus.gpus[].pci: gone"),
    ],
)
def test_what_breaks_a_reader_is_seen(change: Callable[[Schema], None], told: str) -> None:
    kept = published("report-1")
    now = copy.deepcopy(kept)
    change(now)
    assert broken(kept, now) == [told]


def test_a_new_field_and_a_new_value_where_they_are_announced_break_nothing() -> None:
    kept = published("report-1")
    now = copy.deepcopy(kept)
    _of(now, "ReportWire")["properties"]["more"] = {"type": "string"}
    _of(now, "ReportWire")["required"].append("more")
    _of(now, "SmokeWire")["properties"]["stage"]["enum"].append("checkpoint")
    assert broken(kept, now) == []
