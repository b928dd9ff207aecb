"""What the package index says, as rows of the matrix: one reader for each group of tables.

A reader gives only the fields that it read. Fields that need a look into a wheel are read for rows whose wheel
the matrix does not know yet, and for all with ``deep``.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from compat_matrix.wheels import (
    Index,
    Wheel,
    architecture_flags,
    by_release,
    canonical,
    pins,
    provides_extras,
    pythons_by_platform,
    read_date,
    representative,
    requirements,
)

Row = dict[str, Any]
Known = dict[str, list[Row]]
PLATFORMS = ["linux_x86_64", "linux_aarch64", "win_amd64", "macos_arm64", "macos_x86_64"]

# Known rows hold better values than a new look at the index gives (a second source, a pairing decided by hand).
ONLY_FOR_NEW = frozenset({"date", "min_glibc", "torchvision", "torchaudio", "numpy2", "keras", "uploaded"})

_DRIVERS = {"11": "450.80.02", "12": "525.60.13", "13": "580.65.06"}
_WHEEL = {"source": ["wheel"]}
_LISTING = {"source": ["package-index"]}


class Reader(NamedTuple):
    """The tables that a reader fills, each with its key fields."""

    tables: dict[str, tuple[str, ...]]
    read: Callable[[Index, Known, bool], Known]


# --- PyTorch ----------------------------------------------------------------------------------------------


def read_torch(index: Index, known: Known, deep: bool) -> Known:
    """Releases, the builds that the package index serves, and their pins."""
    dates = index.dates("torch")
    found: Known = {"torch": [], "torch_builds": [], "torch_pins": []}
    read_before = {
        (b["release"], b["platform"]): b.get("wheel") for b in known["torch_builds"] if b.get("pypi_default")
    }
    releases = {row["release"] for row in known["torch"]}
    for release, wheels in _since(index.wheels("torch"), "1.0"):
        row = _torch_release(release, wheels, dates)
        if release not in releases:
            row |= {name: _pairings(index, name, release) for name in ("torchvision", "torchaudio")}
        found["torch"].append(row)
        for platform in PLATFORMS:
            wheel = representative(wheels, platform, read_before.get((release, platform)))
            if wheel and (deep or read_before.get((release, platform)) != wheel.filename):
                _torch_wheel(index, release, platform, wheel, found)
    return found


def _torch_release(release: str, wheels: Sequence[Wheel], dates: dict[str, str]) -> Row:
    floors = ((p, w.min_glibc) for p in PLATFORMS[:2] if (w := representative(wheels, p)))
    return {
        "release": release,
        "date": read_date(dates, release),
        "requires_python": wheels[0].requires_python,
        "pythons": pythons_by_platform(wheels),
        "min_glibc": {platform: floor for platform, floor in floors if floor},
        "source": ["package-index", "wheel"],
    }


def _torch_wheel(index: Index, release: str, platform: str, wheel: Wheel, found: Known) -> None:
    cuda = torch_cuda(index, wheel)
    base = {"release": release, "platform": platform, "wheel": wheel.filename, **_WHEEL}
    build = {**base, "variant": f"cu{cuda.replace('.', '')}" if cuda else "cpu", "pypi_default": True}
    if cuda:
        required = torch_pins(index, wheel, platform)
        build |= {"cuda": cuda, **_libraries(required)}
        flags = architecture_flags(index, wheel)
        if flags:
            build |= {"capabilities": flags[0], "ptx": flags[1], "source": ["wheel", "wheel-arch"]}
        if required:
            found["torch_pins"].append({**base, "pins": required, **_expanded(index, required, platform)})
    found["torch_builds"].append(build)


def torch_cuda(index: Index, wheel: Wheel) -> str | None:
    """The CUDA (major.minor) that torch/version.py names; None for a CPU build."""
    text = (index.member(wheel, "torch/version.py") or b"").decode()
    match = re.search(r"^cuda(?::[^=]+)? = '(\d+\.\d+)", text, re.MULTILINE)
    return match[1] if match else None


def torch_pins(index: Index, wheel: Wheel, platform: str) -> dict[str, str]:
    """The pins on CUDA packages and Triton that hold on a platform."""
    metadata = index.member(wheel, ".dist-info/METADATA") or b""
    python = min(wheel.pythons, key=Version, default="3.11")
    required = pins(metadata, platform, python)
    return {name: pin for name, pin in required.items() if re.match(r"nvidia-|cuda-|triton", name)}


def _libraries(required: dict[str, str]) -> Row:
    """cuDNN, NCCL, Triton and the toolkit release out of the pins: exact pins as a version, others as written."""
    starts = {"nvidia-cudnn-": "cudnn", "nvidia-nccl-": "nccl", "triton": "triton", "cuda-toolkit": "toolkit"}
    return {
        field: pin.removeprefix("==")
        for start, field in starts.items()
        for name, pin in required.items()
        if name.startswith(start)
    }


def _expanded(index: Index, required: dict[str, str], platform: str) -> Row:
    """What the extras of the cuda-toolkit metapackage resolve to."""
    name, pin = next(((n, p) for n, p in required.items() if n.startswith("cuda-toolkit[")), ("", ""))
    release = pin.removeprefix("==")
    wheels = by_release(index.wheels("cuda-toolkit")).get(release, []) if name else []
    metadata = index.member(wheels[0], ".dist-info/METADATA") if wheels else None
    if metadata is None:
        return {}
    resolved: dict[str, str] = {}
    for extra in name[name.index("[") + 1 : -1].split(","):
        resolved |= pins(metadata, platform, "3.11", extra)
    return {"toolkit_components": resolved}


def _pairings(index: Index, package: str, release: str) -> list[str]:
    """The releases of a companion that require exactly this torch; else the newest that only accepts it."""
    exact: list[str] = []
    accepting: list[str] = []
    for version, wheels in reversed(by_release(index.wheels(package)).items()):
        required = _torch_requirement(index, wheels)
        if required is None or release not in required:
            if exact or Version(version).release[:2] == Version("0.20").release:
                break
            continue
        (exact if str(required) == f"=={release}" else accepting).append(version)
        if exact or len(accepting) > 0:
            break
    return exact or accepting


def _torch_requirement(index: Index, wheels: Sequence[Wheel]) -> SpecifierSet | None:
    wheel = representative(wheels, "linux_x86_64") or representative(wheels, "any")
    metadata = index.member(wheel, ".dist-info/METADATA") if wheel else None
    named = [r for r in requirements(metadata or b"") if r.name == "torch" and "extra" not in str(r.marker or "")]
    return named[0].specifier if named and str(named[0].specifier) else None


# --- TensorFlow -------------------------------------------------------------------------------------------


def read_tensorflow(index: Index, known: Known, deep: bool) -> Known:
    """Releases and what each wheel's build_info.py says, tensorflow-gpu included."""
    dates = index.dates("tensorflow")
    found: Known = {"tensorflow": [], "tensorflow_builds": []}
    releases = {row["release"] for row in known["tensorflow"]}
    before = {(b["release"], b["package"], b["platform"]): b.get("wheel") for b in known["tensorflow_builds"]}
    for package in ("tensorflow", "tensorflow-gpu"):
        for release, wheels in _since(index.wheels(package), "1.0"):
            if package == "tensorflow":
                look = deep or release not in releases
                found["tensorflow"].append(_tf_release(index, release, wheels, dates, look))
            for platform in PLATFORMS[:3]:
                wheel = representative(wheels, platform, before.get((release, package, platform)))
                if wheel and (deep or before.get((release, package, platform)) != wheel.filename):
                    found["tensorflow_builds"].append(_tf_build(index, release, package, platform, wheel))
    return found


