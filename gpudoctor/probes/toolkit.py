"""CUDA toolkits and cuDNN copies on disk, by their own files. nvcc is never run, and none at all is no fault."""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterator
from typing import Literal

from gpudoctor.facts import CudnnCopies, CudnnCopy, Toolkit, Toolkits
from gpudoctor.probes.reading import printable
from gpudoctor.world import World

_MOST_FOLDERS = 50
_VARIABLES = ("CUDA_HOME", "CUDA_PATH", "CUDA_ROOT")
_OTHER_ROOTS = ("/opt/cuda", "/usr/lib/cuda", "/usr/lib/nvidia-cuda-toolkit")
_TARGETS = ("x86_64-linux", "aarch64-linux", "sbsa-linux")
_SCRIPT_LIMIT = 4096  # bytes


def toolkits(world: World) -> Toolkits:
    """Each toolkit once, by its real path; ``found_by`` names every way that leads to it, comma-separated.

    Versions come from version.json, version.txt, cuda.h, conda's package names, at last the folder's own name.
    """
    ways: dict[str, list[str]] = {}
    for root, way in _candidates(world):
        real = world.real(root)
        if _is_toolkit(world, real):
            ways.setdefault(real, []).append(way)
    found = (_toolkit(world, root, tuple(dict.fromkeys(found_by))) for root, found_by in ways.items())
    return Toolkits(source="/usr/local, environment variables, PATH, conda environment", toolkits=tuple(found))


def _candidates(world: World) -> Iterator[tuple[str, str]]:
    for name in _VARIABLES:
        yield from ((path, name) for path in _absolute(world, name))
    nvcc = _on_path(world, "nvcc")
    if nvcc:
        yield posixpath.dirname(posixpath.dirname(_wrapped(world, world.real(nvcc)))), "PATH"
    for name in [name for name in world.list("/usr/local") if re.fullmatch(r"cuda(?:-[0-9.]+)?", name)][:_MOST_FOLDERS]:
        yield f"/usr/local/{name}", "/usr/local"
    for path in _OTHER_ROOTS:
        yield path, posixpath.dirname(path)
    yield from ((path, "conda") for path in _absolute(world, "CONDA_PREFIX"))


def _absolute(world: World, variable: str) -> Iterator[str]:
    """The variable's value where it is an absolute path; nothing else can be a folder of this machine."""
    path = world.environ.get(variable, "")
    if os.path.isabs(path) and "\0" not in path:
        yield path


def _on_path(world: World, program: str) -> str | None:
    folders = (folder for folder in world.environ.get("PATH", "").split(os.pathsep) if os.path.isabs(folder))
    for folder in list(folders)[:_MOST_FOLDERS]:
        if "\0" not in folder and _exists(world, f"{folder}/{program}"):
            return f"{folder}/{program}"
    return None


def _wrapped(world: World, nvcc: str) -> str:
    """The compiler that a shell script stands for: Debian's /usr/bin/nvcc is ``exec /usr/lib/…/bin/nvcc "$@"``."""
    start = world.read_bytes(nvcc, _SCRIPT_LIMIT) or b""
    found = re.search(rb"^\s*exec\s+[\"']?(/[^\s\"']+/bin/nvcc)\b", start, re.MULTILINE) if start[:2] == b"#!" else None
    return world.real(os.fsdecode(found[1])) if found and b"\0" not in found[1] else nvcc


def _exists(world: World, path: str) -> bool:
    """A folder on PATH that may not be searched holds no program for this user."""
    try:
        return world.exists(path)
    except OSError:
        return False


_SIGNS = ("version.json", "version.txt", "bin/nvcc", "bin/nvcc.exe", "include/cuda.h", "lib64/libcudart.so")


def _is_toolkit(world: World, root: str) -> bool:
    """A folder with only ``compat`` (NVIDIA's images) or of an ordinary conda environment is none."""
    return any(world.exists(f"{root}/{sign}") for sign in _SIGNS) or any(_conda_versions(world, root))


def _toolkit(world: World, root: str, found_by: tuple[str, ...]) -> Toolkit:
    nvcc = next((path for path in (f"{root}/bin/nvcc", f"{root}/bin/nvcc.exe") if world.exists(path)), None)
    return Toolkit(
        path=printable(root),
        version=_version(world, root),
        nvcc=None if nvcc is None else printable(nvcc),
        found_by=", ".join(found_by),
    )


def _version(world: World, root: str) -> str | None:
    readings = (_version_json, _version_txt, _cuda_header, _conda_version, _folder_version)
    return next((version for version in (reading(world, root) for reading in readings) if version), None)


def _version_json(world: World, root: str) -> str | None:
    """``{"cuda": {"name": "CUDA SDK", "version": "12.4.1"}, "cuda_nvcc": {…}, …}`` since CUDA 11.1.

    Early ones wrote a date as third part (11.8.20220929): left out.
    """
    try:
        content = json.loads(world.read(f"{root}/version.json") or "null")
    except (ValueError, RecursionError):
        return None
    entry = content.get("cuda") if isinstance(content, dict) else None
    text = entry.get("version") if isinstance(entry, dict) else None
    return _cuda_version(text) if isinstance(text, str) else None


def _version_txt(world: World, root: str) -> str | None:
    """``CUDA Version 10.2.89`` up to CUDA 11.0."""
    found = re.match(r"CUDA Version (\S+)", world.read(f"{root}/version.txt") or "")
    return _cuda_version(found[1]) if found else None


