"""CUDA's libraries by the version in their file names: which toolkit brings which name, and which one is meant.

A program opens ``libcusolver.so.10`` by that very name, so a toolkit serves it only if it brings a file so called.
The numbers are the library's own and not always the toolkit's: libcufft.so.10 belongs to CUDA 10.1 to 11.8.
https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gpudoctor.engine import cite
from gpudoctor.facts import Packages, Toolkits
from gpudoctor.findings import Evidence
from gpudoctor.matrix import Matrix
from gpudoctor.relations import CudaVersion

# A function of one of NVIDIA's libraries, by its prefix. Not the driver's (cuInit, cuGetProcAddress).
CUDA_SYMBOL = r"(?:nccl|cublas|cusolver|cusparse|cufft|curand|cudnn|nvrtc|nvshmem|nvJitLink)\w{2,60}"

# Which libraries a framework opens by name. cuDNN and NCCL are no part of the toolkit.
_NAMES = ("cudart", "cublas", "cublasLt", "cufft", "curand", "cusolver", "cusparse")
_FIRST_WITH_OWN_NUMBERS = CudaVersion(10, 1)
_FIRST_WITH_CUSOLVER_11 = CudaVersion(11, 1)


class Library(NamedTuple):
    """A library as a loader names it: ``cudart`` and ``11.0`` for libcudart.so.11.0 and cudart64_110.dll."""

    stem: str
    version: str
    name: str

    @classmethod
    def parse(cls, name: str) -> Library | None:
        """Read a file name; None for one without a version, or of another kind."""
        linux = re.fullmatch(r"lib(\w{2,40})\.so\.(\d{1,2}(?:\.\d{1,3})?)[.\d]{0,12}", name)
        if linux:
            return cls(linux[1], linux[2], name)
        windows = re.fullmatch(r"([A-Za-z_]{2,40})64_(\d{1,3})\.dll", name)
        return cls(windows[1], _dotted(windows[2]), name) if windows else None


def _dotted(digits: str) -> str:
    """110 is 11.0, 90 is 9.0, 10 and 12 are the number of a library itself, as is a single digit."""
    if len(digits) == 3:
        return f"{digits[:2]}.{digits[2]}"
    return f"{digits[0]}.{digits[1]}" if len(digits) == 2 and digits[0] > "1" else digits


def names_of(cuda: CudaVersion) -> dict[str, str]:
    """The version in each library's file name in one toolkit; empty for a toolkit newer than known."""
    major, exact = cuda.major, str(cuda)
    if cuda < _FIRST_WITH_OWN_NUMBERS:
        return dict.fromkeys(_NAMES, exact)
    if major == 10:
        return {**dict.fromkeys(_NAMES, "10"), "cudart": exact}
    if major not in (11, 12, 13):
        return {}
    cusolver = "10" if cuda < _FIRST_WITH_CUSOLVER_11 else "12" if major == 13 else "11"
    return {
        "cudart": "11.0" if major == 11 else str(major),
        "cublas": str(major),
        "cublasLt": str(major),
        "cufft": str(major - 1),
        "curand": "10",
        "cusolver": cusolver,
        "cusparse": "11" if major == 11 else "12",
    }


def brings(cuda: CudaVersion, library: Library) -> bool | None:
    """Whether a toolkit has a library of that name; None where that is not known."""
    return None if library.stem not in names_of(cuda) else names_of(cuda)[library.stem] == library.version


def serves(cuda: CudaVersion, built: CudaVersion) -> bool:
    """Whether a toolkit has every library by the name under which a program built with another one opens it."""
    return bool(names_of(cuda)) and names_of(cuda) == names_of(built)


def toolkits_with(library: Library, matrix: Matrix) -> str:
    """The CUDA versions that bring a library, as ``10.1 to 11.0``; empty if none is known."""
    cudas = sorted({CudaVersion.parse(toolkit.cuda) for toolkit in matrix.toolkits})
    fits = [str(cuda) for cuda in cudas if brings(cuda, library)]
    return fits[0] if len(fits) == 1 else f"{fits[0]} to {fits[-1]}" if fits else ""


class SeenCuda(NamedTuple):
    """A CUDA whose libraries are installed, and the evidence of it."""

    version: CudaVersion
    evidence: Evidence


_CONDA = ("cudatoolkit", "cuda-cudart", "cuda-runtime", "cuda-toolkit", "cuda-version")
_WHEEL = re.compile(r"nvidia-cuda-runtime(?:-cu\d{2})?")


def installed_cudas(toolkits: Toolkits | None, packages: Packages | None) -> tuple[SeenCuda, ...]:
    """The CUDA libraries that are seen: toolkits of the system, conda's packages, NVIDIA's wheels."""
    found = [
        (toolkit.version or toolkit.nvcc, cite("CUDA toolkit", toolkit.version or toolkit.nvcc, toolkits))
        for toolkit in (toolkits.toolkits if toolkits else ())
        if toolkits
    ]
    for package in packages.packages if packages else ():
        if packages and (package.name in _CONDA or _WHEEL.fullmatch(package.name)):
            found.append((package.version, cite(package.name, package.version, packages)))
    for conda in packages.conda if packages else ():
        if packages and conda.name in _CONDA:
            found.append((conda.version, cite(conda.name, conda.version, packages)))
    return tuple(SeenCuda(version, evidence) for text, evidence in found if (version := _parsed(text)))


def _parsed(text: str | None) -> CudaVersion | None:
    try:
        return CudaVersion.parse(text or "")
    except ValueError:
        return None
