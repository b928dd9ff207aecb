"""Recognising what programs print. Patterns are linear: no nested repetition, no unbounded wildcard between two.

A paste has many lines and the rules have many patterns, and hardly any pattern fits hardly any line. So each pattern
is asked only where a piece of text stands that every match of it must contain; that is worked out from the pattern,
and lies in ``pieces.json`` for those of our own rules (``python -m tests.rules.pieces`` writes it).
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

_parser: Any = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")

_SPECIAL = re.compile(r"[^\w ',:/@\"-]|[^\x00-\x7f]")
_LONGEST = 1500  # characters; what a message says comes before that, and a hostile line costs no more
_MOST_PIECES = 24  # of a pattern with more alternatives, asking for each costs more than the pattern


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A rule's pattern, letter case ignored."""
    return re.compile(pattern, re.IGNORECASE)


def search(pattern: str, text: str) -> re.Match[str] | None:
    """The first match of a pattern in a message, letter case ignored."""
    text = text[:_LONGEST]
    return compiled(pattern).search(text) if possible((pattern,), text.lower()) else None


def first_match(patterns: tuple[str, ...], text: str) -> str | None:
    """The part of the message that the first fitting pattern matches, None if none fits."""
    text = text[:_LONGEST]
    low = text.lower()
    if not possible(patterns, low):
        return None
    for pattern in patterns:
        match = compiled(pattern).search(text) if possible((pattern,), low) else None
        if match:
            return match[0]
    return None


# ---------------------------------------------------------------------- what a match of a pattern must contain


def possible(patterns: tuple[str, ...], low: str) -> bool:
    """False where none of some patterns can match anywhere in a text, which is given in lower case."""
    pieces = _pieces(patterns)
    return pieces is None or any(map(low.__contains__, pieces))


@cache
def _pieces(patterns: tuple[str, ...]) -> tuple[str, ...] | None:
    """Of these every match of any of the patterns contains one; None where that cannot be said."""
    each = [needed(pattern) for pattern in patterns]
    return tuple(dict.fromkeys(piece for pieces in each for piece in pieces)) if all(each) else None


@cache
def needed(pattern: str) -> tuple[str, ...]:
    """Pieces of text in lower case of which every match contains at least one; none where nothing can be said."""
    if not _SPECIAL.search(pattern):
        return (pattern.lower(),)
    known = _worked_out().get(pattern)
    return worked_out(pattern) if known is None else known


@cache
def _worked_out() -> dict[str, tuple[str, ...]]:
    return msgspec.json.decode(Path(__file__).with_name("pieces.json").read_bytes(), type=dict[str, tuple[str, ...]])


def worked_out(pattern: str) -> tuple[str, ...]:
    """The same from the pattern itself, which takes a hundred times as long."""
    pieces = _needed(_parser.parse(pattern, re.IGNORECASE))
    return tuple(dict.fromkeys(pieces)) if len(pieces) <= _MOST_PIECES else ()


def _needed(tokens: Any) -> tuple[str, ...]:
    """The best that one part of a sequence says: the longest, of several pieces the shortest of them."""
    return max(_parts(tokens), key=lambda pieces: min(map(len, pieces), default=0), default=())


def _parts(tokens: Any) -> Iterator[tuple[str, ...]]:
    run = ""
    for name, value in tokens:
        kind = str(name)
        if kind == "LITERAL" and value < 128:  # beyond ASCII, lower case and ignoring case are not the same
            run += chr(value).lower()
            continue
        if run:
            yield (run,)
        run = ""
        if kind == "SUBPATTERN":
            yield _needed(value[-1])
        elif kind == "ATOMIC_GROUP":
            yield _needed(value)
        elif kind == "BRANCH":
            each = [_needed(option) for option in value[1]]
            yield tuple(piece for pieces in each for piece in pieces) if all(each) else ()
        elif kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") and value[0] > 0:
            yield _needed(value[2])
    if run:
        yield (run,)


# What people and programs write when a framework runs and shows no GPU. None of it says why.
_NO_GPU = (
    r"(?:Num )?GPUs?(?: Available)?:? {0,4}(?:\[\]|0)$",
    r"list_physical_devices\(.{0,20}\)(?: ?->| ?=|:)? ?\[\]",
    r"^\[PhysicalDevice\(name='/physical_device:CPU:0', device_type='CPU'\)\]$",
    r"is_gpu_available\(\)(?: ?->| ?=|:| returns)? ?False",
    r"^\[(?:CpuDevice\(id=0\)|TFRT_CPU_0)\]$",
    r"jax\.devices\(\)(?: ?->| ?=|:)? ?\[(?:CpuDevice|TFRT_CPU)",
    r"No GPU/TPU found, falling back to CPU",
    r"GPU is NOT AVAILABLE",
    r"\bno GPUs? (?:is |are )?(?:detected|available|found|listed|visible)\b",
    r"\bGPU (?:is )?not (?:detected|found|visible|recogni[sz]ed)\b",
    (
        r"\b(?:does|do|did|is|are)(?: not|n't) (?:detect|see|find|list|show|use|using|recogni[sz]e|detecting|finding)"
        r"(?: the| my| any| a)? GPUs?\b"
    ),
    r"\b(?:lists?|shows?|sees?|finds?|detects?) (?:only|no) (?:the )?(?:/device:)?(?:CPU|GPU)s?\b",
    r"\bonly (?:the )?CPU devices? (?:is|are)\b",
    r"Cannot dlopen some GPU libraries",
    r"Skipping registering GPU devices",
)


def lists_no_gpu(text: str) -> str | None:
    """The part of a message that says that a framework shows no GPU, None for another message."""
    return first_match(_NO_GPU, text)
