"""``--ticket``, ``--copy`` and ``--preview`` as a program: what goes where, what is asked, what is not written."""

from __future__ import annotations

import os
import pty
import select
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from gpudoctor import ticket
from gpudoctor.cli.clipboard import tools
from gpudoctor.facts import decode, encode
from gpudoctor.privacy import redact
from tests import reports
from tests.cli.run import command, environ, gpudoctor

FACTS = reports.private().facts


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "facts.json").write_bytes(encode(FACTS))
    return tmp_path


DIAGNOSE = ("diagnose", "--from-facts", "facts.json")


def _program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!{sys.executable}\n{script}\n", "utf-8")
    (folder / name).chmod(stat.S_IRWXU)


def _clipboard(home: Path, name: str = "xclip", script: str = "") -> dict[str, Any]:
    """A desktop whose clipboard is a file."""
    take = f"import sys; open({str(home / 'clipboard')!r}, 'wb').write(sys.stdin.buffer.read())"
    _program(home / "bin", name, script or take)
    return {"PATH": f"{home / 'bin'}{os.pathsep}{os.defpath}", "DISPLAY": ":0"}


# ------------------------------------------------------------------------------------------------ the ticket


def test_a_ticket_is_the_markdown_report_and_holds_the_redacted_facts(home: Path) -> None:
    ran = gpudoctor(*DIAGNOSE, "--ticket", home=home)
    same = gpudoctor(*DIAGNOSE, "--format", "markdown", home=home)
    assert ran.code == same.code == 1
    assert ran.stdout.startswith("## ❌ Your GPU does not train: ")
    assert ran.stdout.splitlines()[:-1] == same.stdout.splitlines()[:-1]  # the last line tells the seconds
    found = ticket.find(ran.stdout)
    assert found is not None
    assert found.facts is not None
    kept, _ = redact(FACTS)
    assert found.facts.gpus == kept.gpus
    assert "secret_project" not in ran.stdout


def test_triage_of_a_ticket_gives_the_same_cause(home: Path) -> None:
    gpudoctor(*DIAGNOSE, "--ticket", "-o", "ticket.md", home=home)
    again = gpudoctor("triage", "ticket.md", "--format", "json", home=home)
    assert again.cause == gpudoctor(*DIAGNOSE, "--format", "json", home=home).cause
    assert again.report["reading"]["damaged"] is False


def test_a_pasted_text_can_be_made_a_ticket(home: Path) -> None:
    (home / "paste.txt").write_text("PyTorch version: 2.1.0+cu121\nNvidia driver version: 470.182.03\n")
    gpudoctor("triage", "paste.txt", "--format", "markdown", "-o", "ticket.md", home=home)
    assert (home / "ticket.md").read_text("utf-8").startswith("`paste.txt`:\n\n## ❌ ")
    again = gpudoctor("triage", "ticket.md", "--format", "json", home=home).report
    assert again["facts"] == gpudoctor("triage", "paste.txt", "--format", "json", home=home).report["facts"] | {
        "created": again["created"]
    }


def test_a_ticket_in_another_format_is_wrong_usage(home: Path) -> None:
    ran = gpudoctor(*DIAGNOSE, "--ticket", "--format", "json", home=home)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr == "gpudoctor: Invalid value for --ticket: a ticket is Markdown, not json\n"


# --------------------------------------------------------------------------------------------- the clipboard


@pytest.mark.parametrize(
    ("platform", "environment", "names"),
    [
        ("darwin", {}, ["pbcopy"]),
        ("win32", {}, ["clip.exe"]),
        ("linux", {"WSL_DISTRO_NAME": "Ubuntu", "WAYLAND_DISPLAY": "w"}, ["clip.exe", "wl-copy"]),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, ["wl-copy", "xclip", "xsel"]),
        ("linux", {"DISPLAY": ":0"}, ["xclip", "xsel"]),
        ("linux", {"TERMUX_VERSION": "0.118"}, ["termux-clipboard-set"]),
        ("linux", {}, []),
    ],
)
def test_each_desktop_has_its_clipboard(platform: str, environment: dict[str, str], names: list[str]) -> None:
    assert [tool.name for tool in tools(platform, environment)] == names


