"""One place on the bus has one spelling."""

from __future__ import annotations

import pytest

from gpudoctor.facts import Gpu
from gpudoctor.pci import address, index_at


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("00000000:1B:00.0", "0000:1b:00.0"),
        ("0000:1b:00.0", "0000:1b:00.0"),
        ("1B:00.0", "0000:1b:00.0"),
        (" 0000:1b:00.0\n", "0000:1b:00.0"),
        ("00010000:01:00.0", "10000:01:00.0"),
        ("10000:01:00.0", "10000:01:00.0"),
        ("ABCDEF01:01:00.0", "abcdef01:01:00.0"),
        ("0001:01:00.0", "0001:01:00.0"),
        ("N/A", "n/a"),
        ("", ""),
    ],
)
def test_every_tool_s_spelling_of_an_address_is_one(text: str, spelled: str) -> None:
    assert address(text) == spelled


def test_a_domain_of_five_digits_is_not_taken_for_domain_zero() -> None:
    assert address("10000:01:00.0") != address("0000:01:00.0")
    assert address("00010000:01:00.0") == address("10000:01:00.0") != address("0001:01:00.0")


@pytest.mark.parametrize(
    ("place", "index"), [("0000:1b:00.0", 1), ("00000000:1B:00.0", 1), ("0000:1c:00.0", None), (None, None)]
)
def test_a_gpu_is_found_by_its_address_in_any_spelling(place: str | None, index: int | None) -> None:
    gpus = [Gpu(source="NVML", index=0, pci=None), Gpu(source="NVML", index=1, pci="1b:00.0")]
    assert index_at(gpus, place) == index
