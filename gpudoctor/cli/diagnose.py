"""``gpudoctor diagnose``: look at this machine and one Python environment, judge, train, report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gpudoctor.cli import options
from gpudoctor.cli.again import again
from gpudoctor.cli.console import whole_streams
from gpudoctor.cli.options import Format, checked_time_limit
from gpudoctor.cli.reporting import Output, Seen, collected, finished
from gpudoctor.cli.settings import configured, required, silenced, threshold
from gpudoctor.facts import Facts, Request

_MOST_FACTS = 64 << 20  # bytes; those of a large machine are some hundred kilobytes


def diagnose(
    context: typer.Context,
    quick: Annotated[
        bool, typer.Option("--quick", help="Static facts and driver calls only: no framework import, no training.")
    ] = False,
    python: options.PythonOption = None,
    framework: options.FrameworkOption = None,
    allow_cpu: options.AllowCpuOption = False,
    format: options.FormatOption = Format.TERMINAL,  # noqa: A002
    ticket: Annotated[
        bool, typer.Option("--ticket", help="The report for a ticket: --format markdown, with the facts in it.")
    ] = False,
    copy: options.CopyOption = False,
    preview: options.PreviewOption = False,
    output: options.OutputOption = None,
    fail_on: options.FailOnOption = None,
    time_limit: options.TimeLimitOption = None,
    verbose: options.VerboseOption = False,
    no_redact: options.NoRedactOption = False,
    ignore: options.IgnoreOption = None,
    save_facts: options.SaveFactsOption = None,
    from_facts: Annotated[
        Path | None, typer.Option("--from-facts", metavar="FILE", help="Judge saved facts; look at nothing.")
    ] = None,
) -> int:
    """Look at this machine and one Python environment, name the one cause to fix, and train to prove it."""
    whole_streams()
    checked_time_limit(time_limit)
    settings = configured()
    silent = silenced(ignore or (), settings)
    wanted = Output(
        format=_format(format, ticket),
        file=output,
        fail_on=threshold(fail_on, settings),
        verbose=verbose,
        redact=not no_redact,
        save_facts=save_facts,
        copy=copy,
        preview=preview,
        ticket=again(context, "--ticket"),
        here=from_facts is None,
    )
    wanted.check()
    request = Request(
        source="command line",
        required=required(framework, settings),
        allow_cpu=allow_cpu or settings.allow_cpu,
        quick=quick,
    )
    started, limit = time.monotonic(), time_limit or settings.time_limit
    seen = collected(python, request, wanted, limit) if from_facts is None else Seen(_replayed(from_facts, request))
    return finished(seen, wanted, silent, look=from_facts is None, started=started, time_limit=limit)


def _format(format: Format, ticket: bool) -> Format:  # noqa: A002
    if ticket and format not in (Format.TERMINAL, Format.MARKDOWN):
        raise typer.BadParameter(f"a ticket is Markdown, not {format.value}", param_hint="--ticket")
    return Format.MARKDOWN if ticket else format


def _replayed(path: Path, request: Request) -> Facts:
    from gpudoctor.facts import decode

    try:
        with path.open("rb") as file:
            data = file.read(_MOST_FACTS + 1)
        if len(data) > _MOST_FACTS:
            raise ValueError(f"it has more than {_MOST_FACTS >> 20} MiB")
        facts = decode(data)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--from-facts") from error
    except ValueError as error:
        raise typer.BadParameter(f"{path} holds no facts: {error}", param_hint="--from-facts") from error
    # The request is part of the facts; what this command line says in addition holds as well.
    asked = msgspec.structs.replace(
        facts.request,
        source=request.source,
        required=request.required or facts.request.required,
        allow_cpu=request.allow_cpu or facts.request.allow_cpu,
    )
    return msgspec.structs.replace(facts, request=asked)
