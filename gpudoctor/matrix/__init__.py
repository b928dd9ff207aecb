"""Typed questions to ``compat_matrix/``: an answer or :class:`Unlisted`, never a guess."""

from __future__ import annotations

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
    "data_folder",
    "load",
]


@cache
def load() -> Matrix:
    """The matrix that ships with this gpudoctor. Files are read when a question first needs them."""
    return Matrix(data_folder())
