"""Real environments, broken on purpose: a copy by links of one that works, in which one thing is spoiled.

The original is never written to: its packages are links in the copy, and :func:`own` makes a folder of links of one of
them before a file in it is replaced.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import sys
import sysconfig
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
        discard(made.site / entry)


def replace(made: Made, name: str, site: Path) -> None:
    """Put in a distribution from another site-packages, in place of the one that is there or beside all."""
    if _infos(made.site, name):
        remove(made, name)
    for entry in _entries(site, name):
        discard(made.site / entry)
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
    tops = {path.split("/")[0] for path in paths} - {"..", "__pycache__", "bin", ""}
    return {top for top in tops if (site / top).exists()} | {found.name}


def discard(path: Path) -> None:
    """Take away a link, a file or a folder of the copy."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


def system_python(root: Path) -> Made:
    """A Python of its own, as a distribution or conda has it: no virtual environment, with a site-packages.

    The standard library is that of the Python that runs the suite, by links.
    """
    minor = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    made = Made(root)
    (root / "bin").mkdir(parents=True)
    shutil.copy(os.path.realpath(sys.executable), root / "bin" / minor)
    (root / "bin" / "python").symlink_to(minor)
    made.site.mkdir(parents=True)
    for entry in Path(sysconfig.get_path("stdlib")).iterdir():
        if entry.name != "site-packages":
            (made.site.parent / entry.name).symlink_to(entry)
    return made


_DAC_OVERRIDE, _DAC_READ_SEARCH, _PR_CAPBSET_DROP = 1, 2, 24


def bound_by_modes() -> None:
    """Make this process heed file modes as other users' processes do, root or not, from the next exec on."""
    if os.geteuid() == 0:
        for capability in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
            if ctypes.CDLL(None, use_errno=True).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "prctl")
