"""Where the report goes: streams that are closed, full, narrow or gone."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from gpudoctor.cli.progress import counting, progress
from tests.cli.run import command, environ

QUICK = ("diagnose", "--quick", "--format", "json")


def shell(redirections: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[bytes]:
    """Run the command with redirections of the shell; what they leave open is captured."""
    line = ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", *command(*arguments)]
    return subprocess.run(line, capture_output=True, cwd=home, env=environ(home), timeout=60, check=False)


@pytest.mark.parametrize("redirections", ["<&-", "2>&-", "<&- 2>&-"])
def test_a_closed_stream_costs_no_report(redirections: str, tmp_path: Path) -> None:
    ran = shell(redirections, *QUICK, home=tmp_path)
    assert (json.loads(ran.stdout)["exit_code"], ran.stderr) == (ran.returncode, b"")


@pytest.mark.parametrize("redirections", [">&-", "<&- >&- 2>&-"])
def test_without_any_stdout_the_file_still_gets_the_report_alone(redirections: str, tmp_path: Path) -> None:
    ran = shell(redirections, *QUICK, "-o", "report.json", home=tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["exit_code"] == ran.returncode
    assert (ran.stdout, ran.stderr) == (b"", b"")


def test_a_full_disk_is_told_in_a_sentence(tmp_path: Path) -> None:
    ran = shell(">/dev/full", *QUICK, home=tmp_path)
    assert ran.stderr == b"gpudoctor: the output could not be written: No space left on device\n"


def test_where_even_the_complaint_cannot_be_written_there_is_no_trace(tmp_path: Path) -> None:
    ran = shell(">/dev/full 2>&1", *QUICK, home=tmp_path)
    assert ran.returncode in (0, 1, 3)


def test_json_is_never_in_the_encoding_of_the_console(tmp_path: Path) -> None:
    ran = subprocess.run(
        command(*QUICK),
        capture_output=True,
        cwd=tmp_path,
        env=environ(tmp_path, PYTHONIOENCODING="utf-16"),
        check=False,
    )
    assert json.loads(ran.stdout.decode("utf-8"))["schema"] == "gpudoctor.report/1"


# ------------------------------------------------------------------------------------------- the live line


@pytest.fixture
def narrow() -> Iterator[tuple[TextIO, int]]:
    """A terminal of 20 columns, and the other end of it."""
    there, here = pty.openpty()
    fcntl.ioctl(here, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
    with os.fdopen(here, "w") as stream:
        yield stream, there
    os.close(there)


def told(there: int, what: str) -> str:
    """What the terminal is told, up to something that must come sooner or later."""
    so_far = b""
    while not re.search(what, so_far.decode()):
        assert select.select([there], [], [], 60)[0], so_far
        so_far += os.read(there, 1 << 16)
    return so_far.decode()


def lines(there: int, before: str = "") -> list[str]:
    """What the terminal was told, line by line; a terminal hands over what it has in pieces."""
    rest = b""
    while select.select([there], [], [], 0.5)[0]:
        rest += os.read(there, 1 << 16)
    return re.split(r"\r\x1b\[K", before + rest.decode())


def test_the_live_line_never_wraps_and_is_gone_at_the_end(narrow: tuple[TextIO, int]) -> None:
    stream, there = narrow
    with progress(stream, {}) as watch:
        watch("driver", "look")
        watch("environment", "look")
        before = told(there, r"\| ")
    shown = lines(there, before)
    assert any(re.fullmatch(r"driver: look \d s \| ", line) for line in shown)
    assert max(map(len, shown)) == 19
    assert shown[-1] == ""


def test_the_count_of_many_files_never_wraps(narrow: tuple[TextIO, int]) -> None:
    stream, there = narrow
    with counting(stream, {}, 100_000) as show:
        show(99_999, ", 99,999 broken")
    assert lines(there) == ["", "99,999 of 100,000 r", ""]


def test_a_stage_that_tells_of_itself_again_goes_on_counting(narrow: tuple[TextIO, int]) -> None:
    stream, there = narrow
    with progress(stream, {}) as watch:
        shown = [""]
        while "torch: train" not in shown[-1] or (shown[-1].endswith(" 0 s") and len(shown) < 100):
            watch("torch", "train")
            shown.append(told(there, r"torch: train \d+ s"))
    assert not shown[-1].endswith(" 0 s")


class Gone(io.StringIO):
    """A terminal that was closed at its other end."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError(errno.EIO, "Input/output error")


def test_a_terminal_that_went_away_is_no_error() -> None:
    with progress(Gone(), {}) as watch:
        watch("driver", "look")
        time.sleep(0.3)
    with counting(Gone(), {}, 3) as show:
        show(1, "")
