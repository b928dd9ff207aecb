"""``gpudoctor preflight``: is this place fit for the job? Then it becomes the job.

It starts with every container and every job, so it loads no command-line library and, where the place is fit, nothing
that only a report needs.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TextIO

import msgspec

from gpudoctor import warm
from gpudoctor.cli.signals import TerminatedError, terminable
from gpudoctor.cli.streams import whole_streams
from gpudoctor.preflight import requirements as r

if TYPE_CHECKING:
    from gpudoctor.config import Config
    from gpudoctor.facts import Facts
    from gpudoctor.findings import Report
    from gpudoctor.preflight.look import Sight
    from gpudoctor.privacy import Identity

_WRONG_USAGE = 2
_UNDETERMINED = 3
_INTERRUPTED = 130
VARIABLE = "GPUDOCTOR_REQUIRE"
TERMINATION_LOG = "/dev/termination-log"
_TERMINATION_BYTES = 4096  # https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
_CONFIG_FILES = ("gpudoctor.toml", "pyproject.toml")

HELP = """\
Usage: gpudoctor preflight [OPTIONS] [-- COMMAND [ARGUMENT]...]

  Check whether this place is fit for a job, then become COMMAND.

  Without a requirement: the machine has a GPU that CUDA can use (gpus>=1).
  Whatever is required, a fault of driver or GPU is not fit either.

Options:
  -r, --require TEXT         What the job needs, see below. Repeatable, or
                             several with commas between them.
  --wait DURATION            Keep trying while the machine is still coming up
                             (60s, 5m): driver loading, fabric manager
                             starting, device nodes appearing.
  --on-unknown [stop|run]    What to do where it cannot be told whether the
                             place is fit (default: stop, exit code 3).
  --report FILE              Write the JSON report there.
  --save-facts FILE          Also write the facts, redacted, as JSON.
  --python EXE               The interpreter, or environment folder, to look
                             at: for torch, tensorflow, jax, nccl, smoke.
  --allow-cpu                A GPU is not required.
  --time-limit SECONDS       End each look by then, with what is known.
  --ignore RULE              Silence a rule by name. Repeatable.
  --no-redact                Keep private values in the report.
  -v, --verbose              Say what was found, also where all is met.
  -h, --help                 Show this message and exit.

Requirements:
  gpus>=2                    GPUs that CUDA shows
  vram>=40GiB                memory of each GPU (GB are smaller than GiB)
  free-vram>=30GiB           of that, free now
  capability>=8.0            compute capability of each GPU
  gpu~=H100                  words in each GPU's name (gpu~=H100|A100)
  driver>=550 cuda>=12.4     the driver, and the CUDA that it runs
  torch>=2.6 tensorflow jax  installed in the Python under test
  torch-cuda>=12.4           the CUDA that PyTorch was built with
  nccl>=2.20                 the NCCL of that Python
  shm>=8GiB                  size of /dev/shm
  mig=off ecc=on nvlink      modes and links of each GPU
  smoke                      prove it by a real training step
  no-warnings                warnings count as faults

  They also come from GPUDOCTOR_REQUIRE, and from require in the table
  [tool.gpudoctor.preflight] of pyproject.toml or gpudoctor.toml. All hold
  together; where two sources name the same thing, the command line comes
  before the variable, and the variable before the file.

Exit codes: 0 fit, 1 not fit, 2 wrong usage, 3 cannot be told; with COMMAND,
its own, 127 if it is not found, 126 if it is not executable.
"""


class UsageError(Exception):
    """The command line, the variable or the file is wrong. The message is one sentence."""


class Asked(msgspec.Struct):
    """The command line as it was written."""

    require: list[str] = []
    wait: str | None = None
    on_unknown: str | None = None
    report: str | None = None
    save_facts: str | None = None
    python: str | None = None
    time_limit: str | None = None
    ignore: list[str] = []
    allow_cpu: bool = False
    no_redact: bool = False
    verbose: bool = False
    help: bool = False
    command: tuple[str, ...] | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done, nothing left to be read or refused."""

    requirements: tuple[r.Requirement, ...]
    sight: Sight
    command: tuple[str, ...] = ()
    wait: float = 0.0
    run_unknown: bool = False
    report: str | None = None
    save_facts: str | None = None
    redact: bool = True
    verbose: bool = False
    ignore: Mapping[str, str] = {}

    @property
    def tells(self) -> bool:
        """Whether a report is wanted also where the place is fit."""
        return self.verbose or self.report is not None or self.save_facts is not None

    @property
    def fail_on(self) -> Literal["error", "warning"]:
        """From which severity a finding makes the place unfit."""
        return "warning" if any(one.name == "no-warnings" for one in self.requirements) else "error"