def test_the_ticket_goes_on_the_clipboard_and_the_report_is_shown_all_the_same(home: Path) -> None:
    ran = gpudoctor(*DIAGNOSE, "--copy", home=home, **_clipboard(home))
    copied = (home / "clipboard").read_text("utf-8")
    assert ran.stdout.startswith("✗ Your GPU does not train: ")
    assert copied.startswith("## ❌ Your GPU does not train: ")
    assert ran.stderr == f"gpudoctor: copied to the clipboard with xclip: {len(copied):,} characters\n"


def test_another_format_is_copied_as_it_is_and_printed_where_nobody_looks_on(home: Path) -> None:
    ran = gpudoctor(*DIAGNOSE, "--format", "json", "--copy", home=home, **_clipboard(home))
    assert (home / "clipboard").read_text("utf-8") == ran.stdout


def test_windows_reads_its_clipboard_as_utf_16(home: Path) -> None:
    variables = {**_clipboard(home, "clip.exe"), "WSL_DISTRO_NAME": "Ubuntu"}
    gpudoctor(*DIAGNOSE, "--ticket", "--copy", home=home, **variables)
    assert (home / "clipboard").read_bytes().decode("utf-16-le").startswith("## ❌ ")


@pytest.mark.parametrize("script", ["raise SystemExit(1)", "import time; time.sleep(60)", "import os; os.close(0)"])
def test_a_clipboard_that_fails_or_hangs_is_said_in_time_and_the_ticket_is_printed(home: Path, script: str) -> None:
    ran = gpudoctor(*DIAGNOSE, "--ticket", "--copy", home=home, **_clipboard(home, script=script))
    if "close" not in script:
        assert ran.stderr == "gpudoctor: not copied: xclip did not take it; -o FILE writes it to a file\n"
    assert ran.code == 1
    assert ran.stdout.startswith("## ❌ ")
    assert ran.seconds < 30


def test_without_a_clipboard_a_sentence_says_so(home: Path) -> None:
    ran = gpudoctor(*DIAGNOSE, "--ticket", "--copy", home=home)
    assert ran.stderr == "gpudoctor: not copied: there is no clipboard here; -o FILE writes it to a file\n"
    assert ran.stdout.startswith("## ❌ ")
    ran = gpudoctor(*DIAGNOSE, "--ticket", "--copy", home=home, DISPLAY=":0", PATH=str(home))
    assert "none of wl-copy, xclip and xsel is installed" in ran.stderr


def test_the_program_that_holds_the_clipboard_is_not_ended_with_us(home: Path) -> None:
    """xclip and wl-copy stay behind: they are the clipboard."""
    stays = (
        "import os, sys, time\ndata = sys.stdin.buffer.read()\n"
        f"if os.fork() == 0:\n    time.sleep(1)\n    open({str(home / 'clipboard')!r}, 'wb').write(data)"
    )
    ran = gpudoctor(*DIAGNOSE, "--ticket", "--copy", home=home, **_clipboard(home, script=stays))
    assert "copied to the clipboard" in ran.stderr
    end = time.monotonic() + 20
    while not (home / "clipboard").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert (home / "clipboard").exists()


# ----------------------------------------------------------------------------------------------- the preview


@dataclass(frozen=True)
class Talk:
    """What a person saw who answered the questions on a terminal."""

    code: int
    shown: str


def _on_a_terminal(
    home: Path, answer: str, *arguments: str, stdout: int | None = None, extra: Mapping[str, str] = MappingProxyType({})
) -> Talk:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*DIAGNOSE, *arguments),
        cwd=home,
        env=environ(home, TERM="xterm", **extra),
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen, end = b"", time.monotonic() + 60
    answers = [f"{one}\n".encode() for one in answer.split(",")] if answer else []
    while time.monotonic() < end:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
        if answers and seen.count(b"[y/N]") > len(answer.split(",")) - len(answers):
            os.write(ours, answers.pop(0))
    code = process.wait(10)
    os.close(ours)
    return Talk(code, seen.decode("utf-8", "replace").replace("\r\n", "\n"))


