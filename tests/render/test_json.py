"""The JSON report: valid whatever happens, and exactly as published."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gpudoctor.facts import Environment, decode
from gpudoctor.findings import Report
from gpudoctor.pasted import triage
from gpudoctor.render import Options, render
from gpudoctor.render.json import json_report
from gpudoctor.wire import failure_report, schema
from tests import reports
from tests.cases.render import cases, held_out
from tests.cases.render import render as text_of

_STEP = 40
VALIDATOR = jsonschema.Draft202012Validator(schema())


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def _read(text: str) -> dict[str, Any]:
    read = json.loads(text, parse_constant=_refuse)
    assert isinstance(read, dict)
    return read


@pytest.mark.parametrize("make", reports.ALL, ids=lambda make: make.__name__)
@pytest.mark.parametrize("redact", [True, False])
def test_every_report_is_valid_by_the_schema_and_plain_ascii(make: Callable[[], Report], redact: bool) -> None:
    text = render(make(), "json", options=Options(redact=redact))
    VALIDATOR.validate(_read(text))
    assert text.isascii()
    assert all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("part", range(8))
def test_the_report_on_every_case_is_valid_by_the_published_schema(part: int) -> None:
    published = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(published)
    for case in (*cases(), *held_out())[part::_STEP]:
        text = render(triage(text_of(case), case.id), "json", options=Options(compact=True))
        errors = [error.message for error in validator.iter_errors(_read(text))]
        assert (case.id, errors) == (case.id, [])


def test_the_report_has_the_published_fields_in_their_order() -> None:
    report = reports.broken()
    read = _read(json_report(report))
    facts, smoke, findings = read.pop("facts"), read.pop("smoke"), read.pop("findings")
    assert read == {
        "schema": "gpudoctor.report/1",
        "gpudoctor": "0.1.0",
        "created": "2026-11-21T09:00:00Z",
        "source": "machine",
        "input": None,
        "quick": False,
        "status": "broken",
        "exit_code": 1,
        "cause": {
            "rule": "torch-arch-unsupported",
            "title": "torch 2.5.1+cu124 has no kernels for it",
            "confidence": "certain",
        },
        "candidates": [],
        "outcomes": [
            {"rule": outcome.rule, "outcome": outcome.outcome, "why": outcome.why} for outcome in report.outcomes
        ],
        "unknown": [],
        "silenced": [],
        "reading": None,
        "window": None,
        "seconds": 11.3,
        "hidden": None,
    }
    assert list(_read(json_report(report)))[:9] == [
        *("schema", "gpudoctor", "created", "source", "input", "quick", "status", "exit_code", "cause"),
    ]
    assert findings[0] == {
        "rule": "torch-arch-unsupported",
        "severity": "error",
        "confidence": "certain",
        "title": "torch 2.5.1+cu124 has no kernels for it",
        "detail": reports.ARCH.detail,
        "about": {"gpu": 0, "framework": "torch"},
        "evidence": [
            {"fact": "compute capability", "value": "12.0", "source": "NVML"},
            {"fact": "compiled for", "value": "5.0 6.0 7.0 7.5 8.0 8.6 9.0", "source": "libtorch_python.so"},
        ],
        "fixes": [
            {
                "title": reports.ARCH.fixes[0].title,
                "commands": list(reports.ARCH.fixes[0].commands),
                "where": "environment",
                "risk": "other packages may pin the old torch",
                "verify": "gpudoctor smoke --framework torch",
                "note": "",
            }
        ],
        "because_of": None,
        "settled_by": [],
    }
    assert [finding["because_of"] for finding in findings] == [None, None, "torch-arch-unsupported"]
    assert smoke[1] == {
        "framework": "tensorflow",
        "device": "cuda:0",
        "gpu": 0,
        "stage": "compute",
        "result": "failed",
        "loss": [],
        "accuracy": None,
        "precision": 0.991,
        "recall": 0.989,
        "f1": 0.99,
        "examples_per_second": None,
        "cpu_examples_per_second": None,
        "mig": None,
        "precision_mode": "fp32",
        "perceptron": None,
        "parts": [],
        "evidence": {
            "error": "CUDA_ERROR_INVALID_HANDLE",
            "ended": "signal SIGABRT",
            "pid": None,
            "wait_channel": None,
            "seconds": 9.7,
            "proofs": {},
        },
    }
    assert decode(json.dumps(facts)) == report.facts


def test_proofs_are_evidence_by_name() -> None:
    read = _read(json_report(reports.cpu_allowed()))
    (smoke,) = read["smoke"]
    assert smoke["result"] == "ran-on-cpu"
    assert smoke["loss"] == list(reports.LOSS)
    assert smoke["evidence"]["proofs"] == {
        "weights changed": {"holds": True, "detail": "", "required": True},
        "agrees with float64 on the CPU": {"holds": True, "detail": "largest difference 3e-07", "required": True},
        "NVML process list": {"holds": None, "detail": "not supported in this container", "required": False},
    }


def test_a_number_that_json_cannot_hold_is_null() -> None:
    report = reports.healthy()
    smoke = reports.smoke("torch", loss=(1.0, float("nan"), float("inf")), accuracy=float("-inf"))
    read = _read(json_report(replace(report, facts=replace(report.facts, smokes=(smoke,)), seconds=float("nan"))))
    VALIDATOR.validate(read)
    assert read["smoke"][0]["loss"] == [1.0, None, None]
    assert read["smoke"][0]["accuracy"] is None
    assert read["facts"]["smokes"][0]["loss"] == [1.0, None, None]
    assert read["seconds"] is None


def test_compact_is_one_line_with_the_same_content() -> None:
    report = reports.healthy()
    compact = json_report(report, compact=True)
    assert compact.count("\n") == 1
    assert compact.endswith("}\n")
    assert json.loads(compact) == json.loads(json_report(report))


def test_the_same_report_is_the_same_text() -> None:
    def report(*names: str) -> Report:
        facts = replace(
            reports.healthy().facts, environment=Environment(source="environ", variables=dict.fromkeys(names, "1"))
        )
        return replace(reports.healthy(), facts=facts)

    assert json_report(report("CUDA_A", "CUDA_B")) == json_report(report("CUDA_B", "CUDA_A"))


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ValueError("a\n  File 'x'\nlast words"), "ValueError: last words"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
    ],
)
def test_a_failed_run_is_an_undetermined_report(error: BaseException, why: str) -> None:
    read = _read(json_report(failure_report(error, gpudoctor="0.1.0", created=reports.CREATED, input="x.txt")))
    VALIDATOR.validate(read)
    assert (read["status"], read["exit_code"], read["input"]) == ("undetermined", 3, "x.txt")
    assert read["unknown"] == [{"what": "the run did not finish", "why": why, "settled_by": []}]


@given(st.text(st.characters(codec=None)))
def test_any_text_makes_valid_json(text: str) -> None:
    report = reports.broken()
    smoke = replace(report.facts.smokes[0], error=text)
    changed = replace(report, input=text, facts=replace(report.facts, smokes=(smoke,)))
    VALIDATOR.validate(_read(json_report(changed)))


def test_what_leaves_the_machine_is_redacted_unless_asked_and_the_terminal_is_not() -> None:
    report = reports.private()
    private = ("alice", "bob", "secret_project", "1111-2222-3333")
    shown = render(report, "json", options=Options())
    assert [word for word in private if word in shown] == []
    assert all(word in render(report, "json", options=Options(redact=False)) for word in private)
    assert "/home/alice/proj/.venv" in render(report, "terminal", options=Options())


def test_what_was_hidden_is_counted_and_nothing_is_counted_where_nothing_was_to_be_hidden() -> None:
    def hidden(make: Callable[[], Report], redact: bool) -> dict[str, int] | None:
        told: dict[str, int] | None = json.loads(render(make(), "json", options=Options(redact=redact)))["hidden"]
        return told

    assert hidden(reports.private, False) is None
    private, broken = hidden(reports.private, True), hidden(reports.broken, True)
    assert private
    assert broken
    assert sum(private.values()) > sum(broken.values())


def test_the_exit_code_told_is_that_of_fail_on() -> None:
    told = {
        fail_on: json.loads(render(reports.warnings(), "json", options=Options(fail_on=fail_on)))["exit_code"]
        for fail_on in ("error", "warning", "never")
    }
    assert told == {"error": 0, "warning": 1, "never": 0}


@pytest.mark.parametrize("make", [reports.broken, reports.healthy, reports.candidates, reports.hostile, reports.no_gpu])
@pytest.mark.parametrize("text", ["", "× → … é 漢 🙂 \x7f \u2028", "\ud800 lone", 'quote " and \\ \x1b'])
def test_a_compact_report_says_the_same_on_one_ascii_line(make: Callable[[], Report], text: str) -> None:
    report = replace(make(), input=text, seconds=float("nan"))
    compact = json_report(report, compact=True)
    assert compact.isascii()
    assert compact.count("\n") == 1
    assert json.loads(compact) == json.loads(json_report(report))