def _tf_release(index: Index, release: str, wheels: Sequence[Wheel], dates: dict[str, str], look: bool) -> Row:
    row: Row = {
        "release": release,
        "date": read_date(dates, release),
        "requires_python": wheels[0].requires_python,
        "pythons": pythons_by_platform(wheels),
        "source": ["package-index", "wheel"],
    }
    wheel = representative(wheels, "linux_x86_64")
    metadata = index.member(wheel, ".dist-info/METADATA") if wheel and look else None
    if wheel is None or metadata is None:
        return row
    python = min(wheel.pythons, key=Version, default="3.11")
    and_cuda = pins(metadata, "linux_x86_64", python, "and-cuda")
    named = requirements(metadata)
    return row | {
        "min_glibc": wheel.min_glibc,
        "and_cuda": and_cuda,
        "and_cuda_exact": bool(and_cuda) and all(pin.startswith("==") for pin in and_cuda.values()),
        "numpy": _requirement_texts(named, "numpy"),
        "keras_requires": [
            f"{package} {text}" for package in ("keras", "keras-nightly") for text in _requirement_texts(named, package)
        ],
        "protobuf": _requirement_texts(named, "protobuf"),
    }


def _requirement_texts(named: Iterable[Requirement], package: str) -> list[str]:
    found = []
    for requirement in named:
        marker = str(requirement.marker or "")
        if requirement.name == package and "extra" not in marker:
            specifier = canonical(str(requirement.specifier))
            found.append(f"{specifier} ; {marker}" if marker else specifier)
    return found


