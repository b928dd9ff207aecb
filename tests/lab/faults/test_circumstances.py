"""The program where it may not have what it is used to: a report all the same, and nothing is left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.run import BUSY, command, environ, wait_until
from tests.lab.drivers.needs import need_compiler
from tests.lab.faults.circumstances import (
    CIRCUMSTANCES,
    PROGRAMS,
    Circumstance,
    Program,
    impossible,
    public_folder,
    run,
    seen,
)
from tests.lab.faults.page import runs
from tests.lab.faults.runs import Place, mounts, traceback_of_ours

MIB = 1 << 20


def need(circumstance: Circumstance) -> None:
    """Skip the test and say why where the circumstance cannot be made."""
    need_compiler()
    why = impossible()
    if circumstance.needs_root and why:
        pytest.skip(why)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("name", CIRCUMSTANCES)
def test_a_run_comes_to_what_the_page_tells_of(name: str, program: Program) -> None:
    need(CIRCUMSTANCES[name])
    before = mounts()
    with public_folder() as folder:
        assert seen(name, program, folder) == runs()[name, program]
    assert mounts() == before


@pytest.mark.parametrize("words", ["diagnose --quick", "preflight"])
@pytest.mark.parametrize("size", [40, 60, 128, 255])
def test_too_little_memory_is_one_sentence_before_anything_is_looked_at(size: int, words: Program) -> None:
    with public_folder() as folder:
        ran, left = run(Circumstance("little memory", limits={"AS": size * MIB}), words, folder)
    sentence = f"gpudoctor: only {size} MiB of address space are allowed here (ulimit -v), 256 are needed\n"
    assert (ran.code, ran.stdout, ran.stderr, left) == (3, "", sentence, [])


# With 264 and 272 MiB the heaps that the C library gives to threads would leave no room for what is imported.
@pytest.mark.parametrize("size", [256, 264, 272, 320, 400])
def test_little_memory_is_enough_for_a_report(size: int) -> None:
    need_compiler()
    with public_folder() as folder:
        ran, left = run(Circumstance("little memory", limits={"AS": size * MIB}), "diagnose --quick", folder)
    assert (ran.code, ran.stderr, left) == (0, "", []), ran
    assert ran.stdout


@pytest.mark.parametrize("name", ["file size", "no space"])
def test_a_report_that_finds_no_space_is_one_sentence_and_leaves_no_piece_behind(name: str) -> None:
    full = Circumstance("no space", mounts='mount -t tmpfs -o size=4k none "$HOME"\ncd "$HOME"')
    circumstance = full if name == "no space" else CIRCUMSTANCES[name]
    need(circumstance)
    with public_folder() as folder:
        words = ("diagnose", "--quick", "--format", "json", "-o", "report.json", "--save-facts", "facts.json")
        listing = ("/bin/sh", "-c", '"$@"; code=$?; ls -A "$HOME" >&2; exit $code', "sh")
        ran = Place(folder / "place").run(*words, before=(*circumstance.before(), *listing))
    assert (ran.code, ran.stdout) == (1, "")
    assert "report.json could not be written" in ran.stderr
    assert ".part" not in ran.stderr
    assert not traceback_of_ours(ran.stderr)


# A process begins with what the one had that it was forked from, so it is started by a small one.
_LAUNCHER = """
import os, sys
_, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[2], sys.argv[2:]), 0)
with open(sys.argv[1], "w") as told:
    told.write(f"{os.waitstatus_to_exitcode(status)} {usage.ru_maxrss}")
"""


def peak(words: list[str], folder: Path) -> tuple[int, int]:
    """Exit code of a command, and the bytes that it, or one of those that it started, had at most."""
    with (folder / "out").open("wb") as out:
        launched = [sys.executable, "-S", "-c", _LAUNCHER, str(folder / "told"), *words]
        subprocess.run(launched, env=environ(folder), stdout=out, stderr=out, check=True)
    code, size = map(int, (folder / "told").read_text().split())
    return code, size * (1 if sys.platform == "darwin" else 1024)


def test_a_gigabyte_of_output_costs_little_memory_and_time(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nyes | head -c 1000000000\n")
    python.chmod(0o755)
    started = time.monotonic()
    _, size = peak(command("diagnose", "--quick", "--format", "json", "--python", str(python)), tmp_path)
    assert size < 256 * MIB
    assert time.monotonic() - started < 60
    assert "it prints without end" in (tmp_path / "out").read_text()


@pytest.mark.parametrize("words", [("diagnose", "--from-facts"), ("triage",)])
def test_a_gigabyte_of_a_file_costs_little_memory_and_time(words: tuple[str, ...], tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 30)
    started = time.monotonic()
    code, size = peak(command(*words, str(tmp_path / "huge")), tmp_path)
    assert size < 512 * MIB
    assert code == 2
    assert "Traceback" not in (tmp_path / "out").read_text()
    assert time.monotonic() - started < 60


def test_a_run_in_the_background_ends_by_termination(tmp_path: Path) -> None:
    """A shell without job control starts it with SIGINT ignored."""
    need_compiler()
    reached = tmp_path / "reached"
    variables = {"IMITATION_FAULT": "train:hang", "IMITATION_REACHED": str(reached)}
    place = Place(tmp_path / "place", variables=variables)

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    started = time.monotonic()
    with place.begin("diagnose", "--format", "json", prepare=prepare) as process:
        wait_until(reached.exists, "the job trains")
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert place.ended(process, started).code in (143, -signal.SIGTERM)
    assert place.left() == []


def test_a_file_that_never_answers_costs_its_readers_facts_and_no_other(tmp_path: Path) -> None:
    pipe = "mount -t tmpfs none /mnt\nmkfifo /mnt/pipe\nmount --bind /mnt/pipe /proc/cpuinfo"
    circumstance = Circumstance("a pipe without a writer in place of a file", mounts=pipe)
    need(circumstance)
    place = Place(tmp_path / "place")
    words = ("diagnose", "--quick", "--format", "json", "--time-limit", "10")
    ran = place.run(*words, before=circumstance.before())
    facts = ran.report["facts"]
    hung = {name for name, fact in facts.items() if isinstance(fact, dict) and fact.get("kind") == "timed-out"}
    assert hung == {"processor", "virtual_machine"}  # its two readers
    assert ran.seconds < 10 + BUSY
    assert place.left() == []