def test_a_preview_shows_what_would_leave_and_writes_it_after_a_yes(home: Path) -> None:
    talk = _on_a_terminal(home, "y", "--preview", "--ticket", "-o", "ticket.md", "--save-facts", "saved.json")
    saved, written = (home / "saved.json").read_text("utf-8"), (home / "ticket.md").read_text("utf-8")
    assert f"gpudoctor: this would go to ticket.md, {len(written):,} characters:\n" in talk.shown
    shown = talk.shown[talk.shown.index("would go to ticket.md") :].partition(":\n")[2]
    assert shown.startswith(written)
    assert saved in talk.shown
    assert "gpudoctor: hidden: 7 home folders, 1 GPU or device id, 1 program of another user\n" in talk.shown
    assert "Write to saved.json and ticket.md? [y/N]" in talk.shown
    assert decode(saved).gpus == redact(FACTS)[0].gpus
    assert talk.code == 1


@pytest.mark.parametrize("answer", ["n", "", "yes please"])
def test_anything_but_yes_is_no(home: Path, answer: str) -> None:
    talk = _on_a_terminal(home, answer or "x", "--preview", "--ticket", "-o", "ticket.md")
    assert talk.shown.endswith("gpudoctor: nothing was written\n")
    assert sorted(os.listdir(home)) == ["facts.json"]


def test_what_goes_into_a_pipe_is_asked_for_too(home: Path) -> None:
    for answer, expected in (("n", b""), ("y", b"## ")):
        reading, writing = os.pipe()
        talk = _on_a_terminal(home, answer, "--preview", "--ticket", stdout=writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            assert pipe.read()[:3] == expected
        assert "Write to standard output? [y/N]" in talk.shown


def test_a_preview_of_what_is_copied_shows_the_ticket_once_and_copies_after_a_yes(home: Path) -> None:
    talk = _on_a_terminal(home, "y", "--preview", "--ticket", "--copy", extra=_clipboard(home))
    assert talk.shown.count("## ❌ ") == 1
    assert "this would go to the clipboard" in talk.shown
    assert "as shown above" in talk.shown
    assert (home / "clipboard").read_text("utf-8").startswith("## ❌ ")
    (home / "clipboard").unlink()
    _on_a_terminal(home, "n", "--preview", "--ticket", "--copy", extra=_clipboard(home))
    assert not (home / "clipboard").exists()


@pytest.mark.parametrize("name", ["json", "markdown", "html", "junit", "openmetrics"])
def test_without_a_terminal_a_preview_prints_and_writes_nothing(home: Path, name: str) -> None:
    arguments = ("--preview", "--format", name, "-o", "report", "--save-facts", "saved.json", "--copy")
    ran = gpudoctor(*DIAGNOSE, *arguments, home=home, **_clipboard(home))
    assert sorted(os.listdir(home)) == ["bin", "facts.json"]
    assert len(ran.stdout) > 200
    assert "alice" not in ran.stdout
    lines = ran.stderr.splitlines()
    assert [line.partition(",")[0] for line in lines[:2]] == [
        "gpudoctor: this would go to saved.json",
        "gpudoctor: this would go to the clipboard and report",
    ]
    assert lines[2:] == [
        "gpudoctor: hidden: 7 home folders, 1 GPU or device id, 1 program of another user",
        "gpudoctor: nothing was written: there is no terminal to ask on",
    ]


def test_a_preview_without_redaction_says_so_and_one_of_nothing_too(home: Path) -> None:
    ran = gpudoctor(*DIAGNOSE, "--preview", "--ticket", "--no-redact", home=home)
    assert ran.stderr == "gpudoctor: nothing was hidden (--no-redact)\n"
    assert "alice" in ran.stdout
    ran = gpudoctor(*DIAGNOSE, "--preview", home=home)
    assert ran.stderr == "gpudoctor: nothing would leave this machine\n"


def test_on_a_terminal_without_a_clipboard_its_own_one_is_offered(home: Path) -> None:
    taken = _on_a_terminal(home, "y", "--ticket", "--copy")
    assert "There is no clipboard here. Hand it to the clipboard of this terminal (OSC 52)? [y/N]" in taken.shown
    assert "\x1b]52;c;" in taken.shown
    assert "handed to the terminal, which does not tell whether it took it" in taken.shown
    refused = _on_a_terminal(home, "n", "--ticket", "--copy")
    assert "\x1b]52" not in refused.shown
    assert "not copied: there is no clipboard here" in refused.shown
    assert "## ❌ " in refused.shown
