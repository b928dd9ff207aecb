"""libcuda in a child process: every call announced before it is made, every refusal by CUDA's own name.

Part of the programs of the children that use a GPU (``cuda_*_child``): the standard library and ``cuda_child``, nothing
else. Contexts are the devices' primary ones, which every program that uses CUDA's runtime shares the kind of.

https://docs.nvidia.com/cuda/cuda-driver-api/
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
import time
from ctypes import byref, c_char_p, c_int, c_size_t, c_ubyte, c_uint, c_uint64, c_void_p
from typing import Any

from gpudoctor.probes.cuda_child import error_name

OUT_OF_MEMORY = "CUDA_ERROR_OUT_OF_MEMORY"
PEER_ACCESS_ALREADY_ENABLED = "CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED"
NOT_FOUND = "function not found"

# The symbols that libcuda exports; cuda.h hides their suffixes behind macros.
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDeviceGetCount": (c_void_p,),
    "cuDeviceGet": (c_void_p, c_int),
    "cuDeviceGetName": (c_void_p, c_int, c_int),
    "cuDeviceGetPCIBusId": (c_void_p, c_int, c_int),
    "cuDeviceGetUuid": (c_void_p, c_int),
    "cuDeviceGetUuid_v2": (c_void_p, c_int),
    "cuDeviceGetAttribute": (c_void_p, c_int, c_int),
    "cuDeviceCanAccessPeer": (c_void_p, c_int, c_int),
    "cuDevicePrimaryCtxRetain": (c_void_p, c_int),
    "cuDevicePrimaryCtxSetFlags_v2": (c_int, c_uint),
    "cuCtxSetCurrent": (c_void_p,),
    "cuCtxSynchronize": (),
    "cuCtxEnablePeerAccess": (c_void_p, c_uint),
    "cuCtxDisablePeerAccess": (c_void_p,),
    "cuMemGetInfo_v2": (c_void_p, c_void_p),
    "cuMemAlloc_v2": (c_void_p, c_size_t),
    "cuMemAllocHost_v2": (c_void_p, c_size_t),
    "cuMemcpyHtoD_v2": (c_uint64, c_void_p, c_size_t),
    "cuMemcpyDtoH_v2": (c_void_p, c_uint64, c_size_t),
    "cuMemcpyPeer": (c_uint64, c_void_p, c_uint64, c_void_p, c_size_t),
    "cuMemsetD8_v2": (c_uint64, c_ubyte, c_size_t),
}

_INTEGRATED = 18  # CU_DEVICE_ATTRIBUTE_INTEGRATED
_COMPUTE_MODE = 20  # CU_DEVICE_ATTRIBUTE_COMPUTE_MODE
_EXCLUSIVE_PROCESS = 3
_SCHED_BLOCKING_SYNC = 4
_TEXT_BYTES = 256
_WATCH_SECONDS = 0.1


class Refused(Exception):  # noqa: N818 - an answer of libcuda, not an error of ours
    """libcuda answered a call with an error. ``where`` is the call, and what it was about."""

    def __init__(self, name: str, where: str) -> None:
        super().__init__(f"{name}: {where}")
        self.name = name
        self.where = where


class Cuda:
    """libcuda, loaded and initialised. ``about`` is what the calls from here on are about (``GPU 0 to GPU 1``)."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._since: float | None = None
        self.about = ""
        file = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
        self.tell(step=f"dlopen {file}")
        try:
            self._library = ctypes.CDLL(file)
        except OSError as error:
            raise Refused(str(error), f"dlopen {file}") from None
        self.call("cuInit", 0)

    def tell(self, **message: Any) -> None:
        """One line to the parent, written at once."""
        sys.stdout.write(self._mark + json.dumps(message) + "\n")
        sys.stdout.flush()

    def watch(self, seconds: float) -> None:
        """From here on a call that takes longer ends the process, also one that waits for the GPU busily."""
        threading.Thread(target=self._watch, args=(seconds,), daemon=True).start()

    def _watch(self, seconds: float) -> None:
        while True:
            time.sleep(_WATCH_SECONDS)
            since = self._since
            if since is not None and time.monotonic() - since > seconds:
                self.tell(stuck=seconds)
                os._exit(1)

    def call(self, name: str, *arguments: Any, slow: bool = False, again: bool = False) -> None:
        """Call a function of libcuda; one that is ``slow`` is not watched, one made ``again`` not announced again.

        Raises Refused.
        """
        where = f"{name}, {self.about}" if self.about else name
        if not again:
            self.tell(step=where)
        function = getattr(self._library, name, None)
        if function is None:
            raise Refused(NOT_FOUND, where)
        function.argtypes = _SIGNATURES[name]
        self._since = None if slow else time.monotonic()
        code = function(*arguments)
        self._since = None
        if code:
            raise Refused(error_name(self._library, code), where)

    # ---------------------------------------------------------------------------------------------- devices

    def devices(self) -> list[dict[str, Any]]:
        """All devices in CUDA's order: ordinal, name, PCI address as in sysfs, UUID without its prefix."""
        count = c_int()
        self.call("cuDeviceGetCount", byref(count))
        return [self._device(ordinal) for ordinal in range(count.value)]

    def _device(self, ordinal: int) -> dict[str, Any]:
        device = c_int()
        name = ctypes.create_string_buffer(_TEXT_BYTES)
        self.about = f"device {ordinal}"
        self.call("cuDeviceGet", byref(device), ordinal)
        self.call("cuDeviceGetName", name, _TEXT_BYTES - 1, device)
        found = {
            "ordinal": ordinal,
            "name": name.value.decode("utf-8", "replace"),
            "pci": self._pci(device),
            "uuid": self._uuid(device),
        }
        self.about = ""
        return found

    def _pci(self, device: c_int) -> str | None:
        text = ctypes.create_string_buffer(_TEXT_BYTES)
        try:
            self.call("cuDeviceGetPCIBusId", text, _TEXT_BYTES - 1, device)
        except Refused:
            return None  # a driver may hide it (paravirtualised GPUs); such a device is known by its number
        return text.value.decode("ascii", "replace").lower()

    def _uuid(self, device: c_int) -> str | None:
        data = (c_ubyte * 16)()
        for name in ("cuDeviceGetUuid_v2", "cuDeviceGetUuid"):  # the second one gives a MIG instance its GPU's
            try:
                self.call(name, data, device)
            except Refused:
                continue
            text = bytes(data).hex()
            return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
        return None

    def find(self, wanted: dict[str, Any]) -> int:
        """The ordinal of the device with that ``pci``, ``uuid`` or ``ordinal``. Raises Refused where there is none."""
        (key, value), *_ = wanted.items()
        for device in self.devices():
            if device[key] == value:
                return int(device["ordinal"])
        raise Refused(f"CUDA shows no device with {key} {value}", "cuDeviceGet")

    def integrated(self, ordinal: int) -> bool:
        """Whether the GPU's memory is the machine's main memory."""
        return bool(self._attribute(_INTEGRATED, ordinal))

    def for_one_process(self, ordinal: int) -> bool:
        """Whether a context of this process keeps all other processes off the GPU (compute mode exclusive-process)."""
        return self._attribute(_COMPUTE_MODE, ordinal) == _EXCLUSIVE_PROCESS

    def _attribute(self, attribute: int, ordinal: int) -> int:
        value = c_int()
        self.call("cuDeviceGetAttribute", byref(value), attribute, ordinal)
        return value.value

    def can_access(self, ordinal: int, peer: int) -> bool:
        """Whether a device may reach a peer's memory without a detour."""
        value = c_int()
        self.call("cuDeviceCanAccessPeer", byref(value), ordinal, peer)
        return bool(value.value)

    # ----------------------------------------------------------------------------------- contexts and memory

    def open(self, ordinal: int) -> c_void_p:
        """The primary context of a device, made current."""
        try:
            # Waits asleep: one that hangs is then seen to be idle, and the processor is left to others.
            self.call("cuDevicePrimaryCtxSetFlags_v2", ordinal, _SCHED_BLOCKING_SYNC)
        except Refused as refused:
            self.tell(note=str(refused))  # a wish: an old driver, or a context that is already active
        context = c_void_p()
        self.call("cuDevicePrimaryCtxRetain", byref(context), ordinal, slow=True)
        self.use(context)
        return context

    def use(self, context: c_void_p) -> None:
        """Make a context the current one."""
        self.call("cuCtxSetCurrent", context)

    def synchronize(self) -> None:
        """Wait for all work of the current context."""
        self.call("cuCtxSynchronize")

    def memory(self) -> tuple[int, int]:
        """Free and total bytes of the current device, whoever uses them."""
        free, total = c_size_t(), c_size_t()
        self.call("cuMemGetInfo_v2", byref(free), byref(total))
        return free.value, total.value

    def take(self, size: int) -> int:
        """The address of so many bytes of the current device's memory."""
        pointer = c_uint64()
        self.call("cuMemAlloc_v2", byref(pointer), size)
        return pointer.value

    def host(self, size: int) -> HostBuffer:
        """Main memory for copies: pinned where the system allows so much of it, else ordinary."""
        pointer = c_void_p()
        try:
            self.call("cuMemAllocHost_v2", byref(pointer), size)
        except Refused:
            return HostBuffer(size)
        return HostBuffer(size, pointer.value)

    def write(self, to: int, address: int, size: int) -> None:
        """Copy main memory to the device."""
        self.call("cuMemcpyHtoD_v2", to, address, size)

    def read(self, address: int, start: int, size: int) -> None:
        """Copy the device's memory to main memory."""
        self.call("cuMemcpyDtoH_v2", address, start, size)


