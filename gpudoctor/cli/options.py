"""Options that several commands have in common, each explained once."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from gpudoctor.config import LONGEST_TIME_LIMIT, SMALLEST_TIME_LIMIT


class Format(str, Enum):
    """How a report is printed."""

    TERMINAL = "terminal"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"
    JUNIT = "junit"
    OPENMETRICS = "openmetrics"


class Plain(str, Enum):
    """How what is no report is printed: for people or for programs."""

    TERMINAL = "terminal"
    JSON = "json"


class FailOn(str, Enum):
    """From which severity of a finding the exit code is 1."""

    ERROR = "error"
    WARNING = "warning"
    NEVER = "never"


class Framework(str, Enum):
    """A framework by the name of its package."""

    TORCH = "torch"
    TENSORFLOW = "tensorflow"
    JAX = "jax"


PythonOption: TypeAlias = Annotated[
    str | None, typer.Option("--python", metavar="EXE", help="The interpreter, or environment folder, to look at.")
]
FrameworkOption: TypeAlias = Annotated[
    list[Framework] | None, typer.Option("--framework", help="A framework that must work here. Repeatable.")
]
AllowCpuOption: TypeAlias = Annotated[bool, typer.Option("--allow-cpu", help="A GPU is not required.")]
FormatOption: TypeAlias = Annotated[Format, typer.Option("--format", help="How to print the report.")]
OutputOption: TypeAlias = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the report there, not to stdout.")
]
FailOnOption: TypeAlias = Annotated[
    FailOn | None, typer.Option("--fail-on", help="From which severity the exit code is 1 (default: error).")
]
TimeLimitOption: TypeAlias = Annotated[
    float | None, typer.Option("--time-limit", metavar="SECONDS", help="End by then, with what is known.")
]
VerboseOption: TypeAlias = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show evidence and what was not judged.")
]
NoRedactOption: TypeAlias = Annotated[bool, typer.Option("--no-redact", help="Keep private values in the output.")]
IgnoreOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--ignore", metavar="RULE", help="Silence a rule by name. Repeatable.")
]
SaveFactsOption: TypeAlias = Annotated[
    Path | None, typer.Option("--save-facts", metavar="FILE", help="Also write the facts, redacted, as JSON.")
]

CopyOption: TypeAlias = Annotated[
    bool, typer.Option("--copy", help="Put the report on the clipboard: the ticket, or what --format says.")
]
PreviewOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--preview",
        help="Show what would leave, count what was hidden, and ask; without a terminal, print it and write nothing.",
    ),
]


def checked_time_limit(seconds: float | None) -> None:
    """Raises typer.BadParameter for a time limit that nobody can mean."""
    if seconds is not None and not SMALLEST_TIME_LIMIT <= seconds <= LONGEST_TIME_LIMIT:
        raise typer.BadParameter("must be between 1 and 86400 seconds", param_hint="--time-limit")
