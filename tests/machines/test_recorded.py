"""Recorded machines: facts in, report out, by the command that users have; and nothing private in any of them."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from gpudoctor import facts as f
from gpudoctor.privacy import redact
from tests.cli.run import gpudoctor
from tests.machines import record
from tests.machines.record import Expected, names, recorded

NAMES = names()


def _expected(name: str) -> Expected:
    return msgspec.json.decode(recorded(name)[1].read_bytes(), type=Expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_machine_is_judged_as_the_file_beside_it_says(name: str, tmp_path: Path) -> None:
    ran = gpudoctor("diagnose", "--from-facts", str(recorded(name)[0]), "--format", "json", home=tmp_path)
    wanted = _expected(name)
    report = ran.report
    rules = tuple((finding["severity"], finding["rule"]) for finding in report["findings"])
    assert (report["status"], ran.cause) == (wanted.status, wanted.cause)
    assert rules == tuple(tuple(line.split()[:2]) for line in wanted.findings)
    assert ran.code == {"healthy": 0, "warnings": 0, "broken": 1, "undetermined": 3}[wanted.status]


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_recording_says_its_cause(name: str) -> None:
    wanted = _expected(name)
    assert name.partition(".")[0] == (wanted.cause or wanted.status)


# What must not be in a file that everybody reads, said once more without the code that takes it out.
_PRIVATE = {
    "a UUID of a GPU": r"GPU-(?!a\d\d\b)[0-9a-f]{4}",
    "a home folder": r"/(?:home|Users|root)/",
    "an address": r"(?<![\d.])(?:10\.\d{1,3}|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d{1,3}\.\d{1,3}(?![\d.])",
    "a MAC address": r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b",
    "a mail address": r"[\w.]+@[\w.]+\.\w",
    "a temporary folder": r"/tmp/|/var/tmp/",
}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_private_is_in_a_recording(name: str) -> None:
    data = recorded(name)[0].read_text("utf-8")
    assert {what: found for what, found in ((w, re.findall(p, data)) for w, p in _PRIVATE.items()) if found} == {}
    facts = f.decode(data)
    assert redact(facts) == (facts, {})


def test_the_described_machines_of_the_list_are_recorded() -> None:
    assert set(record.DESCRIBED) <= set(NAMES)


def test_one_command_records_the_machine_that_it_runs_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "HERE", tmp_path)
    record.main("some-cause.this-machine", "--quick", "--allow-cpu")
    facts_file, _ = recorded("some-cause.this-machine")
    assert names() == ("some-cause.this-machine",)
    assert isinstance(f.decode(facts_file.read_bytes()).system, f.System)
    assert _expected("some-cause.this-machine").status in ("healthy", "warnings", "broken", "undetermined")


def test_a_recording_without_a_telling_name_is_refused() -> None:
    with pytest.raises(SystemExit, match="CAUSE"):
        record.main("machine7")
