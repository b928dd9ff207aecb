"""The facts as a block of text that survives a ticket: e-mail, an issue form, a quotation, a chat.

The block is a line ``gpudoctor:facts:1:LENGTH:CHECKSUM:``, lines of base64 without padding, and a line
``:gpudoctor:end``. It holds the facts as JSON, compressed with zlib. LENGTH counts the characters of base64,
CHECKSUM is their CRC-32 in hexadecimal: line ends, quote marks, blanks and other signs between them do not count, so
lines may be wrapped, quoted and indented. What cannot be restored exactly is no facts at all.
"""

from __future__ import annotations

import base64
import html
import quopri
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from gpudoctor.facts import COLLECTED, SCHEMA, Facts, KernelLog, decode, encode

MARK = "gpudoctor:facts:"
END = ":gpudoctor:end"

_WIDTH = 72  # two levels of quotation stay below the 78 columns that mail programs wrap at
_MOST_ENCODED = 100_000  # characters
_MOST_JSON = 16 << 20  # bytes: hundreds of times more than any machine's facts
_MOST_BLOCKS = 8
_MOST_AROUND = 4  # times the block's length: what quotation may add to it
_HEAD = re.compile(r"gpudoctor:facts:1:(\d{1,6}):([0-9a-f]{8}):")
_FOREIGN = re.compile(r"[^A-Za-z0-9+/]+")


# --------------------------------------------------------------------------------------------------- writing


@dataclass(frozen=True)
class Packed:
    """Facts as lines of text, and what had to be left out of them, in words."""

    lines: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many characters the lines have, with their ends."""
        return sum(map(len, self.lines)) + len(self.lines)


def pack(facts: Facts, most: int) -> Packed | None:
    """The facts as a block of at most that many characters; None where also the shortened ones do not fit.

    What is long and no rule rests on is left out first: most of the samples that were taken during each smoke job,
    then all of them, then kernel messages that are no Xid, then messages, each beyond the first hundred.
    """
    left_out: list[str] = []
    packed = Packed(_lines(facts))
    for words, without in _SHORTENED:
        if packed.size <= most:
            return packed
        shorter = without(facts)
        if shorter != facts:
            facts = shorter
            left_out.append(words)
            packed = Packed(_lines(facts), tuple(left_out))
    return packed if packed.size <= most else None


def _lines(facts: Facts) -> tuple[str, ...]:
    return block(msgspec.json.format(encode(facts), indent=-1))


def block(content: bytes) -> tuple[str, ...]:
    """The lines of a block that holds this."""
    data = zlib.compress(content, 9)
    text = base64.b64encode(data).decode("ascii").rstrip("=")
    body = (text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH))
    return (f"{MARK}1:{len(text)}:{zlib.crc32(text.encode()):08x}:", *body, END)


def _with_few_samples(facts: Facts) -> Facts:
    return replace(
        facts,
        smokes=tuple(
            replace(smoke, timeline=smoke.timeline[:: len(smoke.timeline) // 30 + 1]) for smoke in facts.smokes
        ),
    )


def _without_samples(facts: Facts) -> Facts:
    return replace(facts, smokes=tuple(replace(smoke, timeline=()) for smoke in facts.smokes))


_KEPT = 100


def _without_kernel_lines(facts: Facts) -> Facts:
    if not isinstance(facts.kernel_log, KernelLog):
        return facts
    return replace(facts, kernel_log=replace(facts.kernel_log, lines=facts.kernel_log.lines[:_KEPT]))


def _without_messages(facts: Facts) -> Facts:
    return replace(facts, messages=facts.messages[:_KEPT])


_SHORTENED: tuple[tuple[str, Callable[[Facts], Facts]], ...] = (
    ("most samples of the smoke jobs", _with_few_samples),
    ("the other samples of the smoke jobs", _without_samples),
    ("kernel messages", _without_kernel_lines),
    ("messages", _without_messages),
)


# --------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Found:
    """What a text holds of blocks: the facts of the first whole one; None where every block is damaged."""

    facts: Facts | None


def find(text: str) -> Found | None:
    """The facts in a text that holds a block, None where it holds none. Bounded in time and memory, and never fails."""
    if MARK not in text:
        return None
    for start in _starts(text):
        for clean in _CLEANINGS:
            facts = _facts(clean(text[start : start + _MOST_AROUND * _MOST_ENCODED]))
            if facts is not None:
                return Found(facts)
    return Found(None)


def _starts(text: str) -> Iterator[int]:
    start = text.find(MARK)
    for _ in range(_MOST_BLOCKS):
        if start < 0:
            return
        yield start
        start = text.find(MARK, start + 1)


def _facts(text: str) -> Facts | None:
    head = _HEAD.match(re.sub(r"[^A-Za-z0-9:-]+", "", text[:400]))
    if head is None:
        return None
    length = int(head[1])
    body = _FOREIGN.sub("", text[_end_of(head[0], text) :])[:length]
    if length > _MOST_ENCODED or len(body) < length or f"{zlib.crc32(body.encode()):08x}" != head[2]:
        return None
    try:
        return _restored(_inflated(base64.b64decode(body + "=" * (-length % 4), validate=True)))
    except (ValueError, RecursionError, zlib.error):
        return None


def _restored(content: bytes) -> Facts:
    """The facts of what a block holds: their own JSON, or what the standalone collector saw. Raises ValueError."""
    if COLLECTED.encode() not in content[:100]:
        if SCHEMA.encode() not in content[:100]:
            raise ValueError("no facts")
        return decode(content)
    from gpudoctor.collector.told import facts_of

    return facts_of(content)


def _end_of(head: str, text: str) -> int:
    """Where the head line ends, which may be wrapped and quoted itself."""
    spaced = r"[^A-Za-z0-9]{0,40}".join(filter(str.isalnum, head))
    found = re.match(spaced, text)
    return found.end() if found else len(text)


def _inflated(data: bytes) -> bytes:
    """The JSON. Raises ValueError for what is longer than any machine's facts, zlib.error for what is none."""
    stream = zlib.decompressobj()
    inflated = stream.decompress(data, _MOST_JSON)
    if not stream.eof:
        raise ValueError("too long, or cut")
    return inflated