def run(arguments: Sequence[str]) -> int:
    """Check, and then become the command where there is one; else the exit code.

    Interpreters that were started ahead (:mod:`gpudoctor.warm`) are used, or ended.
    """
    closed = whole_streams()
    try:
        asked = read(arguments)
        if asked.help:
            print(HELP, end="")  # noqa: T201
            return 0
        job = understood(asked, os.environ)
        code = _checked(job)
    except UsageError as error:
        _say(f"gpudoctor: {error}\n")
        return _WRONG_USAGE
    finally:
        warm.dismiss()
    if not job.command or not (code == 0 or (code == _UNDETERMINED and job.run_unknown)):
        return code
    return _start(job.command, closed)


# ------------------------------------------------------------------------------------------------ the command line

_VALUES = {
    "-r": "require",
    "--require": "require",
    "--wait": "wait",
    "--on-unknown": "on_unknown",
    "--report": "report",
    "--save-facts": "save_facts",
    "--python": "python",
    "--time-limit": "time_limit",
    "--ignore": "ignore",
}
_FLAGS = {
    "--allow-cpu": "allow_cpu",
    "--no-redact": "no_redact",
    "-v": "verbose",
    "--verbose": "verbose",
    "-h": "help",
    "--help": "help",
}


def read(arguments: Sequence[str]) -> Asked:
    """The options and the command behind ``--``. Raises UsageError."""
    asked = Asked()
    words = iter(arguments)
    for word in words:
        if word == "--":
            asked.command = tuple(words)
            if not asked.command:
                raise UsageError("There is no command after '--'.")
        else:
            _take(asked, word, words)
    return asked


def _take(asked: Asked, word: str, rest: Iterator[str]) -> None:
    name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
    if name in _FLAGS and not equals:
        setattr(asked, _FLAGS[name], True)
        return
    if name not in _VALUES:
        raise UsageError(_no_such(word, name))
    given = value if equals else next(rest, None)
    if given is None:
        raise UsageError(f"Option '{name}' requires an argument.")
    place = _VALUES[name]
    present = getattr(asked, place)
    setattr(asked, place, [*present, given] if isinstance(present, list) else given)


def _no_such(word: str, name: str) -> str:
    if name in _FLAGS:
        return f"Option '{name}' does not take a value."
    if not word.startswith("-"):
        return f"preflight takes no argument {word!r}; a command comes after '--', a requirement after --require."
    from difflib import get_close_matches

    close = get_close_matches(name, [*_VALUES, *_FLAGS], 1)
    return f"No such option: {name}" + (f" Did you mean {close[0]}?" if close else "")


# ------------------------------------------------------------------------------------------ what it means, all told


def understood(asked: Asked, environ: Mapping[str, str]) -> Job:
    """The job, with what the variable and the file say. Raises UsageError; looks at no machine."""
    settings = _settings()
    of_file = settings.preflight if settings else None
    allow_cpu = asked.allow_cpu or bool(settings and settings.allow_cpu)
    wanted = r.merged(
        _requirements(asked.require, "--require"),
        _requirements((environ.get(VARIABLE, ""),), VARIABLE),
        _requirements(of_file.requirements, settings.file) if settings and of_file else (),
    )
    if not wanted and allow_cpu:
        raise UsageError("--allow-cpu leaves nothing to check; name a requirement with --require.")
    wanted = wanted or r.DEFAULT
    on_unknown = asked.on_unknown or (of_file.on_unknown if of_file else None) or "stop"
    if on_unknown not in ("stop", "run"):
        raise UsageError(f"Invalid value for '--on-unknown': {on_unknown!r} is not one of 'stop', 'run'.")
    _check_output(asked.report, "--report")
    _check_output(asked.save_facts, "--save-facts")
    return Job(
        requirements=wanted,
        sight=_sight(wanted, asked, settings, environ, allow_cpu=allow_cpu),
        command=asked.command or (),
        wait=_wait(asked.wait, of_file.wait if of_file else None),
        run_unknown=on_unknown == "run",
        report=asked.report,
        save_facts=asked.save_facts,
        redact=not asked.no_redact,
        verbose=asked.verbose,
        ignore=_silenced(asked.ignore, settings),
    )


