"""The Python environment under test: which interpreter, and what it says of itself without importing a framework.

inside/collect.py runs in that interpreter and answers one JSON object. Whatever else may stand there in its place (a
program that is no Python, a hang, a crash, another answer) becomes a Missing that says so. What only its answer needs
is imported when there is one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import msgspec

from gpudoctor.children import Limits
from gpudoctor.facts import (
    CondaPackage,
    CudnnCopies,
    CudnnCopy,
    Framework,
    Frameworks,
    Interpreter,
    Maybe,
    Missing,
    OtherEnvironments,
    Package,
    Packages,
    Pins,
    Shadows,
)
from gpudoctor.probes.target_answer import Answer, Copy, Orphan, Said
from gpudoctor.probes.target_look import WHERE, Looked, look
from gpudoctor.world import World

_T = TypeVar("_T")


# ---------------------------------------------------------------------------------------------------- what it says


class TargetAnswer(msgspec.Struct, frozen=True):
    """The facts of the environment under test. ``cudnn_wheels`` are the cuDNN copies that its packages carry."""

    interpreter: Maybe[Interpreter]
    packages: Maybe[Packages]
    pins: Maybe[Pins]
    shadows: Maybe[Shadows]
    other_environments: Maybe[OtherEnvironments]
    frameworks: Maybe[Frameworks]
    cudnn_wheels: Maybe[CudnnCopies]


def collect(world: World, executable: str, limits: Limits) -> TargetAnswer:
    """Ask the interpreter, under the user's environment variables and working directory. Writes no file."""
    return told(look(world, executable, limits))


def told(looked: Looked) -> TargetAnswer:
    """What was seen, as facts."""
    others, answer = looked.other_environments, looked.answer
    if answer is None:
        missing = looked.missing or Missing("crashed", "no answer", WHERE)
        return TargetAnswer(missing, missing, missing, missing, others, missing, missing)
    return TargetAnswer(
        interpreter=_part(answer, "interpreter", lambda: _interpreter(looked, answer.interpreter, answer.packages)),
        packages=_part(answer, "packages", lambda: _packages(answer)),
        pins=_part(answer, "packages", lambda: _pins(answer)),
        shadows=_part(answer, "shadows", lambda: _shadows(answer)),
        other_environments=others,
        frameworks=_part(answer, "texts", lambda: _frameworks(answer)),
        cudnn_wheels=_part(answer, "cudnn", lambda: _cudnn(answer)),
    )


def _part(answer: Answer, needed: str, make: Callable[[], _T]) -> _T | Missing:
    """A fact of the answer, or why the part that it rests on is not there."""
    if getattr(answer, needed) is None:
        return Missing("crashed", answer.broken.get(needed, "no answer"), f"{WHERE}, {needed}")
    return make()


# ----------------------------------------------------------------------------------------------------- interpreter


def _interpreter(looked: Looked, said: Said | None, copies: list[Copy] | None) -> Interpreter:
    assert said is not None  # noqa: S101 - _part asked
    return Interpreter(
        source=f"sys, sysconfig and pyvenv.cfg of {said.executable or looked.executable}",
        executable=said.executable or looked.executable,
        version=said.version,
        implementation=said.implementation,
        prefix=said.prefix,
        base_prefix=said.base_prefix,
        environment=said.environment,
        environment_path=None if said.environment == "system" else said.prefix,
        tool=looked.ruler or _tool(said, copies or []),
        project=looked.project,
        free_threaded=said.free_threaded,
        externally_managed=said.externally_managed,
        pip=looked.answer.pip if looked.answer else None,
        bits=said.bits,
        architecture=said.machine or None,
        platform=said.platform,
        libc=said.libc,
        store=any("WindowsApps" in place for place in (said.executable, said.base_prefix)),
        user_site=said.user_site,
        path=tuple(said.path),
    )


# Parts of the folder in which a tool keeps the environments that it makes.
_HOMES = (
    (".pixi/envs/", "pixi"),
    ("pypoetry/virtualenvs/", "poetry"),
    (".local/share/virtualenvs/", "pipenv"),
    ("pipx/venvs/", "pipx"),
    ("uv/tools/", "uv"),
)


