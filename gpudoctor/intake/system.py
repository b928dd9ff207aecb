"""The system itself: uname, /etc/os-release, lsb_release, hostnamectl, wsl, ldd, lscpu, nvidia's Tegra release file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor.facts import SharedMemory
from gpudoctor.intake import words
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, Trust

_UNAME = re.compile(r"Linux \S{1,100} (\d{1,2}\.\d{1,3}\S{0,80}) #.{0,160}? (x86_64|aarch64|ppc64le|i686|armv7l)\b")
_RELEASE = re.compile(r"\d{1,2}\.\d{1,3}\.\d{1,4}[\w.+~-]{0,80}")
_LDD = re.compile(r"ldd \((?:\w{1,10} ?|.{1,60}?)\) (\d\.\d{1,3})")
_TEGRA = re.compile(
    r"# ?R(\d{2}) \(release\), REVISION: (\d{1,2}(?:\.\d{1,2})?)|^R(\d{2}) \(release\), REVISION: (\d{1,2}"
    r"(?:\.\d{1,2})?)"
)
_SHM = re.compile(
    r"(?:shm|tmpfs)\s{1,20}(\d{1,9}(?:\.\d)?)([KMG]?)\s{1,20}\S{1,12}\s{1,20}(\d{1,9}(?:\.\d)?)"
    r"([KMG]?)\s{1,20}\S{1,6} /dev/shm"
)
_WSL_ROW = re.compile(r"(?:\* )?([A-Za-z][\w.-]{1,40}) {1,20}(?:Running|Stopped|Installing) {1,20}([12])$")


def read_system(paste: Paste) -> Iterator[Piece]:
    """All that tools print of the operating system."""
    yield from _uname(paste)
    yield from _os_release(paste)
    yield from _wsl(paste)
    for position in tuple(paste.holding("ldd (")):
        found = _LDD.match(paste.texts[position])
        if found:
            paste.take(position)
            yield Said("libc", f"glibc {found[1]}", paste.where(position), Trust.SHOWN)
    for position in tuple(paste.holding("REVISION: ")):
        found = _TEGRA.search(paste.texts[position])
        if found:
            paste.take(position)
            yield Said(
                "jetson.l4t", f"{found[1] or found[3]}.{found[2] or found[4]}", paste.where(position), Trust.SHOWN
            )
    for position in tuple(paste.holding("/dev/shm")):
        found = _SHM.match(paste.texts[position])
        if found:
            paste.take(position)
            where = paste.where(position)
            yield SharedMemory(source=where, total=_bytes(found[1], found[2]), free=_bytes(found[3], found[4]))


def _bytes(number: str, unit: str) -> int:
    scale = {"": 1 << 10, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[unit]
    return int(float(number) * scale)


def _uname(paste: Paste) -> Iterator[Piece]:
    for position in tuple(paste.holding("Linux ")):
        found = _UNAME.search(paste.texts[position])
        if found:
            paste.take(position)
            where = paste.where(position)
            yield from _kernel(found[1], where)
            yield Said("architecture", found[2], where, Trust.SHOWN)
            if "Ubuntu" in paste.texts[position]:
                yield Said("os", "Ubuntu", where, Trust.LOGGED)
    for position in sorted(paste.commands):
        command = paste.texts[position]
        below = position + 1
        if not re.match(r"uname -(?:r|m|s)\b", command) or below >= len(paste) or paste.taken[below]:
            continue
        text, where = paste.texts[below], paste.where(below)
        if _RELEASE.fullmatch(text) or (command.startswith("uname -r") and len(text) < 90 and " " not in text):
            paste.take(below)
            yield from _kernel(text, where)
            arch = words.architecture(text.replace("_64", "_64 ").replace(".", " ").replace("-", " "))
            if arch:
                yield Said("architecture", arch, where, Trust.LOGGED)
        elif words.architecture(text):
            paste.take(below)
            yield Said("architecture", words.architecture(text) or "", where, Trust.SHOWN)


def _kernel(release: str, where: str) -> Iterator[Piece]:
    yield Said("kernel", release, where, Trust.SHOWN)
    low = release.lower()
    if "microsoft" in low:
        yield Said("wsl", "2" if "standard" in low or "wsl2" in low else "1", where, Trust.SHOWN)
    if "tegra" in low:
        yield Said("jetson.model", "Tegra", where, Trust.MENTIONED)


def _os_release(paste: Paste) -> Iterator[Piece]:
    for position in tuple(paste.holding("PRETTY_NAME=")):
        name = paste.texts[position].partition("=")[2].strip(" \"'")
        if words.system(name):
            paste.take(position)
            yield Said("os", name, paste.where(position), Trust.SHOWN)
    if "PRETTY_NAME=" in paste.text or "VERSION_CODENAME=" in paste.text:
        for position in tuple(paste.free()):
            if re.match(
                r"(?:NAME|VERSION|ID|ID_LIKE|VERSION_ID|VERSION_CODENAME|UBUNTU_CODENAME|\w{2,20}_URL|CPE_NAME|LOGO|ANSI_COLOR)=",
                paste.texts[position],
            ):
                paste.take(position)
    for mark in ("Description:", "Operating System: "):
        for position in tuple(paste.holding(mark)):
            text = paste.texts[position]
            value = text.partition(":")[2].strip()
            if text.startswith(mark) and len(value) < 80 and words.system(value):
                paste.take(position)
                yield Said("os", value, paste.where(position), Trust.SHOWN)
    for mark in ("Distributor ID:", "Codename:", "No LSB modules are available"):
        for position in tuple(paste.holding(mark)):
            paste.take(position)


def _wsl(paste: Paste) -> Iterator[Piece]:
    for position in tuple(paste.holding("WSL version: ")) + tuple(paste.holding("WSL-Version: ")):
        paste.take(position)
        where = paste.where(position)
        yield Said("wsl.version", paste.texts[position].partition(": ")[2], where, Trust.SHOWN)
        yield Said("wsl", "2", where, Trust.LOGGED)
    for mark in ("WSLg version: ", "MSRDC version: ", "Direct3D version: ", "DXCore version: "):
        for position in tuple(paste.holding(mark)):
            paste.take(position)
    for position in tuple(paste.holding("Windows version: ")):
        paste.take(position)
        yield Said("windows.build", paste.texts[position].partition(": ")[2], paste.where(position), Trust.SHOWN)
    for mark in ("Running", "Stopped"):
        for position in tuple(paste.holding(mark)):
            found = _WSL_ROW.match(paste.texts[position])
            if found and not found[1].startswith("docker"):
                paste.take(position)
                yield Said("wsl", found[2], paste.where(position), Trust.SHOWN)
