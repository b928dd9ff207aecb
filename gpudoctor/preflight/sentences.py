"""What a pre-flight says when a place is not fit: the cause and the fix in a few lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.findings import Finding, Fix, Report, Severity
from gpudoctor.preflight.judged import Met, NotJudged, NotMet, requirements
from gpudoctor.render.text import escape
from gpudoctor.words import called

_MOST_CAUSES = 3
_MOST_COMMANDS = 4


def refusal(report: Report, program: str = "gpudoctor") -> str:
    """Why a place is not fit, or why that cannot be told. Several lines, without control characters.

    ``program``: how gpudoctor is called here.
    """
    lines = _undetermined(report, program) if report.status == "undetermined" else _not_fit(report, program)
    return "\n".join(escape(line) for line in lines) + "\n"


def account(report: Report) -> str:
    """Each requirement with what was found, and the warnings: for those who want to hear it all."""
    lines = [f"  {_line(one)}" for one in requirements(report.facts).judged]
    lines += [f"  {one.severity.value}: {one.rule}: {one.title}" for one in report.findings]
    return "".join(escape(line) + "\n" for line in lines)


def _line(one: Met | NotMet | NotJudged) -> str:
    if isinstance(one, NotJudged):
        return f"{one.requirement}: not judged: {one.why}"
    return f"{one.requirement}: {'met' if isinstance(one, Met) else 'not met'}: {one.found}"


def _not_fit(report: Report, program: str) -> Iterator[str]:
    causes = _causes(report)
    if not causes:
        yield "gpudoctor: not fit for this job"
        return
    first = causes[0]
    if report.candidates:
        yield f"gpudoctor: not fit for this job: {' or '.join(one.rule for one in report.candidates)}"
    else:
        unsure = "" if first.confidence.value == "certain" else f" ({first.confidence.value})"
        yield f"gpudoctor: not fit for this job: {first.rule}{unsure}"
    yield f"  {first.title}"
    if first.detail:
        yield f"  {first.detail}"
    yield from _required(report, first)
    for fix in first.fixes[:1]:
        yield from _fix(fix)
    for settling in dict.fromkeys(command for one in report.candidates for command in one.settled_by):
        yield f"  To settle it: {called(settling, program)}"
    for other in causes[1:_MOST_CAUSES]:
        yield f"  Also: {other.rule}: {other.title}"
    yield f"  More: {program} explain {first.rule}"


def _causes(report: Report) -> list[Finding]:
    """The findings to fix: errors that nothing explains, else the warnings that were not to be."""
    roots = [one for one in report.findings if one.because_of is None]
    errors = [one for one in roots if one.severity is Severity.ERROR]
    return errors or [one for one in roots if one.severity is Severity.WARNING]


def _required(report: Report, cause: Finding) -> Iterator[str]:
    """The requirements that are not met, unless the cause itself tells of them."""
    if cause.rule == "requirement-not-met":
        return
    unmet = requirements(report.facts).unmet
    if unmet:
        yield f"  Required: {'; '.join(f'{one.requirement} ({one.found})' for one in unmet)}"


def _fix(fix: Fix) -> Iterator[str]:
    place = {"host": ", on the host", "machine": "", "environment": ""}[fix.where]
    yield f"  Fix{place}: {fix.title}"
    yield from (f"    {command}" for command in fix.commands[:_MOST_COMMANDS])
    if fix.note:
        yield f"    {fix.note}"


def _undetermined(report: Report, program: str) -> Iterator[str]:
    yield "gpudoctor: it cannot be told whether this place is fit for the job"
    for one in report.unknown[:_MOST_CAUSES]:
        yield f"  {one.what}: {one.why}"
    for command in tuple(dict.fromkeys(command for one in report.unknown for command in one.settled_by))[:1]:
        yield f"  To settle it: {called(command, program)}"
