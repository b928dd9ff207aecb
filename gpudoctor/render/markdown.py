"""The report as Markdown for a ticket on GitHub or GitLab: the verdict first, the facts for ``gpudoctor triage`` last.

All text that was read from a machine is inert: a word that Markdown, or a code host, could take for anything but a word
stands in a code span, and whole lines stand in fenced blocks. A report has at most :data:`MOST` characters whatever
the machine; what goes first where it would have more is told by :data:`DROPPED`.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from gpudoctor import ticket
from gpudoctor.facts import Environment, Facts, KernelLog, Packages, Part, Proof, Smoke, System
from gpudoctor.findings import Finding, Fix, Report, Severity
from gpudoctor.privacy import told
from gpudoctor.render import summary, text
from gpudoctor.render.summary import MARK_OF, Mark, Row

MOST = 60_000
"""Characters, and bytes of UTF-8, that a report stays below: GitHub takes 65,536."""

DROPPED = (
    "rules that passed or do not apply",
    "rules that were not judged",
    "messages and kernel messages",
    "variables",
    "packages",
    "details of the smoke jobs",
    "facts as text",
    "further findings",
    "smoke jobs",
    "what was looked at",
)
"""What is left out where a report would be too long, in this order; the verdict and the facts for triage stay.

Of facts that alone are too long, :func:`gpudoctor.ticket.pack` tells what is left out.
"""

_GLYPHS = {Mark.OK: "✅", Mark.FAULT: "❌", Mark.WARNING: "⚠️", Mark.UNKNOWN: "❔", Mark.NOTE: "·"}

# How much is shown of what a machine may have any number of.
_DETAIL_LINES = 12
_DETAIL_LIMIT = 300
_NOTE_LINES = 4
_FIXES = 3
_COMMANDS = 6
_LONGEST_COMMAND = 600
_EVIDENCE = 6
_FINDINGS = 12
_ROWS = 30
_CELL_LIMIT = 400
_FENCED_LINES = 200
_FENCED_WIDTH = 300


def markdown(report: Report) -> str:
    """The whole report, ending with a line feed."""
    verdict = "\n\n".join(_verdict(report))
    if report.unreadable:
        return verdict + "\n"
    room = MOST - len(verdict) - _NEEDED
    packed = ticket.pack(report.facts, room)
    parts, left_out = _fitting([*_parts(report)], room - (packed.size if packed else 0))
    return "\n\n".join([verdict, *(part.body for part in parts), *_facts(packed), *_end(report, left_out)]) + "\n"


_NEEDED = 4_000  # what stands around the facts, and the last lines


@dataclass(frozen=True)
class _Part:
    """A part of the report that may be left out, by its name in :data:`DROPPED`."""

    name: str
    body: str


def _fitting(parts: list[_Part], room: int) -> tuple[list[_Part], list[str]]:
    """The parts for which there is room, and the names of those for which there is none."""
    left_out: list[str] = []
    for name in DROPPED:
        if sum(len(part.body) + 2 for part in parts) <= room:
            break
        left_out += dict.fromkeys(part.name for part in parts if part.name == name)
        parts = [part for part in parts if part.name != name]
    return parts, left_out


# ----------------------------------------------------------------------------------------------- inert text

# A word that no Markdown and no code host takes for anything else: letters and numbers with single signs between them,
# and signs of a sentence around them. Not a word: a domain, a path, a commit, a key of an issue tracker, an option.
_OPENING, _CLOSING = r"[(\u201c\u2018]", r"[)\u201d\u2019]"
_WORD = re.compile(
    rf"{_OPENING}?(?:×?[^\W_]+(?:[.,'\u2019/+×\u2013-][^\W_]+)*[%°]?|°[CF]|[…\u2013\u2014→×·≥≤]|[▁-█]+){_CLOSING}{{0,2}}"
    r"[.,;:!?…]{0,2}"
)
_NO_WORD = re.compile(
    r"[^\W\d_]\.[^\W\d_]{2}|(?<![0-9A-Za-z])[0-9a-f]{7,40}(?![0-9A-Za-z])|\b[A-Z][A-Z0-9]*-\d+\b|[Ww]{3}\.|/.*/"
)
_NO_BEGINNING = re.compile(rf"\d{{1,9}}[.)]|(?!{_OPENING})\W.*")
_AROUND = re.compile(r"(\(?)(.*?)([).,;:!?]{0,3})", re.DOTALL)


def inline(words: str, limit: int = text.LINE_LIMIT) -> str:
    """Text of any origin as one line of Markdown that shows it and is nothing else."""
    pieces: list[str] = []
    spanned: list[str] = []
    for word in text.shorten(text.words(words), limit).split(" "):
        if _is_word(word, first=not pieces and not spanned):
            pieces += [*_span(spanned), word]
            spanned = []
        elif word:
            spanned.append(word)
    return " ".join([*pieces, *_span(spanned)])


def _is_word(word: str, *, first: bool) -> bool:
    if not _WORD.fullmatch(word) or _NO_WORD.search(word):
        return False
    return not (first and _NO_BEGINNING.fullmatch(word))


def _span(words: Sequence[str]) -> Iterator[str]:
    """Words as one code span, without the signs of the sentence around them."""
    found = _AROUND.fullmatch(" ".join(words))
    if found and found[2]:
        opening, inside, closing = found.groups()
        paired = inside.count("(") < inside.count(")") + closing.count(")")
        if opening and not paired:
            opening, inside = "", opening + inside
        elif not opening and closing.startswith(")"):
            opening, inside, closing = "", inside + closing, ""
        yield opening + code(inside) + closing
    elif words:
        yield code(" ".join(words))


def code(words: str) -> str:
    """One line in a code span, whatever backticks it holds."""
    ticks = "`" * (_longest_run(words, "`") + 1)
    space = " " if words[:1] in "` " or words[-1:] in "` " else ""
    return f"{ticks}{space}{words}{space}{ticks}"


def _longest_run(words: str, sign: str) -> int:
    return max((len(run) for run in re.findall(f"{sign}+", words)), default=0)


_PIPE = re.compile(r"(?<!\\)(\\*)\|")


def cell(words: str) -> str:
    """Text of any origin for a cell of a table, in which a bar ends the cell also within a code span."""
    return _PIPE.sub(_escaped_bar, inline(words, _CELL_LIMIT))


def _escaped_bar(match: re.Match[str]) -> str:
    # With an odd number of backslashes before it, GitHub takes the one that escapes the bar for escaped itself.
    slashes = match[1]
    return slashes + "\\" * (len(slashes) % 2 + 1) + "|"


def fence(lines: Sequence[str], language: str = "text") -> str:
    """Lines of any origin as they are, but for characters that cannot be seen; longer than any fence within."""
    shown = [text.escape(line) for line in lines]
    marks = "`" * max(3, max((_longest_run(line, "`") for line in shown), default=0) + 1)
    return "\n".join([marks + language, *shown, marks])


def _fenced(lines: Iterable[str]) -> str:
    """Lines of which there may be any number, of any length."""
    listed = list(lines)
    more = len(listed) - _FENCED_LINES
    shown = [text.shorten(line, _FENCED_WIDTH) for line in listed[:_FENCED_LINES]]
    return fence(shown + ([f"… and {more:,} more"] if more > 0 else []))


def fold(title: str, body: str) -> str:
    """A part that is closed until it is asked for; the blank lines make what is inside it Markdown."""
    return f"<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells of its rows are made with :func:`cell`."""
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _marked(mark: Mark, words: str) -> str:
    return f"{_GLYPHS[mark]} {words}"


