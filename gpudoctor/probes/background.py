"""Looks that go on side by side."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
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
        self._result = _guarded(work)

    def result(self, limits: Limits) -> _T | Missing:
        """What the work gave, or why there is nothing by the deadline."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, limits.deadline - time.monotonic()) + 1.0)
        return self._result


def _guarded(work: Callable[[], _T]) -> _T | Missing:
    try:
        return work()
    except Exception as error:  # a probe that crashes is a fact, whatever its kind
        return Missing("crashed", f"{type(error).__name__}: {error}")


_LONGEST_LOOK = 60.0
_LEAST_SECONDS = 0.05


class Series(Generic[_T]):
    """Looks one after another, in a thread of their own. One that does not come back costs its own fact, no other's."""

    def __init__(self, works: Mapping[str, Callable[[], _T]]) -> None:
        self._left = list(works.items())
        self._found: dict[str, _T | Missing] = {}
        self._lock = threading.Lock()
        self._turn = ("", time.monotonic())
        try:
            self._thread = self._started()
        except RuntimeError:  # no more threads for this user (RLIMIT_NPROC): look now, in this one
            self._thread = threading.current_thread()
            self._run(self._thread)

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=lambda: self._run(thread), daemon=True)
        self._thread = thread
        thread.start()
        return thread

    def _run(self, thread: threading.Thread) -> None:
        while True:
            with self._lock:
                if self._thread is not thread or not self._left:
                    return
                name, work = self._left.pop(0)
                self._turn = (name, time.monotonic())
            found = _guarded(work)
            with self._lock:
                if self._thread is thread:
                    self._found[name] = found

    def result(self, limits: Limits) -> dict[str, _T | Missing]:
        """What each look gave, or why there is nothing by the deadline. One may take half of the time that is left."""
        while self._thread is not threading.current_thread() and self._thread.is_alive():
            name, since = self._turn
            half = since + min(_LONGEST_LOOK, max(0.0, limits.deadline - since) / 2)
            self._thread.join(max(0.0, half - time.monotonic()))
            if self._turn == (name, since) and self._thread.is_alive():
                self._leave_behind(name, limits)
        return self._found

    def _leave_behind(self, name: str, limits: Limits) -> None:
        """Go on without the look that does not come back, or, at the deadline, not at all."""
        with self._lock:
            self._thread = threading.current_thread()
            self._found[name] = Missing("timed-out", "no answer in time", name)
        why = "no time left" if limits.deadline - time.monotonic() < _LEAST_SECONDS else ""
        try:
            if not why:
                self._started()
        except RuntimeError as error:
            why, self._thread = str(error), threading.current_thread()
        if why:
            self._found.update({one: Missing("timed-out", why, one) for one, _ in self._left})