class HostBuffer:
    """Main memory with an address that stays."""

    def __init__(self, size: int, address: int | None = None) -> None:
        self._own = (c_ubyte * (0 if address else size))()
        self.address: int = address or ctypes.addressof(self._own)

    def fill(self, data: bytes) -> None:
        """Write from the start on."""
        ctypes.memmove(self.address, c_char_p(data), len(data))


# ------------------------------------------------------------------------------------------------ comparing

PAGE = 4096
_WORD = 8

_c_library = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
_memcmp = _c_library.memcmp
_memcmp.argtypes = (c_void_p, c_void_p, c_size_t)
_memcmp.restype = c_int


def differences(wrote: int, read: int, size: int) -> list[dict[str, Any]]:
    """Where two stretches of main memory differ: ranges of bytes, those less than a page apart as one.

    ``wrote`` and ``read`` of a range are the aligned eight bytes that hold its first one, as hexadecimal digits.
    """
    if _memcmp(wrote, read, size) == 0:
        return []
    found: list[dict[str, Any]] = []
    for start in range(0, size, PAGE):
        length = min(PAGE, size - start)
        if _memcmp(wrote + start, read + start, length) == 0:
            continue
        one, other = ctypes.string_at(wrote + start, length), ctypes.string_at(read + start, length)
        first, last = _ends(one, other)
        word = first // _WORD * _WORD
        found.append(
            {
                "first": start + first,
                "last": start + last,
                "wrote": one[word : word + _WORD].hex(),
                "read": other[word : word + _WORD].hex(),
            }
        )
    return joined(found)


def _ends(one: bytes, other: bytes) -> tuple[int, int]:
    """The first and the last byte at which two texts of the same length differ."""
    bits = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
    return len(one) - (bits.bit_length() + 7) // 8, len(one) - 1 - ((bits & -bits).bit_length() - 1) // 8


def joined(ranges: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same ranges in order, those that overlap or lie less than a page apart as one."""
    result: list[dict[str, Any]] = []
    for one in sorted(ranges, key=lambda item: int(item["first"])):
        if result and one["first"] - result[-1]["last"] < PAGE:
            result[-1] = {**result[-1], "last": max(one["last"], result[-1]["last"])}
        else:
            result.append(one)
    return result


def run(mark: str, work: Any) -> None:
    """Do the work with libcuda and end the process: ``work(cuda)``; a refusal is the last thing it tells."""

    def tell(**message: Any) -> None:
        sys.stdout.write(mark + json.dumps(message) + "\n")
        sys.stdout.flush()

    try:
        work(Cuda(mark))
    except Refused as refused:
        tell(error=refused.name, where=refused.where)
    tell(done=True)
    os._exit(0)  # libcuda's own exit handlers can hang; all is said
