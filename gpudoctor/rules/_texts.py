"""Recognising what programs print. Patterns are linear: no nested repetition, no unbounded wildcard between two."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

_LONGEST = 1500  # characters; what a message says comes before that, and a hostile line costs no more


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
