"""``gpudoctor diagnose``: look at this machine and one Python environment, judge, train, report."""

from __future__ import annotations

import os
import platform
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from gpudoctor import __version__
from gpudoctor.children import Limits
from gpudoctor.cli.console import emit, say, style, whole_streams, writable
from gpudoctor.cli.settings import configured, silenced
from gpudoctor.config import LONGEST_TIME_LIMIT, SMALLEST_TIME_LIMIT
from gpudoctor.facts import Facts, Request
from gpudoctor.findings import Report
from gpudoctor.world import World

if TYPE_CHECKING:
    from gpudoctor.privacy import Identity


class Format(str, Enum):
    """How a report is printed."""

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


_LEAST_FOR_PLUGINS = 2.0
_MOST_FOR_PLUGINS = 60.0


class TerminatedError(BaseException):
    """SIGTERM or SIGHUP arrived: end as for an interrupt, with the report so far. The argument is its number."""


@dataclass(frozen=True)
class _Seen:
    """The facts, whole or those known when it ended early: by a signal (the exit code), or by a fault of ours."""

    facts: Facts
    interrupted: int | None = None
    fault: Exception | None = None


def diagnose(
    quick: Annotated[
        bool, typer.Option("--quick", help="Static facts and driver calls only: no framework import, no training.")
    ] = False,
    python: Annotated[
        str | None, typer.Option("--python", metavar="EXE", help="The interpreter, or environment folder, to look at.")
    ] = None,
    framework: Annotated[
        list[Framework] | None, typer.Option("--framework", help="A framework that must work here. Repeatable.")
    ] = None,
    allow_cpu: Annotated[bool, typer.Option("--allow-cpu", help="A GPU is not required.")] = False,
    format: Annotated[Format, typer.Option("--format", help="How to print the report.")] = Format.TERMINAL,  # noqa: A002
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the report there, not to stdout.")
    ] = None,
    fail_on: Annotated[
        FailOn | None, typer.Option("--fail-on", help="From which severity the exit code is 1 (default: error).")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option("--time-limit", metavar="SECONDS", help="End by then, with what is known.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show evidence and what was not judged.")] = False,
    no_redact: Annotated[bool, typer.Option("--no-redact", help="Keep private values in the output.")] = False,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="RULE", help="Silence a rule by name. Repeatable.")
    ] = None,
    save_facts: Annotated[
        Path | None, typer.Option("--save-facts", metavar="FILE", help="Also write the facts, redacted, as JSON.")
    ] = None,
    from_facts: Annotated[
        Path | None, typer.Option("--from-facts", metavar="FILE", help="Judge saved facts; look at nothing.")
    ] = None,
) -> int:
    """Look at this machine and one Python environment, name the one cause to fix, and train to prove it."""
    whole_streams()
    if time_limit is not None and not SMALLEST_TIME_LIMIT <= time_limit <= LONGEST_TIME_LIMIT:
        raise typer.BadParameter("must be between 1 and 86400 seconds", param_hint="--time-limit")
    settings = configured()
    silent = silenced(ignore or (), settings)
    threshold = fail_on or FailOn(settings.fail_on or "error")
    writable(output, "--output")
    writable(save_facts, "--save-facts")
    request = Request(
        source="command line",
        required=tuple(dict.fromkeys([one.value for one in framework or ()] or settings.framework)),
        allow_cpu=allow_cpu or settings.allow_cpu,
        quick=quick,
    )
    started = time.monotonic()
    if from_facts is not None:
        seen = _Seen(_replayed(from_facts, request))
    else:
        seen = _collected(python, request, time_limit or settings.time_limit)
    limit = time_limit or settings.time_limit or LONGEST_TIME_LIMIT
    look = from_facts is None and seen.interrupted is None
    report = _judged(seen, silent, look=look, started=started, limit=limit)
    if save_facts is not None:
        _save(report.facts, save_facts, redact=not no_redact)
    report = _published(report, format, output, threshold, verbose=verbose, redact=not no_redact)
    return seen.interrupted or _exit_code(report, threshold)


