"""The relations that decide whether a build runs here: GPU code × compute capability, driver × CUDA build.

Pure functions over small values. Nothing here looks at a machine or reads the matrix; the callers
(rules, ``matrix check``) bring both sides.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import Literal, NamedTuple

from packaging.version import InvalidVersion, Version

Platform = Literal["linux", "windows"]


class Capability(NamedTuple):
    """A compute capability, such as 8.9. Compares as a pair of numbers, so 12.0 is above 9.0."""

    major: int
    minor: int

    @classmethod
    @lru_cache(maxsize=512)
    def parse(cls, text: str) -> Capability:
        """Read ``8.9``. Raises ValueError for anything else."""
        match = re.fullmatch(r"([0-9]{1,2})\.([0-9])", text.strip())
        if match is None:
            raise ValueError(f"not a compute capability: {text!r}")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class CodeTarget(NamedTuple):
    """One piece of GPU code inside a build: machine code (SASS) or PTX for one compute capability.

    ``scope`` is nvcc's architecture suffix: ``a`` runs on exactly that capability, ``f`` inside its family.
    https://docs.nvidia.com/cuda/cuda-c-programming-guide/#feature-availability
    """

    capability: Capability
    ptx: bool = False
    scope: Literal["", "a", "f"] = ""

    @classmethod
    @lru_cache(maxsize=512)
    def parse(cls, text: str) -> tuple[CodeTarget, ...]:
        """Read what a build says of itself: ``8.6``, ``sm_90a``, ``compute_120``, ``9.0+PTX``.

        ``9.0+PTX`` (TORCH_CUDA_ARCH_LIST) is two pieces. Raises ValueError for anything else.
        """
        match = re.fullmatch(r"(sm_|compute_)?([0-9]{1,2})\.?([0-9])([af]?)(\+PTX)?", text.strip())
        if match is None:
            raise ValueError(f"not a GPU code target: {text!r}")
        kind, major, minor, suffix, plus = match.groups()
        scope: Literal["", "a", "f"] = "a" if suffix == "a" else "f" if suffix == "f" else ""
        target = cls(Capability(int(major), int(minor)), kind == "compute_", scope)
        return (target, target._replace(ptx=True)) if plus else (target,)

    def __str__(self) -> str:
        return f"{self.capability}{self.scope}{' (PTX)' if self.ptx else ''}"


@lru_cache(maxsize=1024)
def parse_targets(texts: tuple[str, ...]) -> tuple[CodeTarget, ...]:
    """All code targets of a build, in the order given. Raises ValueError if one cannot be read."""
    return tuple(target for text in texts for target in CodeTarget.parse(text))


class Coverage(Enum):
    """How a build reaches a GPU."""

    NATIVE = "native"  # machine code that runs on it
    UNCERTAIN = "uncertain"  # machine code of a sibling, not guaranteed (desktop code on Tegra)
    JIT = "jit"  # only PTX, which the driver must compile
    NONE = "none"


# The compute capabilities of one family, in which code with suffix f of the first runs on the others.
# https://docs.nvidia.com/cuda/cuda-c-programming-guide/#family-specific-features
_FAMILIES: dict[Capability, frozenset[Capability]] = {
    Capability(10, 0): frozenset({Capability(10, 0), Capability(10, 3)}),
    Capability(10, 3): frozenset({Capability(10, 3)}),
    Capability(11, 0): frozenset({Capability(11, 0)}),
    Capability(12, 0): frozenset({Capability(12, 0), Capability(12, 1)}),
    Capability(12, 1): frozenset({Capability(12, 1)}),
}

# Integrated Tegra GPUs, for which NVIDIA does not guarantee machine code of the desktop siblings.
# https://docs.nvidia.com/cuda/cuda-for-tegra-appnote/
_TEGRA = frozenset(map(Capability.parse, ("3.2", "5.3", "6.2", "7.2", "8.7")))


def runs_on(target: CodeTarget, gpu: Capability) -> Coverage:
    """Whether one piece of code runs on a GPU of that compute capability."""
    built = target.capability
    if target.scope == "a":
        return _kind(target) if built == gpu else Coverage.NONE
    if target.scope == "f":
        return _kind(target) if gpu in _FAMILIES.get(built, frozenset({built})) else Coverage.NONE
    if target.ptx:
        return Coverage.JIT if gpu >= built else Coverage.NONE
    if built.major != gpu.major or built.minor > gpu.minor:
        return Coverage.NONE
    crosses_to_tegra = built != gpu and (gpu in _TEGRA or built in _TEGRA)
    return Coverage.UNCERTAIN if crosses_to_tegra else Coverage.NATIVE


def _kind(target: CodeTarget) -> Coverage:
    return Coverage.JIT if target.ptx else Coverage.NATIVE


@lru_cache(maxsize=1024)
def coverage(targets: tuple[CodeTarget, ...], gpu: Capability) -> Coverage:
    """The best way in which a build with these code targets reaches the GPU."""
    reached = {runs_on(target, gpu) for target in targets}
    return next((way for way in Coverage if way in reached), Coverage.NONE)


class CudaVersion(NamedTuple):
    """A CUDA version as far as compatibility goes: major and minor."""

    major: int
    minor: int

    @classmethod
    @lru_cache(maxsize=512)
    def parse(cls, text: str) -> CudaVersion:
        """Read ``12.4``, ``12.5.1`` or ``8``. Raises ValueError for anything else."""
        match = re.fullmatch(r"([0-9]{1,2})(?:\.([0-9]{1,2}))?(?:\.[0-9]+)*", text.strip())
        if match is None:
            raise ValueError(f"not a CUDA version: {text!r}")
        return cls(int(match[1]), int(match[2] or 0))

    @classmethod
    def from_driver(cls, number: int) -> CudaVersion:
        """Decode ``cuDriverGetVersion``: 12040 is CUDA 12.4."""
        return cls(number // 1000, number % 1000 // 10)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@lru_cache(maxsize=512)
def driver_version(text: str) -> Version:
    """A driver version such as 535.129.03 as a comparable value. Raises ValueError if it is none."""
    if not re.fullmatch(r"[0-9]{2,3}(\.[0-9]{1,4}){0,2}", text.strip()):
        raise ValueError(f"not a driver version: {text!r}")
    try:
        return Version(text.strip())
    except InvalidVersion as error:  # pragma: no cover - excluded by the pattern
        raise ValueError(str(error)) from error


class DriverFit(Enum):
    """How a driver stands to a CUDA build."""

    NEWER_MAJOR = "newer-major"  # (b) backward compatibility
    SAME_OR_NEWER_MINOR = "same-or-newer-minor"  # backward compatibility within the major
    MINOR_VERSION_COMPATIBILITY = "minor-version-compatibility"  # (c)
    TOO_OLD = "too-old"

    @property
    def fits(self) -> bool:
        """True unless the driver is too old."""
        return self is not DriverFit.TOO_OLD


# The first driver CUDA of each major from which minor-version compatibility holds. CUDA 11.0 came before the
# scheme: a driver of CUDA 11.0 (R450 below 450.80.02) runs 11.0 builds only.
# https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
_FIRST_WITH_MINOR_COMPATIBILITY = 11


def cuda_fits(driver: CudaVersion, build: CudaVersion) -> DriverFit:
    """Whether a driver whose ``cuDriverGetVersion`` is ``driver`` runs a build made with CUDA ``build``.

    The rule in terms of CUDA versions alone. CUDA 11 has an exception in terms of driver numbers (450.80.02),
    and PTX has its own rule (:func:`ptx_fits`); both are the caller's to ask.
    """
    if driver.major > build.major:
        return DriverFit.NEWER_MAJOR
    if driver >= build:
        return DriverFit.SAME_OR_NEWER_MINOR
    if driver.major == build.major >= _FIRST_WITH_MINOR_COMPATIBILITY:
        return DriverFit.MINOR_VERSION_COMPATIBILITY
    return DriverFit.TOO_OLD


def ptx_fits(driver: CudaVersion, build: CudaVersion) -> bool:
    """Whether the driver can compile PTX that toolkit ``build`` wrote (else CUDA error 222)."""
    return driver >= build
