"""Ctrl-C and SIGTERM at any moment of a run: the right exit code, a whole report or none, and nothing left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.run import BUSY, default_signals, environ, wait_until
from tests.lab.drivers.needs import need_compiler
from tests.lab.faults.runs import Place, traceback_of_ours, whole_report

RUNS = 32
SEED = 20261121
_LONGEST = 3.0  # about as long as a run takes
_COMMANDS = (
    ("diagnose", "--format", "json", "--framework", "torch"),
    ("diagnose", "--format", "json", "--quick"),
    ("smoke", "--format", "json", "--framework", "torch"),
    ("preflight", "--require", "torch,smoke"),
)
_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
_OWN_CODES = (0, 1, 3)


def moments() -> list[tuple[int, float, signal.Signals]]:
    """Which command is interrupted when, and how: spread over the run, the start most of all."""
    chance = random.Random(SEED)  # noqa: S311 - chance, not secrecy
    plan = []
    for run in range(RUNS):
        share = (run // len(_COMMANDS) + chance.random()) * len(_COMMANDS) / RUNS
        plan.append((run % len(_COMMANDS), _LONGEST * share**2, chance.choice(list(_CODES))))
    return plan


@pytest.mark.parametrize(("command", "moment", "number"), moments())
def test_a_signal_ends_the_run_at_once_and_wholly(
    command: int, moment: float, number: signal.Signals, tmp_path: Path
) -> None:
    need_compiler()
    place = Place(tmp_path / "place")
    started = time.monotonic()
    with place.begin(*_COMMANDS[command]) as process:
        time.sleep(moment)
        sent = time.monotonic()
        process.send_signal(number)
        ran = place.ended(process, started)
    assert time.monotonic() - sent < BUSY
    # Before gpudoctor runs, the signal is Python's: it dies of it, which a shell shows as the same code.
    assert ran.code in (_CODES[number], -number, *_OWN_CODES), ran
    assert not traceback_of_ours(ran.stderr), ran.stderr
    assert ran.stdout == "" or whole_report(ran.stdout), ran.stdout
    assert place.left() == []


def test_two_interrupts_in_a_row_leave_nothing_behind(tmp_path: Path) -> None:
    need_compiler()
    reached = tmp_path / "reached"
    variables = {"IMITATION_FAULT": "train:hang", "IMITATION_REACHED": str(reached)}
    place = Place(tmp_path / "place", variables=variables)
    started = time.monotonic()
    with place.begin("diagnose", "--format", "json", "--framework", "torch") as process:
        wait_until(reached.exists, "the job trains")
        for _ in range(5):
            os.kill(process.pid, signal.SIGINT)
            time.sleep(0.05)
        ran = place.ended(process, started)
    assert (ran.code, traceback_of_ours(ran.stderr)) == (130, False), ran
    assert ran.stdout == "" or whole_report(ran.stdout)
    assert place.left() == []


_EMIT = "from gpudoctor.cli.console import emit\nemit('x' * 999_999)\n"


def emitting(tmp_path: Path) -> subprocess.Popen[bytes]:
    """A process of ours that writes a large report to a pipe, and has begun to."""
    process = subprocess.Popen(
        [sys.executable, "-c", _EMIT],
        env=environ(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=default_signals,
    )
    assert process.stdout is not None
    assert os.read(process.stdout.fileno(), 1) == b"x"
    return process


def test_a_report_that_is_being_written_is_written_whole(tmp_path: Path) -> None:
    with emitting(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)  # nobody reads meanwhile, and it waits
        stdout, _ = process.communicate(timeout=60)
    assert len(stdout) == 999_999
    assert process.returncode == -signal.SIGINT  # Python's own way to end by KeyboardInterrupt


def test_a_reader_that_has_stopped_reading_does_not_keep_us(tmp_path: Path) -> None:
    started = time.monotonic()
    with emitting(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == -signal.SIGINT
    assert time.monotonic() - started < 60
