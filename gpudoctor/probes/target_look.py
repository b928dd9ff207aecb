"""What the world is asked of the environment under test; :mod:`gpudoctor.probes.target` makes facts of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gpudoctor.children import Child, Ending, Limits
from gpudoctor.facts import Maybe, Missing, OtherEnvironments
from gpudoctor.probes import nearby
from gpudoctor.probes.target_answer import Answer, TooOld
from gpudoctor.world import World

WHERE = "interpreter under test"
_OLDEST = "3.6"
_T = TypeVar("_T")


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What the interpreter answered, or why it did not, and what lies around its environment.

    ``project`` is the folder of the project that the environment belongs to, ``ruler`` the tool whose lock file lies
    there.
    """

    executable: str
    answer: Answer | None
    missing: Missing | None
    project: str | None
    ruler: str | None
    other_environments: Maybe[OtherEnvironments]


def look(world: World, executable: str, limits: Limits) -> Looked:
    """Ask the interpreter, under the user's environment variables and working directory. Writes no file."""
    answer = ask(world, executable, limits)
    told = answer if isinstance(answer, Answer) else None
    prefix = told.interpreter.prefix if told and told.interpreter else None
    project, ruler = (None, None) if prefix is None else _project(world, prefix)
    return Looked(
        executable=executable,
        answer=told,
        missing=answer if isinstance(answer, Missing) else None,
        project=project,
        ruler=ruler,
        other_environments=_guarded(
            lambda: nearby.other_environments(world, os.getcwd(), prefix), "environments nearby"
        ),
    )


def ask(world: World, executable: str, limits: Limits) -> Answer | Missing:
    """The answer of inside/collect.py in that interpreter."""
    # PYTHONINSPECT would keep the interpreter waiting for input; PYTHONIOENCODING decides how it reads the program.
    environ = {name: value for name, value in world.environ.items() if name != "PYTHONINSPECT"}
    environ.update(PYTHONDONTWRITEBYTECODE="1", PYTHONIOENCODING="utf-8")
    with Child.python(executable, program(), environ=environ, limits=limits) as child:
        for message in child.messages():
            return _read(message)
        return _silent(child.ending())


def program() -> str:
    """What the interpreter under test is given to run."""
    return Path(__file__).parents[1].joinpath("inside", "collect.py").read_text("ascii")


def _read(message: dict[str, Any]) -> Answer | Missing:
    if "too_old" in message:
        return _too_old(message)
    try:
        return msgspec.convert(message, Answer, strict=True)
    except msgspec.ValidationError as error:
        return Missing("unreadable", f"its answer has another form: {error}", WHERE)


def _too_old(message: dict[str, Any]) -> Missing:
    try:
        version = msgspec.convert(message, TooOld, strict=True).too_old
    except msgspec.ValidationError as error:
        return Missing("unreadable", f"its answer has another form: {error}", WHERE)
    return Missing("unreadable", f"Python {version}; {_OLDEST} or newer can be looked at", WHERE)


def _silent(ending: Ending) -> Missing:
    """An end without an answer, as a fact."""
    last = ending.tail[-1].strip() if ending.tail else ""
    if ending.how == "not-started":
        return Missing("unreadable", f"it cannot be started: {ending.detail}", WHERE)
    if ending.how in ("timed-out", "hung"):
        asleep = f"; process {ending.pid} sleeps in {ending.wait_channel or 'the kernel'}" if ending.stuck else ""
        return Missing("timed-out", f"no answer after {ending.seconds:.0f} s{asleep}", WHERE)
    if ending.how == "flooded":
        return Missing("crashed", "it prints without end", WHERE)
    printed = f"; it printed: {last}" if last else ""
    if ending.how == "exited" and ending.code == 0:
        return Missing("unreadable", f"it does not answer as a Python interpreter does{printed}", WHERE)
    return Missing("crashed", f"{ending.words} before it answered{printed}", WHERE)


def _guarded(find: Callable[[], _T], where: str) -> _T | Missing:
    try:
        return find()
    except OSError as error:
        return Missing("unreadable", error.strerror or str(error), where)


# The lock files of the tools that keep a project's environment in step with it, in the folder above ``.venv``.
_LOCKS = (("uv.lock", "uv"), ("poetry.lock", "poetry"), ("pdm.lock", "pdm"))


def _project(world: World, prefix: str) -> tuple[str | None, str | None]:
    """The folder of the project that the environment belongs to, and the tool whose lock file lies there."""
    folder, _, name = prefix.replace("\\", "/").rpartition("/.pixi/envs/")
    if folder and name:
        return prefix[: len(folder)], "pixi"
    above, own = os.path.split(prefix.rstrip("/\\"))
    if own not in (".venv", "venv"):
        return None, None
    try:
        present = world.list(above)
    except OSError:  # a folder that may be passed through and not listed
        return None, None
    ruler = next((tool for lock, tool in _LOCKS if lock in present), None)
    return (above, ruler) if ruler else (None, None)
