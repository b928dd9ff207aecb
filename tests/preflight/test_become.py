"""Becoming the job: process id, signals, descriptors, environment and exit status are the command's own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.run import ROOT, environ

_BECOME = "import sys; from gpudoctor.preflight.become import become; become(sys.argv[1:])"
_REAP = """
import os, subprocess, sys, time
from gpudoctor.preflight.become import become, reap
# A child that leads a session of its own, as all of ours do, and leaves a grandchild behind when it is killed.
child = subprocess.Popen(["sh", "-c", "sleep 300 & sleep 300"], start_new_session=True)
time.sleep(0.3)
os.killpg(child.pid, 9)
child.wait()
reap()
become(sys.argv[1:])
"""


def become(tmp_path: Path, *command: str, program: str = _BECOME, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=options.pop("env", environ(tmp_path)),
        **options,
    )


def said(process: subprocess.Popen[bytes]) -> str:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode()
    return str(output.decode())


def test_the_process_id_is_the_commands(tmp_path: Path) -> None:
    process = become(tmp_path, "sh", "-c", "echo $$")
    assert said(process).strip() == str(process.pid)


@pytest.mark.parametrize("code", [0, 1, 3, 42, 255])
def test_the_exit_status_is_the_commands(tmp_path: Path, code: int) -> None:
    process = become(tmp_path, "sh", "-c", f"exit {code}")
    process.communicate(timeout=60)
    assert process.returncode == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGKILL])
def test_a_signal_ends_the_command_as_it_would_without_us(tmp_path: Path, number: signal.Signals) -> None:
    process = become(tmp_path, "sh", "-c", "echo ready; exec sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number


def dispositions(status: str) -> dict[str, int]:
    lines = (line.split(":\t") for line in status.splitlines() if line.startswith(("SigBlk", "SigIgn", "SigCgt")))
    return {name: int(mask, 16) for name, mask in lines}


def test_signals_are_as_a_shell_leaves_them_and_what_was_ignored_stays_so(tmp_path: Path) -> None:
    direct = subprocess.run(["/bin/cat", "/proc/self/status"], capture_output=True, text=True, check=True)
    plain = dispositions(said(become(tmp_path, "cat", "/proc/self/status")))
    assert plain == dispositions(direct.stdout), "SIGPIPE and SIGXFSZ, which Python ignores, are back"

    def ignoring() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})

    process = become(tmp_path, "cat", "/proc/self/status", preexec_fn=ignoring)
    after = dispositions(said(process))
    assert after["SigIgn"] == 1 << (signal.SIGHUP - 1)
    assert after["SigBlk"] == 1 << (signal.SIGUSR2 - 1)


def test_a_pipe_that_nobody_reads_ends_the_command(tmp_path: Path) -> None:
    process = become(tmp_path, "sh", "-c", "yes; echo survived >&2")
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    process.wait(30)
    assert process.returncode in (0, -signal.SIGPIPE)
    assert process.stderr is not None
    assert b"Broken pipe" not in process.stderr.read()


def test_inherited_descriptors_stay_open_and_none_of_ours_is_added(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    command = ["/bin/ls", "/proc/self/fd"]
    direct = subprocess.run(command, capture_output=True, text=True, pass_fds=(writer,), check=True)
    process = become(tmp_path, *command, pass_fds=(writer,))
    assert said(process).split() == direct.stdout.split()
    os.close(reader)
    os.close(writer)


def test_the_environment_is_what_was_given_without_what_python_adds(tmp_path: Path) -> None:
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "A": "x=y z"}
    seen = said(become(tmp_path, "env", "-0", env=given))
    assert dict(entry.split("=", 1) for entry in seen.split("\0") if entry) == given


def test_a_locale_that_was_given_stays(tmp_path: Path) -> None:
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LC_CTYPE": "C.UTF-8"}
    assert "LC_CTYPE=C.UTF-8" in said(become(tmp_path, "env", env=given)).splitlines()


_FAILING = """
import signal, sys
from gpudoctor.preflight.become import NotStartedError, become
try:
    become(sys.argv[1:])
except NotStartedError as error:
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN, "ours again, since we live on"
    print(error.code, error)
"""


def test_a_command_that_does_not_start_ends_as_in_a_shell(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no program")
    (tmp_path / "bare").write_text("echo a script without its first line")
    (tmp_path / "bare").chmod(0o755)
    for command, answer in (
        ("no-such-command", "127 no-such-command: command not found"),
        ("/no/such/command", "127 /no/such/command: command not found"),
        ("./notes.txt", "126 ./notes.txt: Permission denied"),
        (str(tmp_path), f"126 {tmp_path}: Permission denied"),
        ("./bare", "126 ./bare: Exec format error"),
        ("", "127 '': command not found"),
    ):
        assert said(become(tmp_path, command, program=_FAILING)).strip() == answer


def _unshared(*command: str) -> list[str]:
    """The command line that runs as process 1 of its own PID namespace; skips where that is not permitted."""
    unshare = shutil.which("unshare")
    options = ["--fork", "--pid", "--mount-proc", *(() if os.geteuid() == 0 else ("--user", "--map-root-user"))]
    if unshare is None or subprocess.run([unshare, *options, "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare cannot make a PID namespace here")
    return [unshare, *options, *command]


def test_as_process_1_all_own_children_are_reaped_before(tmp_path: Path) -> None:
    look = "echo $$; cat /proc/[0-9]*/stat | cut -d' ' -f1-4"
    argv = _unshared(sys.executable, "-c", _REAP, "sh", "-c", look)
    done = subprocess.run(argv, capture_output=True, text=True, env=environ(tmp_path), cwd=tmp_path, timeout=60)
    first, *processes = done.stdout.splitlines()
    assert (done.returncode, first) == (0, "1"), done.stderr
    names = {line.split()[1] for line in processes}
    assert names <= {"(sh)", "(cat)", "(cut)"}, processes
    assert not [line for line in processes if line.split()[2] == "Z"]


def test_as_process_1_children_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    program = "from gpudoctor.preflight.become import reap; import time; t = time.monotonic(); reap(); "
    program += "print(time.monotonic() - t < 15)"
    argv = _unshared("sh", "-c", f'sleep 60 & exec {sys.executable} -c "{program}"')
    done = subprocess.run(argv, capture_output=True, text=True, env=environ(tmp_path), cwd=tmp_path, timeout=60)
    assert done.stdout.strip() == "True", done.stderr


def test_elsewhere_nothing_is_waited_for(tmp_path: Path) -> None:
    started = time.monotonic()
    assert said(become(tmp_path, "true", program="from gpudoctor.preflight.become import reap; reap()")) == ""
    assert time.monotonic() - started < 20
