"""The source of a fact that several lines of a paste make: each line once, and where else knowledge came from."""

from __future__ import annotations

from collections.abc import Iterable

_MOST = 4


def joined(wheres: Iterable[str], also: str | None = None) -> str:
    """``line 3, line 9`` of several places, the first few of many; ``also`` names the matrix."""
    places = list(dict.fromkeys(wheres))
    shown = places if len(places) <= _MOST else [*places[: _MOST - 1], f"… {places[-1]}"]
    return ", ".join([*shown, also] if also else shown)


def first_line(where: str) -> int:
    """The number of the first line in a source, to order facts as in the paste."""
    digits = "".join(character if character.isdecimal() else " " for character in where[:24]).split()
    return int(digits[0]) if digits else 0
