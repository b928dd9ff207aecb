"""The command line: arguments in, exit code out. The only place that prints."""

from __future__ import annotations

import contextlib
import os
import sys

from gpudoctor import __version__

_INTERRUPTED = 130
_NOT_WRITTEN = 1
_UNDETERMINED = 3
_NO_MEMORY = b"gpudoctor itself failed, and nothing is known: MemoryError\n"


def main() -> None:
    """Entry point of the ``gpudoctor`` command and of ``python -m gpudoctor``."""
    try:
        _main()
    except MemoryError:  # too little even to say what failed
        with contextlib.suppress(MemoryError):
            _let_nothing_run()
        os.write(2, _NO_MEMORY)
        os._exit(_UNDETERMINED)


def _main() -> None:
    try:
        code = _run(sys.argv[1:])
    except KeyboardInterrupt:
        _let_nothing_run()
        code = _INTERRUPTED
    except OSError as error:
        # What cannot be printed (a closed pipe, a full disk) is said where there is still somebody to hear it.
        code = _NOT_WRITTEN
        _complain(f"gpudoctor: the output could not be written: {error.strerror}\n")
    except Exception as error:  # so little memory, so broken an installation that there is not even a report of it
        _let_nothing_run()
        code = _UNDETERMINED
        _complain(f"gpudoctor itself failed, and nothing is known: {_in_short(error)}\n")
    _end(code)


def _in_short(error: Exception) -> str:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    words = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
    return f"{words} ({place.tb_frame.f_code.co_filename}:{place.tb_lineno})" if place else words


def _complain(sentence: str) -> None:
    with contextlib.suppress(OSError):
        if sys.stderr:
            sys.stderr.write(sentence)
            sys.stderr.flush()


def _run(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        # Before typer is imported: container images ask for this at every start.
        print(f"gpudoctor {__version__}", flush=True)  # noqa: T201
        return 0
    from gpudoctor.cli.space import too_little

    sentence = too_little()
    if sentence:
        _complain(f"gpudoctor: {sentence}\n")
        return _UNDETERMINED
    if arguments[:1] == ["preflight"]:
        return _preflight(arguments[1:])
    from gpudoctor.cli.signals import TerminatedError, insistent, terminable

    try:
        with insistent(), terminable():
            return _command(arguments)
    except TerminatedError as error:
        _let_nothing_run()
        return 128 + int(error.args[0])


def _command(arguments: list[str]) -> int:
    # msgspec imports it from C, where an interrupt is lost, and without it crashes the process later.
    import datetime  # noqa: F401
    import gc

    gc.set_threshold(50_000, 20, 20)  # what is imported stays: looking it through again and again takes a while
    from gpudoctor.cli.app import run
    from gpudoctor.cli.console import whole_streams

    whole_streams()
    code = run(arguments)
    sys.stdout.flush()
    return code


def _let_nothing_run() -> None:
    """End the children that an interrupt has left, if it came so late that there are any."""
    if "gpudoctor.children" in sys.modules:
        from gpudoctor.children import kill_all

        kill_all()


def _preflight(arguments: list[str]) -> int:
    """Before every job: it costs no more than it must. Ends this process at once, all that it started being ended."""
    import datetime  # noqa: F401 - see _command
    import gc

    from gpudoctor import warm

    gc.disable()  # it is over before there is anything to collect
    if not {"-h", "--help"} & set(arguments):
        warm.start()
    from gpudoctor.cli.preflight import run

    code = run(arguments)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _end(code: int) -> None:
    """Leave at once, all that was started being ended.

    The interpreter's own way out takes a while, in which what stdout still holds and cannot be written is a traceback,
    and an interrupt that comes too late for anything is another.
    """
    if "signal" in sys.modules:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream:
                stream.flush()
        except OSError:
            continue  # it was said where anybody could hear it
    os._exit(code)
