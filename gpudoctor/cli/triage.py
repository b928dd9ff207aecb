"""``gpudoctor triage``: judge pasted text; many files are one process."""

from __future__ import annotations

import gc
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from gpudoctor.cli import options
from gpudoctor.cli.console import emit, say, style, writable
from gpudoctor.cli.files import write_whole
from gpudoctor.cli.options import FailOn
from gpudoctor.cli.settings import configured, silenced, threshold

if TYPE_CHECKING:
    from gpudoctor.findings import Report
    from gpudoctor.render import Format, Options


class TriageFormat(str, Enum):
    """How reports on pasted texts are printed."""

    TERMINAL = "terminal"
    JSON = "json"
    JSONL = "jsonl"
    MARKDOWN = "markdown"
    HTML = "html"
    JUNIT = "junit"
    OPENMETRICS = "openmetrics"


_SEVERAL = (TriageFormat.TERMINAL, TriageFormat.JSONL)
"""The formats that several reports can follow one another in."""

_UNREADABLE = 2


def triage(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Text files; - is standard input.")
    ] = None,
    format: Annotated[  # noqa: A002
        TriageFormat, typer.Option("--format", help="How to print the reports; jsonl: one compact report a line.")
    ] = TriageFormat.TERMINAL,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the reports there, not to stdout.")
    ] = None,
    fail_on: options.FailOnOption = None,
    verbose: options.VerboseOption = False,
    no_redact: options.NoRedactOption = False,
    ignore: options.IgnoreOption = None,
) -> int:
    """Judge pasted text (collect_env, nvidia-smi, pip list, error messages, a gpudoctor report) from any machine."""
    names = _names(files)
    if format not in _SEVERAL and len(names) > 1:
        raise typer.BadParameter(f"{format.value} is one report; for several files use jsonl", param_hint="--format")
    settings = configured()
    silent = silenced(ignore or (), settings)
    failing = threshold(fail_on, settings)
    writable(output, "--output")
    shown = _options(failing, output, verbose=verbose, redact=not no_redact, compact=format is TriageFormat.JSONL)
    codes = {0}
    with _writer(output, format) as write:
        for position, report in enumerate(_reports(names, silent)):
            codes.add(_exit_code(report, failing))
            if not write(_text(report, format, shown, first=position == 0)):
                break
    return max(codes, key=_ORDER.index)


_ORDER = (0, 3, 1, _UNREADABLE)
"""Exit codes from the mildest to the one that wins."""


def _names(files: Sequence[str] | None) -> tuple[str, ...]:
    """The inputs as given; standard input where none was and something is piped in."""
    if files:
        if list(files).count("-") > 1:
            raise typer.BadParameter("standard input (-) can be read only once", param_hint="FILE")
        return tuple(files)
    if sys.stdin is None or sys.stdin.isatty():
        raise typer.BadParameter("no text: name a file, or pipe one in (nvidia-smi | gpudoctor triage)")
    return ("-",)


def _reports(names: Sequence[str], silent: Mapping[str, str]) -> Iterator[Report]:
    from gpudoctor.cli.progress import counting
    from gpudoctor.plugins import Session

    broken = 0
    with counting(sys.stderr, os.environ, len(names)) as show, Session(ignore=silent) as session:
        session.prepare()
        for done, name in enumerate(names):
            show(done, f", {broken:,} broken")
            report = _report(name, silent, session.judge)
            if not done:
                gc.freeze()  # rules and matrix are loaded and stay: nothing to look through again for every text
            broken += report.status == "broken"
            yield report


def _report(name: str, silent: Mapping[str, str], judged: Callable[..., Report]) -> Report:
    from gpudoctor.pasted import now, triage, unreadable

    try:
        return triage(_bytes(name), name, ignore=silent, judged=judged)
    except OSError as error:
        return unreadable(f"{error.strerror or error}.", name)
    except Exception as error:  # one text that breaks gpudoctor takes no other's report with it
        from gpudoctor import __version__
        from gpudoctor.wire import failure_report

        return failure_report(error, gpudoctor=__version__, created=now(), source="paste", input=name)


def _bytes(name: str) -> bytes:
    from gpudoctor.pasted import STDIN, bytes_in, bytes_of

    return bytes_in(sys.stdin.buffer) if name == STDIN else bytes_of(Path(name))


def _options(fail_on: FailOn, output: Path | None, *, verbose: bool, redact: bool, compact: bool) -> Options:
    from gpudoctor.cli.called import program
    from gpudoctor.privacy import identify
    from gpudoctor.render import Options
    from gpudoctor.render.page import Calls

    look = style(sys.stdout, os.environ, verbose=verbose)
    if output is not None:
        look = msgspec.structs.replace(look, colour=False, unicode=True)
    # The names of whoever triages are hidden too, but ~ in a paste is the home folder of the paste's writer.
    identity = identify({name: value for name, value in os.environ.items() if "USER" in name}, platform.node())
    calls = Calls(program=program(), ticket="")  # it was one
    return Options(style=look, fail_on=fail_on.value, redact=redact, identity=identity, calls=calls, compact=compact)


_FORMATS: dict[TriageFormat, Format] = {
    TriageFormat.TERMINAL: "terminal",
    TriageFormat.JSON: "json",
    TriageFormat.JSONL: "json",
    TriageFormat.MARKDOWN: "markdown",
    TriageFormat.HTML: "html",
    TriageFormat.JUNIT: "junit",
    TriageFormat.OPENMETRICS: "openmetrics",
}


def _text(report: Report, format: TriageFormat, options: Options, *, first: bool) -> str:  # noqa: A002
    from gpudoctor.render import render

    text = render(report, _FORMATS[format], options=options)
    return text if options.compact or first else f"\n{text}"


def _exit_code(report: Report, fail_on: FailOn) -> int:
    from gpudoctor.wire import exit_code

    return _UNREADABLE if report.unreadable else exit_code(report.status, fail_on.value)


@contextmanager
def _writer(output: Path | None, format: TriageFormat) -> Iterator[Callable[[str], bool]]:  # noqa: A002
    """A function that writes a report as soon as it is there; False when nobody takes more."""
    if output is None:
        encoding = None if format is TriageFormat.TERMINAL else "utf-8"
        yield lambda text: emit(text, encoding)
        return
    if format not in _SEVERAL:
        yield lambda text: _written(output, lambda: write_whole(output, text.encode("utf-8", "backslashreplace")))
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(output.open("w", encoding="utf-8"))
        except OSError as error:
            raise typer.BadParameter(f"{output} cannot be written: {error.strerror}", param_hint="--output") from error

        def write(text: str) -> None:
            file.write(text)
            file.flush()

        yield lambda text: _written(output, lambda: write(text))


def _written(output: Path, write: Callable[[], object]) -> bool:
    try:
        write()
    except OSError as error:
        say(f"{output} could not be written: {error.strerror}")
        return False
    return True