# What mail programs, converters and views of files put around a block, each tried where the plain text is not whole.
_TAG = re.compile(r"<[^<>\n]{0,300}>|\x1b\[[0-?]{0,40}[ -/]{0,4}[@-~]")
_LINE_START = re.compile(r"^[\s>|]{0,40}(?:\d{1,6}(?:[:|)│]|\t| )|[A-Za-z]{1,4}>)", re.MULTILINE)


def _plain(text: str) -> str:
    return text


def _without_markup(text: str) -> str:
    return html.unescape(_TAG.sub("", text))


def _from_quoted_printable(text: str) -> str:
    return quopri.decodestring(text.encode("ascii", "replace")).decode("ascii", "replace")


def _without_line_starts(text: str) -> str:
    return _LINE_START.sub("", text)


_CLEANINGS: tuple[Callable[[str], str], ...] = (_plain, _without_markup, _from_quoted_printable, _without_line_starts)


_BASE64_LINE = re.compile(r"[\s>|]*[A-Za-z0-9+/]{20,}\s*")
_VERDICT_LINE = re.compile(r"[\s>]*(?:\|\s*`[a-z][a-z0-9-]{1,80}`\s*\||(?:Passed|Skipped|Crashed|Not applicable):\s)")


def visible(text: str) -> str:
    """The text as people read it: without its blocks, whole or not, and without the list of rules and what they say."""
    return "\n".join(line for line in _visible(text.splitlines()) if not _VERDICT_LINE.match(line))


def _visible(lines: Iterable[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        if MARK in line:
            inside = END not in line
            yield line.partition(MARK)[0]
        elif END in line:
            inside = False
            yield line.partition(END)[2]
        elif not inside or not (_BASE64_LINE.fullmatch(line) or not line.strip(" >|\t")):
            inside = False
            yield line