def _cuda_version(text: str) -> str | None:
    found = re.match(r"([0-9]{1,3}\.[0-9]{1,3})(\.[0-9]{1,5}(?![0-9]))?", text, re.ASCII)
    return found[1] + (found[2] or "") if found else None


def _cuda_header(world: World, root: str) -> str | None:
    paths = [f"{root}/{folder}/cuda.h" for folder in ("include", *(f"targets/{t}/include" for t in _TARGETS))]
    # Debian and Ubuntu spread theirs: compiler below /usr/lib/nvidia-cuda-toolkit, headers in /usr/include.
    paths += ["/usr/include/cuda.h"] if root == "/usr/lib/nvidia-cuda-toolkit" else []
    for path in paths:
        found = re.search(r"^#define CUDA_VERSION ([0-9]{4,6})\b", world.read(path) or "", re.MULTILINE)
        if found:
            return f"{int(found[1]) // 1000}.{int(found[1]) % 1000 // 10}"
    return None


_CONDA_PACKAGES = ("cuda-nvcc", "cuda-toolkit", "cudatoolkit", "cudatoolkit-dev", "cuda-cudart", "cuda-version")


def _conda_version(world: World, root: str) -> str | None:
    return next(_conda_versions(world, root), None)


def _conda_versions(world: World, root: str) -> Iterator[str]:
    """From ``name-version-build.json`` in conda-meta, the compiler's package first."""
    names = world.list(f"{root}/conda-meta")
    for package in _CONDA_PACKAGES:
        for name in names:
            found = re.fullmatch(re.escape(package) + r"-([0-9]+(?:\.[0-9]+)*)-[^-]*\.json", name, re.ASCII)
            if found:
                yield ".".join(found[1].split(".")[:3])


def _folder_version(world: World, root: str) -> str | None:
    found = re.fullmatch(r"cuda-([0-9]+\.[0-9]+)", posixpath.basename(world.real(root)), re.ASCII)
    return found[1] if found else None


# --------------------------------------------------------------------------------------------------- cuDNN

Bringer = Literal["system", "toolkit", "conda"]
_SYSTEM_FOLDERS = (
    ("/usr/lib/x86_64-linux-gnu", "/usr/include/x86_64-linux-gnu"),
    ("/usr/lib/aarch64-linux-gnu", "/usr/include/aarch64-linux-gnu"),
    ("/usr/lib64", "/usr/include"),
    ("/usr/lib", "/usr/include"),
    ("/usr/local/lib", "/usr/local/include"),
)


def cudnn(world: World) -> CudnnCopies:
    """libcudnn.so.* of the system, of each toolkit and of the conda environment, each file once.

    The version is the file name's where it is whole (``libcudnn.so.9.1.0``), else that of cudnn_version.h beside it.
    Copies inside wheels are seen with the Python under test, not here.
    """
    copies: dict[str, CudnnCopy] = {}
    for folder, headers, bringer in _cudnn_places(world):
        for name in world.list(folder):
            if re.fullmatch(r"libcudnn\.so(?:\.[0-9]+){1,3}|cudnn64_[0-9]+\.dll", name, re.ASCII):
                real = world.real(f"{folder}/{name}")
                if world.exists(real) and real not in copies:
                    copies[real] = CudnnCopy(
                        path=printable(real), version=_cudnn_version(world, real, headers), brought_by=bringer
                    )
    return CudnnCopies(source="library folders of system, toolkits and conda", copies=tuple(copies.values()))


def _cudnn_places(world: World) -> Iterator[tuple[str, tuple[str, ...], Bringer]]:
    for folder, headers in _SYSTEM_FOLDERS:
        yield folder, (headers, "/usr/include"), "system"
    for toolkit in toolkits(world).toolkits:
        if toolkit.found_by != "conda" and toolkit.path != "/usr":
            for name in ("lib64", "lib", *(f"targets/{t}/lib" for t in _TARGETS), "bin"):
                yield f"{toolkit.path}/{name}", (f"{toolkit.path}/include",), "toolkit"
    for prefix in _absolute(world, "CONDA_PREFIX"):
        yield f"{prefix}/lib", (f"{prefix}/include",), "conda"


def _cudnn_version(world: World, path: str, headers: tuple[str, ...]) -> str | None:
    found = re.search(r"\.so\.([0-9]+\.[0-9]+\.[0-9]+)$", path, re.ASCII)
    if found:
        return found[1]
    major = re.search(r"\.so\.([0-9]+)|64_([0-9]+)", path, re.ASCII)
    versions = (_header_version(world, f"{folder}/{name}") for folder in headers for name in _CUDNN_HEADERS)
    return next((v for v in versions if v and major and v.split(".")[0] == (major[1] or major[2])), None)


_CUDNN_HEADERS = ("cudnn_version.h", "cudnn_version_v9.h", "cudnn_version_v8.h", "cudnn.h")


def _header_version(world: World, path: str) -> str | None:
    text = world.read(path) or ""
    parts = [
        re.search(rf"^#define CUDNN_{n}\s+([0-9]{{1,6}})\b", text, re.MULTILINE)
        for n in ("MAJOR", "MINOR", "PATCHLEVEL")
    ]
    return ".".join(part[1] for part in parts if part) if all(parts) else None
