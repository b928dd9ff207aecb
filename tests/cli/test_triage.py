"""``gpudoctor triage`` as a program: any text in, one clear report out, within seconds and bounded memory."""

from __future__ import annotations

import json
import os
import pty
import select
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.run import Ran, command, default_signals, environ, gpudoctor

TOO_OLD = """\
$ python -m torch.utils.collect_env
Collecting environment information...
PyTorch version: 2.6.0+cu124
Is debug build: False
CUDA used to build PyTorch: 12.4

OS: Ubuntu 22.04.4 LTS (x86_64)
Python version: 3.10.14 (main, Jul  9 2024, 15:32:17) [GCC 11.4.0] (64-bit runtime)
Is CUDA available: False
GPU models and configuration: GPU 0: Tesla V100-SXM2-16GB
Nvidia driver version: 470.182.03
some words that nobody knows
"""
SOUND = """\
PyTorch version: 2.6.0+cu124
CUDA used to build PyTorch: 12.4
OS: Ubuntu 22.04.4 LTS (x86_64)
Is CUDA available: True
GPU models and configuration: GPU 0: NVIDIA A100-SXM4-80GB
Nvidia driver version: 550.54.15
"""
LITTLE = "it does not work\n"


def piped(text: bytes, *arguments: str, home: Path) -> Ran:
    started = time.monotonic()
    done = subprocess.run(
        command("triage", *arguments), input=text, capture_output=True, cwd=home, env=environ(home), timeout=60
    )
    seconds = time.monotonic() - started
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode("utf-8", "replace"), seconds)


def written(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, "utf-8")


def lines(ran: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ran.stdout.splitlines()]


# ----------------------------------------------------------------------------------------------- one text


def test_a_text_gets_the_same_report_as_a_machine(tmp_path: Path) -> None:
    written(tmp_path, ticket=TOO_OLD)
    ran = gpudoctor("triage", "ticket.txt", "--format", "json", home=tmp_path)
    report = ran.report
    assert (ran.code, ran.cause) == (1, "driver-too-old-for-cuda")
    assert (report["source"], report["input"], report["status"]) == ("paste", "ticket.txt", "broken")
    assert report["reading"] == {"lines": 11, "recognised": 10, "cut": False, "damaged": False}
    assert report["gpudoctor"]
    assert report["created"].endswith("Z")
    assert ran.stdout.count("\n") > 100, "json is indented, jsonl is compact"


def test_the_terminal_quotes_the_lines_that_the_verdict_rests_on_and_counts_the_rest(tmp_path: Path) -> None:
    written(tmp_path, ticket=TOO_OLD)
    ran = gpudoctor("triage", "ticket.txt", home=tmp_path)
    assert ran.stdout.startswith("ticket.txt:\n✗ ")
    quoted = [line.split()[:2] for line in ran.stdout.splitlines() if line.startswith("  line ")]
    assert ["line", "11"] in quoted, "the driver's version"
    assert ["line", "3,"] in quoted, "the build"
    assert "  Read 11 lines: 10 recognised. Not in the text, and not needed: container, PCI devices" in ran.stdout


def test_what_was_not_recognised_is_shown_when_asked_for(tmp_path: Path) -> None:
    written(tmp_path, ticket=TOO_OLD)
    assert "some words that nobody knows" not in gpudoctor("triage", "ticket.txt", home=tmp_path).stdout
    assert "some words that nobody knows" in gpudoctor("triage", "ticket.txt", "-v", home=tmp_path).stdout


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_standard_input_is_read_where_no_file_is_named(arguments: tuple[str, ...], tmp_path: Path) -> None:
    ran = piped(TOO_OLD.encode(), *arguments, "--format", "json", home=tmp_path)
    assert (ran.code, ran.cause, ran.report["input"]) == (1, "driver-too-old-for-cuda", "-")


def test_without_a_file_and_without_a_pipe_it_is_used_wrongly(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        command("triage"), stdin=theirs, capture_output=True, cwd=tmp_path, env=environ(tmp_path), timeout=60
    )
    os.close(ours)
    os.close(theirs)
    assert (done.returncode, done.stdout) == (2, b"")
    assert (
        done.stderr
        == b"gpudoctor: Invalid value: no text: name a file, or pipe one in (nvidia-smi | gpudoctor triage)\n"
    )


