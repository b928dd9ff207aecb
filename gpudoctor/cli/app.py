"""The typer application: all commands by name, and one way to say that they were used wrongly."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gpudoctor import __version__
from gpudoctor.cli.collector import collector
from gpudoctor.cli.diagnose import diagnose
from gpudoctor.cli.diff import diff
from gpudoctor.cli.explain import explain, rules
from gpudoctor.cli.matrix import matrix
from gpudoctor.cli.smoke import smoke
from gpudoctor.cli.triage import triage

WRONG_USAGE = 2


def preflight(context: typer.Context) -> int:
    """Is this place fit for a job? It reads its own command line."""
    from gpudoctor.cli.preflight import run

    return run(context.args)


# typer has carried its own copy of click since 0.26; the base of its public BadParameter is the right class in both.
_UsageError = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="gpudoctor",
    help="Does this GPU really train here, and if not, what is the one thing to fix?",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(short_help="Look, judge, train: name the one cause to fix.")(diagnose)
app.command(short_help="Train on every GPU; check and time it.")(smoke)
app.command(
    "preflight",
    short_help="Is this place fit for a job? Then become the job.",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)(preflight)
app.command(short_help="Judge pasted text from another machine.")(triage)
app.command(short_help="A file that looks where nothing can be installed.")(collector)
app.command(short_help="What differs between two reports, and does it explain the cause?")(diff)
app.command(short_help="What a finding means, and how to fix it.")(explain)
app.command(short_help="All rules with their severity.")(rules)
app.command(short_help="Ask the compatibility matrix.")(matrix)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"gpudoctor {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _common(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        raise _UsageError("no command was given; gpudoctor --help lists them")


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code: 2 with one sentence on stderr for wrong usage."""
    try:
        result = app(args=arguments, prog_name="gpudoctor", standalone_mode=False)
    except _UsageError as error:  # type: ignore[misc]
        sentence = " ".join(str(error.format_message()).split())
        sys.stderr.write(f"gpudoctor: {sentence}\n")
        return WRONG_USAGE
    except typer.Abort:
        return 130
    return result if isinstance(result, int) else 0