def _tf_build(index: Index, release: str, package: str, platform: str, wheel: Wheel) -> Row:
    base: Row = {"release": release, "package": package, "platform": platform, "wheel": wheel.filename, **_WHEEL}
    info = tf_build_info(index, wheel)
    if info is None:
        return base
    row = {**base, "cuda_build": info.get("is_cuda_build"), "targets": info.get("cuda_compute_capabilities")}
    row |= {field: _tf_version(info.get(f"{field}_version")) for field in ("cuda", "cudnn")}
    return {field: value for field, value in row.items() if value is not None}


def tf_build_info(index: Index, wheel: Wheel) -> dict[str, Any] | None:
    """The values in a TensorFlow wheel's build_info.py; None if it has no such file."""
    text = index.member(wheel, "python/platform/build_info.py")
    if text is None:
        return None
    found: dict[str, Any] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found |= _literal(node.targets[0].id, node.value)
    return found


def _literal(name: str, value: ast.expr) -> dict[str, Any]:
    """One assignment: a plain constant, a dict, or an OrderedDict of pairs."""
    inner = value.args[0] if isinstance(value, ast.Call) and value.args else value
    try:
        plain = ast.literal_eval(inner)
    except ValueError:
        return {}
    if name == "build_info":
        return dict(plain)
    return {re.sub(r"_number$", "", name): plain}


def _tf_version(text: str | None) -> str | None:
    """A version; Windows builds write 11.2 as "64_112"."""
    if not text:
        return None
    match = re.fullmatch(r"64_(\d+?)(\d?)", text)
    if match is None:
        return text
    digits = text.removeprefix("64_")
    return f"{digits[:-1]}.{digits[-1]}" if len(digits) > 1 else digits


# --- JAX --------------------------------------------------------------------------------------------------


def read_jax(index: Index, known: Known, deep: bool) -> Known:
    """Releases with the floors that their CUDA plugins declare."""
    dates = index.dates("jax")
    releases = {row["release"] for row in known["jax"]}
    plugins = {major: by_release(index.wheels(f"jax-cuda{major}-plugin")) for major in ("12", "13")}
    found = []
    for release, wheels in _since(index.wheels("jax"), "0.4.16"):
        row: Row = {"release": release, "requires_python": wheels[0].requires_python or "", **_WHEEL}
        if deep or release not in releases:
            required = {major: _jax_plugin(index, of.get(release, [])) for major, of in plugins.items()}
            row |= _jax_metadata(index, wheels[0], {m: r for m, r in required.items() if r})
        found.append({**row, "date": read_date(dates, release)})
    return {"jax": found}


def _jax_plugin(index: Index, wheels: Sequence[Wheel]) -> dict[str, str]:
    wheel = representative(wheels, "linux_x86_64")
    metadata = index.member(wheel, ".dist-info/METADATA") if wheel else None
    required = pins(metadata, "linux_x86_64", "3.12", "with-cuda") if metadata else {}
    return {name: pin for name, pin in required.items() if name.startswith("nvidia-")}


def _jax_metadata(index: Index, wheel: Wheel, plugins: dict[str, dict[str, str]]) -> Row:
    metadata = index.member(wheel, ".dist-info/METADATA") or b""
    named = requirements(metadata)
    row: Row = {
        "numpy": _requirement_texts(named, "numpy"),
        "jaxlib": _requirement_texts(named, "jaxlib"),
        "extras": sorted(e.replace("_", "-") for e in provides_extras(metadata) if e.startswith("cuda")),
    }
    if not plugins:
        return row
    cudnn = {m: pin for m, of in plugins.items() for name, pin in of.items() if name.startswith("nvidia-cudnn")}
    floors = {major: match[1] for major, pin in cudnn.items() if (match := re.search(r">=([\d.]+)", pin))}
    drivers = {major: _DRIVERS[major] for major in plugins}
    return row | {"plugins": plugins, "cudnn_floor": floors, "driver_floor": drivers}


