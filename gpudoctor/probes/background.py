"""Looks that go on side by side."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from gpudoctor.children import Limits
from gpudoctor.facts import Missing

_T = TypeVar("_T")


class Background(Generic[_T]):
    """A look that may never come back (a dead network mount), in a thread that nobody has to wait for."""

    def __init__(self, work: Callable[[], _T]) -> None:
        self._result: _T | Missing = Missing("timed-out", "no answer in time")
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads for this user (RLIMIT_NPROC): look now, in this one
            self._run(work)

    def _run(self, work: Callable[[], _T]) -> None:
        try:
            self._result = work()
        except Exception as error:  # a probe that crashes is a fact, whatever its kind
            self._result = Missing("crashed", f"{type(error).__name__}: {error}")

    def result(self, limits: Limits) -> _T | Missing:
        """What the work gave, or why there is nothing by the deadline."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, limits.deadline - time.monotonic()) + 1.0)
        return self._result
