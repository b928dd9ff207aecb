"""A described machine around a real process: the fake root laid over this machine's, in a mount namespace of its own.

``python -m tests.lab.machines.namespace FOLDER COMMAND…`` (as root, on Linux) leaves this process's namespace, lays the
machine in FOLDER over ``/`` by an overlay, puts its /proc, /sys and /dev in place, and becomes COMMAND there.
All of it is gone with the last process inside: nothing is mounted where anybody else sees it, and nothing is written.

What is imitation: device nodes are /dev/null under other names (they open), /proc/self is the real one, and files that
the process itself lives on (the C library, the loader's cache) stay real.
"""

from __future__ import annotations

import ctypes
import glob
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

_NEWNS, _NEWCGROUP = 0x00020000, 0x02000000
_BIND, _REC, _PRIVATE, _RDONLY = 0x1000, 0x4000, 0x40000, 0x1
_NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_OWN = frozenset({"proc", "sys", "dev"})
_STAY_REAL = re.compile(r"/(?:libc\.so\.6|ld-linux[^/]*|ld\.so\.cache)$")
_MARKERS = ("/.dockerenv", "/run/.containerenv", "/.singularity.d")  # of this machine, beside its toolkits


def lay_over(fake: Path) -> Path:
    """The root folder of the described machine over this one's, in a mount namespace that this process enters.

    Raises OSError where the kernel refuses a step; the namespace is then entered in part, and its process should end.
    """
    _call("unshare", _NEWNS | _NEWCGROUP)
    _mount(None, "/", None, _REC | _PRIVATE)
    others = list(_other_mounts())
    # On a file system of its own, for an overlay refuses layers that lie in one another. Nothing here needs /sys.
    _mount("tmpfs", "/sys", "tmpfs")
    layer, merged = Path("/sys/layer"), Path("/sys/merged")
    merged.mkdir()
    _copy(fake, layer)
    _mount("overlay", str(merged), "overlay", _RDONLY, f"lowerdir={layer}:/")
    for point in others:
        if (merged / point.lstrip("/")).is_dir():
            _mount(point, f"{merged}{point}", None, _BIND | _REC)
    _proc(fake, merged)
    _mount(str(_tree(fake / "sys", layer.parent / "sys")), f"{merged}/sys", None, _BIND)
    _dev(fake, merged)
    return merged


def _call(name: str, *arguments: object) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}", str(arguments))


def _mount(source: str | None, target: str, kind: str | None, flags: int = 0, data: str | None = None) -> None:
    def text(value: str | None) -> bytes | None:
        return None if value is None else os.fsencode(value)

    _call("mount", text(source), text(target), text(kind), ctypes.c_ulong(flags), text(data))


def _other_mounts() -> Iterator[str]:
    """Mount points beside / and the kernel's own, parents first."""
    points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted(set(points)):
        if point != "/" and point.split("/")[1] not in _OWN and Path(point).is_dir():
            yield point


def _copy(fake: Path, layer: Path) -> None:
    """The fake root as the upper layer: where this machine has a link for a folder (/lib), below the link's target."""
    for source in sorted(fake.rglob("*")):
        place = "/" + str(source.relative_to(fake))
        top = place.split("/")[1]
        if top in _OWN or _STAY_REAL.search(place) or (source.is_dir() and not source.is_symlink()):
            continue
        folder = os.path.realpath(os.path.dirname(place))
        target = layer / folder.lstrip("/") / os.path.basename(place)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    for marker in (*_MARKERS, *glob.glob("/usr/local/cuda*")):
        target = layer / marker.lstrip("/")
        if os.path.lexists(marker) and not os.path.lexists(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            os.mknod(target, stat.S_IFCHR, 0)  # overlayfs takes it for "not there"


def _tree(source: Path, target: Path) -> Path:
    shutil.copytree(source, target, symlinks=True)
    return target


def _proc(fake: Path, merged: Path) -> None:
    _mount("proc", f"{merged}/proc", "proc")
    driver = fake / "proc" / "driver"
    if driver.exists() or (merged / "proc" / "driver").exists():
        _mount("tmpfs", f"{merged}/proc/driver", "tmpfs")
        if driver.exists():
            shutil.copytree(driver, merged / "proc" / "driver", dirs_exist_ok=True)
    for source in sorted((fake / "proc").rglob("*")):
        place = merged / source.relative_to(fake)
        inside = source.relative_to(fake / "proc").parts
        if source.is_file() and inside[0] not in ("self", "driver") and place.is_file():
            _mount(str(_kept(source, merged)), str(place), None, _BIND)


def _kept(source: Path, merged: Path) -> Path:
    """A copy on the namespace's own file system."""
    kept = merged.parent / "proc" / source.name
    kept.parent.mkdir(exist_ok=True)
    shutil.copy(source, kept)
    return kept


def _dev(fake: Path, merged: Path) -> None:
    _mount("tmpfs", f"{merged}/dev", "tmpfs", 0, "mode=755")
    nodes = {name: _NODES["null"] for name in os.listdir(fake / "dev") if name.startswith("nvidia")} | _NODES
    for name, (major, minor) in nodes.items():
        node = merged / "dev" / name
        if (fake / "dev" / name).is_dir():
            continue
        os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        node.chmod(0o666)
    if (fake / "dev" / "kmsg").exists():
        shutil.copy(fake / "dev" / "kmsg", merged / "dev" / "kmsg")
    (merged / "dev" / "shm").mkdir()
    _mount("tmpfs", f"{merged}/dev/shm", "tmpfs", 0, "size=8g")


def main() -> None:
    """Enter and become the command. Ends with 125 and the reason where the kernel refuses."""
    try:
        merged = lay_over(Path(sys.argv[1]))
    except OSError as error:
        sys.stderr.write(f"no described machine here: {error.strerror}\n")
        sys.exit(125)
    os.chroot(merged)
    os.chdir("/home/ann")
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the tests give the command


if __name__ == "__main__":
    main()
