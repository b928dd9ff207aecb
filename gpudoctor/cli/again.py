"""The command line that was typed, to be typed again: what was looked at stays, what is made of it may change."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

import typer

from gpudoctor.cli.called import joined, program

# What becomes of a report, and not what it is about.
_OUTPUT = frozenset({"format", "ticket", "copy", "preview", "output", "fail_on", "verbose", "no_redact", "save_facts"})


def again(context: typer.Context, *words: str) -> str:
    """The same look at the same machine, with these words for the form of its report, quoted for the shell here."""
    return f"{program()} {joined([context.info_name or '', *_options(context), *words])}"


def _options(context: typer.Context) -> Iterator[str]:
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in _OUTPUT or source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[parameter.name or ""]
        option = max(parameter.opts, key=len)
        for one in value if isinstance(value, list | tuple) else [value]:
            yield from (option,) if one is True else (option, str(one.value if isinstance(one, Enum) else one))