# --- NVIDIA's packages ------------------------------------------------------------------------------------


def read_cudnn(index: Index, known: Known, deep: bool) -> Known:
    """Every release of the cuDNN packages."""
    found = []
    listed = {(row["package"], row["version"]) for row in known["cudnn"]}
    for major in (11, 12, 13):
        package = f"nvidia-cudnn-cu{major}"
        dates = index.dates(package)
        for version, wheels in _with_yanked(index.wheels(package)):
            row = {
                "package": package,
                "version": version,
                "date": read_date(dates, version),
                "cuda_major": major,
                "platforms": sorted({tag for w in wheels for tag in _platform_tags(w)}),
                "yanked": all(w.yanked for w in wheels),
            }
            if deep or (package, version) not in listed:
                wheel = representative(wheels, "linux_x86_64") or wheels[0]
                named = requirements(index.member(wheel, ".dist-info/METADATA") or b"")
                row["needs"] = [r.name for r in named if r.name.startswith("nvidia-")]
            found.append({**row, **_WHEEL})
    return {"cudnn": found}


def read_toolkit(index: Index, known: Known, deep: bool) -> Known:
    """The nvidia-* versions of every release of the cuda-toolkit metapackage."""
    dates = index.dates("cuda-toolkit")
    listed = {row["toolkit"] for row in known["toolkit_components"]}
    found = []
    for toolkit, wheels in by_release(index.wheels("cuda-toolkit")).items():
        if toolkit in listed and not deep:
            continue
        metadata = index.member(wheels[0], ".dist-info/METADATA") or b""
        named = (r for r in requirements(metadata) if 'extra == "all"' in str(r.marker or ""))
        components = {r.name: canonical(str(r.specifier)).removeprefix("==").removesuffix(".*") for r in named}
        row = {"toolkit": toolkit, "uploaded": read_date(dates, toolkit), "components": components}
        found.append({**row, **_WHEEL})
    return {"toolkit_components": found}


# --- companions -------------------------------------------------------------------------------------------

# Package → the fields to read from its METADATA.
_COMPANIONS: dict[str, tuple[str, ...]] = {
    "bitsandbytes": ("torch",),
    "cupy-cuda11x": ("numpy",),
    "cupy-cuda12x": ("numpy",),
    "cupy-cuda13x": ("numpy",),
    "nvidia-nccl-cu11": (),
    "nvidia-nccl-cu12": (),
    "nvidia-nccl-cu13": (),
    "onnxruntime-gpu": ("numpy",),
    "tf-keras": (),
    "torchaudio": ("torch",),
    "torchvision": ("torch",),
    "triton": (),
    "vllm": ("torch",),
    "xformers": ("torch",),
}


def read_companions(index: Index, known: Known, deep: bool) -> Known:
    """Releases of packages that are built for a framework or a CUDA version."""
    listed = {(row["package"], row["version"]) for row in known["companions"]}
    found: list[Row] = []
    for package, fields in _COMPANIONS.items():
        dates = index.dates(package)
        for version, wheels in by_release(index.wheels(package)).items():
            row: Row = {"package": package, "version": version, "date": read_date(dates, version)}
            if wheels[0].requires_python:
                row["requires_python"] = wheels[0].requires_python
            if fields and (deep or (package, version) not in listed):
                row |= _companion_metadata(index, wheels, fields)
            found.append({**row, **(_cuda_of(package)), **(_WHEEL if fields else _LISTING)})
    return {"companions": found}


def _companion_metadata(index: Index, wheels: Sequence[Wheel], fields: Sequence[str]) -> Row:
    wheel = representative(wheels, "linux_x86_64") or representative(wheels, "any") or wheels[0]
    named = requirements(index.member(wheel, ".dist-info/METADATA") or b"")
    texts = {field: _requirement_texts(named, field) for field in fields}
    return {field: found[0].split(" ; ")[0] for field, found in texts.items() if found and found[0]}


def _cuda_of(package: str) -> Row:
    match = re.search(r"-(?:cuda|cu)(\d\d)x?$", package)
    return {"cuda": [f"{match[1]}.x"]} if match else {}


# --- agreement --------------------------------------------------------------------------------------------


