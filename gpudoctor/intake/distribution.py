"""NVIDIA's packages in the lists of dpkg, apt, rpm, dnf and pacman."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor.facts import DriverFiles
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece
from gpudoctor.intake.sources import joined

_NAME = (
    r"((?:lib)?(?:nvidia|cuda|xorg-x11-drv-nvidia|akmod-nvidia|kmod-nvidia|dkms-nvidia|linux-modules-nvidia|nccl|cudnn)"
    r"[\w.+-]{0,60}?)"
)
_DPKG = re.compile(
    rf"(?:ii|rc|iU|iF|hi) {{1,4}}{_NAME}(?::\w{{2,8}})? {{1,60}}([\w.:+~-]{{1,60}}) {{1,20}}(?:amd64|arm64|all|i386)\b"
)
_APT = re.compile(rf"{_NAME}/\S{{1,60}} ([\w.:+~-]{{1,60}}) (?:amd64|arm64|all) \[.{{0,20}}installed")
_RPM = re.compile(rf"{_NAME}-((?:\d{{1,2}}:)?\d[\w.+~]{{0,40}}-[\w.+~]{{1,40}})\.(?:x86_64|aarch64|noarch)$")
_PACMAN = re.compile(rf"(?:local/)?{_NAME} ((?:\d:)?\d{{2,3}}\.[\w.+-]{{1,30}}-\d{{1,3}})$")
_NOTED = re.compile(r"(?:dpkg|rpm|apt|pacman): ([\w.+-]{3,60})$")


def read_distribution_packages(paste: Paste) -> Iterator[Piece]:
    """The lines of installed packages that are NVIDIA's, as ``name version``."""
    found: list[str] = []
    wheres: list[str] = []
    for mark in ("nvidia", "cuda"):
        for position in tuple(paste.holding(mark)):
            text = paste.texts[position]
            row = _DPKG.match(text) or _APT.match(text) or _RPM.match(text) or _PACMAN.match(text)
            noted = _NOTED.match(text)
            if row and not text.startswith("rc "):
                found.append(f"{row[1]} {row[2]}")
            elif noted:
                found.append(noted[1])
            elif not row:
                continue
            paste.take(position)
            wheres.append(paste.where(position))
    if found:
        yield DriverFiles(source=joined(wheres), packages=tuple(found))
