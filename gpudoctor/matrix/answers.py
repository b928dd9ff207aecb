"""Answers as plain JSON values, one shape for each kind of question, and those values as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from packaging.version import Version

from gpudoctor.matrix import records as r
from gpudoctor.matrix.questions import Matrix
from gpudoctor.matrix.records import Unlisted, to_json
from gpudoctor.relations import CudaVersion, Platform

Answer = dict[str, Any]


def torch(matrix: Matrix, name: str, _: Platform) -> Answer | Unlisted:
    """A PyTorch release with all its builds."""
    release = matrix.torch(name)
    if isinstance(release, Unlisted):
        return release
    return {
        "release": release.release,
        "date": release.date,
        "python": _pythons(release.pythons),
        "python_by_platform": release.pythons,
        "requires_python": release.requires_python,
        "torchvision": release.torchvision[-1] if release.torchvision else None,
        "torchaudio": release.torchaudio[-1] if release.torchaudio else None,
        "min_glibc": release.min_glibc,
        "cxx11_abi": release.cxx11_abi,
        "numpy2": release.numpy2,
        "builds": [_torch_build(build) for build in release.builds],
        **_origin(release),
    }


def _torch_build(build: r.TorchBuild) -> Answer:
    return {
        "variant": build.variant,
        "platform": build.platform,
        "cuda": build.cuda,
        "cudnn": build.cudnn,
        "nccl": build.nccl,
        "triton": build.triton,
        "capabilities": None if build.cuda and build.capabilities is None else list(build.capabilities or ()),
        "ptx": list(build.ptx),
        "pypi_default": build.pypi_default,
        "status": build.status,
        "index_url": build.index_url,
        **_origin(build),
    }


def tensorflow(matrix: Matrix, name: str, _: Platform) -> Answer | Unlisted:
    """A TensorFlow release with what its wheels say of themselves."""
    release = matrix.tensorflow(name)
    if isinstance(release, Unlisted):
        return release
    plain = to_json(release)
    builds = [
        _named(build, "package", "platform", "cuda_build", "cuda", "cudnn", "targets") for build in release.builds
    ]
    return {
        "release": plain.pop("release"),
        "date": plain.pop("date"),
        "python": _pythons(release.pythons),
        "python_by_platform": plain.pop("pythons"),
        **{field: value for field, value in plain.items() if field not in ("builds", *_ORIGIN)},
        "gpu_on_native_windows": release.gpu_on_native_windows,
        "builds": builds,
        **_origin(release),
    }


def jax(matrix: Matrix, name: str, _: Platform) -> Answer | Unlisted:
    """A JAX release."""
    return _plain(matrix.jax(name))


def cuda(matrix: Matrix, name: str, _: Platform) -> Answer | Unlisted:
    """A CUDA version: its toolkits, the drivers it needs, the GPUs it compiles for."""
    try:
        version = CudaVersion.parse(name)
    except ValueError:
        return Unlisted(kind="CUDA toolkit", asked=name, close=_newest_cudas(matrix))
    toolkits = matrix.toolkits_of(version)
    if isinstance(toolkits, Unlisted):
        return toolkits
    branch = next((b for b in matrix.driver_branches if b.cuda == version), None)
    return {
        "cuda": str(version),
        "toolkits": [
            _named(t, "release", "label", "month", "min_driver_linux", "min_driver_windows") for t in toolkits
        ],
        "minimum_driver": {p: _minimum(matrix, version, p) for p in ("linux", "windows")},
        "minor_version_floor": {p: _floor(matrix, version, p) for p in ("linux", "windows")},
        "driver_branch": branch.branch if branch else None,
        "capabilities": _compiled_for(matrix, version),
        "forward_compatibility": [
            _named(f, "cuda", "driver") for f in matrix.forward_compatibility if f.cuda.startswith(f"{version}")
        ],
        "forward_compatibility_rules": [fact.fact for fact in matrix.about("forward-compatibility")],
        **_origin(toolkits[-1]),
    }


def driver(matrix: Matrix, name: str, platform: Platform) -> Answer | Unlisted:
    """A driver branch, by its name or by a version of it."""
    branch = matrix.driver_branch(name.upper().removeprefix("R"), platform)
    if isinstance(branch, Unlisted):
        return branch
    supported = matrix.capabilities_of(branch)
    listed = [a for a in matrix.architectures if not a.tegra]
    dropped = [a.capability for a in listed if a.last_branch and a.capability not in supported]
    return {
        **{field: value for field, value in to_json(branch).items() if field not in _ORIGIN},
        "open_modules": branch.open_modules,
        "capabilities": list(supported),
        "dropped": dropped if branch.number > 390 else [],
        "not_yet": [a.capability for a in listed if a.capability not in supported and a.capability not in dropped],
        **_origin(branch),
    }


def gpu(matrix: Matrix, name: str, _: Platform) -> Answer | Unlisted:
    """A GPU with what its capability means for drivers and toolkits."""
    model = matrix.gpu(name)
    if isinstance(model, Unlisted):
        return model
    newest = matrix.newest_driver_branch_for(model.cc)
    return {
        **{field: value for field, value in to_json(model).items() if field not in _ORIGIN},
        **_architecture(matrix.architecture(model.cc)),
        "recommended_driver_branch": None if isinstance(newest, Unlisted) else newest.branch,
        **_origin(model),
    }


def _architecture(row: r.Architecture | Unlisted) -> Answer:
    if isinstance(row, Unlisted):
        return {}
    return {
        "architecture": row.name,
        "features": list(row.features),
        "first_toolkit": row.first_toolkit,
        "last_toolkit": row.last_toolkit,
        "first_driver_branch": row.first_branch,
        "last_driver_branch": row.last_branch,
        "open_kernel_modules": row.open_kernel,
    }


def cudnn(matrix: Matrix, name: str, _: Platform) -> Answer | Unlisted:
    """A cuDNN version."""
    found = matrix.cudnn(name)
    if isinstance(found, Unlisted):
        return found
    family = {field: value for field, value in to_json(found.family).items() if field not in _ORIGIN}
    packages = [_named(p, "package", "version", "date", "platforms", "yanked") for p in found.packages]
    return {"cudnn": found.version, **family, "packages": packages, **_origin(found.family)}


def xid(matrix: Matrix, name: str, _: Platform) -> Answer | Unlisted:
    """An Xid code."""
    return _plain(matrix.xid(int(name))) if name.isdecimal() else Unlisted(kind="Xid", asked=name)


def error(matrix: Matrix, name: str, _: Platform) -> Answer | Unlisted:
    """A CUDA error code or name."""
    return _plain(matrix.cuda_error(name))


KINDS: dict[str, Callable[[Matrix, str, Platform], Answer | Unlisted]] = {
    "torch": torch,
    "tensorflow": tensorflow,
    "jax": jax,
    "cuda": cuda,
    "driver": driver,
    "gpu": gpu,
    "cudnn": cudnn,
    "xid": xid,
    "error": error,
}

_ORIGIN = ("note", "verified", "hand_checked", "source", "checked")


def _pythons(by_platform: Mapping[str, Sequence[str]]) -> list[str]:
    """The Python versions of any platform, oldest first, free-threaded ones ("3.13t") after their sibling."""
    every = {python for versions in by_platform.values() for python in versions}
    return sorted(every, key=lambda python: (Version(python.rstrip("t")), python))


def _origin(row: r.Row) -> Answer:
    return {"note": row.note, "verified": row.verified, "source": list(row.source), "checked": row.checked}


def _plain(row: r.Row | Unlisted) -> Answer | Unlisted:
    if isinstance(row, Unlisted):
        return row
    return {field: value for field, value in to_json(row).items() if field not in _ORIGIN} | _origin(row)


def _named(row: r.Row, *fields: str) -> Answer:
    plain = to_json(row)
    return {field: plain[field] for field in fields} | _origin(row)


def _minimum(matrix: Matrix, version: CudaVersion, platform: Platform) -> str | None:
    found = matrix.minimum_driver(version, platform)
    return None if isinstance(found, Unlisted) else found.version


def _floor(matrix: Matrix, version: CudaVersion, platform: Platform) -> str | None:
    found = matrix.minor_version_floor(version.major, platform)
    return None if isinstance(found, Unlisted) else found.on(platform)


def _compiled_for(matrix: Matrix, version: CudaVersion) -> list[str]:
    return [
        a.capability
        for a in matrix.architectures
        if CudaVersion.parse(a.first_toolkit) <= version
        and (a.last_toolkit is None or version <= CudaVersion.parse(a.last_toolkit))
    ]


def _newest_cudas(matrix: Matrix) -> tuple[str, ...]:
    return tuple(dict.fromkeys(toolkit.cuda for toolkit in matrix.toolkits))[-3:]


# --- text -------------------------------------------------------------------------------------------------


def text(answer: Mapping[str, Any]) -> str:
    """An answer for a person: one line a field, then the tables. No control characters."""
    tables = {field: value for field, value in answer.items() if _is_table(value)}
    shown = {f: v for f, v in answer.items() if f not in tables and v not in (None, "", [], {}) and f != "verified"}
    if answer.get("verified") is False:
        shown["verified"] = "no: recalled or inferred, not read in a source"
    width = max(map(len, shown), default=0)
    lines = [f"{field.replace('_', ' ').ljust(width)}  {_cell(value)}" for field, value in shown.items()]
    for field, rows in tables.items():
        lines += ["", f"{field.replace('_', ' ')}:", *_table(rows)]
    return "\n".join(lines)


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Columns in the order of the first row; those without any value, and the origin of rows, left out."""
    hidden = ("note", "checked", "source", "verified")
    fields = [f for f in rows[0] if f not in hidden and any(row[f] not in (None, "", [], ()) for row in rows)]
    cells = [[field.replace("_", " ") for field in fields]]
    cells += [[_cell(row[field]) for field in fields] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(fields))]
    unsure = ["", *("" if row.get("verified", True) else "  unverified" for row in rows)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    return [f"  {line.rstrip()}{mark}" for line, mark in zip(padded, unsure, strict=True)]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_cell(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        cells = [_cell(item) for item in value]
        return ("; " if any(" " in cell for cell in cells) else " ").join(cells) or "-"
    return str(value)
