"""The report as JUnit XML, as GitLab, Jenkins and the reporters of GitHub read it.

One suite: a test for each smoke job, for each rule, and for each essential fact that could not be seen. It is valid by
the two schemas in use, which agree on less than either allows: https://github.com/windyroad/JUnit-Schema (one result
and no output in a test) and the one of Jenkins' xUnit plug-in. So a warning below the threshold is a passed test, and
its words stand in the suite's output.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree

from gpudoctor.facts import Build, CudaDriver, Interpreter, Missing, Nvml, Smoke, System
from gpudoctor.findings import Confidence, Finding, Fix, Outcome, Report, Severity, Unknown
from gpudoctor.privacy import told
from gpudoctor.render import summary, text
from gpudoctor.wire import FailOn

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}", re.ASCII)
# The schema wants a moment, without its zone, also where none is known.
_NO_MOMENT = "1970-01-01T00:00:00"

# A closed list: GitLab's reader takes some other words in this attribute for an instruction to convert the text.
_Type = Literal["error", "warning", "undetermined", "crashed"]


@dataclass(frozen=True)
class _Result:
    """What is said of a test that did not pass: the element, one line, and the text below it."""

    element: Literal["failure", "error", "skipped"]
    type: _Type | None
    message: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Test:
    """One test. ``result`` None: passed."""

    group: Literal["smoke", "rules", "facts"]
    name: str
    result: _Result | None
    seconds: float | None = None


def junit(report: Report, *, fail_on: FailOn = "error") -> str:
    """The report as one XML document, ending with a line feed. With ``fail_on`` warning, warnings are failures too."""
    tests = tuple(_distinct(_tests(report, fail_on)))
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite", _attributes(report, tests))
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _properties(report):
        ElementTree.SubElement(properties, "property", name=_line(name), value=text.name(value))
    for test in tests:
        _add(suite, test)
    ElementTree.SubElement(suite, "system-out").text = _block(_output(report, fail_on))
    ElementTree.SubElement(suite, "system-err")
    ElementTree.indent(root)
    # In ASCII, with references for all else, the document is what its declaration says wherever it is printed.
    data: bytes = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=False)
    return f"{_DECLARATION}{data.decode('ascii')}\n"


def _attributes(report: Report, tests: Sequence[_Test]) -> dict[str, str]:
    results = Counter(test.result.element for test in tests if test.result)
    moment = _MOMENT.match(report.created)
    return {
        "name": "gpudoctor",
        "package": "gpudoctor",
        "id": "0",
        "tests": str(len(tests)),
        "failures": str(results["failure"]),
        "errors": str(results["error"]),
        "skipped": str(results["skipped"]),
        "time": _seconds(report.seconds),
        "timestamp": moment.group() if moment else _NO_MOMENT,
        "hostname": "localhost",
    }


def _add(suite: ElementTree.Element, test: _Test) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", classname=f"gpudoctor.{test.group}", name=test.name, time=_seconds(test.seconds)
    )
    if test.result is None:
        return
    attributes = {"message": text.shorten(_line(test.result.message), text.LINE_LIMIT) or test.result.element}
    if test.result.type is not None:
        attributes["type"] = test.result.type
    # Some readers show the attribute, some the text: each says it all.
    ElementTree.SubElement(case, test.result.element, attributes).text = _block(
        (test.result.message, *test.result.lines)
    )


def _distinct(tests: Iterable[_Test]) -> Iterator[_Test]:
    """Of two tests with one name GitLab drops the second."""
    seen: Counter[tuple[str, str]] = Counter()
    for test in tests:
        name = _line(test.name) or test.group
        seen[test.group, name] += 1
        count = seen[test.group, name]
        yield _Test(test.group, name if count == 1 else f"{name} ({count})", test.result, test.seconds)


# ------------------------------------------------------------------------------------------------- the tests


def _tests(report: Report, fail_on: FailOn) -> Iterator[_Test]:
    for unknown in summary.unknowns(report):
        yield _Test("facts", unknown.what, _unseen(unknown))
    for smoke in report.smoke:
        name = f"{summary.FRAMEWORK_TITLES[smoke.framework]} on {summary.smoke_device(smoke)}"
        yield _Test("smoke", name, _trained(smoke, report), smoke.seconds)
    for outcome in report.outcomes:
        yield _Test("rules", outcome.rule, _judged(outcome, report, fail_on))


def _unseen(unknown: Unknown) -> _Result:
    commands = ("Settled by:", *_indented(unknown.settled_by)) if unknown.settled_by else ()
    return _Result("error", "undetermined", f"not seen: {unknown.why}" if unknown.why else "not seen", commands)


def _trained(smoke: Smoke, report: Report) -> _Result | None:
    words = summary.smoke_words(smoke)
    if smoke.result == "not-run":
        return _Result("skipped", None, words)
    allowed = smoke.result == "ran-on-cpu" and report.facts.request.allow_cpu
    if smoke.result == "proved" or allowed:
        return None
    return _Result("failure", "error", words, tuple(_because(report, smoke)))


def _because(report: Report, smoke: Smoke) -> Iterator[str]:
    """The rules that found something about this job's GPU and framework, the causes among them."""
    about = [
        finding.rule
        for finding in report.findings
        if finding.severity is Severity.ERROR
        and finding.because_of is None
        and finding.about.gpu in (None, smoke.gpu)
        and finding.about.framework in (None, smoke.framework)
    ]
    if about:
        yield f"See {', '.join(dict.fromkeys(about))}."


