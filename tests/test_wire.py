"""The wire format's own table and its published schema."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from gpudoctor import wire
from gpudoctor.findings import Status

PUBLISHED = Path(__file__).parents[1] / "docs" / "report.schema.json"


@pytest.mark.parametrize(
    ("status", "error", "warning", "never"),
    [("broken", 1, 1, 0), ("undetermined", 3, 3, 3), ("warnings", 0, 1, 0), ("healthy", 0, 0, 0)],
)
def test_the_exit_code_follows_status_and_threshold(status: Status, error: int, warning: int, never: int) -> None:
    assert wire.exit_code(status) == error
    assert (wire.exit_code(status, "error"), wire.exit_code(status, "warning"), wire.exit_code(status, "never")) == (
        error,
        warning,
        never,
    )


def test_the_published_schema_is_the_one_of_the_types() -> None:
    """Regenerate with: python -m gpudoctor.wire > docs/report.schema.json"""
    assert PUBLISHED.read_text("utf-8") == wire.schema_text()


def test_the_schema_is_a_schema_and_names_every_field() -> None:
    schema = json.loads(PUBLISHED.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$defs"]["ReportWire"]["required"] == [
        *("schema", "gpudoctor", "created", "source", "input", "quick", "status", "exit_code", "cause"),
        *("candidates", "findings", "outcomes", "unknown", "silenced", "reading", "window", "smoke", "facts"),
        *("seconds", "hidden"),
    ]


def test_a_report_without_its_status_is_refused_by_the_schema() -> None:
    schema = json.loads(PUBLISHED.read_text("utf-8"))
    with pytest.raises(jsonschema.ValidationError, match="required"):
        jsonschema.validate({"schema": "gpudoctor.report/1"}, schema)