def _requirements(texts: Sequence[str], place: str) -> tuple[r.Requirement, ...]:
    try:
        return r.parse_all(texts)
    except r.RequirementError as error:
        raise UsageError(f"{place}: {error}") from None


def _settings() -> Config | None:
    """The project's file, read only where one may be: reading TOML costs as much as looking at a GPU."""
    try:
        folder = os.getcwd()
    except OSError:  # a folder that was removed holds no file
        return None
    while not any(os.path.exists(os.path.join(folder, name)) for name in _CONFIG_FILES):
        folder, below = os.path.dirname(folder), folder
        if folder == below:
            return None
    from pathlib import Path

    from gpudoctor.config import ConfigError, load

    home = os.path.expanduser("~")
    try:
        return load(Path.cwd(), Path(home) if os.path.isabs(home) else None)
    except ConfigError as error:
        raise UsageError(str(error)) from None


def _wait(option: str | None, of_file: str | float | None) -> float:
    text = option if option is not None else of_file
    if text is None:
        return 0.0
    from gpudoctor.preflight.durations import seconds

    try:
        return seconds(str(text))
    except ValueError as error:
        raise UsageError(f"{'--wait' if option is not None else 'preflight.wait'}: {error}") from None


def _check_output(path: str | None, option: str) -> None:
    if path is None:
        return
    folder = os.path.dirname(os.path.abspath(path))
    place = path if os.path.exists(path) else folder
    if os.path.isdir(path) or not os.path.isdir(folder) or not os.access(place, os.W_OK):
        raise UsageError(f"Invalid value for '{option}': {path} cannot be written")


def _silenced(option: Sequence[str], settings: Config | None) -> Mapping[str, str]:
    if not option and not (settings and settings.ignore):
        return {}
    from gpudoctor.config import Config, ConfigError, silenced
    from gpudoctor.rules import names

    try:
        return silenced(option, settings or Config(), names())
    except ConfigError as error:
        raise UsageError(str(error)) from None


def _sight(
    wanted: tuple[r.Requirement, ...],
    asked: Asked,
    settings: Config | None,
    environ: Mapping[str, str],
    *,
    allow_cpu: bool,
) -> Sight:
    limit = _time_limit(asked.time_limit) or (settings.time_limit if settings else None)
    from gpudoctor.preflight.judged import asks_for_environment, request_for
    from gpudoctor.preflight.look import Sight

    environment = asks_for_environment(wanted)
    executable = sys.executable
    if environment or asked.python is not None:
        from gpudoctor.probes.target_choice import NotAnInterpreter, choose

        try:
            executable = choose(asked.python, environ).executable
        except NotAnInterpreter as error:
            raise UsageError(f"Invalid value for '--python': {error}") from None
    return Sight(request_for(wanted, allow_cpu=allow_cpu), executable, environment, limit)