def _tool(said: Said, copies: list[Copy]) -> str | None:
    """What made or manages the environment, by pyvenv.cfg, the place it lies in, and who installed packages."""
    prefix = said.prefix.replace("\\", "/") + "/"
    home = next((tool for part, tool in _HOMES if part in prefix), None)
    if home:
        return home
    if said.environment == "venv":
        if "uv" in said.pyvenv:
            return "uv"
        if any(copy.installer == "uv" and copy.location.startswith(said.prefix) for copy in copies):
            return "uv"
        return "virtualenv" if "virtualenv" in said.pyvenv else "pip"
    if said.environment == "conda":
        return "conda"
    return "pyenv" if "/.pyenv/versions/" in prefix else "uv" if "/uv/python/" in prefix else None


# -------------------------------------------------------------------------------------------------------- packages


def _packages(answer: Answer) -> Maybe[Packages]:
    hidden = _hidden(answer)
    if hidden:
        return hidden
    copies = [_package(copy) for copy in answer.packages or ()]
    copies += [_leftover(orphan, answer) for orphan in answer.orphans or ()]
    order = {path: index for index, path in enumerate(_site_order(answer))}
    copies.sort(key=lambda package: order.get(package.location, len(order)))
    return Packages(
        source="METADATA, RECORD and folders on sys.path",
        packages=tuple(copies),
        total=answer.total,
        conda=tuple(
            CondaPackage(name=row.name, version=row.version, build=row.build, channel=row.channel)
            for row in answer.conda or ()
        ),
    )


def _site_order(answer: Answer) -> list[str]:
    return [os.path.abspath(entry) for entry in (answer.interpreter.path if answer.interpreter else ()) if entry]


def _hidden(answer: Answer) -> Missing | None:
    """A folder on sys.path that may not be listed can hold anything."""
    if not answer.unreadable:
        return None
    return Missing("unreadable", "; ".join(f"{path}: {why}" for path, why in answer.unreadable), "sys.path")


def _package(copy: Copy) -> Package:
    return Package(
        name=copy.name,
        version=copy.version,
        location=copy.location,
        installer=copy.installer,
        requires=tuple(copy.requires),
        tags=tuple(copy.tags),
        requires_python=copy.requires_python,
        editable=copy.editable,
        missing_files=copy.missing_files,
        damaged=tuple(copy.damaged),
    )


def _leftover(orphan: Orphan, answer: Answer) -> Package:
    texts = (answer.texts or {}).get(orphan.module, ())
    says = next((text.says for text in texts if text.location == orphan.location), {})
    version = says.get("__version__")
    return Package(
        name=orphan.name,
        version=version if isinstance(version, str) else None,
        location=orphan.location,
        metadata=False,
    )


def _pins(answer: Answer) -> Maybe[Pins]:
    hidden = _hidden(answer)
    if hidden:
        return hidden
    closed = [f"{copy.location}/{copy.info}: {copy.error}" for copy in answer.packages or () if copy.error]
    if closed:
        return Missing("unreadable", "; ".join(closed), WHERE)
    if answer.markers is None:
        return Missing("crashed", answer.broken.get("markers", "no answer"), f"{WHERE}, markers")
    from gpudoctor.probes.pins import EndlessError, unmet_pins

    try:
        unmet = unmet_pins(answer.packages or (), answer.markers)
    except EndlessError as error:
        return Missing("timed-out", str(error), f"{WHERE}, requirements")
    return Pins(source="Requires-Dist of the installed packages", unmet=unmet)


def _shadows(answer: Answer) -> Shadows:
    return Shadows(
        source="folders in front of the installed packages on sys.path, the working directory first",
        files=tuple(answer.shadows or ()),
        standard=tuple(answer.standard_shadows or ()),
    )


def _frameworks(answer: Answer) -> Maybe[Frameworks]:
    """All three; where a folder of sys.path is hidden, only those that were found for certain."""
    if answer.packages is None or answer.orphans is None:
        broken = answer.broken.get("packages") or answer.broken.get("orphans") or "no answer"
        return Missing("crashed", broken, f"{WHERE}, packages")
    from gpudoctor.probes import builds

    found: tuple[Framework, ...] = tuple(look(answer) for look in (builds.torch, builds.tensorflow, builds.jax))
    hidden = _hidden(answer)
    if hidden:
        found = tuple(framework for framework in found if framework.installed)
    return hidden if hidden and not found else Frameworks(source="sys.path", frameworks=found)


def _cudnn(answer: Answer) -> CudnnCopies:
    return CudnnCopies(
        source="packages of the interpreter under test",
        copies=tuple(
            CudnnCopy(path=row.path, version=row.version, brought_by=row.brought_by) for row in answer.cudnn or ()
        ),
    )
