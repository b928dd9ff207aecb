"""Real environments, broken on purpose: a copy by links of one that works, in which one thing is spoiled.

The original is never written to: its packages are links in the copy, and :func:`own` makes a folder of links of one of
them before a file in it is replaced.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from tests.made_environment import Made, make


def linked(python: Path, root: Path) -> Made:
    """An environment at ``root`` that has what the environment of that interpreter has."""
    made = make(root)
    for entry in sorted(site_of(python).iterdir()):
        (made.site / entry.name).symlink_to(entry)
    return made


def site_of(python: Path) -> Path:
    """The site-packages of a virtual environment."""
    return next((python.parent.parent / "lib").glob("python*/site-packages"))


def remove(made: Made, name: str) -> None:
    """Take a distribution out, all that its RECORD names."""
    for entry in _entries(made.site, name):
        _discard(made.site / entry)


def replace(made: Made, name: str, site: Path) -> None:
    """Put in a distribution from another site-packages, in place of the one that is there or beside all."""
    if _infos(made.site, name):
        remove(made, name)
    for entry in _entries(site, name):
        _discard(made.site / entry)
        (made.site / entry).symlink_to(site / entry)


def own(path: Path) -> Path:
    """A linked folder becomes a folder of its own, with links for the files in it. Returns it."""
    original = path.resolve()
    path.unlink()
    shutil.copytree(original, path, copy_function=os.symlink)
    return path


def cut(path: Path, share: float = 0.5) -> None:
    """Replace a linked file by the first part of it, as an interrupted copy or a full disk leaves it."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: int(len(content) * share)])


def info(made: Made, name: str) -> Path:
    """The dist-info folder of a distribution."""
    (found,) = _infos(made.site, name)
    return found


def _infos(site: Path, name: str) -> list[Path]:
    return [path for path in site.glob("*.dist-info") if _normal(path.name.split("-")[0]) == _normal(name)]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _entries(site: Path, name: str) -> set[str]:
    """The names in site-packages that belong to a distribution."""
    (found,) = _infos(site, name)
    paths = [line.rsplit(",", 2)[0].strip('"') for line in (found / "RECORD").read_text("utf-8").splitlines()]
    tops = {path.split("/")[0] for path in paths} - {"..", "__pycache__", ""}
    return {top for top in tops if (site / top).exists()} | {found.name}


def _discard(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
