"""Small things that all probes of files share."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Hashable, Iterable
from typing import TypeVar

from gpudoctor.world import World

_Item = TypeVar("_Item", bound=Hashable)


def need(world: World, path: str) -> str:
    """The text of a file that must exist for the fact to be known. Raises OSError when it is absent or unreadable."""
    text = world.read(path)
    if text is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return text


def need_list(world: World, path: str) -> tuple[str, ...]:
    """The names in a folder that must hold something. Raises OSError when it is absent, empty or unreadable."""
    names = world.list(path)
    if not names:
        raise FileNotFoundError(errno.ENOENT, "absent or empty", path)
    return names


_LINE_LIMIT = 4096  # bytes; files below /proc/sys refuse a buffer of 4 MiB or more with ENOMEM


def first_line(world: World, path: str) -> str | None:
    """The first line of a file without blanks and NUL around it; None if the file is absent or that line empty.

    Raises OSError when the file exists and cannot be read.
    """
    try:
        with world.at(path).open("rb") as file:
            data = file.read(_LINE_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return data.decode("utf-8", "replace").partition("\n")[0].strip(" \t\r\0") or None


def pairs(text: str, separator: str) -> dict[str, str]:
    """``KEY<separator>value`` lines as a dictionary, the first of equal keys; lines without the separator left out."""
    result: dict[str, str] = {}
    for line in text.splitlines():
        key, found, value = line.partition(separator)
        if found:
            result.setdefault(key.strip(), value.strip())
    return result


def number(text: str | None) -> int | None:
    """The whole number below 10^15 that a text starts with, None without one (cgroups write 2^63 for no limit)."""
    found = re.match(r"\s*([0-9]{1,15})(?![0-9])", text or "")
    return int(found[1]) if found else None


def printable(text: str) -> str:
    """The text with bytes that are no UTF-8 (lone surrogates of os.environ and os.listdir) replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def unique(items: Iterable[_Item]) -> tuple[_Item, ...]:
    """The items in order, each once."""
    return tuple(dict.fromkeys(items))
