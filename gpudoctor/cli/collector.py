"""``gpudoctor collector``: write the one file that looks at machines on which nothing can be installed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gpudoctor.cli.console import emit, whole_streams


def collector(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write it there, not to stdout.")
    ] = None,
) -> int:
    """Write a Python file that looks at a machine where nothing can be installed, for triage to judge.

    It needs Python 3.6 or newer and nothing else, changes nothing and uses no network. There:
    python3 collect.py > facts.txt. Here: gpudoctor triage facts.txt.
    """
    from gpudoctor.cli.files import write_whole
    from gpudoctor.collector.build import collector as whole

    whole_streams()
    text = whole()
    if output is None:
        emit(text, "utf-8")
        return 0
    try:
        write_whole(output, text.encode())
    except OSError as error:
        raise typer.BadParameter(f"{output}: {error.strerror}", param_hint="-o") from error
    return 0