def _time_limit(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        limit = float(text)
    except ValueError:
        raise UsageError(f"Invalid value for '--time-limit': {text!r} is not a valid float.") from None
    if not 1 <= limit <= 86400:
        raise UsageError("Invalid value for --time-limit: must be between 1 and 86400 seconds")
    return limit


# ------------------------------------------------------------------------------------------------------ the check


def _checked(job: Job) -> int:
    """The exit code of the check, with all that is to be said, written or left in peace."""
    from gpudoctor.children import kill_all

    try:
        with terminable():
            code, report = _until_fit(job)
            if report is not None:
                _tell(job, code, report)
    except KeyboardInterrupt:
        kill_all()
        return _INTERRUPTED
    except TerminatedError as error:
        kill_all()
        return 128 + int(error.args[0])
    return code


def _until_fit(job: Job) -> tuple[int, Report | None]:
    """Look and judge, again and again for as long as there is something to wait for."""
    end = time.monotonic() + job.wait
    pause, said = 0.0, ""
    while True:
        code, report = _once(job)
        left = end - time.monotonic()
        if report is None or code == 0 or left <= 0:
            return code, report
        gc.enable()
        from gpudoctor.preflight.wait import FIRST_PAUSE, awaited, longer

        reason = awaited(report)
        if reason is None:
            return code, report
        if reason != said:
            _say(f"gpudoctor: waiting for {reason}, for at most {left:.0f} s\n")
            said = reason
        pause = longer(pause) if pause else FIRST_PAUSE
        time.sleep(min(pause, left))


def _once(job: Job) -> tuple[int, Report | None]:
    """One look. No report where the place is fit and nobody wants to read one."""
    from gpudoctor.preflight.look import completed, first_look
    from gpudoctor.world import World

    started, world = time.monotonic(), World()
    facts = None
    try:
        facts = first_look(job.sight, world)
        if not job.tells and _is_plain(facts):
            return 0, None
        facts = completed(facts, job.sight, world)
        if not job.tells and _is_fit(job, facts):
            return 0, None
        from gpudoctor.report import judge

        report = judge(facts, ignore=job.ignore, seconds=time.monotonic() - started)
    except Exception as error:  # a fault of ours: programs rely on an answer
        report = _failed(error, facts, time.monotonic() - started)
    return _exit_code(job, report), report


def _is_plain(facts: Facts) -> bool:
    """Whether all requirements hold on a machine that no rule can find a fault of."""
    from gpudoctor.preflight.judged import requirements
    from gpudoctor.preflight.plain import plain

    judged = requirements(facts)
    return not judged.unmet and not judged.open and plain(facts)


def _is_fit(job: Job, facts: Facts) -> bool:
    from gpudoctor.preflight.fit import status_of

    return status_of(facts, job.ignore) in (("healthy",) if job.fail_on == "warning" else ("healthy", "warnings"))


def _failed(error: Exception, facts: Facts | None, spent: float) -> Report:
    from gpudoctor import __version__
    from gpudoctor.facts import Facts
    from gpudoctor.wire import failure_report

    facts = facts or Facts(gpudoctor=__version__)
    return failure_report(error, gpudoctor=__version__, created=facts.created, facts=facts, seconds=spent)


def _exit_code(job: Job, report: Report) -> int:
    from gpudoctor.wire import exit_code

    return exit_code(report.status, job.fail_on)


# ------------------------------------------------------------------------------------------------ what is said of it


def _tell(job: Job, code: int, report: Report) -> None:
    from gpudoctor.cli.called import program
    from gpudoctor.preflight.sentences import account, refusal

    if job.report is not None:
        _write(job.report, _rendered(job, report))
    if job.save_facts is not None:
        _write(job.save_facts, _facts(job, report))
    text = refusal(report, program()) if code else ""
    _say(text + (account(report) if job.verbose else ""))
    if code and os.environ.get("KUBERNETES_SERVICE_HOST"):
        _leave_message(text)


def _rendered(job: Job, report: Report) -> str:
    from gpudoctor.render import Options, render

    options = Options(fail_on=job.fail_on, redact=job.redact, identity=_identity())
    return render(report, "json", options=options).rstrip("\n") + "\n"


def _facts(job: Job, report: Report) -> str:
    from gpudoctor.facts import encode
    from gpudoctor.privacy import redact

    facts = redact(report.facts, identity=_identity())[0] if job.redact else report.facts
    return encode(facts).decode()


def _identity() -> Identity:
    import platform

    from gpudoctor.privacy import identify

    return identify(os.environ, platform.node())


def _write(path: str, text: str) -> None:
    from pathlib import Path

    from gpudoctor.cli.files import write_whole

    try:
        write_whole(Path(path), text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        _say(f"gpudoctor: {path} could not be written: {error.strerror}\n")


def _leave_message(text: str) -> None:
    """Kubernetes shows this file's text as the reason of a failed container; elsewhere there is none to write to."""
    try:
        number = os.open(TERMINATION_LOG, os.O_WRONLY | os.O_TRUNC | os.O_NOCTTY)
    except OSError:
        return
    with open(number, "wb") as file:
        file.write(text.encode()[:_TERMINATION_BYTES])


def _say(text: str) -> None:
    stream: TextIO = sys.stderr
    try:
        stream.write(text.encode(stream.encoding or "ascii", "backslashreplace").decode(stream.encoding or "ascii"))
        stream.flush()
    except OSError:  # nobody is there to hear it
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _start(command: tuple[str, ...], closed: tuple[int, ...]) -> int:
    """Become the command; else what a shell says and ends with."""
    from gpudoctor.preflight.become import NotStartedError, become, reap

    reap()
    sys.stdout.flush()
    for number in closed:
        os.set_inheritable(number, False)  # it was closed before we came, and is so for the command
    try:
        become(command)
    except NotStartedError as error:
        _say(f"gpudoctor: {error}\n")
        return error.code
