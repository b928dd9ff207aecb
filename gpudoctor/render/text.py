"""Small pieces that every renderer shares: escaping, shortening, numbers with units, the loss curve in one word."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence

NAME_LIMIT = 120
"""Longest name, version or path that is shown whole inside a sentence."""

LINE_LIMIT = 600
"""Longest line of prose that is shown whole."""

# Characters without a shape of their own: controls, format characters (bidi overrides, zero-width), surrogates,
# private use, unassigned, line and paragraph separators. https://www.unicode.org/reports/tr36/
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters and marks that are drawn as nothing all the same (Default_Ignorable_Code_Point of the Unicode data).
_BLANK = frozenset(
    {
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    }
)

_ASCII = str.maketrans(
    {
        "✓": "ok",
        "✗": "x",
        "×": "x",
        "→": "->",
        "–": "-",
        "—": "-",
        "·": "-",
        "…": "...",
        "\u2018": "'",
        "\u2019": "'",
        "“": '"',
        "”": '"',
        "≥": ">=",
        "≤": "<=",
        "°": "deg ",
        "µ": "u",
        "▁": ".",
        "▂": ".",
        "▃": "-",
        "▄": "-",
        "▅": "=",
        "▆": "=",
        "▇": "#",
        "█": "#",
    }
)

_BARS = "▁▂▃▄▅▆▇█"


def _escaped(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN or ord(character) in _BLANK


def escape(text: str) -> str:
    """The text on one line, every character that has no shape (or that steers a terminal) as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) if _unseen(character) else character for character in text)


def words(text: str) -> str:
    """Prose on one line: line breaks, tabs and runs of spaces become one space, the rest as :func:`escape`."""
    return escape(" ".join(text.split()))


def ascii_only(text: str) -> str:
    """Prose for a terminal that knows only ASCII: known symbols get their ASCII form, all else an escape."""
    return exact_ascii(text.translate(_ASCII))


def exact_ascii(text: str) -> str:
    """The text with every non-ASCII character as an escape, and none replaced by a look-alike."""
    return "".join(character if character.isascii() else _escaped(character) for character in text)


def shorten(text: str, limit: int = NAME_LIMIT) -> str:
    """The text, or its beginning and end around ``…`` where it is longer than ``limit`` characters."""
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def name(text: str) -> str:
    """A name, version or path for use inside a sentence: one line, shortened."""
    return shorten(words(text))


def listed(items: Sequence[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def plural(count: int, noun: str) -> str:
    """``1 rule``, ``2 rules``, ``0 rules``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def ranges(numbers: Iterable[int]) -> str:
    """``0``, ``0, 1``, ``0–2, 5``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def gib(size: int) -> str:
    """Bytes as GiB with one decimal, MiB below one GiB."""
    if size < 2**30:
        return f"{size / 2**20:,.0f} MiB"
    return f"{size / 2**30:,.1f} GiB"


def number(value: float, digits: int = 2) -> str:
    """A number with that many decimals, ``not a number`` and ``infinite`` in words."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    return f"{value:,.{digits}f}"


def small(value: float) -> str:
    """A number with two decimals, or with its first digit where two decimals would show nothing."""
    return number(value) if value == 0 or not abs(value) < 0.005 else f"{value:.1g}"


def significant(value: float, digits: int = 3) -> str:
    """A number with so many digits that count, grouped from 1,000 up: ``0.42``, ``53.1``, ``1,792``."""
    if not math.isfinite(value) or value == 0:
        return number(value, 0)
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    short = number(value, decimals)
    return short.rstrip("0").rstrip(".") if "." in short else short


def rate(value: float) -> str:
    """A speed: whole and grouped from 100 up, with one decimal below."""
    return number(value, 0 if abs(value) >= 100 else 1)


def seconds(value: float) -> str:
    """``4.1 s``."""
    return f"{number(value, 1)} s"


def sparkline(values: Sequence[float], width: int = 8) -> str:
    """The values as bars, the first and the last always among them; ``?`` stands for NaN and infinities."""
    if not values:
        return ""
    chosen = _sample(values, width)
    finite = [value for value in chosen if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    return "".join(_bar(value, low, high) for value in chosen)


def _sample(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    step = (len(values) - 1) / (width - 1)
    return [values[round(position * step)] for position in range(width)]


def _bar(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return "?"
    # Halves first: high - low overflows for the largest floats.
    span = high / 2 - low / 2
    share = (value / 2 - low / 2) / span if span > 0 else 0.0
    return _BARS[min(len(_BARS) - 1, int(share * len(_BARS)))]
