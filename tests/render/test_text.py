"""The pieces that every renderer shares."""

from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor.render import text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain text, ünïcode × 日本", "plain text, ünïcode × 日本"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("bell\x07 tab\t end\n", "bell\\x07 tab\\x09 end\\x0a"),
        ("c1\x9b delete\x7f", "c1\\x9b delete\\x7f"),
        ("bidi\u202e\u2066", "bidi\\u202e\\u2066"),
        ("zero\u200bwidth\ufeff\u00ad", "zero\\u200bwidth\\ufeff\\xad"),
        ("lines\u2028\u2029", "lines\\u2028\\u2029"),
        ("lone\udcff", "lone\\udcff"),
        ("tag\U000e0041 filler\u3164 selector\ufe0f", "tag\\U000e0041 filler\\u3164 selector\\ufe0f"),
    ],
)
def test_what_has_no_shape_is_shown_as_an_escape(raw: str, shown: str) -> None:
    assert text.escape(raw) == shown


@given(st.text(st.characters(codec=None)))
def test_nothing_that_steers_a_terminal_gets_through(raw: str) -> None:
    shown = text.escape(raw)
    assert all(unicodedata.category(character)[0] != "C" for character in shown)
    assert text.escape(shown) == shown
    assert text.exact_ascii(shown).isascii()
    assert text.ascii_only(shown).isascii()


def test_prose_keeps_to_one_line() -> None:
    assert text.words("two\nlines\t and  blanks ") == "two lines and blanks"


def test_a_symbol_has_a_look_alike_in_ascii_and_a_letter_an_escape() -> None:
    assert text.ascii_only("loss 2.30 → 0.05 █▅▃▁, PCIe ×16, 91 °C, …, ü") == (
        "loss 2.30 -> 0.05 #=-., PCIe x16, 91 deg C, ..., \\xfc"
    )


def test_a_command_in_ascii_has_no_look_alikes() -> None:
    assert text.exact_ascii("echo '×→'") == "echo '\\xd7\\u2192'"


def test_a_long_name_keeps_both_ends_and_its_limit() -> None:
    assert text.shorten("abcdefghijklmnop", 10) == "abcdef…nop"
    assert text.shorten("abcdefghij", 10) == "abcdefghij"


@given(st.text(), st.integers(2, 50))
def test_a_shortened_text_is_never_longer_than_its_limit(raw: str, limit: int) -> None:
    assert len(text.shorten(raw, limit)) <= limit


@pytest.mark.parametrize(
    ("numbers", "shown"), [((), ""), ((0,), "0"), ((0, 1), "0, 1"), ((2, 0, 1, 5), "0–2, 5"), ((0, 2, 3), "0, 2, 3")]
)
def test_ranges(numbers: tuple[int, ...], shown: str) -> None:
    assert text.ranges(numbers) == shown


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (text.listed([]), ""),
        (text.listed(["a"]), "a"),
        (text.listed(["a", "b", "c"]), "a, b and c"),
        (text.listed(["a", "b"], "or"), "a or b"),
        (text.plural(1, "rule"), "1 rule"),
        (text.plural(0, "rule"), "0 rules"),
        (text.plural(2000, "rule"), "2,000 rules"),
        (text.gib(34190917632), "31.8 GiB"),
        (text.gib(64 * 2**20), "64 MiB"),
        (text.number(math.nan), "not a number"),
        (text.number(-math.inf), "minus infinite"),
        (text.small(2.3), "2.30"),
        (text.small(0.00043), "0.0004"),
        (text.small(math.nan), "not a number"),
        (text.small(0.0), "0.00"),
        (text.rate(212_000.4), "212,000"),
        (text.rate(9.87), "9.9"),
        (text.seconds(4.123), "4.1 s"),
    ],
)
def test_words_and_units(made: str, shown: str) -> None:
    assert made == shown


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((), ""),
        ((1.0,), "▁"),
        ((2.0, 1.0, 0.0), "█▅▁"),
        ((math.nan, 1.0, math.inf), "?▁?"),
        ((1e308, -1e308), "█▁"),
        (tuple(float(100 - step) for step in range(101)), "█▇▆▅▄▃▂▁"),
    ],
)
def test_a_loss_curve_shows_its_first_and_last_value(values: tuple[float, ...], shown: str) -> None:
    assert text.sparkline(values) == shown


@given(st.lists(st.floats(), max_size=300))
def test_any_loss_curve_can_be_drawn(values: list[float]) -> None:
    assert len(text.sparkline(values)) == min(len(values), 8)