def test_a_text_that_shows_too_little_cannot_be_judged(tmp_path: Path) -> None:
    ran = piped(LITTLE.encode(), "--format", "json", home=tmp_path)
    assert (ran.code, ran.report["status"]) == (3, "undetermined")
    assert [one["what"] for one in ran.report["unknown"]] == ["driver", "GPU", "framework"]


def test_a_gpudoctor_report_is_judged_again_from_its_facts(tmp_path: Path) -> None:
    first = piped(TOO_OLD.encode(), "--format", "json", home=tmp_path)
    again = piped(first.stdout.encode(), "--format", "json", home=tmp_path)
    changed = ("seconds", "reading")
    assert {k: v for k, v in again.report.items() if k not in changed} == {
        k: v for k, v in first.report.items() if k not in changed
    }


def test_private_values_stay_here_unless_asked_for(tmp_path: Path) -> None:
    text = TOO_OLD + "alice@box:~$ ls /home/alice/secret-project\nRuntimeError: /home/alice/x.py failed\n"
    assert "alice" not in piped(text.encode(), "--format", "jsonl", home=tmp_path).stdout
    assert "alice" in piped(text.encode(), "--format", "jsonl", "--no-redact", home=tmp_path).stdout


def test_terminal_escapes_and_markup_of_a_text_never_reach_the_terminal_alive(tmp_path: Path) -> None:
    hostile = TOO_OLD + "RuntimeError: CUDA error: \x1b]0;owned\x07\x1b[31m[bold red]no kernel image\x9b2J \u202e\n"
    ran = piped(hostile.encode(), "-v", home=tmp_path)
    assert not set(ran.stdout) & set("\x1b\x07\x9b\u202e")


# -------------------------------------------------------------------------------------------- many texts


def test_many_files_are_one_line_each_in_their_order_with_the_name_as_given(tmp_path: Path) -> None:
    written(tmp_path, sound=SOUND, broken=TOO_OLD, little=LITTLE)
    ran = gpudoctor("triage", "./sound.txt", "broken.txt", "little.txt", "--format", "jsonl", home=tmp_path)
    told = [(r["input"], r["status"], r["exit_code"]) for r in lines(ran)]
    assert told == [("./sound.txt", "healthy", 0), ("broken.txt", "broken", 1), ("little.txt", "undetermined", 3)]
    assert (ran.code, ran.stderr) == (1, "")


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("sound",), 0),
        (("sound", "little"), 3),
        (("little", "broken", "sound"), 1),
        (("broken", "absent", "little"), 2),
        (("absent",), 2),
    ],
)
def test_the_exit_code_is_that_of_the_worst_text(names: tuple[str, ...], code: int, tmp_path: Path) -> None:
    written(tmp_path, sound=SOUND, broken=TOO_OLD, little=LITTLE)
    ran = gpudoctor("triage", *(f"{name}.txt" for name in names), "--format", "jsonl", home=tmp_path)
    assert (ran.code, len(lines(ran))) == (code, len(names))


def test_fail_on_holds_for_every_text(tmp_path: Path) -> None:
    written(tmp_path, broken=TOO_OLD, little=LITTLE)
    arguments = ("triage", "broken.txt", "--format", "jsonl", "--fail-on", "never")
    assert gpudoctor(*arguments, home=tmp_path).code == 0
    assert gpudoctor(*arguments, "little.txt", home=tmp_path).code == 3


def test_several_terminal_reports_follow_each_other(tmp_path: Path) -> None:
    written(tmp_path, sound=SOUND, broken=TOO_OLD)
    ran = gpudoctor("triage", "sound.txt", "absent.txt", "broken.txt", home=tmp_path)
    heads = [line for line in ran.stdout.splitlines() if line.endswith(".txt:")]
    assert heads == ["sound.txt:", "absent.txt:", "broken.txt:"]
    assert "\n\nabsent.txt:\n? Not judged: it cannot be read: no such file or directory.\n\nbroken" in ran.stdout


def test_json_is_one_report_so_several_files_are_wrong_usage(tmp_path: Path) -> None:
    ran = gpudoctor("triage", "a.txt", "b.txt", "--format", "json", home=tmp_path)
    assert (ran.code, ran.stdout) == (2, "")
    assert "use jsonl" in ran.stderr


def test_with_o_stdout_is_empty(tmp_path: Path) -> None:
    written(tmp_path, sound=SOUND, broken=TOO_OLD)
    ran = gpudoctor("triage", "sound.txt", "broken.txt", "--format", "jsonl", "-o", "out.jsonl", home=tmp_path)
    assert (ran.code, ran.stdout) == (1, "")
    assert len((tmp_path / "out.jsonl").read_text("utf-8").splitlines()) == 2


