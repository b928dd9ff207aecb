"""A pattern is asked only where a match is possible: what is worked out from it never hides a match."""

from __future__ import annotations

import re
from functools import cache

import pytest

from gpudoctor.rules._texts import first_match, needed, possible, search
from tests.cases.render import cases, held_out, render
from tests.rules import pieces
from tests.test_linear import patterns


@pytest.mark.parametrize(
    ("pattern", "contained"),
    [
        (r"couldn't communicate with the NVIDIA driver", ("couldn't communicate with the nvidia driver",)),
        (r"Xid \(PCI:[^)]{4,20}\): 79\b", ("xid (pci:",)),
        (r"(?:Build|Install)ing nvidia", ("ing nvidia",)),
        (r"\b(?:lost|gone)\b", ("lost", "gone")),
        (r"\b(?:lost|x{0,3})\b", ()),
        (r"GPUs? is", ("gpu",)),
        (r"(?:abc){2,3}d{0,9}", ("abc",)),
        (r"[0-9]{3}", ()),
        (r"Größe der Karte", ("e der karte",)),
    ],
)
def test_every_match_of_a_pattern_contains_one_of_its_pieces(pattern: str, contained: tuple[str, ...]) -> None:
    assert needed(pattern) == contained


def test_the_file_holds_what_is_worked_out_from_the_patterns_of_the_rules() -> None:
    assert pieces.PLACE.read_text("utf-8") == pieces.text()  # python -m tests.rules.pieces


def test_a_pattern_without_pieces_is_always_asked() -> None:
    assert possible((r"[0-9]{3}",), "")
    assert search(r"[0-9]{3}", "GPU 123") is not None


def test_letter_case_is_ignored() -> None:
    assert first_match((r"FELL off", r"lost"), "GPU Fell Off the bus") == "Fell Off"


@cache
def lines() -> tuple[str, ...]:
    texts = [render(case) for case in cases()] + [render(case) for case in held_out()]
    return tuple({line.strip()[:1500] for text in texts for line in text.splitlines()})


def test_no_pattern_of_a_rule_loses_a_match_in_any_real_line() -> None:
    asked = [one.pattern for one in patterns() if one.where.startswith("rules/")]
    everything = "\n".join(lines())
    lost = [
        (pattern, match[0])
        for pattern in asked
        for match in re.compile(pattern, re.IGNORECASE).finditer(everything)
        if not possible((pattern,), match[0].lower())
    ]
    assert len(asked) > 500
    assert lost == []
