"""Files that another program may read at any moment: there is the old one or the new one, never half of it."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from gpudoctor.interrupts import held

_MOST_LINKS = 40
_OPEN_FILES = Path("/proc")  # where /dev/stdout and /dev/fd/3 lead to: files that somebody holds open


def write_whole(path: Path, data: bytes) -> None:
    """Put ``data`` where ``path`` leads to, in one step wherever that is possible. Raises OSError.

    A file is written beside its place and renamed; links stay links. What cannot be replaced is written to: a pipe, a
    device, /dev/stdout, a file that has a second name, another owner, or a mount of its own (as single files in
    containers have). A disk that is full leaves the old file as it was.
    """
    place = _replaceable(path)
    with held():  # a signal must not leave the new file beside the old one
        done = place is not None and _replaced(place, data)
    if not done:
        with path.open("wb", buffering=0) as file:
            _write(file.fileno(), data)


def _replaceable(path: Path) -> Path | None:
    """The file at the end of the links, there or not, None where something stands that must stay."""
    place = Path(os.path.abspath(path))
    for _ in range(_MOST_LINKS):
        place = place.parent.resolve() / place.name
        if _OPEN_FILES in place.parents:
            return None
        if not place.is_symlink():
            return place if _is_ours(place) else None
        place = place.parent / os.readlink(place)
    return None


def _is_ours(place: Path) -> bool:
    try:
        known = place.lstat()
    except FileNotFoundError:
        return True
    return stat.S_ISREG(known.st_mode) and known.st_nlink == 1 and (os.name == "nt" or known.st_uid == os.geteuid())


def _replaced(place: Path, data: bytes) -> bool:
    """False where nothing can be put beside the file or in its place; nothing is left behind then."""
    import secrets

    # Its name ends otherwise: who collects *.prom or *.json takes no half of one.
    beside = place.with_name(f".{place.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except OSError:
        return False
    try:
        try:
            _write(number, data)
            _keep_mode(number, place)
        finally:
            os.close(number)
        try:
            os.replace(beside, place)
        except OSError:
            return False
        return True
    finally:
        beside.unlink(missing_ok=True)


def _keep_mode(number: int, place: Path) -> None:
    """The mode that the file had; a new one has what the umask leaves."""
    if hasattr(os, "fchmod"):
        with contextlib.suppress(FileNotFoundError):
            os.fchmod(number, stat.S_IMODE(place.lstat().st_mode))


def _write(number: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(number, view) :]
