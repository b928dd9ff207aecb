"""Recognising what programs print. Patterns are linear: no nested repetition, no unbounded wildcard between two."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

_LONGEST = 4000  # characters; no message that a program prints on one line is longer


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def search(pattern: str, text: str) -> re.Match[str] | None:
    """The first match of a pattern in a message, letter case ignored."""
    return _compiled(pattern).search(text[:_LONGEST])


def first_match(patterns: Iterable[str], text: str) -> str | None:
    """The part of the message that the first fitting pattern matches, None if none fits."""
    for pattern in patterns:
        match = search(pattern, text)
        if match:
            return match[0]
    return None