# ----------------------------------------------------------------------------------------------- the verdict


def _verdict(report: Report) -> Iterator[str]:
    if report.input is not None and report.input != "-":
        yield f"{code(text.name(_file_name(report.input)))}:"  # no folders: they may name persons
    head = summary.headline(report)
    yield f"## {_marked(head.mark, inline(head.sentence))}"
    cause = summary.cause_of(report)
    if cause is not None:
        yield f"**Cause:** {_named(cause)}" if report.status == "broken" else _title(cause)
        yield from _finding(report, cause)
    if report.status == "undetermined":
        yield from _undetermined(report)
    if report.cause is None:
        yield from _candidates(report)
    for told_of, command in summary.other_environments(report.facts)[:_FIXES]:
        yield f"**Nearby:** {inline(told_of)}"
        yield from _shell([command])


def _file_name(path: str) -> str:
    return re.split(r"[/\\]", path)[-1] or path


def _named(finding: Finding) -> str:
    """The rule, and how sure it is."""
    return f"{code(finding.rule)} ({finding.confidence.value})"


def _title(finding: Finding) -> str:
    sure = "" if finding.confidence.value == "certain" else f" ({finding.confidence.value})"
    return f"{_marked(MARK_OF[finding.severity], inline(finding.title.rstrip('.')))}: {code(finding.rule)}{sure}"


