"""/proc/self/mountinfo as records. https://docs.kernel.org/filesystems/proc.html#proc-pid-mountinfo"""

from __future__ import annotations

import re

import msgspec

from gpudoctor.world import World

MOUNTINFO = "/proc/self/mountinfo"


class Mount(msgspec.Struct, frozen=True):
    """One mount: ``root`` is the folder of its file system that is mounted at ``point``."""

    root: str
    point: str
    kind: str
    source: str
    options: str


def mounts(world: World) -> tuple[Mount, ...]:
    """All mounts that this process sees, in the kernel's order; none where there is no mountinfo."""
    lines = (world.read(MOUNTINFO) or "").splitlines()
    return tuple(mount for mount in map(_mount, lines) if mount)


def _mount(line: str) -> Mount | None:
    before, _, after = line.partition(" - ")
    left, right = before.split(" "), after.split(" ")
    if len(left) < 6 or len(right) < 3:
        return None
    return Mount(_plain(left[3]), _plain(left[4]), right[0], _plain(right[1]), _plain(right[2]))


def _plain(text: str) -> str:
    r"""The kernel writes blanks and backslashes as ``\040``."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
