"""Ctrl-C, SIGTERM and SIGHUP, made to wait while something must be done as a whole.

Python raises an exception for a signal between any two instructions of the main thread: also between the start of a
process and the note that there is one, or half-way through the removal of a folder.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def held() -> Iterator[list[int]]:
    """Let a signal that ends this process wait for the end of the block, which must be short.

    Gives the numbers of those that wait, a list that grows. What is ignored stays ignored. Threads other than the main
    one are never interrupted: there this does nothing.
    """
    waiting: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield waiting
        return

    def wait(number: int, _frame: FrameType | None) -> None:
        waiting.append(number)

    # None: a handler that was not set from Python, and cannot be set again.
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    changed = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    try:
        for number in changed:
            signal.signal(number, wait)
        yield waiting
    finally:
        with _blocked():  # an exception half-way would leave the other handlers as they are
            for number in changed:
                signal.signal(number, before[number])
        for number in dict.fromkeys(waiting):
            signal.raise_signal(number)


@contextmanager
def _blocked() -> Iterator[None]:
    """Let the kernel keep these signals. Not for longer: a process that is started meanwhile would never hear them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _NUMBERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
