"""An end that comes from outside: by SIGTERM, or with the terminal."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN_SECONDS = 0.01


class TerminatedError(BaseException):
    """SIGTERM or SIGHUP arrived: end as for an interrupt, with the report so far. The argument is its number."""


@contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM and the SIGHUP of a terminal that was closed into an exception, and let no signal break an import.

    Between two instructions of Python's import an exception leaves a lock behind that nobody opens again, for which
    other threads wait, and then this one (``_get_module_lock``), and where C imports, it is lost:
    https://github.com/python/cpython/blob/3.11/Lib/importlib/_bootstrap.py.
    Such a signal comes once more when the import is over. One that is ignored, as nohup does, stays ignored.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        if _imports(frame):
            _again(number)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise TerminatedError(number)

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    heard = [number for number in numbers if before[number] is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _imports(frame: FrameType | None) -> bool:
    """Whether a frame lies in an import, or in what is being imported."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def insistent() -> Iterator[None]:
    """Let a signal that came where Python swallows every exception (a destructor) come once more, a moment later."""
    before = sys.unraisablehook

    def swallowed(what: sys.UnraisableHookArgs) -> None:
        if isinstance(what.exc_value, TerminatedError):
            number = int(what.exc_value.args[0])
        elif issubclass(what.exc_type, KeyboardInterrupt):
            number = signal.SIGINT
        else:
            before(what)
            return
        _again(number)

    sys.unraisablehook = swallowed
    try:
        yield
    finally:
        sys.unraisablehook = before


def _again(number: int) -> None:
    threading.Timer(_AGAIN_SECONDS, _to_main_thread, (number,)).start()


def _to_main_thread(number: int) -> None:
    """Send this process a signal so that a wait of its main thread ends."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, number)
    else:
        signal.raise_signal(number)
