"""One live line on stderr that says what is being looked at; nothing at all where stderr is no terminal."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

Watch = Callable[[str, str], None]

_TICK_SECONDS = 0.2
_CLEAR = "\r\x1b[K"
_LONGEST = 78


@contextmanager
def progress(stream: TextIO, environ: Mapping[str, str]) -> Iterator[Watch]:
    """A watch that shows progress on a terminal until the block ends, and silently takes it elsewhere."""
    if not stream.isatty() or environ.get("TERM") == "dumb":
        yield lambda _what, _state: None
        return
    line = _Line(stream)
    try:
        yield line.watch
    finally:
        line.close()


@contextmanager
def counting(stream: TextIO, environ: Mapping[str, str], total: int) -> Iterator[Callable[[int, str], None]]:
    """Told how many of many are done and what came of them; one live line on a terminal, silent elsewhere."""
    if not stream.isatty() or environ.get("TERM") == "dumb":
        yield lambda _done, _words: None
        return
    shown = 0.0

    def show(done: int, words: str) -> None:
        nonlocal shown
        if time.monotonic() - shown >= _TICK_SECONDS:
            shown = time.monotonic()
            _show(stream, f"{done:,} of {total:,} read{words}")

    try:
        yield show
    finally:
        _show(stream, "")


def _show(stream: TextIO, words: str) -> None:
    """Replace the live line: cut to the terminal, since a line that wraps could not be taken back."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns or 80
        stream.write(_CLEAR + words[: min(columns - 1, _LONGEST)])
        stream.flush()
    except (OSError, ValueError):
        return  # the terminal is gone


class _Line:
    """The state of each thing looked at, redrawn a few times a second by a thread of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._states: dict[str, tuple[str, float]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._draw, daemon=True)
        with contextlib.suppress(RuntimeError):  # no more threads for this user: then nothing is shown
            self._thread.start()

    def watch(self, what: str, state: str) -> None:
        # A stage tells of itself again and again; its time runs from the first.
        if self._states.get(what, ("", 0.0))[0] != state:
            self._states[what] = (state, time.monotonic())

    def close(self) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(1.0)
        _show(self._stream, "")

    def _draw(self) -> None:
        while not self._over.wait(_TICK_SECONDS):
            now = time.monotonic()
            parts = [
                f"{what}: {state} {now - since:.0f} s"
                for what, (state, since) in tuple(self._states.items())
                if state != "done"
            ]
            _show(self._stream, " | ".join(parts))
