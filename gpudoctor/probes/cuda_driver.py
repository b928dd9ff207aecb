"""The CUDA driver: which libcuda.so.1 the dynamic loader takes, and what it answers in a child process.

The loader's search is followed by reading, the way ld.so(8) describes it; what was really mapped is in
:class:`~gpudoctor.facts.CudaDriver`, which a child process finds out by loading it.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from gpudoctor.children import Limits
from gpudoctor.facts import CudaDriver, LibcudaFiles, LibraryFile, Missing
from gpudoctor.probes.mounts import Mount, mounts
from gpudoctor.probes.own_child import ended_early, own_child
from gpudoctor.probes.reading import printable
from gpudoctor.world import World

SONAME = "libcuda.so.1"
SOURCE = "CUDA driver API"
_FILES_SOURCE = "dynamic loader's search path"

_CACHE = "/etc/ld.so.cache"
_TRIPLETS = ("x86_64-linux-gnu", "aarch64-linux-gnu", "powerpc64le-linux-gnu")
_DEFAULT_FOLDERS = (
    *(f"{root}/{triplet}" for triplet in _TRIPLETS for root in ("/lib", "/usr/lib")),
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
)

_IDLE_SECONDS = 20.0
_IDLE_SECONDS_PER_GPU = 5.0  # cuInit starts all GPUs; without persistence mode that takes seconds for each

_Found = tuple[str, str | None]  # path, found_by


# ------------------------------------------------------------------------------------------------ asking libcuda


def cuda_driver(world: World, limits: Limits) -> CudaDriver | Missing:
    """Load libcuda in a child process, under the user's environment, and ask for version, cuInit and devices.

    No libcuda, and a cuInit that refuses, are facts. A call that does not return within ``limits.idle`` seconds
    without using the processor counts as hung; the default grows with the number of GPUs. Raises OSError where
    /proc/driver/nvidia/gpus cannot be listed.
    """
    limits = Limits(limits.deadline, limits.idle or _patience(world))
    said: dict[str, Any] = {}
    with own_child("cuda_child", (), world, limits) as child:
        for message in child.messages():
            said.update(message)
            if "done" in message:
                return _driver(said)
        missing = ended_early(child.ending(), said.get("step", "start"), limits)
        return msgspec.structs.replace(missing, detail=_with_version(missing.detail, said))


def _patience(world: World) -> float:
    return _IDLE_SECONDS + _IDLE_SECONDS_PER_GPU * len(world.list("/proc/driver/nvidia/gpus"))


def _with_version(detail: str, said: dict[str, Any]) -> str:
    """What was known before the end, so that it is not lost: the CUDA version and the file."""
    version = f"CUDA {said['version']}" if said.get("version") else ""
    return "; ".join(part for part in (detail, version, said.get("library") or "") if part)


def _driver(said: dict[str, Any]) -> CudaDriver | Missing:
    if "load_error" in said:
        absent = "No such file or directory" in said["load_error"] and SONAME in said["load_error"]
        return CudaDriver(source=SOURCE, result="not-found" if absent else "not-loadable", detail=said["load_error"])
    if "error" in said:
        return Missing("unreadable", _with_version(said["error"], said), said["where"])
    return CudaDriver(
        source=SOURCE,
        result=said["result"],
        code=said["code"],
        version=said["version"],
        count=said.get("count"),
        library=said["library"],
        names=tuple(said.get("names", ())),
    )


# ----------------------------------------------------------------------------------------- files of the loader


def libcuda(world: World) -> LibcudaFiles:
    """Every libcuda.so.1 that the loader could take, in its order, then the copies that it does not come across.

    ``found_by`` is LD_PRELOAD, LD_LIBRARY_PATH, ld.so.cache or default folders, and None off the loader's path. The
    loader passes over files of another word size, as is done here; a file that is no library at all it takes, and
    fails. Run-time paths inside executables (RPATH) are not followed. Raises OSError for an unreadable folder.
    """
    mounted = mounts(world)
    files: dict[str, LibraryFile] = {}
    for path, found_by in (*_on_path(world), *_off_path(world)):
        head = _head(world, path)
        if head is not None and not _other_word_size(head):
            file = _file(world, path, head, found_by, mounted)
            files.setdefault(file.real or path, file)
    taken = next((file for file in files.values() if file.found_by), None)
    return LibcudaFiles(
        source=_FILES_SOURCE, taken=taken, others=tuple(file for file in files.values() if file is not taken)
    )


def _on_path(world: World) -> Iterator[_Found]:
    for entry in re.split(r"[\s:]+", world.environ.get("LD_PRELOAD", "")):
        if entry.startswith("/") and entry.rpartition("/")[2].startswith("libcuda.so"):
            yield entry, "LD_PRELOAD"
    for folder in library_path(world.environ.get("LD_LIBRARY_PATH", "")):
        yield f"{folder}/{SONAME}", "LD_LIBRARY_PATH"
    for path in cached_libraries(world.read_bytes(_CACHE) or b"", SONAME):
        yield path, "ld.so.cache"
    for folder in _DEFAULT_FOLDERS:
        yield f"{folder}/{SONAME}", "default folders"


def _off_path(world: World) -> Iterator[_Found]:
    for name in world.list("/usr/local"):
        if name.startswith("cuda"):
            yield f"/usr/local/{name}/compat/{SONAME}", None
            yield f"/usr/local/{name}/lib64/stubs/{SONAME}", None
            yield f"/usr/local/{name}/lib64/stubs/libcuda.so", None
    yield f"/usr/lib/wsl/lib/{SONAME}", None


def library_path(value: str) -> tuple[str, ...]:
    """The absolute folders of an LD_LIBRARY_PATH, in order. Its separators are colon and semicolon.

    Relative and empty entries, which mean the working directory, and ``$ORIGIN`` depend on who loads: left out.
    """
    folders = (entry.rstrip("/") for entry in re.split("[:;]", value) if entry.startswith("/"))
    return tuple(dict.fromkeys(folders))


_CACHE_MAGIC = b"glibc-ld.so.cache1.1"
_CACHE_HEADER = struct.Struct("=20s2I4B4I")  # magic, nlibs, len_strings, flags and padding, extension_offset, unused
_CACHE_ENTRY = struct.Struct("=i3IQ")  # flags, key, value, osversion, hwcap


def cached_libraries(data: bytes, name: str) -> tuple[str, ...]:
    """The paths that /etc/ld.so.cache has for a library's name, in the loader's order; none if it is no such file.

    The format is ``struct cache_file_new`` of glibc's sysdeps/generic/dl-cache.h, alone or behind the old one.
    """
    start = data.find(_CACHE_MAGIC)
    if start < 0 or len(data) < start + _CACHE_HEADER.size:
        return ()
    data = data[start:]
    count = _CACHE_HEADER.unpack_from(data)[1]
    table = data[_CACHE_HEADER.size : _CACHE_HEADER.size + count * _CACHE_ENTRY.size]
    whole = len(table) // _CACHE_ENTRY.size * _CACHE_ENTRY.size
    wanted = name.encode()
    entries = _CACHE_ENTRY.iter_unpack(table[:whole])
    return tuple(
        _c_string(data, value).decode("utf-8", "surrogateescape")
        for _, key, value, _, _ in entries
        if _c_string(data, key) == wanted
    )


def _c_string(data: bytes, offset: int) -> bytes:
    return data[offset : data.find(b"\0", offset)]


def _head(world: World, path: str) -> bytes | None:
    """The first bytes of a file; None where it is absent or may not be read, which the loader passes over alike."""
    try:
        data = world.read_bytes(path)
    except (PermissionError, IsADirectoryError):
        return None
    return None if data is None else data[:5]


def _other_word_size(head: bytes) -> bool:
    # e_ident[EI_CLASS] of elf(5): 1 is 32 bit, 2 is 64 bit.
    return _is_library(head) and head[4:] == (b"\x01" if sys.maxsize > 1 << 32 else b"\x02")


def _is_library(head: bytes) -> bool:
    return head.startswith(b"\x7fELF")


def _file(world: World, path: str, head: bytes, found_by: str | None, mounted: Sequence[Mount]) -> LibraryFile:
    real = world.real(path)
    version = re.search(r"/libcuda\.so\.(\d{3}(?:\.\d+)+)$", real)
    return LibraryFile(
        path=printable(path),
        real=printable(real),
        version=version[1] if version else None,
        kind=_kind(path, real, _is_library(head), mounted),
        found_by=found_by,
    )


_Kind = Literal["driver", "stub", "compat", "wsl", "image", "tegra", "unknown"]

# Folders that say what a libcuda is. https://docs.nvidia.com/deploy/cuda-compatibility/ and
# https://docs.nvidia.com/cuda/cuda-for-tegra-appnote/
_TELLING_FOLDERS: tuple[tuple[_Kind, str], ...] = (
    ("stub", r"/stubs/"),
    ("compat", r"/cuda[^/]*/compat|/cuda-compat/"),
    ("wsl", r"^/usr/lib/wsl/"),
    ("tegra", r"/tegra/|/aarch64-linux-gnu/nvidia/libcuda\.so\.1\.1$"),
)


def _kind(path: str, real: str, is_library: bool, mounted: Sequence[Mount]) -> _Kind:
    for kind, folder in _TELLING_FOLDERS:
        if re.search(folder, path) or re.search(folder, real):
            return kind
    if _from_image(real, mounted):
        return "image"
    return "driver" if is_library else "unknown"


def _from_image(real: str, mounted: Sequence[Mount]) -> bool:
    """Whether a file lies in a container image itself, where a container runtime mounts the host's driver."""
    layered = any(mount.point == "/" and "overlay" in mount.kind for mount in mounted)
    within = (mount.point for mount in mounted if mount.point != "/")
    return layered and not any(real == point or real.startswith(f"{point}/") for point in within)