def _replayed(path: Path, request: Request) -> Facts:
    from gpudoctor.facts import decode

    try:
        facts = decode(path.read_bytes())
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--from-facts") from error
    except ValueError as error:
        raise typer.BadParameter(f"{path} holds no facts: {error}", param_hint="--from-facts") from error
    # The request is part of the facts; what this command line says in addition holds as well.
    asked = Request(
        source=request.source,
        required=request.required or facts.request.required,
        allow_cpu=request.allow_cpu or facts.request.allow_cpu,
        quick=facts.request.quick,
    )
    return msgspec.structs.replace(facts, request=asked)


def _collected(python: str | None, request: Request, time_limit: float | None) -> _Seen:
    from gpudoctor.children import kill_all
    from gpudoctor.cli.progress import progress
    from gpudoctor.doctor import Plan, collect
    from gpudoctor.probes.target import NotAnInterpreter, choose

    try:
        target = choose(python, os.environ)
    except NotAnInterpreter as error:
        raise typer.BadParameter(str(error), param_hint="--python") from error
    facts = Facts(gpudoctor=__version__)
    with progress(sys.stderr, os.environ) as watch, terminable():
        try:
            for grown in collect(Plan(target.executable, request, time_limit), World(), watch):
                facts = grown
        except KeyboardInterrupt:
            kill_all()
            return _Seen(facts, 128 + signal.SIGINT)
        except TerminatedError as error:
            kill_all()
            return _Seen(facts, 128 + int(error.args[0]))
        except Exception as error:  # programs rely on a report, whatever happens after the options were understood
            kill_all()
            return _Seen(facts, fault=error)
    return _Seen(facts)


@contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM and the SIGHUP of a terminal that was closed into an exception for as long as facts are collected.

    One that is ignored, as nohup does, stays ignored.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        raise TerminatedError(number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    heard = [number for number in numbers if before[number] is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _judged(seen: _Seen, silent: Mapping[str, str], *, look: bool, started: float, limit: float) -> Report:
    """The report; an undetermined one that says so in a line where gpudoctor itself fails."""
    seconds = time.monotonic() - started
    try:
        from gpudoctor.plugins import Session

        if seen.fault is not None:
            return _failed(seen.fault, seen.facts, seconds)
        left = min(max(limit - seconds, _LEAST_FOR_PLUGINS), _MOST_FOR_PLUGINS)
        with Session(ignore=silent) as session:
            report = session.judge(seen.facts, look=look, limits=Limits.within(left), ignore=silent)
        return msgspec.structs.replace(report, seconds=time.monotonic() - started)
    except Exception as error:
        return _failed(error, seen.facts, seconds)


def _failed(fault: Exception, facts: Facts, seconds: float) -> Report:
    from gpudoctor.wire import failure_report

    return failure_report(fault, gpudoctor=facts.gpudoctor, created=facts.created, facts=facts, seconds=seconds)


def _save(facts: Facts, path: Path, *, redact: bool) -> None:
    from gpudoctor.facts import encode
    from gpudoctor.privacy import redact as redacted

    try:
        path.write_bytes(encode(redacted(facts, identity=_identity())[0] if redact else facts))
    except OSError as error:
        say(f"{path} could not be written: {error.strerror}")


def _published(
    report: Report,
    format: Format,  # noqa: A002
    output: Path | None,
    fail_on: FailOn,
    *,
    verbose: bool,
    redact: bool,
) -> Report:
    """Write the report; gives the one that was written, which says what failed where this one cannot be rendered."""
    from gpudoctor.render import Options, render

    look = style(sys.stdout, os.environ, verbose=verbose)
    if output is not None:
        look = msgspec.structs.replace(look, colour=False, unicode=True)
    options = Options(style=look, fail_on=fail_on.value, redact=redact, identity=_identity())
    try:
        text = render(report, format.value, options=options)
    except Exception as error:
        report = _failed(error, Facts(gpudoctor=__version__), report.seconds)
        text = render(report, format.value, options=options)
    _write(text, format, output)
    return report


def _write(text: str, format: Format, output: Path | None) -> None:  # noqa: A002
    if output is None:
        emit(text, None if format is Format.TERMINAL else "utf-8")
        return
    try:
        output.write_text(text if text.endswith("\n") else text + "\n", "utf-8")
    except OSError as error:
        say(f"{output} could not be written: {error.strerror}")


def _identity() -> Identity:
    from gpudoctor.privacy import identify

    return identify(os.environ, platform.node())


def _exit_code(report: Report, fail_on: FailOn) -> int:
    from gpudoctor.wire import exit_code

    return exit_code(report.status, fail_on.value)
