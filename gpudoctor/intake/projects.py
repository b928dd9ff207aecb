"""What the tools of projects list: ``pixi list`` and ``poetry show``.

https://pixi.prefix.dev/latest/reference/cli/pixi/list/
https://python-poetry.org/docs/cli/#show
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, SeenPackage, Trust

_NAME = re.compile(r"[A-Za-z0-9_][\w.-]{0,80}")
_VERSION = re.compile(r"(?:\d{1,4}!)?[vV]?\d[\w.!+*-]{0,80}")
_UNITS = frozenset({"B", "KiB", "MiB", "GiB"})
_CHANNEL = re.compile(r"https?://\S{1,200}/([\w.-]{1,60})/?")
_BRANCHES = ("├", "└", "│", "|--", "`--", "|  ")
_NOT_INSTALLED = "(!)"
_PIXI = Said("python.tool", "pixi", "", Trust.SHOWN)
_POETRY = Said("python.tool", "poetry", "", Trust.SHOWN)


def read_projects(paste: Paste) -> Iterator[Piece]:
    """All lists of these tools in the paste."""
    yield from _pixi(paste)
    yield from _poetry(paste)


# ----------------------------------------------------------------------------------------------------- pixi


def _pixi(paste: Paste) -> Iterator[Piece]:
    """Rows of ``Package  Version  Build  Size  Kind  Source``; a grep leaves the heading out, the size tells them."""
    if not paste.holds("iB"):
        return
    first = None
    for position in (*paste.holding(" conda"), *paste.holding(" pypi")):
        package = _pixi_row(paste.texts[position], paste.where(position))
        if package is not None and not paste.taken[position]:
            paste.take(position)
            first = position if first is None else first
            yield package
    if first is None:
        return
    yield _PIXI._replace(where=paste.where(first))
    for position in paste.holding("Kind"):
        if paste.texts[position].split()[1:5] == ["Version", "Build", "Size", "Kind"]:
            paste.take(position)


def _pixi_row(text: str, where: str) -> SeenPackage | None:
    words = text.split(None, 8)
    kind = next((at for at, word in enumerate(words) if at > 2 and word in ("conda", "pypi")), 0)
    if kind < 4 or words[kind - 1] not in _UNITS or len(words) > kind + 2:
        return None
    name, version, *build = words[: kind - 2]
    if len(build) > 1 or not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        return None
    if words[kind] == "pypi":
        return SeenPackage(name, version, where, "pip list", installer="pip")
    channel = _CHANNEL.fullmatch(words[-1])
    told = channel[1] if channel else ""
    return SeenPackage(name, version, where, "conda list", "".join(build), told, installer="conda")


# --------------------------------------------------------------------------------------------------- poetry


def _poetry(paste: Paste) -> Iterator[Piece]:
    for start in paste.holding("poetry show"):
        if start not in paste.commands and not paste.texts[start].startswith("poetry show"):
            continue
        found = [*_poetry_rows(paste, start), *_poetry_one(paste, start)]
        if found:
            paste.take(start)
            yield _POETRY._replace(where=paste.where(start))
        yield from found


def _poetry_rows(paste: Paste, start: int) -> Iterator[SeenPackage]:
    """``torch  2.2.1  Tensors and …`` below the command; ``(!)`` marks what is locked and not installed."""
    strange = 0
    for position in range(start + 1, len(paste)):
        text = paste.texts[position]
        if position in paste.commands or strange > 1 or not text:
            return
        words = text.split(None, 3)
        named = bool(_NAME.fullmatch(words[0]))
        missing = len(words) > 2 and words[1] == _NOT_INSTALLED
        version = words[2] if missing else words[1] if len(words) > 1 else ""
        if paste.taken[position] or not named or not _VERSION.fullmatch(version):
            strange += not text.startswith(_BRANCHES)
            continue
        strange = 0
        paste.take(position)
        if not missing:
            yield SeenPackage(words[0], version, paste.where(position), "poetry show")


def _poetry_one(paste: Paste, start: int) -> Iterator[SeenPackage]:
    """``poetry show torch``: the fields of one package."""
    if start + 2 >= len(paste):
        return
    name, version = (paste.texts[start + at].split(":", 1) for at in (1, 2))
    if [name[0].strip(), version[0].strip()] != ["name", "version"] or len(name) < 2 or len(version) < 2:
        return
    if _NAME.fullmatch(name[1].strip()) and _VERSION.fullmatch(version[1].strip()):
        paste.take(start + 1, start + 2)
        where = paste.where(start + 1, start + 2)
        yield SeenPackage(name[1].strip(), version[1].strip(), where, "poetry show")
