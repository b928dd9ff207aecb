"""A difference as JSON: by its published schema, whatever it holds, and without private values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from gpudoctor.difference import difference
from gpudoctor.facts import encode
from gpudoctor.findings import Report
from gpudoctor.render.difference import as_json, schema_text
from gpudoctor.report import judge
from tests import reports
from tests.cli.run import gpudoctor

PUBLISHED = Path(__file__).parents[2] / "docs" / "difference.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text("utf-8")))


def test_the_published_schema_is_the_one_of_the_types() -> None:
    """Regenerate with: python -m gpudoctor.render.difference > docs/difference.schema.json"""
    assert PUBLISHED.read_text("utf-8") == schema_text()
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))


@pytest.mark.parametrize("make", reports.ALL, ids=lambda make: make.__name__)
def test_every_difference_is_valid_and_plain_ascii(make: Callable[[], Report]) -> None:
    found = difference(judge(reports.healthy().facts), judge(make().facts), ("a", "b"), judge)
    text = as_json(found)
    VALIDATOR.validate(json.loads(text))
    assert text.isascii()
    assert bool(json.loads(text)["changes"]) is not found.alike


def test_it_is_redacted_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(encode(reports.no_framework().facts))
    (tmp_path / "b.json").write_bytes(encode(reports.private().facts))
    arguments = ("diff", "a.json", "b.json", "--format", "json")
    shown, whole = gpudoctor(*arguments, home=tmp_path), gpudoctor(*arguments, "--no-redact", home=tmp_path)
    assert (shown.code, whole.code) == (1, 1)
    for ran in (shown, whole):
        VALIDATOR.validate(ran.report)
    assert ("alice" in shown.stdout, "alice" in whole.stdout) == (False, True)
