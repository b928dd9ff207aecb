"""The standard streams, before anything is read or written."""

from __future__ import annotations

import os
import sys


def whole_streams() -> tuple[int, ...]:
    """Give a standard stream that was closed the null device, so that no file of ours takes its number.

    The numbers of those that were closed.
    """
    closed = []
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            closed.append(number)
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            stream = open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    return tuple(closed)
