"""Every described machine is looked at with the real probes and judged as its file says."""

from __future__ import annotations

import ctypes.util
import re
from pathlib import Path

import msgspec
import pytest

from gpudoctor.findings import Report
from gpudoctor.rules import names as rule_names
from tests.lab.drivers.needs import need_compiler
from tests.lab.machines.description import DESCRIBED, PARTS, Description, merge, names, read, without_false
from tests.lab.machines.look import report, said

NAMES = names()
_LIBRARIES = ("cuda", "nvidia-ml")


@pytest.fixture(scope="session")
def compiler() -> None:
    """The fake driver libraries can be built here."""
    need_compiler()


def _needs_a_clean_machine(description: Description) -> None:
    """Where the described machine lacks a library of the driver, one of this machine's own would be loaded."""
    driver = description.driver
    complete = driver is not None and driver.nvml and driver.libcuda
    if not complete and not description.text and any(map(ctypes.util.find_library, _LIBRARIES)):
        pytest.skip("this machine has an NVIDIA driver of its own, which the described one lacks")


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("name", NAMES)
def test_a_described_machine_is_judged_as_its_file_says(name: str, tmp_path: Path) -> None:
    description = read(name)
    _needs_a_clean_machine(description)
    told = report(description, tmp_path / "machine")
    cause = told.cause.rule if told.cause else None
    candidates = tuple(one.rule for one in told.candidates)
    assert (told.status, cause, candidates, said(told)) == (
        description.expect,
        description.cause,
        description.candidates,
        description.findings,
    ), [f"{one.what}: {one.why}" for one in told.unknown]
    _the_cure(description, told)


def _the_cure(description: Description, told: Report) -> None:
    """What the file says of the first fix of the first cause."""
    fixes = next((finding.fixes for finding in told.findings if finding.because_of is None), ())
    if description.commands is not None:
        assert fixes[0].commands == description.commands
    if description.where is not None:
        assert fixes[0].where == description.where


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_machine_says_what_its_report_says(name: str) -> None:
    description = read(name)
    first = name.partition(".")[0]
    assert re.fullmatch(r"[a-z0-9-]+\.[a-z0-9][a-z0-9.-]*", name)
    assert description.about.endswith(".")
    if first in ("healthy", "undetermined"):
        assert description.expect == first
    else:
        assert first in (*(description.candidates or (description.cause,)),)
        assert first in description.rules
        assert description.expect in ("broken", "warnings", "undetermined")


@pytest.mark.parametrize("name", NAMES)
def test_a_machine_is_a_near_miss_of_rules_that_are_silent_on_it(name: str) -> None:
    description = read(name)
    assert set(description.near) <= set(rule_names())
    assert not set(description.near) & description.rules


def test_an_entry_without_a_meaning_is_refused() -> None:
    table = {"name": "healthy.x", "about": "x.", "expect": "healthy", "drivr": {"version": "580.95.05"}}
    with pytest.raises(msgspec.ValidationError, match="drivr"):
        msgspec.convert(table, Description)


def test_a_later_part_changes_and_takes_away_what_an_earlier_one_has() -> None:
    below = {"files": {"/a": "1", "/b": "2"}, "environ": {"A": "1", "B": "2"}, "near": ["x"], "bus": True}
    above = {"files": {"/b": False, "/c": "3"}, "environ": {"B": False}, "near": ["y"], "bus": False}
    assert without_false(merge(below, above)) == {
        "files": {"/a": "1", "/b": False, "/c": "3"},
        "environ": {"A": "1"},
        "near": ["y"],
        "bus": False,
    }


def test_a_later_part_puts_back_what_was_taken_away() -> None:
    below = {"files": {"/a/b": "1", "/a/c": "2"}}
    assert list(merge(below, {"files": {"/a": False}}, {"files": {"/a/b": "3"}})["files"]) == ["/a/c", "/a", "/a/b"]


# ------------------------------------------------------------------------------------------------- all of them together


def test_every_rule_is_seen_on_a_machine() -> None:
    seen = frozenset().union(*(read(name).rules for name in NAMES))
    assert set(rule_names()) - seen == set()


def test_every_rule_is_silent_on_a_near_miss() -> None:
    near = {rule for name in NAMES for rule in read(name).near}
    assert set(rule_names()) - near == set()


def test_there_are_enough_machines_and_enough_healthy_ones() -> None:
    assert len(NAMES) >= 80
    assert sum(name.startswith("healthy.") for name in NAMES) >= 20


def test_every_part_is_used() -> None:
    parts = {path.stem for path in PARTS.glob("*.toml")}
    tables = [path.read_text() for folder in (PARTS, DESCRIBED) for path in folder.glob("*.toml")]
    named = {part for text in tables for part in msgspec.toml.decode(text).get("parts", ())}
    assert parts == named
