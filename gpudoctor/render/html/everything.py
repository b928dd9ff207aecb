"""All facts as they were read, group by group, each under its own name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gpudoctor.facts import Facts
from gpudoctor.render import text
from gpudoctor.render.html.markup import Markup, element, joined
from gpudoctor.render.html.parts import folded

_LONGEST = 4000
_UNKNOWN = ("not-asked", "not-in-paste")

Row = tuple[str, str]


def everything(facts: Facts) -> Markup:
    """A field to filter by, which the script shows, and the groups."""
    plain = msgspec.to_builtins(facts, order="deterministic")
    single = {name: value for name, value in plain.items() if not isinstance(value, dict | list | tuple)}
    grouped = {name: value for name, value in plain.items() if name not in single and not _unasked(value)}
    groups = {"report": list(_rows(single))} | {name: list(_rows(value)) for name, value in grouped.items()}
    unasked = [name for name, value in plain.items() if _unasked(value)]
    return joined(
        _filter(),
        *(_group(name, rows) for name, rows in groups.items() if rows),
        element("p", f"Not asked, or not in the text: {', '.join(unasked)}.", class_="quiet") if unasked else None,
    )


def _filter() -> Markup:
    return element(
        "div",
        element("label", "Filter the facts", for_="filter"),
        element("input", type="search", id="filter", autocomplete="off", spellcheck="false", class_="field"),
        element("p", "", role="status", class_="quiet"),
        class_="filter",
        hidden=True,
    )


def _group(name: str, rows: list[Row]) -> Markup:
    body = element("tbody", *(element("tr", *_cells(name, row)) for row in rows))
    count = element("span", f" {text.plural(len(rows), 'value')}", class_="quiet")
    return folded(joined(name, count), element("table", body, class_="facts"), class_="group")


def _cells(group: str, row: Row) -> Iterator[Markup]:
    path, value = row
    yield element("th", f"{group}{path}", scope="row")
    yield element("td", text.shorten(value, _LONGEST))


def _unasked(value: Any) -> bool:
    return isinstance(value, dict) and value.get("fact") == "missing" and value.get("kind") in _UNKNOWN


def _rows(value: Any, path: str = "") -> Iterator[Row]:
    if isinstance(value, dict):
        if value.get("fact") == "missing":
            words = ": ".join(part for part in (value["kind"], value["where"], value["detail"]) if part)
            yield path, f"not known: {words}"
            return
        for key, item in value.items():
            if key != "fact":
                yield from _rows(item, f"{path}.{key}")
    elif isinstance(value, list | tuple) and any(isinstance(item, dict | list | tuple) for item in value):
        for place, item in enumerate(value):
            yield from _rows(item, f"{path}[{place}]")
    elif isinstance(value, list | tuple):
        yield path, ", ".join(map(_plain, value)) or "none"
    else:
        yield path, _plain(value)


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else format(value)