def _finding(report: Report, finding: Finding, told_already: Container[tuple[str, ...]] = ()) -> Iterator[str]:
    """All of a finding but its title, and the fixes that were told already."""
    yield from _detail(finding.detail)
    yield from _evidence(finding)
    fixes = [fix for fix in finding.fixes[:_FIXES] if not fix.commands or fix.commands not in told_already]
    for number, fix in enumerate(fixes):
        yield from _fix(report, fix, "Or" if number else "Fix")
    if finding.settled_by:
        yield "**What would settle it:**"
        yield from _shell(finding.settled_by)


def _detail(detail: str, most: int = _DETAIL_LINES) -> Iterator[str]:
    lines = [line for line in detail.splitlines() if line.strip()]
    for line in lines[:most]:
        yield inline(line, _DETAIL_LIMIT)
    if len(lines) > most:
        yield f"… and {text.plural(len(lines) - most, 'line')} more"


def _evidence(finding: Finding) -> Iterator[str]:
    shown = [_item(item.fact, item.value, item.source) for item in finding.evidence[:_EVIDENCE]]
    more = len(finding.evidence) - len(shown)
    if shown:
        yield "\n".join(shown + ([f"- … and {more} more"] if more > 0 else []))


def _item(fact: str, value: str, source: str) -> str:
    named = f"{inline(fact, text.NAME_LIMIT)}: " if fact else ""
    where = f" ({inline(source, text.NAME_LIMIT)})" if source else ""
    return f"- {named}{_value(value)}{where}"


def _value(value: str) -> str:
    return code(text.shorten(text.words(value), _DETAIL_LIMIT)) if value.strip() else "empty"


def _fix(report: Report, fix: Fix, label: str) -> Iterator[str]:
    yield f"**{label}:** {inline(_capital(fix.title))}"
    if fix.commands:
        yield f"{inline(_capital(summary.place(report, fix.where)))}:"
        yield from _shell(fix.commands)
    yield from _detail(fix.note, _NOTE_LINES)
    if fix.risk:
        yield f"**Risk:** {inline(_capital(fix.risk))}"
    if fix.verify:
        yield "**Verify:**"
        yield from _shell([fix.verify])


def _shell(commands: Sequence[str]) -> Iterator[str]:
    """Commands as they stand. One that is too long to be shown whole is not shown: half a command is none."""
    shown = [command for command in commands[:_COMMANDS] if len(command) <= _LONGEST_COMMAND]
    if shown:
        yield fence(shown, "sh")
    if len(shown) < len(commands):
        yield f"{text.plural(len(commands) - len(shown), 'command')} too long to be shown here."


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _undetermined(report: Report) -> Iterator[str]:
    others = [
        f"- {_marked(Mark.UNKNOWN, inline(f'Not judged: {sentence}'))}" for sentence in summary.other_unknowns(report)
    ]
    if others:
        yield "\n".join(others[:_FINDINGS])
    settled_by = tuple(dict.fromkeys(command for unknown in report.unknown for command in unknown.settled_by))
    if settled_by:
        yield "**What would settle it:**"
        yield from _shell(settled_by)
    if not report.unreadable:
        yield inline(summary.judged_sentence(report))


def _candidates(report: Report) -> Iterator[str]:
    for number, candidate in enumerate(report.candidates[:_FIXES]):
        finding = next(iter(report.findings_of(candidate.rule)), None)
        title = inline(finding.title) if finding else "possible"
        yield f"**{'Or' if number else 'Either'}:** {title}: {code(candidate.rule)} ({candidate.confidence.value})"
        if finding:
            yield from _detail(finding.detail)
            yield from _evidence(finding)
        if candidate.settled_by:
            yield "**What would settle it:**"
            yield from _shell(candidate.settled_by)


# ------------------------------------------------------------------------------------- what was looked at


def _seen(report: Report) -> Iterator[str]:
    rows = summary.rows(report)
    if rows:
        yield "### What was looked at"
        yield table(("", "Seen", "State"), [_row(row) for row in rows[:_ROWS]])
    if len(rows) > _ROWS:
        yield f"… and {len(rows) - _ROWS} more"


