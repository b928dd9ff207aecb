"""What the commands that look at this machine share: look, judge, write the report, and end as it says."""

from __future__ import annotations

import os
import platform
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer

from gpudoctor import __version__
from gpudoctor.children import Limits
from gpudoctor.cli.called import program
from gpudoctor.cli.clipboard import copy
from gpudoctor.cli.console import emit, say, style, writable
from gpudoctor.cli.files import write_whole
from gpudoctor.cli.options import FailOn, Format
from gpudoctor.cli.preview import CLIPBOARD, STDOUT, interactive, preview
from gpudoctor.cli.signals import TerminatedError, terminable
from gpudoctor.config import LONGEST_TIME_LIMIT
from gpudoctor.facts import Facts, Request
from gpudoctor.world import World

if TYPE_CHECKING:
    from gpudoctor.collectives.job import Node, Rank
    from gpudoctor.doctor import Training
    from gpudoctor.findings import Report
    from gpudoctor.privacy import Identity

_LEAST_FOR_PLUGINS = 2.0
_MOST_FOR_PLUGINS = 60.0
_NOT_WRITTEN = 1


class Seen(msgspec.Struct, frozen=True):
    """The facts, whole or those known when it ended early: by a signal (the exit code), or by a fault of ours."""

    facts: Facts
    interrupted: int | None = None
    fault: Exception | None = None


class Output(msgspec.Struct, frozen=True):
    """Where the report goes, in which form, and what it makes of the exit code.

    ``ticket`` is the command that makes the ticket of the same report; ``here``: this machine is looked at.
    """

    format: Format
    file: Path | None
    fail_on: FailOn
    verbose: bool
    redact: bool
    save_facts: Path | None = None
    copy: bool = False
    preview: bool = False
    ticket: str = ""
    here: bool = True

    def check(self) -> None:
        """Raises typer.BadParameter for a file that cannot be written, before anything is looked at."""
        writable(self.file, "--output")
        writable(self.save_facts, "--save-facts")


def collected(
    python: str | None,
    request: Request,
    output: Output,
    time_limit: float | None,
    training: Training | None = None,
    part: Node | Rank | None = None,
) -> Seen:
    """The facts of this machine and the chosen environment. Raises typer.BadParameter for no interpreter.

    What :func:`finished` needs for this output is imported meanwhile.
    """
    from gpudoctor import doctor
    from gpudoctor.children import kill_all
    from gpudoctor.cli.progress import progress
    from gpudoctor.probes.target_choice import NotAnInterpreter, choose

    try:
        target = choose(python, os.environ)
    except NotAnInterpreter as error:
        raise typer.BadParameter(str(error), param_hint="--python") from error
    facts = Facts(gpudoctor=__version__)
    plan = doctor.Plan(target.executable, request, time_limit, training or doctor.Training(), part)
    with progress(sys.stderr, os.environ) as watch, terminable():
        try:
            for grown in doctor.collect(plan, World(), watch, lambda: _prepare(output.format)):
                facts = grown
        except KeyboardInterrupt:
            kill_all()
            return Seen(facts, 128 + signal.SIGINT)
        except TerminatedError as error:
            kill_all()
            return Seen(facts, 128 + int(error.args[0]))
        except Exception as error:  # programs rely on a report, whatever happens after the options were understood
            kill_all()
            return Seen(facts, fault=error)
    return Seen(facts)


def _prepare(format: Format) -> None:  # noqa: A002
    """Import what reads the answers, judges, and renders. To judge nothing prepares every rule."""
    from gpudoctor import plugins  # noqa: F401
    from gpudoctor.probes import builds  # noqa: F401
    from gpudoctor.render import renderer
    from gpudoctor.report import judge

    renderer(format.value)
    judge(Facts(gpudoctor=__version__))


def finished(
    seen: Seen, output: Output, silent: Mapping[str, str], *, look: bool, started: float, time_limit: float | None
) -> int:
    """Judge, write what was asked for, and give the exit code. ``look``: plug-ins may look at this machine."""
    limit = time_limit or LONGEST_TIME_LIMIT
    report = _judged(seen, silent, look=look and seen.interrupted is None, started=started, limit=limit)
    report, text = _rendered(report, output, output.format)
    whole = _Leaving(report, output, text).leave(ask=seen.interrupted is None)
    return seen.interrupted or _exit_code(report, output.fail_on) or (0 if whole else _NOT_WRITTEN)


