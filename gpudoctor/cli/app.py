"""The typer application: all commands by name, and one way to say that they were used wrongly.

Only the command that is run is imported: what another one needs costs it nothing.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

import typer

from gpudoctor import __version__

WRONG_USAGE = 2


class Command(NamedTuple):
    """A command: the module of this folder that holds it, and what the list of commands says of it."""

    module: str
    summary: str
    settings: Mapping[str, Any] = MappingProxyType({})


COMMANDS = {
    "diagnose": Command("diagnose", "Look, judge, train: name the one cause to fix."),
    "smoke": Command("smoke", "Train on every GPU; check and time it."),
    "preflight": Command(
        "app",
        "Is this place fit for a job? Then become the job.",
        {
            "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True},
            "add_help_option": False,
        },
    ),
    "triage": Command("triage", "Judge pasted text from another machine."),
    "collector": Command("collector", "A file that looks where nothing can be installed."),
    "diff": Command("diff", "What differs between two reports, and does it explain the cause?"),
    "explain": Command("explain", "What a finding means, and how to fix it."),
    "rules": Command("explain", "All rules with their severity."),
    "matrix": Command("matrix", "Ask the compatibility matrix."),
}


def preflight(context: typer.Context) -> int:
    """Is this place fit for a job? It reads its own command line."""
    from gpudoctor.cli.preflight import run

    return run(context.args)


# typer has carried its own copy of click since 0.26; the base of its public BadParameter is the right class in both.
_UsageError = typer.BadParameter.__bases__[0]


def application(wanted: Iterable[str]) -> typer.Typer:
    """The application in which these commands can be run; the others are there by name, to be listed."""
    wanted = frozenset(wanted)
    app = typer.Typer(
        name="gpudoctor",
        help="Does this GPU really train here, and if not, what is the one thing to fix?",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_common)
    for name, command in COMMANDS.items():
        function = _function(name, command) if name in wanted else _only_listed
        app.command(name, short_help=command.summary, **command.settings)(function)
    return app


def _function(name: str, command: Command) -> Callable[..., Any]:
    module = importlib.import_module(f"gpudoctor.cli.{command.module}")
    function: Callable[..., Any] = getattr(module, name)
    return function


def _only_listed() -> None:
    raise AssertionError


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"gpudoctor {__version__}")
        raise typer.Exit


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
        result = application(arguments)(args=arguments, prog_name="gpudoctor", standalone_mode=False)
    except _UsageError as error:  # type: ignore[misc]
        sentence = " ".join(str(error.format_message()).split())
        sys.stderr.write(f"gpudoctor: {sentence}\n")
        return WRONG_USAGE
    except typer.Abort:
        return 130
    return result if isinstance(result, int) else 0