def _row(row: Row) -> list[str]:
    state = _marked(row.mark, cell(row.words)) if row.mark else ""
    return [cell(row.label), cell(row.value), state.strip()]


def _smoke_jobs(report: Report) -> Iterator[str]:
    rows = summary.smoke_rows(report)
    if rows:
        yield "### Smoke jobs"
        told_of = [[cell(row.label), _marked(row.mark or Mark.NOTE, cell(row.value))] for row in rows[:_ROWS]]
        yield table(("", "Result"), told_of)
    if len(rows) > _ROWS:
        yield f"… and {len(rows) - _ROWS} more"


# --------------------------------------------------------------------------------- the parts that may go


def _parts(report: Report) -> Iterator[_Part]:
    facts = report.facts
    for name, blocks in (
        ("what was looked at", _seen(report)),
        ("smoke jobs", _smoke_jobs(report)),
        ("further findings", _further(report)),
    ):
        if body := "\n\n".join(blocks):
            yield _Part(name, body)
    for name, title, blocks in (
        ("details of the smoke jobs", "Smoke jobs in detail", _smoke_details(report)),
        ("facts as text", "Facts as text", _fenced_or_none(lines_for_tools(facts))),
        ("packages", "Packages", _fenced_or_none(_packages(facts))),
        ("variables", "Variables", _fenced_or_none(_variables(facts))),
        ("messages and kernel messages", "Messages", _fenced_or_none(_messages(facts))),
        ("rules that were not judged", "Not judged", _outcomes(report, "crashed", "skipped")),
        (
            "rules that passed or do not apply",
            "Passed or not applicable",
            _outcomes(report, "passed", "not-applicable"),
        ),
    ):
        if body := "\n\n".join(blocks):
            yield _Part(name, fold(title, body))


def _fenced_or_none(lines: Iterable[str]) -> Iterator[str]:
    listed = list(lines)
    if listed:
        yield _fenced(listed)


def _further(report: Report) -> Iterator[str]:
    """The findings that the verdict has not told, those that need a fix of their own before those that follow."""
    candidates = {candidate.rule for candidate in report.candidates if report.cause is None}
    cause = summary.cause_of(report)
    rest = [finding for finding in report.findings if finding is not cause and finding.rule not in candidates]
    own = sorted((f for f in rest if f.because_of is None), key=lambda f: tuple(Severity).index(f.severity))
    follows = [finding for finding in rest if finding.because_of is not None]
    if rest:
        yield "### Other findings"
    told_already = {fix.commands for fix in cause.fixes} if cause else set()
    for finding in own[:_FINDINGS]:
        yield _title(finding)
        yield from _finding(report, finding, told_already)
        told_already |= {fix.commands for fix in finding.fixes}
    if follows:
        lines = [f"- {_title(finding)}, because of {code(finding.because_of or '')}" for finding in follows]
        yield "\n".join(lines[:_FINDINGS])
    hidden = max(len(own) - _FINDINGS, 0) + max(len(follows) - _FINDINGS, 0)
    if hidden:
        yield f"… and {text.plural(hidden, 'finding')} more"


_HOLDS = {True: Mark.OK, False: Mark.FAULT, None: Mark.UNKNOWN}


def _smoke_details(report: Report) -> Iterator[str]:
    for smoke in report.smoke[:_FINDINGS]:
        if not smoke.proofs and not smoke.parts:
            continue
        yield f"#### {summary.FRAMEWORK_TITLES[smoke.framework]} on {inline(summary.smoke_device(smoke))}"
        if smoke.proofs:
            yield table(("", "Evidence", ""), [_proof(proof) for proof in smoke.proofs[:_ROWS]])
        if smoke.parts:
            yield table(("", "Part"), [_part(part, smoke, report) for part in smoke.parts[:_ROWS]])


def _proof(proof: Proof) -> list[str]:
    required = "required" if proof.required else ""
    return [_GLYPHS[_HOLDS[proof.holds]], cell(proof.name), cell(", ".join(filter(None, (required, proof.detail))))]


def _part(part: Part, smoke: Smoke, report: Report) -> list[str]:
    mark = Mark.FAULT if part.error or part.holds is False else _HOLDS[part.holds]
    return [_GLYPHS[mark], cell(summary.part_words(part, smoke, report))]


