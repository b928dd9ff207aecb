"""The verdict and the one thing to do: all that most readers need."""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.findings import Finding, Fix
from gpudoctor.render import summary, text
from gpudoctor.render.html.markup import NOTHING, Markup, element, joined
from gpudoctor.render.html.parts import Place, capital, evidence, folded, mark, prose
from gpudoctor.render.summary import Mark

_STATUS = {
    "healthy": (Mark.OK, "Healthy"),
    "warnings": (Mark.WARNING, "Warnings"),
    "broken": (Mark.FAULT, "Broken"),
    "undetermined": (Mark.UNKNOWN, "Undetermined"),
}


def verdict(place: Place) -> Markup:
    """The status, the sentence, the cause, and how to fix it."""
    head = summary.headline(place.report)
    sign, word = _STATUS[place.report.status]
    return joined(
        element("p", mark(sign, word), class_=f"status {sign.value}"),
        place.heading(1, text.shorten(text.words(head.sentence), text.LINE_LIMIT)),
        element("p", "Rule ", element("code", head.rule), class_="rule") if head.rule else None,
        *_body(place),
    )


def _body(place: Place) -> Iterator[Markup]:
    yield from _undetermined(place)
    yield from _candidates(place)
    cause = summary.cause_of(place.report)
    if cause is not None:
        yield from _cause(place, cause)
    yield from _nearby(place)


def _cause(place: Place, cause: Finding) -> Iterator[Markup]:
    if place.report.status != "broken":
        yield prose(f"{cause.title.rstrip('.')}: {cause.rule}", class_="lead")
    yield prose(cause.detail, class_="detail")
    yield quotes(place, cause)
    yield remedies(place, cause)
    if cause.settled_by:
        yield joined(place.heading(2, "What would make it certain"), place.commands(cause.settled_by))
    if cause.evidence and place.report.source == "machine":
        yield folded(f"Evidence: {text.plural(len(cause.evidence), 'fact')}", evidence(cause.evidence))


def _undetermined(place: Place) -> Iterator[Markup]:
    report = place.report
    if report.status != "undetermined":
        return
    for sentence in summary.other_unknowns(report):
        yield element("p", mark(Mark.UNKNOWN, f"Also not judged: {sentence}"))
    settled_by = tuple(dict.fromkeys(command for unknown in report.unknown for command in unknown.settled_by))
    if settled_by:
        yield joined(place.heading(2, "What would settle it"), place.commands(settled_by))
    if not report.unreadable:
        yield prose(summary.judged_sentence(report))


def _candidates(place: Place) -> Iterator[Markup]:
    report = place.report
    for position, candidate in enumerate(report.candidates if report.cause is None else ()):
        finding = next(iter(report.findings_of(candidate.rule)), None)
        title = text.words(finding.title if finding else "possible")
        yield element(
            "div",
            place.heading(2, "Or: " if position else "Either: ", title),
            element("p", "Rule ", element("code", candidate.rule), f" ({candidate.confidence.value})", class_="rule"),
            prose(finding.detail) if finding else None,
            quotes(place, finding) if finding else None,
            element("p", "What would settle it:", class_="where") if candidate.settled_by else None,
            place.commands(candidate.settled_by),
            class_="candidate",
        )


def _nearby(place: Place) -> Iterator[Markup]:
    environments = summary.other_environments(place.report.facts)
    if environments:
        yield place.heading(2, "Environments nearby that hold frameworks")
    for told, command in environments:
        yield joined(element("p", told, class_="where"), place.commands((command,)))


def quotes(place: Place, finding: Finding) -> Markup:
    """The lines of a pasted text that say it."""
    told = summary.quotes(place.report, finding)
    if not told:
        return NOTHING
    rows = (joined(element("dt", quote.label), element("dd", element("code", quote.value))) for quote in told)
    return element("dl", *rows, class_="quotes")


def remedies(place: Place, finding: Finding) -> Markup:
    """The first way to fix it, and the others folded."""
    if not finding.fixes:
        return NOTHING
    first, *others = finding.fixes
    return element(
        "div",
        place.heading(2, "What to do"),
        fix(place, first),
        *(folded(f"Or: {text.words(other.title)}", fix(place, other, titled=False)) for other in others),
        class_="remedies",
    )


def fix(place: Place, fix: Fix, *, titled: bool = True) -> Markup:
    """One way to fix it: what, where, with which commands, at which risk, and how to see that it worked."""
    return element(
        "div",
        prose(capital(fix.title), class_="title") if titled else None,
        element("p", f"{capital(summary.place(place.report, fix.where))}:", class_="where") if fix.commands else None,
        place.commands(fix.commands),
        prose(fix.note),
        element("p", element("strong", "Risk: "), text.words(capital(fix.risk)), class_="risk") if fix.risk else None,
        element("p", element("strong", "Verify")) if fix.verify else None,
        place.commands((fix.verify,) if fix.verify else (), "verification"),
        class_="fix",
    )
