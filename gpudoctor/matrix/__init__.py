"""Typed questions to ``compat_matrix/``: an answer or :class:`Unlisted`, never a guess."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from gpudoctor.matrix.questions import Matrix
from gpudoctor.matrix.records import (
    Architecture,
    Companion,
    CudaError,
    Cudnn,
    CudnnFamily,
    CudnnRelease,
    DriverBranch,
    Fact,
    GpuModel,
    JaxRelease,
    Jetson,
    MinimumDriver,
    MinorVersionFloor,
    Numpy2,
    Record,
    Source,
    TensorFlowBuild,
    TensorFlowRelease,
    Toolkit,
    ToolkitComponents,
    TorchBuild,
    TorchPins,
    TorchRelease,
    Unlisted,
    Xid,
)
from gpudoctor.matrix.store import data_folder

__all__ = [
    "Architecture",
    "Companion",
    "CudaError",
    "Cudnn",
    "CudnnFamily",
    "CudnnRelease",
    "DriverBranch",
    "Fact",
    "GpuModel",
    "JaxRelease",
    "Jetson",
    "Matrix",
    "MinimumDriver",
    "MinorVersionFloor",
    "Numpy2",
    "Source",
    "TensorFlowBuild",
    "TensorFlowRelease",
    "Toolkit",
    "ToolkitComponents",
    "TorchBuild",
    "TorchPins",
    "TorchRelease",
    "Unlisted",
    "Xid",
    "add",
    "data_folder",
    "load",
]


_added: dict[str, tuple[Record, ...]] = {}


@cache
def load() -> Matrix:
    """The matrix that ships with this gpudoctor. Files are read when a question first needs them."""
    return Matrix(data_folder(), dict(_added))


def add(rows: Mapping[str, tuple[Record, ...]]) -> None:
    """Let :func:`load` give these rows too, by file name, from now on and in place of those added before."""
    _added.clear()
    _added.update(rows)
    load.cache_clear()
