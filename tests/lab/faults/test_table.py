"""Every fault at every place ends in a report that says so, within its time, and nothing is left behind."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpudoctor.rules import names
from tests.cli.run import survivors
from tests.lab.drivers.needs import need_compiler
from tests.lab.faults.page import PAGE, RUN_WORDS, WORDS, page, rows, runs
from tests.lab.faults.places import seen
from tests.lab.faults.table import FAULTS, NEVER, PLACES, Fault, Place, cells

AGAIN = "make it anew with: python -m tests.lab.faults.page"
SECONDS = 50.0
_FATAL: tuple[Fault, ...] = ("missing", "denied", "hang", "crash", "truncated", "endless", "refused start")
_EXTRA: tuple[Place, ...] = ("record (NVML)",)  # its samples are shown where there are any, and decide nothing


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    marker = f"GPUDOCTOR_TEST_{os.getpid()}_{time.monotonic_ns()}"
    monkeypatch.setenv(marker, "1")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield
    assert survivors(marker) == []
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("place", "fault"), list(cells()), ids=lambda value: value.replace(" ", "-"))
def test_a_fault_ends_in_the_report_that_the_page_tells_of(place: Place, fault: Fault, tmp_path: Path) -> None:
    need_compiler()
    folder = tmp_path / "place"
    folder.mkdir()
    started = time.monotonic()
    assert seen(place, fault, folder) == rows()[place, fault], AGAIN
    assert time.monotonic() - started < SECONDS


def test_the_page_is_what_its_own_cells_make() -> None:
    assert PAGE.read_text("utf-8") == page(rows(), runs()), AGAIN


def test_no_fault_is_called_healthy_by_ignorance() -> None:
    blind = [
        (place, fault, word)
        for (place, fault), word in rows().items()
        if fault in _FATAL and place not in _EXTRA and word == "whole"
    ]
    assert blind == [("one GPU in NVML", "missing", "whole")]  # an old driver: that reading is one it does not have


def test_every_cell_is_a_word_of_the_page_or_a_rule_or_has_its_reason() -> None:
    known = {*WORDS, *names()}
    assert {(place, fault) for (place, fault), word in rows().items() if word not in known} == set(NEVER)
    assert set(runs().values()) == set(RUN_WORDS)
    assert set(rows()) == {(place, fault) for place in PLACES for fault in FAULTS}
