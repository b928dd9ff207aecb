"""``gpudoctor diff``: what changed between two reports, or differs between two machines."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Annotated

import typer

from gpudoctor.cli import options
from gpudoctor.cli.console import emit, style, whole_streams
from gpudoctor.cli.options import Plain
from gpudoctor.facts import Facts

_DIFFERENT = 1
_MOST_BYTES = 64 << 20


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A report, saved facts, or a pasted ticket.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    format: Annotated[Plain, typer.Option("--format", help="How to print it.")] = Plain.TERMINAL,  # noqa: A002
    verbose: options.VerboseOption = False,
    no_redact: options.NoRedactOption = False,
) -> int:
    """What differs between two reports, most relevant first, and whether it explains the cause.

    Exit code 0: nothing that was compared differs; 1: something does; 2: a file cannot be read.
    """
    from gpudoctor.difference import difference
    from gpudoctor.render.difference import as_json, terminal
    from gpudoctor.report import judge

    whole_streams()
    shown = _redacted if format is Plain.JSON and not no_redact else (lambda facts: facts)
    reports = [judge(shown(_facts(path))) for path in (before, after)]
    found = difference(reports[0], reports[1], (before.name, after.name), judge)
    look = style(sys.stdout, os.environ, verbose=verbose)
    emit(*((as_json(found), "utf-8") if format is Plain.JSON else (terminal(found, look), None)))
    return 0 if found.alike else _DIFFERENT


def _redacted(facts: Facts) -> Facts:
    """What leaves the machine; a user or a GPU has the same label on both sides, whichever it is."""
    from gpudoctor.privacy import identify, redact

    return redact(facts, identify(os.environ, platform.node()))[0]


def _facts(path: Path) -> Facts:
    from gpudoctor.facts import decode
    from gpudoctor.intake import Unreadable, read

    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from error
    try:
        return decode(data)
    except ValueError:
        pass  # a report or a ticket, which the intake takes apart
    try:
        return read(data, path.name).facts
    except Unreadable as why:
        raise typer.BadParameter(f"{path}: {why}") from why