def _judged(outcome: Outcome, report: Report, fail_on: FailOn) -> _Result | None:
    if outcome.outcome == "passed":
        return None
    if outcome.outcome == "crashed":
        return _Result("error", "crashed", outcome.why or "crashed")
    if outcome.outcome == "found":
        return _found(outcome, report, fail_on)
    word = "not applicable" if outcome.outcome == "not-applicable" else "not judged"
    return _Result("skipped", None, f"{word}: {outcome.why}" if outcome.why else word)


def _found(outcome: Outcome, report: Report, fail_on: FailOn) -> _Result | None:
    findings = report.findings_of(outcome.rule)
    failing = [finding for finding in findings if _fails(finding, fail_on)]
    if findings and not failing:
        return None
    worst = Severity.WARNING if failing and all(f.severity is Severity.WARNING for f in failing) else Severity.ERROR
    kind: _Type = "warning" if worst is Severity.WARNING else "error"
    message = "; ".join(finding.title for finding in failing) or outcome.why or "found"
    lines = tuple(line for finding in failing for line in _finding(report, finding, titled=len(failing) > 1))
    return _Result("failure", kind, message, lines)


def _fails(finding: Finding, fail_on: FailOn) -> bool:
    return finding.severity is Severity.ERROR or (fail_on == "warning" and finding.severity is Severity.WARNING)


# ------------------------------------------------------------------------------------------------- the words


def _finding(report: Report, finding: Finding, *, titled: bool) -> Iterator[str]:
    """All that is known of a finding, without its title where that stands above."""
    if titled:
        yield ""
        yield finding.title
    yield from finding.detail.splitlines()
    if finding.because_of:
        yield f"Explained by {finding.because_of}: fix that first."
    if finding.confidence is not Confidence.CERTAIN:
        yield f"Confidence: {finding.confidence.value}"
    for evidence in finding.evidence:
        yield f"Seen: {evidence.fact}: {evidence.value} ({evidence.source})"
    for number, fix in enumerate(finding.fixes):
        yield ""
        yield from _fix(report, fix, "Or" if number else "Fix")
    if finding.settled_by:
        yield "Settled by:"
        yield from _indented(finding.settled_by)


def _fix(report: Report, fix: Fix, label: str) -> Iterator[str]:
    yield f"{label}: {fix.title}"
    if fix.commands:
        yield f"  {summary.place(report, fix.where)}:"
        yield from _indented(fix.commands)
    yield from (f"  {line}" for line in fix.note.splitlines())
    if fix.risk:
        yield f"Risk: {fix.risk}"
    if fix.verify:
        yield f"Verify: {fix.verify}"


def _indented(commands: Iterable[str]) -> Iterator[str]:
    return (f"    {command}" for command in commands)


def _output(report: Report, fail_on: FailOn) -> Iterator[str]:
    """The verdict, and whatever was found that fails no test."""
    head = summary.headline(report)
    yield head.sentence
    if head.rule:
        yield f"Cause: {head.rule}"
    for finding in report.findings:
        if not _fails(finding, fail_on):
            yield ""
            yield f"{'Warning' if finding.severity is Severity.WARNING else 'Note'}: {finding.rule}: {finding.title}"
            yield from _finding(report, finding, titled=False)
    yield ""
    yield f"{summary.counts(report)}."
    if report.hidden:
        yield f"Hidden: {told(report.hidden)}."


def _properties(report: Report) -> Iterator[tuple[str, str]]:
    """The versions that a build server can search for."""
    facts = report.facts
    yield "gpudoctor", report.gpudoctor
    yield "status", report.status
    if report.cause:
        yield "cause", report.cause.rule
    if report.input is not None:
        yield "input", report.input
    if isinstance(facts.system, System):
        yield "system", facts.system.name or facts.system.os
        yield "kernel", facts.system.kernel or ""
    if isinstance(facts.nvml, Nvml) and facts.nvml.driver:
        yield "driver", facts.nvml.driver
    if isinstance(facts.cuda, CudaDriver) and facts.cuda.version:
        yield "cuda", facts.cuda.version
    for gpu in facts.known_gpus():
        yield f"gpu.{gpu.index}", gpu.name or ""
    if isinstance(facts.interpreter, Interpreter):
        yield "python", facts.interpreter.version
    for framework in facts.installed_frameworks():
        known = framework.build
        yield framework.name, str(known) if isinstance(known, Missing) else _version(known)


def _version(build: Build) -> str:
    return f"{build.version}, CUDA {build.cuda}" if build.cuda and "+cu" not in build.version else build.version


# ------------------------------------------------------------------------------------------------- the text


def _line(words: str) -> str:
    """One line in which every character is one that XML 1.0 allows."""
    return text.words(words)


def _block(lines: Iterable[str]) -> str:
    return "\n".join(text.escape(line) for line in lines)


def _seconds(value: float | None) -> str:
    return f"{value:.3f}" if value is not None and math.isfinite(value) and value >= 0 else "0.000"
