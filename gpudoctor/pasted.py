"""Pasted text → Report: the same facts, rules and report as on a machine, and nothing of the text is ever run.

A text that cannot be read at all has a report too, which says so. Memory stays bounded whatever the file is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import msgspec

from gpudoctor import __version__
from gpudoctor.facts import Facts
from gpudoctor.findings import Reading, Report, Unknown
from gpudoctor.intake import Intake, Unreadable, read
from gpudoctor.intake.paste import MOST_CHARACTERS, MOST_LINES
from gpudoctor.report import judge
from gpudoctor.wire import unreadable_report

STDIN = "-"

# The intake keeps the beginning and the end of what is longer than this; no more needs to be in memory.
_PART = MOST_CHARACTERS
_MOST_READ = 1 << 30  # bytes, of a pipe or device that has no end
_CHUNK = 1 << 20

Judge = Callable[..., Report]


def triage(
    text: str | bytes,
    name: str | None = None,
    *,
    ignore: Mapping[str, str] = MappingProxyType({}),
    judged: Judge = judge,
) -> Report:
    """The report on a text. ``name`` is its ``input``; ``ignore`` silences rules, each with where that was said.

    ``judged`` makes the report of the facts: :func:`gpudoctor.report.judge`, or one that asks plug-ins as well.
    """
    try:
        intake = read(text, name)
    except Unreadable as why:
        return unreadable(str(why), name or STDIN)
    report = judged(_dated(intake.facts), input_name=name, ignore=ignore)
    if intake.damaged:
        report = _never_healthy(report)
    return msgspec.structs.replace(report, reading=reading(intake, report))


def _never_healthy(report: Report) -> Report:
    """The report on a ticket whose facts are lost: its words tell of faults, and never of all that there are."""
    lost = Unknown(what="the facts of this ticket", why="their block is damaged, and its words tell only some of them")
    status = "broken" if report.status == "broken" else "undetermined"
    return msgspec.structs.replace(report, status=status, unknown=(*report.unknown, lost))


def unreadable(why: str, name: str) -> Report:
    """The report on a text that cannot be read; ``why`` is a sentence."""
    return unreadable_report(why, gpudoctor=__version__, created=now(), input=name)


def _dated(facts: Facts) -> Facts:
    """Facts of a paste say who read them and when; those of a gpudoctor report keep what they say."""
    if facts.created:
        return facts
    return msgspec.structs.replace(facts, gpudoctor=__version__, created=now())


def now() -> str:
    """The time as a report gives it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


_SAMPLES = 5
_LINES = re.compile(r"lines? (\d{1,9})(?:-(\d{1,9}))?")


def reading(intake: Intake, report: Report) -> Reading:
    """How much of a text was understood: what a format read, and the other lines that a finding rests on."""
    unread = intake.unread
    used = unread.keys() & _cited(report) if unread else frozenset()
    samples = [text[:160] for number, text in unread.items() if number not in used] if unread else []
    return Reading(
        lines=intake.lines,
        recognised=intake.recognised + len(used),
        cut=intake.cut,
        damaged=intake.damaged,
        unrecognised=tuple(samples[:_SAMPLES]),
    )


def _cited(report: Report) -> set[int]:
    """The numbers of the lines that findings quote."""
    cited: set[int] = set()
    for finding in report.findings:
        for evidence in finding.evidence:
            for first, last in _LINES.findall(evidence.source):
                cited.update(range(int(first), min(int(last or first), int(first) + MOST_LINES) + 1))
    return cited


def bytes_of(path: Path) -> bytes:
    """A file as far as the intake reads it: all, or its beginning and end. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        return bytes_in(file)


def bytes_in(stream: BinaryIO) -> bytes:
    """The same of a stream, in one pass. Raises OSError."""
    head = bytearray()
    tail = bytearray()
    total = 0
    while total < _MOST_READ and (chunk := stream.read(_CHUNK)):
        total += len(chunk)
        room = _PART - len(head)
        head += chunk[:room]
        tail += chunk[room:] if room > 0 else chunk
        if len(tail) > _PART + 8 * _CHUNK:
            del tail[: (len(tail) - _PART) & ~1]  # an even number: UTF-16 stays in step
    if len(tail) <= _PART:
        return bytes(head + tail)
    del tail[: (len(tail) - _PART + 1) & ~1]
    # Longer than what is read, so that the intake sees that something was left out; even, for UTF-16 again.
    return bytes(head) + b"\n\n" + bytes(tail)
