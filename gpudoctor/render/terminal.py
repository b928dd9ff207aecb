"""The report on a terminal: the verdict and what to do first, then what was looked at, then the counts.

Nothing here reads the terminal or the environment: :class:`Style` says what may be drawn. Without colour the text
holds no control character but the line feed. Commands keep one line each, however narrow the terminal, so that
they can be copied; all else wraps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from gpudoctor.findings import Finding, Fix, Report, Severity
from gpudoctor.render import summary, text
from gpudoctor.render.page import Calls, Page, Style, styled
from gpudoctor.render.summary import MARK_OF, Mark, Row

_LIKE_IT = 3
_DETAIL_LINES = 30
_SMALLEST_COLUMN = 26


def terminal(report: Report, style: Style, calls: Calls | None = None) -> str:
    """The whole report as text, ending with a line feed."""
    page = Page(style, calls)
    for section in (_verdict,) if report.unreadable else _SECTIONS:
        section(page, report)
    return page.text()


# ------------------------------------------------------------------------------------------------ the verdict


def _verdict(page: Page, report: Report) -> None:
    if report.input is not None and report.input != "-":
        page.paragraph(page.prose(f"{text.name(report.input)}:", "bold"), indent=0)
    head = summary.headline(report)
    glyph = page.glyph(head.mark) + Text(" ")
    aside = page.prose(head.rule, "dim") if head.rule else Text()
    page.with_aside(page.prose(head.sentence, "bold"), aside, first=glyph, hang=glyph.cell_len)
    page.blank()
    _other_environments(page, report)
    if report.status == "undetermined":
        _undetermined(page, report)
    _candidates(page, report)
    cause = summary.cause_of(report)
    if cause is not None:
        if report.status != "broken":
            page.paragraph(_finding_words(page, cause), hang=4)
        _finding_body(page, report, cause, 2 if report.status == "broken" else 4)


def _other_environments(page: Page, report: Report) -> None:
    for told, command in summary.other_environments(report.facts):
        _labelled(page, "Nearby", page.prose(told))
        page.line(Text(" " * (_column(page) + 2)) + page.command(command))
    page.blank()


def _undetermined(page: Page, report: Report) -> None:
    for sentence in summary.other_unknowns(report):
        _labelled(page, "Also", page.marked(Mark.UNKNOWN, f"Not judged: {sentence}"))
    settled_by = dict.fromkeys(command for unknown in report.unknown for command in unknown.settled_by)
    _commands(page, "Settle", tuple(settled_by))
    page.blank()
    if not report.unreadable:
        page.paragraph(page.prose(summary.judged_sentence(report)))
    page.blank()


def _candidates(page: Page, report: Report) -> None:
    candidates = report.candidates if report.cause is None else ()
    for label, candidate in zip(_alternatives("Either"), candidates, strict=False):
        finding = next(iter(report.findings_of(candidate.rule)), None)
        title = finding.title if finding else "possible"
        told = page.marked(Mark.UNKNOWN, f"{title}: {candidate.rule} ({candidate.confidence.value})")
        _labelled(page, label, told)
        if finding:
            _detail(page, finding.detail, _column(page))
            _quotes(page, report, finding)
        _commands(page, "Settle", candidate.settled_by)
        page.blank()


def _finding_body(page: Page, report: Report, finding: Finding, indent: int) -> None:
    _detail(page, finding.detail, indent)
    page.blank()
    _quotes(page, report, finding)
    for label, fix in zip(_alternatives("Fix"), finding.fixes, strict=False):
        _fix(page, report, fix, label)
    _commands(page, "Settle", finding.settled_by)
    page.blank()


def _detail(page: Page, detail: str, indent: int) -> None:
    lines = [line for line in detail.splitlines() if line.strip()]
    for line in lines[:_DETAIL_LINES]:
        page.paragraph(page.prose(line), indent)
    if len(lines) > _DETAIL_LINES:
        page.paragraph(page.prose(f"… and {text.plural(len(lines) - _DETAIL_LINES, 'line')} more"), indent)


def _quotes(page: Page, report: Report, finding: Finding) -> None:
    """What a pasted text says, with the lines that say it: the reader has it at hand."""
    quotes = summary.quotes(report, finding)
    width = max((len(quote.label) for quote in quotes), default=0) + 2
    for quote in quotes:
        if page.narrow:
            page.paragraph(page.prose(f"{quote.label}: {quote.value}"), hang=4)
        else:
            page.wrapped(page.prose(quote.value), first=Text("  ") + page.padded(quote.label, width), hang=width + 2)
    if quotes:
        page.blank()


def _alternatives(first: str) -> Iterator[str]:
    yield first
    while True:
        yield "Or"


def _fix(page: Page, report: Report, fix: Fix, label: str) -> None:
    _labelled(page, label, page.prose(_capital(fix.title)))
    if fix.commands:
        page.paragraph(page.prose(f"{_capital(summary.place(report, fix.where))}:"), _column(page))
    for command in fix.commands:
        page.line(Text(" " * (_column(page) + 2)) + page.command(command))
    for line in fix.note.splitlines():
        page.paragraph(page.prose(line), _column(page))
    if fix.risk:
        _labelled(page, "Risk", page.prose(_capital(fix.risk)))
    _commands(page, "Verify", (fix.verify,) if fix.verify else ())


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _column(page: Page) -> int:
    return 4 if page.narrow else 11


def _label(page: Page, label: str) -> Text:
    return Text("  ") + styled(label.ljust(9 if not page.narrow else len(label) + 1), "bold cyan")


def _labelled(page: Page, label: str, content: Text) -> None:
    first = _label(page, label)
    page.wrapped(content, first=first, hang=_column(page))


def _commands(page: Page, label: str, commands: Sequence[str]) -> None:
    """Commands after a label; each has its line to itself on a narrow terminal."""
    if not commands:
        return
    if page.narrow:
        page.line(_label(page, label))
    for position, command in enumerate(commands):
        first = _label(page, label) if position == 0 and not page.narrow else Text(" " * _column(page))
        page.line(first + page.command(command))


# -------------------------------------------------------------------------------------------- other findings


def _further_findings(page: Page, report: Report) -> None:
    told = {id(finding) for finding in _told(report)}
    rest = [finding for finding in report.findings if id(finding) not in told]
    commands = {command for finding in _told(report) for fix in finding.fixes for command in fix.commands}
    label = "Also" if told or report.status == "broken" else "Seen"
    for finding in _folded(page, [finding for finding in rest if finding.because_of is None]):
        _labelled(page, label, _finding_words(page, finding))
        if _needs_own_fix(report, finding) and not commands.issuperset(_first_commands(finding)):
            _fix(page, report, finding.fixes[0], "Fix")
            commands |= set(_first_commands(finding))
    for finding in _folded(page, [finding for finding in rest if finding.because_of is not None]):
        _labelled(page, "Follows", _finding_words(page, finding, f", because of {finding.because_of}"))
    page.blank()


def _told(report: Report) -> tuple[Finding, ...]:
    """The findings that the verdict has shown already."""
    cause = summary.cause_of(report)
    if cause is not None:
        return (cause,)
    candidates = {candidate.rule for candidate in report.candidates}
    return tuple(next(iter(report.findings_of(rule))) for rule in candidates if report.findings_of(rule))


def _needs_own_fix(report: Report, finding: Finding) -> bool:
    """True for what must be fixed besides the first cause: errors, and warnings where there is nothing worse."""
    mild = finding.severity is Severity.WARNING and report.status == "warnings"
    return bool(finding.fixes) and (finding.severity is Severity.ERROR or mild)


def _first_commands(finding: Finding) -> tuple[str, ...]:
    return finding.fixes[0].commands or (finding.fixes[0].title,)


def _folded(page: Page, findings: Sequence[Finding]) -> Iterator[Finding]:
    """The findings, of one rule not more than a few, the last of them saying how many more there are."""
    for rule in dict.fromkeys(finding.rule for finding in findings):
        alike = [finding for finding in findings if finding.rule == rule]
        if page.style.verbose or len(alike) <= _LIKE_IT + 1:
            yield from alike
            continue
        yield from alike[:_LIKE_IT]
        more = page.marked(Mark.NOTE, f"and {len(alike) - _LIKE_IT} more like it: {rule} (--verbose)")
        page.paragraph(more, _column(page))


def _finding_words(page: Page, finding: Finding, after: str = "") -> Text:
    sure = "" if finding.confidence.value == "certain" else f" ({finding.confidence.value})"
    return page.marked(MARK_OF[finding.severity], f"{finding.title.rstrip('.')}: {finding.rule}{sure}{after}")


# ------------------------------------------------------------------------------------- what was looked at


def _looked_at(page: Page, report: Report) -> None:
    page.blank()
    _table(page, summary.rows(report))
    page.blank()


def _table(page: Page, rows: Sequence[Row]) -> None:
    """Rows with the state in a column at the right, or under each value where the terminal is too narrow."""
    if not rows:
        return
    states = [page.marked(row.mark, row.words) if row.mark else Text() for row in rows]
    values = [page.prose(row.value) for row in rows]
    label = max(len(row.label) for row in rows) + 2
    room = page.width - 2 - label - 2 - max(state.cell_len for state in states)
    column = min(room, max(value.cell_len for value in values))
    for row, value, state in zip(rows, values, states, strict=True):
        if page.narrow or room < _SMALLEST_COLUMN:
            named = page.prose(row.label, "bold") + Text(" " if state else "") + state + Text(": ")
            page.paragraph(named + value, hang=4)
        else:
            page.beside(value, state, first=Text("  ") + page.padded(row.label, label), column=column)


# ------------------------------------------------------------------------------------------ the smoke jobs


def _smoke_jobs(page: Page, report: Report) -> None:
    rows = summary.smoke_rows(report)
    label = 0 if page.narrow else max((len(row.label) for row in rows), default=0) + 2
    for row in rows:
        named = page.padded("Smoke", 6 if page.narrow else 7) + page.padded(row.label, max(label, len(row.label) + 1))
        first = Text("  ") + named + page.glyph(_mark(row)) + Text(" ")
        page.wrapped(page.prose(row.value), first=first, hang=4 if page.narrow else first.cell_len)
    page.blank()


def _mark(row: Row) -> Mark:
    return row.mark or Mark.NOTE


# ---------------------------------------------------------------------------------------------- --verbose


def _details(page: Page, report: Report) -> None:
    if not page.style.verbose:
        return
    _evidence(page, report)
    _unrecognised(page, report)
    _proofs(page, report)
    _parts(page, report)
    _outcomes(page, report)


def _heading(page: Page, words: str) -> None:
    page.blank()
    page.paragraph(page.prose(words, "bold"))


def _evidence(page: Page, report: Report) -> None:
    findings = [finding for finding in report.findings if finding.evidence]
    if findings:
        _heading(page, "Evidence")
    for finding in findings:
        page.paragraph(page.prose(f"{finding.rule}: {finding.title}"), indent=4, hang=6)
        for item in finding.evidence:
            page.paragraph(page.prose(f"{item.fact} = {item.value} ({item.source})"), indent=6, hang=8)


def _unrecognised(page: Page, report: Report) -> None:
    lines = report.reading.unrecognised if report.reading else ()
    if lines:
        _heading(page, "Not recognised, among others")
    for line in lines:
        page.paragraph(page.prose(line), indent=4, hang=6)


_HOLDS = {True: Mark.OK, False: Mark.FAULT, None: Mark.UNKNOWN}
_HOLDS_WORDS = {True: "holds", False: "does not hold", None: "could not be looked at"}


def _proofs(page: Page, report: Report) -> None:
    for smoke in report.smoke:
        if smoke.proofs:
            on = summary.smoke_device(smoke)
            _heading(page, f"Evidence of the smoke job: {summary.FRAMEWORK_TITLES[smoke.framework]} on {on}")
        for proof in smoke.proofs:
            needed = ", required" if proof.required else ""
            detail = f"; {proof.detail}" if proof.detail else ""
            words = f"{proof.name}: {_HOLDS_WORDS[proof.holds]}{needed}{detail}"
            page.paragraph(page.marked(_HOLDS[proof.holds], words), indent=4, hang=6)


def _parts(page: Page, report: Report) -> None:
    for smoke in report.smoke:
        if smoke.parts:
            on = summary.smoke_device(smoke)
            _heading(page, f"Parts of the smoke job: {summary.FRAMEWORK_TITLES[smoke.framework]} on {on}")
        for part in smoke.parts:
            mark = Mark.FAULT if part.error or part.holds is False else Mark.OK if part.holds else Mark.UNKNOWN
            page.paragraph(page.marked(mark, summary.part_words(part, smoke, report)), indent=4, hang=6)


_OUTCOMES: tuple[tuple[str, str, Mark], ...] = (
    ("crashed", "Crashed rules", Mark.UNKNOWN),
    ("skipped", "Not judged", Mark.UNKNOWN),
    ("not-applicable", "Not applicable", Mark.NOTE),
    ("passed", "Passed", Mark.OK),
)


def _outcomes(page: Page, report: Report) -> None:
    for kind, title, mark in _OUTCOMES:
        chosen = [outcome for outcome in report.outcomes if outcome.outcome == kind]
        if chosen:
            _heading(page, title)
        for outcome in chosen:
            if outcome.why:
                page.paragraph(page.marked(mark, f"{outcome.rule}: {outcome.why}"), indent=4, hang=6)
        if plain := [page.prose(outcome.rule) for outcome in chosen if not outcome.why]:
            page.paragraph(page.glyph(mark) + Text(" ") + Text(", ").join(plain), indent=4, hang=6)


# ------------------------------------------------------------------------------------------------- the end


def _end(page: Page, report: Report) -> None:
    page.blank()
    if report.silenced:
        told = ", ".join(f"{one.rule} ({one.by})" for one in report.silenced)
        _labelled(page, "Silenced", page.prose(told))
        page.blank()
    if report.reading:
        page.paragraph(page.prose(summary.reading_sentence(report, report.reading)))
    hidden = any(outcome.outcome in ("skipped", "crashed") for outcome in report.outcomes)
    pointer = " (--verbose)" if hidden and not page.style.verbose else ""
    time = page.prose(text.seconds(report.seconds), "dim")
    page.with_aside(page.prose(summary.counts(report) + pointer), time, first=Text("  "), hang=2)
    rule = _first_rule(report)
    if rule:
        page.line(Text("  More: ") + page.exact(f"{page.calls.program} explain {rule}", "bold"))
    if report.status in ("broken", "undetermined") and report.source == "machine" and page.calls.ticket:
        page.line(Text("  Ticket: ") + page.exact(page.calls.ticket, "bold"))


def _first_rule(report: Report) -> str | None:
    if report.cause is not None:
        return report.cause.rule
    named = [*(candidate.rule for candidate in report.candidates), *(finding.rule for finding in report.findings)]
    return named[0] if named else None


_SECTIONS = (_verdict, _further_findings, _looked_at, _smoke_jobs, _details, _end)
