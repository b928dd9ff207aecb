"""What this terminal can show, and writing to it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import typer

from gpudoctor.render.terminal import Style

_GLYPHS = "✓✗→…×▁█·"
_PIPE_WIDTH = 100


def style(stream: TextIO, environ: Mapping[str, str], *, verbose: bool) -> Style:
    """How to write to a stream: width, colour (NO_COLOR, TERM=dumb), and whether its encoding knows our glyphs."""
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


def emit(text: str) -> bool:
    """Write a report to stdout, whatever its encoding; a reader that went away is no error of ours, and False."""
    data = text if text.endswith("\n") else text + "\n"
    try:
        sys.stdout.buffer.write(data.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
        sys.stdout.flush()
    except (BrokenPipeError, OSError):
        # The interpreter flushes stdout once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return False
    return True


def say(sentence: str) -> None:
    """One sentence on stderr, control characters made visible."""
    from gpudoctor.render.text import escape

    sys.stderr.write(f"gpudoctor: {escape(sentence)}\n")


def writable(path: Path | None, option: str) -> Path | None:
    """An output file that can be written, checked before any look at the machine. Raises typer.BadParameter."""
    if path is None:
        return None
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise typer.BadParameter(f"{path} cannot be written", param_hint=option)
    return path
