"""Changes of packages through the tool whose lock file rules over the environment: uv, poetry or pixi.

What pip installs into such an environment is taken back by the tool's next run. The commands were run with uv 0.13 and
poetry 2.5; pixi's are those of its reference.
https://docs.astral.sh/uv/guides/integration/pytorch/
https://python-poetry.org/docs/repositories/#explicit-package-sources
https://pixi.prefix.dev/latest/reference/cli/pixi/add/
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gpudoctor.facts import Packages
from gpudoctor.prescribe.place import Place
from gpudoctor.prescribe.shell import python_path

Ruler = Literal["uv", "poetry", "pixi"]
_RULERS: tuple[Ruler, ...] = ("uv", "poetry", "pixi")


class Added(NamedTuple):
    """Commands that bring requirements into a project, and what is to be known of them."""

    lines: list[tuple[str, ...]]
    note: str = ""


class _Wanted(NamedTuple):
    """The arguments of a pip install, taken apart. ``flat``: the address is a list of files, no index."""

    requirements: tuple[str, ...]
    source: str | None = None
    flat: bool = False
    upgrade: bool = False
    reinstall: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the distributions alone."""
        return tuple(Requirement(one).name for one in self.requirements)


def ruler(place: Place) -> Ruler | None:
    """The tool to speak to: uv only where there is a project, poetry and pixi always have one."""
    interpreter = place.interpreter
    if interpreter is None or (interpreter.tool == "uv" and interpreter.project is None):
        return None
    return next((one for one in _RULERS if one == interpreter.tool), None)


def added(place: Place, arguments: tuple[str, ...], *, conda: bool = False) -> Added:
    """What ``pip install ARGUMENTS`` is for the project. No lines where the tool has no such command.

    ``conda``: the arguments are conda's, which only pixi takes. Raises NotPrintableError for a folder that no command
    may name.
    """
    tool = ruler(place)
    if tool == "pixi":
        return _pixi(place, arguments, conda=conda)
    wanted = _wanted(arguments)
    if wanted is None or wanted.flat:
        return Added([])
    return _uv(place, wanted) if tool == "uv" else _poetry(place, wanted)


def taken_out(place: Place, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The distributions removed from the project."""
    tool = ruler(place)
    if tool == "uv":
        return [("uv", "remove", *_folder(place, "--project"), *names)]
    if tool == "poetry":
        return [("poetry", *_folder(place, "--project"), "remove", *names)]
    if _other_environment(place):
        return []
    kinds = {name: _by_conda(place, name) for name in names}
    lines = []
    for conda in (True, False):
        of_kind = tuple(name for name, kind in kinds.items() if kind is conda)
        options = () if conda else ("--pypi",)
        if of_kind:
            lines.append(("pixi", "remove", *_folder(place, "--manifest-path"), *options, *of_kind))
    return lines


NAMED_ALONE = "The project's own list is changed; what another package of it asks for stays."
_LOCKED = "The lock file of the project changes with it."


def _uv(place: Place, wanted: _Wanted) -> Added:
    """``uv add`` pins what it adds to an index that has a name."""
    index = ("--index", f"{_index_name(wanted.source)}={wanted.source}") if wanted.source else ()
    again = tuple(word for name in wanted.names for word in ("--reinstall-package", name) if wanted.reinstall)
    newer = tuple(word for name in wanted.names for word in ("--upgrade-package", name) if wanted.upgrade)
    return Added([("uv", "add", *_folder(place, "--project"), *index, *again, *newer, *wanted.requirements)], _LOCKED)


def _poetry(place: Place, wanted: _Wanted) -> Added:
    folder = _folder(place, "--project")
    note = _LOCKED if folder else f"{_LOCKED} Run it in the folder of the project."
    lines: list[tuple[str, ...]] = []
    source: tuple[str, ...] = ()
    if wanted.source:
        name = _index_name(wanted.source)
        lines.append(("poetry", *folder, "source", "add", "--priority=explicit", name, wanted.source))
        source = ("--source", name)
    if wanted.reinstall:
        lines.append(("poetry", *folder, "remove", *wanted.names))
    requirements = (
        tuple(one if Requirement(one).specifier else f"{one}@latest" for one in wanted.requirements)
        if wanted.upgrade
        else wanted.requirements
    )
    lines.append(("poetry", *folder, "add", *source, *requirements))
    return Added(lines, note)


def _pixi(place: Place, arguments: tuple[str, ...], *, conda: bool) -> Added:
    other = _other_environment(place)
    wanted = _Wanted(arguments) if conda else _wanted(arguments)
    if wanted is None or wanted.flat:
        return Added([])
    if other:
        return Added([], f"Add {' '.join(wanted.requirements)} to a feature of pixi's environment {other}.")
    folder = _folder(place, "--manifest-path")
    conda = conda or all(_by_conda(place, name) for name in wanted.names)
    kind = () if conda else ("--pypi", *(("--index", wanted.source) if wanted.source else ()))
    lines = [("pixi", "add", *folder, *kind, *wanted.requirements)]
    if wanted.reinstall:
        lines.append(("pixi", "reinstall", *folder, *wanted.names))
    return Added(lines, _LOCKED)


def _other_environment(place: Place) -> str | None:
    """The environment's name where it is not pixi's default one: then only its user knows the feature to change."""
    prefix = (place.interpreter.prefix if place.interpreter else "").replace("\\", "/")
    _, told, name = prefix.rpartition("/.pixi/envs/")
    return None if not told or name in ("default", "") or "/" in name else name


def _by_conda(place: Place, name: str) -> bool:
    packages = place.facts.packages
    if not isinstance(packages, Packages):
        return False
    return any(copy.installer == "conda" for copy in packages.copies(canonicalize_name(name)))


def _wanted(arguments: tuple[str, ...]) -> _Wanted | None:
    """None where an option has no counterpart. Dependencies are the lock's business, so ``--no-deps`` is left out."""
    requirements: list[str] = []
    source, flat = None, False
    words = iter(arguments)
    for word in words:
        if word in ("--index-url", "--extra-index-url", "--find-links"):
            source, flat = next(words, None), word == "--find-links"
        elif not word.startswith("--"):
            try:
                requirements.append(str(Requirement(word)))
            except InvalidRequirement:
                return None
    return _Wanted(tuple(requirements), source, flat, "--upgrade" in arguments, "--force-reinstall" in arguments)


def _index_name(url: str) -> str:
    last = re.sub(r"[^\w-]+", "-", url.rstrip("/").rpartition("/")[2])
    return f"pytorch-{last}" if "pytorch.org" in url else last or "packages"


def _folder(place: Place, option: str) -> tuple[str, ...]:
    project = place.interpreter.project if place.interpreter else None
    return (option, python_path(project)) if project else ()
