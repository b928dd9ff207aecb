"""Copies between the memories of GPUs, in a child process of gpudoctor's own interpreter."""

from __future__ import annotations

import random
import time
from ctypes import c_void_p
from typing import Any

from gpudoctor.probes.cuda_calls import PEER_ACCESS_ALREADY_ENABLED, Cuda, HostBuffer, Refused, differences, run

_SEED = 20_260_902
_COMPLEMENT = bytes(range(255, -1, -1))
_STALE = 0xA5
_TIMED_COPIES = 8


def main(mark: str, names: list[str], pairs: list[tuple[int, int]], size: int, patience: float) -> None:
    """Copy ``size`` bytes between each pair of devices (CUDA's ordinals), told by their names.

    A pair whose copy is refused ends the process: CUDA's contexts are not to be trusted after an error.
    """
    run(mark, lambda cuda: _Copies(cuda, names, size, patience).go(pairs))


class _Copies:
    """The devices that are open so far, each with a buffer to copy from and one to copy to."""

    def __init__(self, cuda: Cuda, names: list[str], size: int, patience: float) -> None:
        self._cuda = cuda
        self._names = names
        self._size = size
        self._contexts: dict[int, c_void_p] = {}
        self._buffers: dict[int, tuple[int, int]] = {}
        self._pattern = random.Random(_SEED).randbytes(size)  # noqa: S311 - a pattern, not a secret
        self._wrote: HostBuffer | None = None
        self._read: HostBuffer | None = None
        cuda.watch(patience)

    def go(self, pairs: list[tuple[int, int]]) -> None:
        """All pairs, each announced before it is tried. Raises Refused."""
        for source, target in pairs:
            self._cuda.tell(pair=[source, target])
            for device in (source, target):
                self._open(device)
            self._cuda.about = f"{self._names[source]} to {self._names[target]}"
            self._pair(source, target)

    def _open(self, device: int) -> None:
        if device in self._contexts:
            return
        self._cuda.about = self._names[device]
        self._cuda.tell(opening=device)
        context = self._cuda.open(device)
        self._buffers[device] = (self._cuda.take(self._size), self._cuda.take(self._size))
        self._contexts[device] = context
        self._cuda.tell(opening=None)
        self._wrote = self._wrote or self._cuda.host(self._size)
        self._read = self._read or self._cuda.host(self._size)

    def _pair(self, source: int, target: int) -> None:
        self._cuda.tell(direct=self._cuda.can_access(source, target))
        ways = [way for way in ((source, target), (target, source)) if self._cuda.can_access(*way)]
        for device, peer in ways:
            self._enable(device, peer)
        _, wrong = self._copy(source, target, self._pattern, 1)
        seconds = 0.0
        if wrong is None:
            seconds, wrong = self._copy(source, target, self._pattern.translate(_COMPLEMENT), _TIMED_COPIES)
        forgetful = self._forgetful(source, target) if wrong is not None else None
        # Each pair stands alone, and a device can have eight such peers at a time.
        for device, peer in ways:
            self._use(device)
            self._cuda.call("cuCtxDisablePeerAccess", self._contexts[peer])
        if forgetful is not None:
            self._cuda.tell(holds=None, wrong=forgetful, seconds=0.0, size=0)
        else:
            self._cuda.tell(holds=wrong is None, wrong=wrong, seconds=seconds, size=_TIMED_COPIES * self._size)

    def _forgetful(self, source: int, target: int) -> str | None:
        """Which of the two devices does not even keep what it is given directly: no fault of the copy then."""
        wrote, read = self._host()
        for device, place in ((source, self._buffers[source][0]), (target, self._buffers[target][1])):
            self._use(device)
            self._cuda.write(place, wrote.address, self._size)
            self._cuda.synchronize()
            self._cuda.read(read.address, place, self._size)
            found = differences(wrote.address, read.address, self._size)
            if found:
                return f"the memory of {self._names[device]} itself: {_words(found, self._size)}"
        return None

    def _use(self, device: int) -> None:
        self._cuda.use(self._contexts[device])

    def _enable(self, device: int, peer: int) -> None:
        self._use(device)
        try:
            self._cuda.call("cuCtxEnablePeerAccess", self._contexts[peer], 0)
        except Refused as refused:
            if refused.name != PEER_ACCESS_ALREADY_ENABLED:
                raise

    def _host(self) -> tuple[HostBuffer, HostBuffer]:
        assert self._wrote is not None  # noqa: S101 - made with the first device
        assert self._read is not None  # noqa: S101
        return self._wrote, self._read

    def _copy(self, source: int, target: int, data: bytes, times: int) -> tuple[float, str | None]:
        """The seconds that so many copies took, and the first difference in what arrived."""
        cuda, (wrote, read) = self._cuda, self._host()
        start, end = self._buffers[source][0], self._buffers[target][1]
        wrote.fill(data)
        self._use(target)
        cuda.call("cuMemsetD8_v2", end, _STALE, self._size)
        cuda.synchronize()
        self._use(source)
        cuda.write(start, wrote.address, self._size)
        cuda.synchronize()
        began = time.perf_counter()
        ends = (end, self._contexts[target], start, self._contexts[source], self._size)
        for done in range(times):
            cuda.call("cuMemcpyPeer", *ends, again=done > 0)
        cuda.synchronize()
        self._use(target)
        cuda.synchronize()
        seconds = time.perf_counter() - began
        cuda.read(read.address, end, self._size)
        found = differences(wrote.address, read.address, self._size)
        return seconds, _words(found, self._size) if found else None


def _words(found: list[dict[str, Any]], size: int) -> str:
    first = found[0]
    wrong = sum(one["last"] - one["first"] + 1 for one in found)
    return f"byte {first['first']}: {first['wrote']} arrived as {first['read']}; up to {wrong} of {size} bytes differ"
