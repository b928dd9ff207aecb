"""Writes a pattern to the free memory of one GPU and reads it back, in a child process of gpudoctor's own interpreter.

All of the memory is written before any of it is read, and every place gets bytes of its own, so that two addresses
which are the same cell show. A second round with the complement sets every bit both ways.
"""

from __future__ import annotations

import random
import time
from typing import Any

from gpudoctor.probes.cuda_calls import OUT_OF_MEMORY, Cuda, Refused, differences, joined, run

_GRAIN = 2 << 20  # bytes; the driver's own unit of memory
# Each block's bytes start elsewhere in the random ones. The step is no multiple of any large power of two, so that
# addresses which differ in one line of the address bus get different bytes.
_STEP = 8 * 127
_STEPS = 8191
_SEED = 20_260_901
_COMPLEMENT = bytes(range(255, -1, -1))
_MARGIN = 0.9  # of the time: copies slow down under other load

Block = tuple[int, int, int]
"""Its number, its address on the device, its bytes."""


def main(mark: str, wanted: dict[str, Any], plan: dict[str, Any]) -> None:
    """Test the wanted device. The plan: ``seconds``, ``patience`` for one call, ``share`` of the free memory (of an
    integrated GPU ``share_integrated``), bytes to ``leave``, the sizes of a ``piece`` and of a ``block``, and after
    how many faulty ``ranges`` to stop."""
    end = time.monotonic() + plan["seconds"]
    run(mark, lambda cuda: _test(cuda, wanted, plan, end))


def _test(cuda: Cuda, wanted: dict[str, Any], plan: dict[str, Any], end: float) -> None:
    device = cuda.find(wanted)
    share = plan["share_integrated" if cuda.integrated(device) else "share"]
    cuda.open(device)
    free, _ = cuda.memory()
    cuda.tell(free=free)
    cuda.watch(plan["patience"])
    pieces = _take(cuda, int(min(free * share, free - plan["leave"])), plan)
    blocks = list(_cut(pieces, plan["block"]))
    if not blocks:
        cuda.tell(error=f"no more than {plan['leave'] >> 20} MiB to leave free", where="cuMemGetInfo_v2")
        return
    _Round(cuda, blocks, plan, end).go()


def _take(cuda: Cuda, allowed: int, plan: dict[str, Any]) -> list[tuple[int, int]]:
    """Memory up to the allowed size, in pieces; smaller ones where the free memory is scattered."""
    pieces: list[tuple[int, int]] = []
    size = plan["piece"]
    while True:
        # Others may take memory meanwhile: what is to be left free is theirs.
        left = min(allowed - sum(length for _, length in pieces), cuda.memory()[0] - plan["leave"])
        size = min(size, left) // _GRAIN * _GRAIN
        if size <= 0:
            return pieces
        try:
            pieces.append((cuda.take(size), size))
        except Refused as refused:
            if refused.name != OUT_OF_MEMORY:
                raise
            size //= 2


def _cut(pieces: list[tuple[int, int]], size: int) -> list[Block]:
    cut = [(address + at, min(size, length - at)) for address, length in pieces for at in range(0, length, size)]
    return [(number, address, length) for number, (address, length) in enumerate(cut)]


class _Round:
    """The two rounds over all blocks."""

    def __init__(self, cuda: Cuda, blocks: list[Block], plan: dict[str, Any], end: float) -> None:
        self._cuda = cuda
        self._blocks = blocks
        self._plan = plan
        self._end = end
        self._size = plan["block"] + _STEP * _STEPS
        self._wrote = cuda.host(self._size)
        self._read = cuda.host(plan["block"])
        self._faults: list[dict[str, Any]] = []
        self._moved = 0
        self._counting = False

    def go(self) -> None:
        """Both rounds, as far as time allows."""
        self._cuda.tell(taken=sum(size for _, _, size in self._blocks))
        pattern = random.Random(_SEED).randbytes(self._size)  # noqa: S311 - a pattern, not a secret
        self._wrote.fill(pattern)
        self._fit_time()
        if self._round():
            self._wrote.fill(pattern.translate(_COMPLEMENT))
            self._round()

    def _fit_time(self) -> None:
        """Keep as many blocks as can be done in time, judged by the first one."""
        started = time.monotonic()
        self._write(self._blocks[0])
        self._compare(self._blocks[0])
        each = 2 * (time.monotonic() - started)
        most = int(_MARGIN * max(0.0, self._end - time.monotonic()) / each) if each else len(self._blocks)
        if most < len(self._blocks):
            self._blocks = self._blocks[: max(1, most)]
            self._cuda.tell(short=True)
        self._counting = True

    def _round(self) -> bool:
        """Write all, then read all. False where the test is to end."""
        for block in self._blocks:
            if self._over():
                return False
            self._write(block)
        self._cuda.synchronize()
        tested = 0
        for block in self._blocks:
            if self._over():
                return False
            self._compare(block)
            tested += block[2]
            self._cuda.tell(tested=tested)
            if len(self._faults) >= self._plan["ranges"]:
                self._cuda.tell(ended=f"ended after {self._plan['ranges']} faulty ranges")
                return False
        return True

    def _over(self) -> bool:
        if time.monotonic() < self._end:
            return False
        self._cuda.tell(short=True)
        return True

    def _write(self, block: Block) -> None:
        _, address, size = block
        self._cuda.write(address, self._source(block), size)
        self._progress(size)

    def _compare(self, block: Block) -> None:
        _, address, size = block
        target = self._read.address
        self._cuda.read(target, address, size)
        found = differences(self._source(block), target, size)
        if found:
            start = sum(length for _, _, length in self._blocks[: block[0]])
            moved = [{**one, "first": start + one["first"], "last": start + one["last"]} for one in found]
            self._faults = joined(self._faults + moved)
            self._cuda.tell(faults=self._faults[: self._plan["ranges"]])
        self._progress(size)

    def _source(self, block: Block) -> int:
        return self._wrote.address + block[0] % _STEPS * _STEP

    def _progress(self, size: int) -> None:
        if self._counting:
            self._moved += size
            self._cuda.tell(moved=self._moved, of=4 * sum(length for _, _, length in self._blocks))
