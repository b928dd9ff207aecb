"""Which interpreter is looked at: names and permissions only, nothing is started."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping

import msgspec


class NotAnInterpreter(Exception):  # noqa: N818 - it is what the user named, not a fault of ours
    """The interpreter that was asked for cannot be one. The message is one sentence for the user."""


class NothingThereError(NotAnInterpreter):
    """Nothing that could be one lies there."""


class Target(msgspec.Struct, frozen=True):
    """The interpreter under test as an absolute path, links not resolved (a venv's python is a link), and why it."""

    executable: str
    named_by: str


def choose(python: str | None, environ: Mapping[str, str]) -> Target:
    """The interpreter under test: ``python``, else $VIRTUAL_ENV's, else $CONDA_PREFIX's, else our own.

    ``python`` is a path, a command on PATH, or the folder of an environment. Raises :class:`NotAnInterpreter`; looks
    at names and permissions only and starts nothing.
    """
    if python is not None:
        return Target(_from_words(python, environ), "--python")
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        prefix = environ.get(variable)
        if prefix:
            return Target(_from_variable(variable, prefix), f"${variable}")
    return Target(sys.executable, "gpudoctor's own")


def _from_words(python: str, environ: Mapping[str, str]) -> str:
    if not python or "\0" in python:
        raise NotAnInterpreter("--python needs the path of a Python interpreter or of an environment.")
    path = os.path.expanduser(python)
    is_name = os.path.basename(path) == path
    if is_name and not os.path.exists(path):
        found = shutil.which(path, path=environ.get("PATH", os.defpath))
        if found is None:
            raise NotAnInterpreter(f"There is no {_shown(python)} on PATH and none in this folder.")
        path = found
    return _executable(os.path.abspath(path), python)


def _from_variable(variable: str, prefix: str) -> str:
    try:
        return _executable(os.path.abspath(prefix), prefix)
    except (NothingThereError, ValueError) as error:
        raise NotAnInterpreter(
            f"${variable} is {_shown(prefix)}, where there is no Python to look at; name one with --python."
        ) from error
    except NotAnInterpreter as error:
        raise NotAnInterpreter(f"${variable} is {_shown(prefix)}, and {error} Name another with --python.") from error


def _executable(path: str, shown: str) -> str:
    if os.path.isdir(path):
        return _inside(path, shown)
    reason = _refusal(path)
    if reason:
        raise NotAnInterpreter(f"{_shown(shown)} {reason}.")
    if not os.path.lexists(path):
        raise NothingThereError(f"There is no {_shown(shown)}.")
    return path


_PLACES = ("bin/python", "bin/python3", "Scripts/python.exe", "python.exe", "python3", "python")


def _inside(folder: str, shown: str) -> str:
    reasons = []
    for place in _PLACES:
        path = os.path.join(folder, *place.split("/"))
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
        reason = _refusal(path)
        reasons += [f"{_shown(os.path.join(shown, *place.split('/')))} {reason}."] if reason else []
    if reasons:
        raise NotAnInterpreter(reasons[0])
    raise NothingThereError(f"{_shown(shown)} is a folder without a Python interpreter in it.")


def _refusal(path: str) -> str | None:
    """Why what lies at a path is no program that can be started, None where nothing lies there or it can."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        gone = os.path.realpath(path)
        return f"is a link to {_shown(gone)}, which does not exist" if os.path.islink(path) else None
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    if not os.path.isfile(path):
        return "is not a program"
    return None if os.access(path, os.X_OK) else "is not executable"


def _shown(text: str) -> str:
    """A name for one line of text, whatever bytes it has."""
    return "".join(c if c.isprintable() else "?" for c in text)
