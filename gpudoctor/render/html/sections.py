"""The other sections: further findings, what was looked at, what became of each rule, and how the report was made."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor.findings import Finding, Outcome, Report
from gpudoctor.privacy import told
from gpudoctor.render import summary, text
from gpudoctor.render.html.markup import NOTHING, Content, Markup, element, joined
from gpudoctor.render.html.parts import Place, evidence, folded, mark, prose, table
from gpudoctor.render.html.verdict import fix, quotes
from gpudoctor.render.summary import MARK_OF, Mark

_ALIKE = 4


# -------------------------------------------------------------------------------------------------- findings


def findings(place: Place) -> Markup:
    """What is wrong besides the first cause, and what follows from others, folded."""
    report = place.report
    rest = [finding for finding in report.findings if finding not in _shown(report)]
    own = [finding for finding in rest if finding.because_of is None]
    follow = [finding for finding in rest if finding.because_of is not None]
    return joined(*_grouped(place, own), _consequences(place, follow))


def _shown(report: Report) -> tuple[Finding, ...]:
    cause = summary.cause_of(report)
    if cause is not None:
        return (cause,)
    rules = [candidate.rule for candidate in report.candidates]
    return tuple(finding for rule in rules for finding in report.findings_of(rule)[:1])


def _grouped(place: Place, findings: list[Finding]) -> Iterator[Markup]:
    """One after the other; of many alike the later ones folded."""
    for rule in dict.fromkeys(finding.rule for finding in findings):
        alike = [finding for finding in findings if finding.rule == rule]
        cut = len(alike) if len(alike) <= _ALIKE else _ALIKE - 1
        yield from (_finding(place, finding) for finding in alike[:cut])
        if alike[cut:]:
            yield folded(f"{len(alike) - cut} more: {rule}", *(_finding(place, finding) for finding in alike[cut:]))


def _finding(place: Place, finding: Finding) -> Markup:
    sure = "" if finding.confidence.value == "certain" else f" ({finding.confidence.value})"
    return element(
        "div",
        place.heading(3, mark(MARK_OF[finding.severity]), text.words(finding.title)),
        element("p", "Rule ", element("code", finding.rule), sure, class_="rule"),
        prose(finding.detail),
        quotes(place, finding),
        *(fix(place, one) for one in finding.fixes[:1]),
        *(folded(f"Or: {text.words(one.title)}", fix(place, one, titled=False)) for one in finding.fixes[1:]),
        _settled_by(place, finding),
        folded("Evidence", evidence(finding.evidence)) if finding.evidence else None,
        class_="finding",
    )


def _settled_by(place: Place, finding: Finding) -> Markup | None:
    if not finding.settled_by:
        return None
    return joined(element("p", "What would settle it:", class_="where"), place.commands(finding.settled_by))


def _consequences(place: Place, findings: list[Finding]) -> Markup:
    if not findings:
        return NOTHING
    causes = text.listed(list(dict.fromkeys(finding.because_of or "" for finding in findings)))
    title = f"{text.plural(len(findings), 'finding')} that follow{'s' * (len(findings) == 1)} from {causes}"
    return folded(title, *(_finding(place, finding) for finding in findings), class_="consequences")


# ------------------------------------------------------------------------------------------ what was looked at


def looked_at(place: Place) -> Markup:
    """A line for each thing, as the terminal has it."""
    rows: list[tuple[Content, ...]] = [
        (row.label, text.words(row.value), mark(row.mark, row.words) if row.mark else "")
        for row in summary.rows(place.report)
    ]
    return table("What was looked at", ("Thing", "What was seen", "State"), rows, class_="looked") if rows else NOTHING


# -------------------------------------------------------------------------------------------------- the rules

_KINDS: tuple[tuple[str, str, Mark], ...] = (
    ("found", "Found", Mark.FAULT),
    ("crashed", "Crashed", Mark.UNKNOWN),
    ("skipped", "Not judged", Mark.UNKNOWN),
    ("not-applicable", "Not applicable", Mark.NOTE),
    ("passed", "Passed", Mark.OK),
)


def rules(place: Place) -> Markup:
    """How many rules there were, and each with what was checked or missing."""
    return joined(element("p", f"{summary.counts(place.report)}."), *_outcomes(place.report), *_silenced(place.report))


def _outcomes(report: Report) -> Iterator[Markup]:
    for kind, title, sign in _KINDS:
        chosen = [outcome for outcome in report.outcomes if outcome.outcome == kind]
        if chosen:
            listed = element("ul", *(element("li", *_outcome(outcome)) for outcome in chosen), class_="outcomes")
            yield folded(mark(sign, f"{title}: {len(chosen):,}"), listed)


def _outcome(outcome: Outcome) -> Iterator[Content]:
    yield element("code", outcome.rule)
    if outcome.why:
        yield f" {text.shorten(text.words(outcome.why), text.LINE_LIMIT)}"


def _silenced(report: Report) -> Iterator[Markup]:
    if report.silenced:
        named = ", ".join(f"{one.rule} ({text.name(one.by)})" for one in report.silenced)
        yield element("p", mark(Mark.NOTE, f"Silenced: {named}"))


# -------------------------------------------------------------------------------------------------- the report

_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}):\d{2}Z")


def made(report: Report) -> str:
    """Who made the report, when, and from what."""
    when = _TIME.fullmatch(report.created)
    named = f"{when[1]} {when[2]} UTC" if when else text.name(report.created)
    given = report.input if report.input not in (None, "-") else None
    origin = "from a pasted text" if report.source == "paste" else "from this machine"
    about = f"{origin}: {text.name(given)}" if given else origin
    return ", ".join(part for part in (named, about, "quick look" if report.quick else "") if part)


def about(report: Report) -> Markup:
    """What was read, how long it took, what was hidden, and where to read more."""
    cause = report.cause.rule if report.cause else next((finding.rule for finding in report.findings), None)
    more = joined("More on the first finding: ", element("code", f"gpudoctor explain {cause}")) if cause else None
    return joined(
        element("p", summary.reading_sentence(report, report.reading)) if report.reading else None,
        _unrecognised(report),
        element("p", _hidden(report)),
        element("p", more) if more else None,
        element(
            "p", f"gpudoctor {text.name(report.gpudoctor)}, {text.seconds(report.seconds)}. This file asks no network."
        ),
    )


def _unrecognised(report: Report) -> Markup | None:
    lines = report.reading.unrecognised if report.reading else ()
    if not lines:
        return None
    shown = element("ul", *(element("li", element("code", text.shorten(line, text.LINE_LIMIT))) for line in lines))
    return folded("Lines that were not recognised, among others", shown)


def _hidden(report: Report) -> str:
    if report.hidden is None:
        return "Private values are shown: nothing was hidden (--no-redact)."
    return f"Hidden, so that this file can be passed on: {told(report.hidden)}."