class Claim(NamedTuple):
    """One value of the matrix beside the wheel's own."""

    wheel: str
    field: str
    ours: str | None
    theirs: str | None


def claims(index: Index, framework: str, builds: Iterable[Row], folder: Path) -> Iterator[Claim]:
    """Every CUDA, cuDNN and NCCL that a readable wheel tells, with what the matrix says."""
    wheels = {w.filename: w for w in index.wheels("torch" if framework == "torch" else "tensorflow")}
    if framework == "tensorflow":
        wheels |= {w.filename: w for w in index.wheels("tensorflow-gpu")}
        yield from _and_cuda_claims(index, wheels, folder)
    for build in builds:
        wheel = wheels.get(build.get("wheel", ""))
        if wheel is None:
            continue
        theirs = _told_by_torch(index, wheel, build["platform"]) if framework == "torch" else _told_by_tf(index, wheel)
        for field, value in theirs.items():
            yield Claim(wheel.filename, field, build.get(field), value)


def _told_by_torch(index: Index, wheel: Wheel, platform: str) -> Row:
    cuda = torch_cuda(index, wheel)
    libraries = _libraries(torch_pins(index, wheel, platform)) if cuda else {}
    return {"cuda": cuda, **{f: v for f, v in libraries.items() if f in ("cudnn", "nccl")}}


def _told_by_tf(index: Index, wheel: Wheel) -> Row:
    info = tf_build_info(index, wheel) or {}
    told = {field: _tf_version(info.get(f"{field}_version")) for field in ("cuda", "cudnn")}
    return {field: value for field, value in told.items() if value}


def _and_cuda_claims(index: Index, wheels: dict[str, Wheel], folder: Path) -> Iterator[Claim]:
    rows = (json.loads(line) for line in (folder / "tensorflow.jsonl").read_text(encoding="utf-8").splitlines())
    ours = {row["release"]: row.get("and_cuda", {}) for row in rows}
    names = {"cuda": "nvidia-cuda-runtime-cu12", "cudnn": "nvidia-cudnn-cu12", "nccl": "nvidia-nccl-cu12"}
    plain = [w for w in wheels.values() if w.filename.startswith("tensorflow-")]
    for release, of in _since(plain, "2.14"):
        wheel = representative(of, "linux_x86_64")
        metadata = index.member(wheel, ".dist-info/METADATA") if wheel else None
        theirs = pins(metadata, "linux_x86_64", "3.11", "and-cuda") if metadata else {}
        for field, name in names.items():
            pinned = next((pin for key, pin in theirs.items() if key.startswith(name[:-2])), None)
            own = next((pin for key, pin in ours.get(release, {}).items() if key.startswith(name[:-2])), None)
            if pinned:
                yield Claim(f"tensorflow[and-cuda] {release}", field, own, pinned)


# --- small things -----------------------------------------------------------------------------------------


def _since(wheels: Iterable[Wheel], first: str) -> Iterator[tuple[str, list[Wheel]]]:
    """Final releases from a first version on."""
    return ((r, of) for r, of in by_release(wheels).items() if Version(r) >= Version(first))


def _with_yanked(wheels: Iterable[Wheel]) -> Iterator[tuple[str, list[Wheel]]]:
    found: dict[Version, list[Wheel]] = {}
    for wheel in wheels:
        if not wheel.version.is_prerelease:
            found.setdefault(wheel.version, []).append(wheel)
    return ((str(version), found[version]) for version in sorted(found))


def _platform_tags(wheel: Wheel) -> list[str]:
    """The platform tags in the file name's own words."""
    return [wheel.filename.removesuffix(".whl").rsplit("-", 1)[1]]


READERS: dict[str, Reader] = {
    "torch": Reader(
        {
            "torch": ("release",),
            "torch_builds": ("release", "platform", "variant"),
            "torch_pins": ("release", "platform"),
        },
        read_torch,
    ),
    "tensorflow": Reader(
        {"tensorflow": ("release",), "tensorflow_builds": ("release", "package", "platform")}, read_tensorflow
    ),
    "jax": Reader({"jax": ("release",)}, read_jax),
    "cudnn": Reader({"cudnn": ("package", "version")}, read_cudnn),
    "toolkit": Reader({"toolkit_components": ("toolkit",)}, read_toolkit),
    "companions": Reader({"companions": ("package", "version")}, read_companions),
}
