"""Asks the CUDA driver API, in a child process of gpudoctor's own interpreter: the standard library, nothing else.

The source of this file is the child's program; :mod:`gpudoctor.probes.cuda_driver` appends the call of :func:`main`.
Before every call into libcuda a line says which one it is, after it a line carries the answer.

https://docs.nvidia.com/cuda/cuda-driver-api/
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable

_NAME_BYTES = 256

# For a libcuda without cuGetErrorName (CUDA 5.5 and older) and for one that does not know its own code.
_ERROR_NAMES = {
    1: "CUDA_ERROR_INVALID_VALUE",
    2: "CUDA_ERROR_OUT_OF_MEMORY",
    3: "CUDA_ERROR_NOT_INITIALIZED",
    4: "CUDA_ERROR_DEINITIALIZED",
    34: "CUDA_ERROR_STUB_LIBRARY",
    36: "CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER",
    46: "CUDA_ERROR_DEVICE_UNAVAILABLE",
    100: "CUDA_ERROR_NO_DEVICE",
    101: "CUDA_ERROR_INVALID_DEVICE",
    102: "CUDA_ERROR_DEVICE_NOT_LICENSED",
    214: "CUDA_ERROR_ECC_UNCORRECTABLE",
    220: "CUDA_ERROR_NVLINK_UNCORRECTABLE",
    222: "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
    304: "CUDA_ERROR_OPERATING_SYSTEM",
    500: "CUDA_ERROR_NOT_FOUND",
    709: "CUDA_ERROR_CONTEXT_IS_DESTROYED",
    800: "CUDA_ERROR_NOT_PERMITTED",
    801: "CUDA_ERROR_NOT_SUPPORTED",
    802: "CUDA_ERROR_SYSTEM_NOT_READY",
    803: "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
    804: "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
    805: "CUDA_ERROR_MPS_CONNECTION_FAILED",
    806: "CUDA_ERROR_MPS_RPC_FAILURE",
    807: "CUDA_ERROR_MPS_SERVER_NOT_READY",
    808: "CUDA_ERROR_MPS_MAX_CLIENTS_REACHED",
    809: "CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED",
    999: "CUDA_ERROR_UNKNOWN",
}


def error_name(library: ctypes.CDLL, code: int) -> str:
    """CUDA's name of a result."""
    if code == 0:
        return "CUDA_SUCCESS"
    name = ctypes.c_char_p()
    if hasattr(library, "cuGetErrorName") and library.cuGetErrorName(code, ctypes.byref(name)) == 0 and name.value:
        return name.value.decode("utf-8", "replace")
    return _ERROR_NAMES.get(code, f"CUDA error {code}")


def mapped_library(fragment: str) -> str | None:
    """The file of the first mapping whose path contains the fragment (proc_pid_maps(5)), None where there is none."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            paths = [line.split(None, 5)[5].rstrip("\n") for line in maps if fragment in line]
    except OSError:
        return None
    return paths[0] if paths else None


def main(mark: str) -> None:
    """Load libcuda, ask it for its version, initialise it, ask for its devices; a line for each."""

    def tell(**message: object) -> None:
        sys.stdout.write(mark + json.dumps(message) + "\n")
        sys.stdout.flush()

    _ask(tell)
    tell(done=True)
    os._exit(0)  # libcuda's own exit handlers can hang; all is said


def _ask(tell: Callable[..., None]) -> None:
    windows = sys.platform == "win32"
    name = "nvcuda.dll" if windows else "libcuda.so.1"
    tell(step=f"dlopen {name}")
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        tell(load_error=str(error))
        return
    tell(library=None if windows else mapped_library("libcuda.so"))

    number = ctypes.c_int()
    tell(step="cuDriverGetVersion")
    code = library.cuDriverGetVersion(ctypes.byref(number))
    tell(version=f"{number.value // 1000}.{number.value % 1000 // 10}" if code == 0 and number.value else None)

    tell(step="cuInit")
    code = library.cuInit(0)
    tell(code=code, result=error_name(library, code))
    if code:
        return

    tell(step="cuDeviceGetCount")
    code = library.cuDeviceGetCount(ctypes.byref(number))
    if code:
        tell(error=error_name(library, code), where="cuDeviceGetCount")
        return
    count = number.value
    tell(count=count)
    tell(names=[_device_name(library, index, tell) for index in range(count)])


def _device_name(library: ctypes.CDLL, index: int, tell: Callable[..., None]) -> str:
    device = ctypes.c_int()
    buffer = ctypes.create_string_buffer(_NAME_BYTES)
    tell(step=f"cuDeviceGetName, device {index}")
    code = library.cuDeviceGet(ctypes.byref(device), index)
    code = code or library.cuDeviceGetName(buffer, _NAME_BYTES - 1, device)
    return error_name(library, code) if code else buffer.value.decode("utf-8", "replace")
