"""JUnit XML: valid by the schemas in use, whole on the shared reports, and text stays text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gpudoctor.findings import Outcome, Report, Severity
from gpudoctor.render import Options, render
from gpudoctor.render.junit import junit
from gpudoctor.wire import FailOn, unreadable_report
from tests import reports
from tests.render.whole import REPORTS, kept, shown

SCHEMA = xmlschema.XMLSchema(str(Path(__file__).with_name("junit.xsd")))


def suite(report: Report, fail_on: FailOn = "error") -> ElementTree.Element:
    text = junit(report, fail_on=fail_on)
    SCHEMA.validate(text)
    found = ElementTree.fromstring(text).find("testsuite")  # noqa: S314 - what was just written
    assert found is not None
    return found


def results(report: Report, fail_on: FailOn = "error") -> dict[str, str]:
    """What became of each test: the element in it, ``passed`` where there is none."""
    return {
        case.attrib["name"]: case[0].tag if len(case) else "passed" for case in suite(report, fail_on).iter("testcase")
    }


def message(report: Report, name: str, fail_on: FailOn = "error") -> str:
    (found,) = (case for case in suite(report, fail_on).iter("testcase") if case.attrib["name"] == name)
    return found[0].attrib["message"]


@pytest.mark.parametrize("make", REPORTS, ids=lambda make: make.__name__)
def test_every_report_is_as_it_was_kept(make: Callable[[], Report]) -> None:
    """Written anew with: python -m tests.render.whole"""
    assert shown(make, "junit") == kept(make, "junit").read_text("utf-8")


@pytest.mark.parametrize("fail_on", ["error", "warning", "never"])
@pytest.mark.parametrize("make", REPORTS, ids=lambda make: make.__name__)
def test_every_report_is_valid_and_counts_its_tests(make: Callable[[], Report], fail_on: FailOn) -> None:
    report = make()
    found = suite(report, fail_on)
    told = {name: int(found.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    tags = [element.tag for case in found.iter("testcase") for element in case]
    assert told == {
        "tests": len(list(found.iter("testcase"))),
        **{f"{tag}s".replace("skippeds", "skipped"): tags.count(tag) for tag in ("failure", "error", "skipped")},
    }
    assert told["tests"] == len(report.outcomes) + len(report.smoke) + len(report.unknown)


def test_a_rule_passes_fails_is_skipped_or_crashed() -> None:
    outcomes = results(reports.broken())
    assert {name: outcome for name, outcome in outcomes.items() if not name.startswith("sound-")} == {
        "PyTorch on GPU 0": "failure",
        "TensorFlow on GPU 0": "failure",
        "torch-arch-unsupported": "failure",
        "tf-arch-unsupported": "failure",
        "smoke-failed": "failure",
        "gpu-throttled": "skipped",
        "cuda-home-missing": "error",
    }
    assert {outcome for name, outcome in outcomes.items() if name.startswith("sound-")} == {"passed"}


def test_a_failure_tells_the_commands_that_fix_it() -> None:
    (case,) = (
        case for case in suite(reports.broken()).iter("testcase") if case.attrib["name"] == "torch-arch-unsupported"
    )
    (failure,) = case
    assert failure.attrib == {"message": "torch 2.5.1+cu124 has no kernels for it", "type": "error"}
    assert reports.ARCH.fixes[0].commands[0] in (failure.text or "")


def test_what_follows_from_a_cause_names_it() -> None:
    (case,) = (case for case in suite(reports.broken()).iter("testcase") if case.attrib["name"] == "smoke-failed")
    assert "Explained by torch-arch-unsupported: fix that first." in (case[0].text or "")


@pytest.mark.parametrize(("fail_on", "result"), [("error", "passed"), ("never", "passed"), ("warning", "failure")])
def test_a_warning_fails_only_where_warnings_are_to_fail(fail_on: FailOn, result: str) -> None:
    told = results(reports.warnings(), fail_on)
    assert (told["gpu-throttled"], told["persistence-mode-off"]) == (result, result)
    output = suite(reports.warnings(), fail_on).findtext("system-out") or ""
    assert ("Warning: gpu-throttled: GPU 1 slows down for heat at 91 °C" in output) is (result == "passed")


def test_two_findings_of_one_rule_are_one_failure_that_tells_both() -> None:
    assert message(reports.warnings(), "persistence-mode-off", "warning") == (
        "Persistence mode is off on GPU 0; Persistence mode is off on GPU 1"
    )


def test_a_note_fails_nothing_and_is_told() -> None:
    assert results(reports.cpu_allowed(), "warning")["no-nvidia-gpu"] == "passed"
    assert "Note: no-nvidia-gpu: " in (suite(reports.cpu_allowed()).findtext("system-out") or "")


def test_what_could_not_be_seen_is_an_error_and_never_a_pass() -> None:
    told = results(reports.hung())
    assert (told["the list of GPUs"], told["CUDA initialisation"]) == ("error", "error")
    assert "error" in results(unreadable_report("The text is empty.", gpudoctor="0", created="", input="x")).values()


def test_a_job_on_the_cpu_passes_only_where_no_gpu_is_required() -> None:
    assert results(reports.cpu_allowed())["PyTorch on the CPU"] == "passed"
    report = reports.no_gpu()
    report = replace(report, facts=replace(report.facts, smokes=(reports.smoke("torch", None),)))
    assert results(report)["PyTorch on the CPU"] == "failure"
    assert results(reports.no_gpu())["PyTorch on the CPU"] == "skipped"


def test_a_rule_that_found_something_that_is_not_among_the_findings_does_not_pass() -> None:
    report = replace(reports.healthy(), outcomes=(Outcome(rule="gpu-lost", outcome="found", why="GPU 3"),))
    assert results(report)["gpu-lost"] == "failure"


def test_tests_with_one_name_are_told_apart() -> None:
    report = reports.healthy()
    jobs = tuple(reports.smoke("torch", 0, mig=mig) for mig in ("MIG-1", "MIG-2"))
    told = results(replace(report, facts=replace(report.facts, smokes=jobs)))
    assert {"PyTorch on GPU 0", "PyTorch on GPU 0 (2)"} <= set(told)


@pytest.mark.parametrize("created", ["", "yesterday", "2026-11-21", "٢٠٢٦-11-21T09:00:00Z"])
def test_a_moment_that_is_not_known_is_still_one(created: str) -> None:
    assert suite(replace(reports.healthy(), created=created)).attrib["timestamp"] == "1970-01-01T00:00:00"


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_a_time_that_is_none_is_nought(seconds: float) -> None:
    assert suite(replace(reports.healthy(), seconds=seconds)).attrib["time"] == "0.000"


def test_nothing_of_a_hostile_report_is_markup_or_steers_a_reader() -> None:
    markup = "]]></failure><testcase name='evil'/>&<![CDATA[ \x00\x1b[31m\ufffe\udcff\u202e"
    finding = replace(reports.ARCH, title=markup, detail=markup, severity=Severity.ERROR)
    report = replace(reports.broken(), findings=(finding,), input=markup, gpudoctor=markup, created=markup)
    text = junit(report)
    assert text.isascii()
    assert all(character.isprintable() or character == "\n" for character in text)
    shown_ = "]]></failure><testcase name='evil'/>&<![CDATA[ \\x00\\x1b[31m\\ufffe\\udcff\\u202e"
    assert message(report, "torch-arch-unsupported") == shown_
    assert len(suite(report).findall("testcase")) == len(suite(reports.broken()).findall("testcase"))


@pytest.mark.parametrize("text", ["", " ", "\u3000\n\t"])
def test_what_has_no_words_has_a_message_and_a_name(text: str) -> None:
    finding = replace(reports.ARCH, title=text, detail=text)
    outcomes = (*reports.broken().outcomes, Outcome(rule=text, outcome="skipped", why=text))
    told = suite(replace(reports.broken(), findings=(finding,), outcomes=outcomes))
    assert all(case.attrib["name"].strip() for case in told.iter("testcase"))
    assert all(element.attrib["message"].strip() for case in told.iter("testcase") for element in case)


@given(st.text(st.characters(codec=None)))
def test_any_text_makes_a_valid_document(text: str) -> None:
    report = reports.broken()
    finding = replace(reports.ARCH, title=text, detail=text)
    smoke = replace(report.facts.smokes[0], error=text)
    outcomes = (*report.outcomes, Outcome(rule=f"plug-in-{text}", outcome="skipped", why=text))
    changed = replace(report, findings=(finding,), outcomes=outcomes, facts=replace(report.facts, smokes=(smoke,)))
    suite(replace(changed, input=text, created=text))


def test_it_is_redacted_unless_asked() -> None:
    private = ("alice", "/home/")
    told = render(reports.private(), "junit", options=Options())
    assert [word for word in private if word in told] == []
    assert "Hidden: " in told
    assert "/home/alice" in render(reports.private(), "junit", options=Options(redact=False))
