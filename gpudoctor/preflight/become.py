"""Becoming the job: this process is replaced by a command, which keeps its process id and nothing else of it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from typing import NoReturn

NOT_EXECUTABLE = 126
NOT_FOUND = 127

_REAP_SECONDS = 1.0
_REAP_PAUSE = 0.005


class NotStartedError(Exception):
    """The command could not be started. ``code`` is what a shell ends with then; the message says why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def become(command: Sequence[str], environ: Mapping[str, str] | None = None) -> NoReturn:
    """Replace this process by the command, looked up on PATH. Raises NotStartedError, signals as they were then.

    Signal dispositions are those that a program finds which a shell starts: SIGPIPE and SIGXFSZ, which Python ignores
    from its start on, have their default action again. Inherited file descriptors stay open; ours close themselves.
    """
    if not command[0]:
        raise NotStartedError(NOT_FOUND, "'': command not found")
    variables = dict(inherited() if environ is None else environ)
    python = _python_signals()
    try:
        os.execvpe(command[0], list(command), variables)  # noqa: S606 - the user's own command, and no shell
    except (FileNotFoundError, NotADirectoryError):
        reason = NotStartedError(NOT_FOUND, f"{command[0]}: command not found")
    except (OSError, ValueError) as error:
        reason = NotStartedError(NOT_EXECUTABLE, f"{command[0]}: {getattr(error, 'strerror', None) or error}")
    for number, handler in python.items():
        signal.signal(number, handler)
    raise reason


def _python_signals() -> dict[int, signal._HANDLER]:
    """Undo what Python did to signals at its start; gives what was in their place."""
    numbers = [getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ", "SIGXFZ") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        if before[number] is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    return before


def inherited() -> dict[str, str]:
    """The environment as it was given to this process: without the LC_CTYPE that Python adds in the C locale.

    https://peps.python.org/pep-0538/
    """
    variables = dict(os.environ)
    if "LC_CTYPE" in variables and not _was_given("LC_CTYPE"):
        del variables["LC_CTYPE"]
    return variables


def _was_given(name: str) -> bool:
    try:
        with open("/proc/self/environ", "rb") as file:
            return any(entry.startswith(f"{name}=".encode()) for entry in file.read().split(b"\0"))
    except OSError:
        return True


def reap() -> None:
    """As process 1, take in what our children have left behind, for a moment: nobody else will.

    Elsewhere orphans go to another process; children of ours were waited for one by one.
    """
    if os.getpid() != 1:
        return
    deadline = time.monotonic() + _REAP_SECONDS
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                if not _dying():
                    return
                time.sleep(_REAP_PAUSE)


def _dying() -> bool:
    """Whether a child of ours is left that leads a session of its own, as all that we start do, or was orphaned."""
    own = os.getsid(0)
    for pid in _children():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) != own:
                return True
    return False


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]
    except (OSError, ValueError):
        return []
