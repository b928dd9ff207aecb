"""Other Python environments on this machine that hold a framework, by the names of their dist-info folders.

A bounded look at the places where environments usually lie: no tree is walked and no interpreter is started.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator

from gpudoctor.facts import OtherEnvironment, OtherEnvironments
from gpudoctor.probes.reading import printable
from gpudoctor.world import World

SOURCE = "folders of environments near the working directory, home and /opt"

_MOST_ENVIRONMENTS = 200
_MOST_NAMES = 64  # environments taken from one folder
_PARENTS = 3
_LOCAL = (".venv", "venv", "env", ".env", ".conda")
_COLLECTIONS = (
    ".virtualenvs",
    ".venvs",
    ".local/share/virtualenvs",
    ".cache/pypoetry/virtualenvs",
    ".pyenv/versions",
    ".conda/envs",
    ".local/share/mamba/envs",
    "micromamba/envs",
)
_CONDA_ROOTS = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba")
_SYSTEM_CONDA_ROOTS = ("/opt/conda", "/opt/miniconda3", "/opt/anaconda3", "/opt/miniforge3", "/usr/local/miniconda3")

_FRAMEWORK = re.compile(r"(torch|tensorflow(?:_cpu|_gpu|_intel|_macos|_rocm)?|tf_nightly|jax)-([^-]+)\.dist-info")


def other_environments(world: World, working_directory: str, tested: str | None) -> OtherEnvironments:
    """The environments that hold torch, tensorflow or jax, without the one under test (its prefix)."""
    own = world.real(tested) if tested else None
    seen: set[str] = set()
    found = []
    for prefix in _candidates(world, working_directory):
        if len(seen) >= _MOST_ENVIRONMENTS:
            break
        real = world.real(prefix)
        if real == own or real in seen:
            continue
        seen.add(real)
        frameworks = _frameworks(world, prefix)
        if frameworks:
            found.append(OtherEnvironment(path=printable(prefix), frameworks=frameworks))
    return OtherEnvironments(source=SOURCE, environments=tuple(found))


def _candidates(world: World, working_directory: str) -> Iterator[str]:
    yield from _active(world)
    yield from _near(world, working_directory)
    home = world.environ.get("HOME") or world.environ.get("USERPROFILE") or ""
    if _usable(home):
        yield from _below_home(world, home)
    for root in _SYSTEM_CONDA_ROOTS:
        yield root
        yield from _children(world, f"{root}/envs")
    pyenv = world.environ.get("PYENV_ROOT", "")
    if _usable(pyenv):
        yield from _children(world, f"{pyenv}/versions")
    yield from ("/usr/local", "/usr")


def _active(world: World) -> Iterator[str]:
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        path = world.environ.get(name, "")
        if _usable(path):
            yield path


def _near(world: World, working_directory: str) -> Iterator[str]:
    folder = working_directory
    for _ in range(_PARENTS):
        for name in _LOCAL:
            yield posixpath.join(folder, name)
        yield from _children(world, posixpath.join(folder, ".pixi/envs"))
        if folder == posixpath.dirname(folder):
            return
        folder = posixpath.dirname(folder)


def _below_home(world: World, home: str) -> Iterator[str]:
    for name in _LOCAL:
        yield f"{home}/{name}"
    for name in _COLLECTIONS:
        yield from _children(world, f"{home}/{name}")
    for name in _CONDA_ROOTS:
        yield f"{home}/{name}"
        yield from _children(world, f"{home}/{name}/envs")
    # Conda's own list of all environments that it ever made for this user.
    yield from _listed(world, f"{home}/.conda/environments.txt")


def _children(world: World, folder: str) -> list[str]:
    """The folders in a folder; one that may not be listed holds nothing for this user."""
    try:
        return [f"{folder}/{name}" for name in world.list(folder)[:_MOST_NAMES]]
    except OSError:
        return []


def _listed(world: World, path: str) -> list[str]:
    try:
        lines = (world.read(path) or "").splitlines()
    except OSError:
        return []
    return [line.strip() for line in lines[:_MOST_NAMES] if _usable(line.strip())]


def _usable(path: str) -> bool:
    return os.path.isabs(path) and "\0" not in path


def _frameworks(world: World, prefix: str) -> dict[str, str]:
    """Framework distributions by normalised name, of an environment that has an interpreter."""
    found: dict[str, str] = {}
    for folder in _site_folders(world, prefix):
        try:
            names = world.list(folder)
        except OSError:
            continue
        for name in names:
            match = _FRAMEWORK.fullmatch(name)
            if match:
                found.setdefault(match[1].replace("_", "-"), printable(match[2]))
    return dict(sorted(found.items()))


def _site_folders(world: World, prefix: str) -> Iterator[str]:
    try:
        versions = [name for name in world.list(f"{prefix}/lib") if re.fullmatch(r"python3(\.\d+t?)?", name)]
    except OSError:
        versions = []
    for version in versions:
        yield f"{prefix}/lib/{version}/site-packages"
        yield f"{prefix}/lib/{version}/dist-packages"
    yield f"{prefix}/Lib/site-packages"
