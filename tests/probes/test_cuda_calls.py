"""What a GPU's child compares in main memory: the exact bytes that differ, in ranges."""

from __future__ import annotations

import ctypes
import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gpudoctor.probes.cuda_calls import PAGE, differences, joined

Range = tuple[int, int]


def differing(one: bytes, other: bytes) -> list[dict[str, Any]]:
    first, second = ctypes.create_string_buffer(one, len(one)), ctypes.create_string_buffer(other, len(other))
    return differences(ctypes.addressof(first), ctypes.addressof(second), len(one))


def flipped(size: int, *places: int) -> tuple[bytes, bytes]:
    data = bytes(index % 251 for index in range(size))
    changed = bytearray(data)
    for place in places:
        changed[place] ^= 0x80
    return data, bytes(changed)


def test_equal_bytes_do_not_differ() -> None:
    assert differing(*flipped(3 * PAGE + 5)) == []


def test_a_flipped_bit_is_its_byte_with_the_aligned_word_around_it() -> None:
    assert differing(*flipped(2 * PAGE, PAGE + 13)) == [
        {"first": PAGE + 13, "last": PAGE + 13, "wrote": "58595a5b5c5d5e5f", "read": "58595a5b5cdd5e5f"}
    ]


def test_the_last_bytes_of_a_size_that_is_no_multiple_of_a_page_are_compared() -> None:
    (found,) = differing(*flipped(PAGE + 3, PAGE + 2))
    assert (found["first"], found["last"], len(found["wrote"])) == (PAGE + 2, PAGE + 2, 6)


def test_what_lies_less_than_a_page_apart_is_one_range_and_what_lies_further_another() -> None:
    found = differing(*flipped(8 * PAGE, 100, 100 + PAGE - 1, 6 * PAGE))
    assert [(one["first"], one["last"]) for one in found] == [(100, 100 + PAGE - 1), (6 * PAGE, 6 * PAGE)]


@given(st.sets(st.integers(0, 6 * PAGE - 1), max_size=12))
def test_every_difference_lies_in_a_range_and_every_range_begins_and_ends_with_one(places: set[int]) -> None:
    found = [(one["first"], one["last"]) for one in differing(*flipped(6 * PAGE, *places))]
    assert all(any(first <= place <= last for first, last in found) for place in places)
    assert {end for one in found for end in one} <= places
    assert all(later[0] - earlier[1] >= PAGE for earlier, later in itertools.pairwise(found))


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**4))))
def test_joining_is_in_order_and_joins_nothing_further(pairs: list[Range]) -> None:
    ranges = [{"first": first, "last": first + length, "wrote": "", "read": ""} for first, length in pairs]
    once = joined(ranges)
    assert joined(once) == once == sorted(once, key=lambda one: one["first"])