def test_an_interrupt_ends_it_after_the_reports_so_far(tmp_path: Path) -> None:
    """A pipe that stays open: the first file's report is out, the second never comes."""
    written(tmp_path, broken=TOO_OLD)
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):
        with subprocess.Popen(
            command("triage", "broken.txt", "-", "--format", "jsonl"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environ(tmp_path),
            preexec_fn=default_signals,
        ) as run:
            assert run.stdout is not None
            first = run.stdout.readline()
            run.send_signal(number)
            rest, errors = run.communicate(timeout=60)
        assert json.loads(first)["input"] == "broken.txt"
        assert (run.returncode, rest) == (code, b"")
        assert b"Traceback" not in errors


def test_progress_is_shown_on_a_terminal_and_gone_at_the_end(tmp_path: Path) -> None:
    written(tmp_path, broken=TOO_OLD)
    ours, theirs = pty.openpty()
    done = subprocess.run(
        command("triage", *["broken.txt"] * 3, "--format", "jsonl"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        cwd=tmp_path,
        env=environ(tmp_path, TERM="xterm"),
        timeout=60,
    )
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 1.0)[0]:
        try:
            shown += os.read(ours, 4096)
        except OSError:
            break
    os.close(ours)
    assert len(done.stdout.splitlines()) == 3
    assert b"0 of 3 read, 0 broken" in shown
    assert shown.endswith(b"\r\x1b[K")


# ------------------------------------------------------------------------------ what cannot be read, or is too much


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("empty", b"", "the text is empty"),
        ("blank", b" \n\n\t\n", "the text is empty"),
        ("binary", bytes(range(256)) * 64, "this is a binary file, not text"),
    ],
)
def test_a_file_that_holds_no_text_has_a_report_that_says_so(
    name: str, content: bytes, why: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    ran = gpudoctor("triage", name, "--format", "json", home=tmp_path)
    report = ran.report
    assert (ran.code, report["exit_code"], report["status"], report["cause"]) == (2, 2, "undetermined", None)
    assert report["unknown"] == [{"what": "it cannot be read", "why": why, "settled_by": []}]
    assert report["reading"] is None


def test_a_folder_has_a_report_that_says_so(tmp_path: Path) -> None:
    ran = gpudoctor("triage", ".", home=tmp_path)
    assert (ran.code, ran.stdout) == (2, ".:\n? Not judged: it cannot be read: is a directory.\n")


_MOST_MEMORY = 400_000  # KiB of address space, the interpreter's own included
_MOST_SECONDS = 20  # of processor time, which a busy machine does not lengthen


def huge(folder: Path, kind: str) -> Path:
    """Fifty megabytes of text, of a binary, of one line, of nothing but brackets."""
    piece = {
        "text": TOO_OLD.encode(),
        "binary": bytes(range(256)),
        "line": b"x= ((((((((((::::::::::----------",
        "brackets": b"[[[[[[[[[[{{{{{{{{{{\n",
        "utf-16": TOO_OLD.encode("utf-16-le"),
    }[kind]
    path = folder / kind
    path.write_bytes(piece * (50_000_000 // len(piece) + 1))
    return path


@pytest.mark.parametrize(("kind", "code"), [("text", 1), ("utf-16", 1), ("binary", 2), ("line", 3), ("brackets", 3)])
def test_fifty_megabytes_end_in_a_clear_report_within_seconds_and_bounded_memory(
    kind: str, code: int, tmp_path: Path
) -> None:
    path = huge(tmp_path, kind)
    line = shlex.join(command("triage", str(path), "--format", "jsonl"))
    done = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -v {_MOST_MEMORY} && ulimit -t {_MOST_SECONDS} && exec {line}"],
        capture_output=True,
        cwd=tmp_path,
        env=environ(tmp_path),
        timeout=20 * _MOST_SECONDS,
    )
    path.unlink()
    assert done.stderr == b""
    report = json.loads(done.stdout)
    assert (done.returncode, report["exit_code"]) == (code, code)
    if kind in ("text", "utf-16"):
        assert report["reading"]["cut"]
        assert report["cause"]["rule"] == "driver-too-old-for-cuda"


def test_a_device_without_end_is_left_after_a_while(tmp_path: Path) -> None:
    ran = gpudoctor("triage", "/dev/zero", "--format", "jsonl", home=tmp_path)
    assert (ran.code, ran.seconds < 60) == (2, True)