def _outcomes(report: Report, *kinds: str) -> Iterator[str]:
    for kind in kinds:
        chosen = [outcome for outcome in report.outcomes if outcome.outcome == kind]
        plain = [code(outcome.rule) for outcome in chosen if not outcome.why]
        if plain:
            yield f"{_capital(kind.replace('-', ' '))}: {', '.join(plain)}"
        told_why = [outcome for outcome in chosen if outcome.why]
        if told_why:
            rows = [[code(outcome.rule), cell(outcome.why)] for outcome in told_why]
            yield table((_capital(kind.replace("-", " ")), "Why"), rows)


# ------------------------------------------------------------------------------- facts that tools read too


def lines_for_tools(facts: Facts) -> Iterator[str]:
    """The main facts as lines that people read, and ``gpudoctor triage`` where the block of facts is damaged."""
    if isinstance(facts.system, System):
        yield from _labelled(
            ("OS", facts.system.name), ("Kernel", facts.system.kernel), ("Architecture", facts.system.architecture)
        )
    nvml = facts.nvml
    yield from _labelled(
        ("NVIDIA driver version", getattr(nvml, "driver", None)), ("Driver CUDA version", getattr(nvml, "cuda", None))
    )
    for gpu in facts.known_gpus():
        yield f"GPU {gpu.index}: {text.words(gpu.name or 'NVIDIA GPU')}"
    yield from _labelled(("Python version", getattr(facts.interpreter, "version", None)))
    for framework in facts.installed_frameworks():
        title = summary.FRAMEWORK_TITLES[framework.name]
        build = framework.build
        yield from _labelled((f"{title} version", getattr(build, "version", None)))
        if framework.name == "torch":
            yield from _labelled(("CUDA used to build PyTorch", getattr(build, "cuda", None)))


def _labelled(*pairs: tuple[str, str | None]) -> Iterator[str]:
    return (f"{label}: {text.words(value)}" for label, value in pairs if value)


def _packages(facts: Facts) -> Iterator[str]:
    if isinstance(facts.packages, Packages):
        for package in facts.packages.packages:
            yield f"{package.name}=={package.version}" if package.version else package.name
        for conda in facts.packages.conda:
            yield f"{conda.name}={conda.version}={conda.build}"


def _variables(facts: Facts) -> Iterator[str]:
    if isinstance(facts.environment, Environment):
        yield from (f"{name}={value}" for name, value in facts.environment.variables.items())


def _messages(facts: Facts) -> Iterator[str]:
    if isinstance(facts.kernel_log, KernelLog):
        yield from dict.fromkeys([*(event.text for event in facts.kernel_log.xids), *facts.kernel_log.lines])
    yield from dict.fromkeys(message.text for message in facts.messages)


# --------------------------------------------------------------------------------------- the facts, the end


def _facts(packed: ticket.Packed | None) -> Iterator[str]:
    if packed is None:
        yield (
            "The facts are too long for a ticket. `gpudoctor diagnose --save-facts facts.json` writes them to a file "
            "that can be attached, and that `gpudoctor diagnose --from-facts facts.json` judges."
        )
        return
    without = f" Left out for their length: {', '.join(packed.left_out)}." if packed.left_out else ""
    yield fold(
        "Facts for <code>gpudoctor triage</code>",
        f"`gpudoctor triage FILE`, with this text in a file, restores the facts.{without}\n\n{fence(packed.lines)}",
    )


def _end(report: Report, left_out: Sequence[str]) -> Iterator[str]:
    yield "---"
    lines = [inline(summary.counts(report)) + "."]
    if report.reading:
        lines.append(inline(summary.reading_sentence(report, report.reading)))
    if report.silenced:
        silenced = ", ".join(
            f"{code(one.rule)} ({inline(one.by, text.NAME_LIMIT)})" for one in report.silenced[:_COMMANDS]
        )
        more = len(report.silenced) - _COMMANDS
        lines.append(f"Silenced: {silenced}{f' and {more} more' if more > 0 else ''}.")
    if report.hidden is not None:
        lines.append(f"Hidden: {told(report.hidden)}.")
    if left_out:
        lines.append(f"Left out for its length: {'; '.join(left_out)}.")
    lines.append(f"gpudoctor {inline(report.gpudoctor)}, {inline(report.created)}, {text.seconds(report.seconds)}.")
    yield "\n".join(f"- {line}" for line in lines)
