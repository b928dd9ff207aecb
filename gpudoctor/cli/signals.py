"""An end that comes from outside: by SIGTERM, or with the terminal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TerminatedError(BaseException):
    """SIGTERM or SIGHUP arrived: end as for an interrupt, with the report so far. The argument is its number."""


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