def _judged(seen: Seen, silent: Mapping[str, str], *, look: bool, started: float, limit: float) -> Report:
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


def _rendered(report: Report, output: Output, format: Format) -> tuple[Report, str]:  # noqa: A002
    """The report as text; the one that could be rendered, which says what failed where this one cannot be."""
    from gpudoctor.render import Options, render
    from gpudoctor.render.page import Calls

    look = style(sys.stdout, os.environ, verbose=output.verbose)
    if output.file is not None:
        look = msgspec.structs.replace(look, colour=False, unicode=True)
    identity = None if format is Format.TERMINAL else _identity()  # what only oneself sees hides nothing
    called = program()
    calls = Calls(program=called, there=called if output.here else "gpudoctor", ticket=output.ticket)
    options = Options(style=look, fail_on=output.fail_on.value, redact=output.redact, identity=identity, calls=calls)
    try:
        return report, render(report, format.value, options=options)
    except Exception as error:
        report = _failed(error, Facts(gpudoctor=__version__), report.seconds)
        return report, render(report, format.value, options=options)


class _Leaving(msgspec.Struct, frozen=True):
    """What is written for one report: to standard output, files and the clipboard; with ``--preview`` after asking."""

    report: Report
    output: Output
    text: str

    def leave(self, *, ask: bool) -> bool:
        """Write all that was asked for; False where something could not be written."""
        output = self.output
        if not output.preview:
            return self._write(self._texts())
        texts = self._texts()
        asked = ask and interactive()
        if output.file is None and (self._for_own_eyes or not asked):
            self._print()
            texts.pop(STDOUT, None)
        elif not asked:
            self._print()
        if not texts and output.format is Format.TERMINAL:
            say("nothing would leave this machine")
        elif preview(texts, self._hidden(), shown=self.text if self._for_own_eyes else None, ask=asked):
            return self._write(texts)
        return True

    @property
    def _encoding(self) -> str | None:
        return None if self.output.format is Format.TERMINAL else "utf-8"

    @property
    def _for_own_eyes(self) -> bool:
        """Whether the report is only shown: on a terminal, or in the terminal's own format."""
        return self.output.file is None and (self.output.format is Format.TERMINAL or sys.stdout.isatty())

    def _texts(self) -> dict[str, str]:
        """Each text by where it goes, in the order of writing."""
        output, texts = self.output, {}
        if output.save_facts is not None:
            texts[str(output.save_facts)] = self._facts()
        if output.copy:
            ticket = output.format is Format.TERMINAL
            texts[CLIPBOARD] = _rendered(self.report, output, Format.MARKDOWN)[1] if ticket else self.text
        texts[STDOUT if output.file is None else str(output.file)] = self.text
        return texts

    def _facts(self) -> str:
        from gpudoctor.facts import encode
        from gpudoctor.privacy import redact

        facts = self.report.facts
        return encode(redact(facts, identity=_identity())[0] if self.output.redact else facts).decode()

    def _hidden(self) -> dict[str, int] | None:
        """What was hidden by its kind, None where nothing was to be hidden."""
        from gpudoctor.privacy import redact_report

        return redact_report(self.report, _identity()).hidden if self.output.redact else None

    def _write(self, texts: Mapping[str, str]) -> bool:
        whole, copied = True, False
        for where, text in texts.items():
            if where == CLIPBOARD:
                copied = copy(text)
            elif where != STDOUT:
                whole &= _written(text, Path(where))
            elif not (copied and self._for_own_eyes and self.output.format is not Format.TERMINAL):
                self._print()
        return whole

    def _print(self) -> None:
        emit(self.text, self._encoding)


def _written(text: str, path: Path) -> bool:
    try:
        write_whole(path, (text if text.endswith("\n") else text + "\n").encode("utf-8", "backslashreplace"))
    except OSError as error:
        say(f"{path} could not be written: {error.strerror}")
        return False
    return True


def _identity() -> Identity:
    from gpudoctor.privacy import identify

    return identify(os.environ, platform.node())


def _exit_code(report: Report, fail_on: FailOn) -> int:
    from gpudoctor.wire import exit_code

    return exit_code(report.status, fail_on.value)
