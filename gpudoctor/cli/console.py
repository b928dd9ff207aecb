"""What this terminal can show, and writing to it."""

from __future__ import annotations

import os
import select
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import typer

from gpudoctor.cli.streams import whole_streams
from gpudoctor.interrupts import held

if TYPE_CHECKING:
    from gpudoctor.render.page import Style

__all__ = ["emit", "say", "style", "whole_streams", "writable"]

_GLYPHS = "✓✗→…×▁█·"
_PIPE_WIDTH = 100
_MOMENT_MILLISECONDS = 200
_GRACE_SECONDS = 2.0  # for a reader that has stopped reading, once we are asked to end


def style(stream: TextIO, environ: Mapping[str, str], *, verbose: bool) -> Style:
    """How to write to a stream: width, colour (NO_COLOR, TERM=dumb), and whether its encoding knows our glyphs."""
    from gpudoctor.render.page import Style

    tty = stream.isatty()
    colour = tty and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    width = shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns if tty or "COLUMNS" in environ else _PIPE_WIDTH
    return Style(width=max(width, 20), colour=colour, unicode=_knows_glyphs(stream), verbose=verbose)


def _knows_glyphs(stream: TextIO) -> bool:
    try:
        _GLYPHS.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def emit(text: str, encoding: str | None = None) -> bool:
    """Write a report to stdout, whatever its encoding; a reader that went away is no error of ours, and False.

    ``encoding`` is for formats that have one of their own, whatever the console's. Raises OSError where it cannot be
    written for another reason (a full disk).
    """
    data = text if text.endswith("\n") else text + "\n"
    try:
        _write(data.encode(encoding or sys.stdout.encoding or "utf-8", "backslashreplace"))
    except BrokenPipeError:
        _mute(1)
        return False
    except OSError:
        _mute(1)
        raise
    return True


def _write(data: bytes) -> None:
    """Write all of it to stdout, also where a signal comes meanwhile: half of a report is none."""
    sys.stdout.flush()
    number = _number(sys.stdout)
    if number is None or not hasattr(select, "poll"):
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    ready = select.poll()
    ready.register(number, select.POLLOUT)
    with held() as waiting:
        rest, given_up = memoryview(data), None
        while rest:
            if ready.poll(_MOMENT_MILLISECONDS):  # it takes bytes now, or has an error to tell
                # What a pipe that is ready takes without making us wait: https://man7.org/linux/man-pages/man7/pipe.7.html
                rest = rest[os.write(number, rest[: select.PIPE_BUF]) :]
            elif waiting and time.monotonic() > (given_up := given_up or time.monotonic() + _GRACE_SECONDS):
                return


def _number(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):  # it stands for a stream, in memory
        return None


def say(sentence: str) -> None:
    """One sentence on stderr, control characters made visible."""
    from gpudoctor.render.text import escape

    try:
        sys.stderr.write(f"gpudoctor: {escape(sentence)}\n")
        sys.stderr.flush()
    except OSError:
        _mute(2)


def _mute(number: int) -> None:
    """The interpreter flushes its streams once more at its end, which would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def writable(path: Path | None, option: str) -> Path | None:
    """An output file that can be written, checked before any look at the machine. Raises typer.BadParameter."""
    if path is None:
        return None
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise typer.BadParameter(f"{path} cannot be written", param_hint=option)
    return path
