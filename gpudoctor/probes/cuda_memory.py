"""The memory test of a deep smoke run: patterns written to most of a GPU's free memory and read back.

One child for each GPU or MIG instance, a few at a time. A child takes at most :data:`SHARE` of what is free and leaves
at least :data:`LEAVE` bytes; where time is short it tests less, and says so.
"""

from __future__ import annotations

import contextlib
import os
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from gpudoctor.children import Child, Ending, Limits, Listener
from gpudoctor.children import Message as Line
from gpudoctor.facts import MemoryFault, MemoryTest, MemoryTests, Missing
from gpudoctor.probes.cuda_devices import CALLS, SOURCE, CudaDevice, environment, patience
from gpudoctor.probes.own_child import ended_early, own_child
from gpudoctor.world import World

SHARE = 0.95
SHARE_INTEGRATED = 0.5  # of memory that programs on the processor use as well
LEAVE = 512 << 20

_PIECE = 1 << 30  # bytes of one allocation
_BLOCK = 64 << 20  # bytes of one copy
_MOST_RANGES = 20
_MOST_AT_ONCE = 4
_CALL_SECONDS = 10.0  # a copy of one block takes milliseconds
_END_SECONDS = 3.0  # of the time, for the child's start and end

Report = Callable[[CudaDevice, float], None]
"""Told of progress: the device, and how much of its test is done (0 to 1)."""


def cuda_memory(
    world: World, devices: Sequence[CudaDevice], limits: Limits, report: Report = lambda _device, _done: None
) -> MemoryTests:
    """Test the memory of each device.

    A call that does not return within ``limits.idle`` seconds (default: ten, more for the start) counts as hung.
    """
    # Copies share the path to main memory: few at a time are as fast as all.
    at_once = max(1, min(_MOST_AT_ONCE, os.cpu_count() or 1, len(devices)))
    waves = -(-len(devices) // at_once)
    seconds = (limits.deadline - time.monotonic()) / max(1, waves)
    waiting = [_Test(device, world, seconds, limits, len(devices)) for device in devices]
    with contextlib.ExitStack() as stack:
        tests = _Tests(stack, report)
        tests.run(waiting, at_once)
    return MemoryTests(source=SOURCE, tests=tuple(test.fact() for test in waiting))


@dataclass
class _Test:
    """One device's child and what it told."""

    device: CudaDevice
    world: World
    seconds: float
    limits: Limits
    devices: int
    said: dict[str, Any] = field(default_factory=dict)
    ended: Missing | None = None

    def child(self) -> Child:
        """The child, its time counted from now on."""
        idle = self.limits.idle or patience(self.devices)
        self.limits = Limits(min(self.limits.deadline, time.monotonic() + self.seconds), idle)
        plan = {
            "seconds": max(0.0, self.seconds - _END_SECONDS),
            "patience": min(idle, _CALL_SECONDS),
            "share": SHARE,
            "share_integrated": SHARE_INTEGRATED,
            "leave": LEAVE,
            "piece": _PIECE,
            "block": _BLOCK,
            "ranges": _MOST_RANGES,
        }
        world = environment(self.world, self.device.mig)
        return own_child("cuda_memory_child", (self.device.wanted(), plan), world, self.limits, modules=CALLS)

    def hear(self, line: Line | Ending) -> None:
        """Take in one message of the child, or its end."""
        if isinstance(line, dict):
            tested = max(self.said.get("tested", 0), line.get("tested", 0))
            self.said.update(line)
            self.said["tested"] = tested
        elif "done" not in self.said:
            self.ended = ended_early(line, self.said.get("step", "start"), self.limits)

    def fact(self) -> MemoryTest:
        """The test as it stands."""
        said = self.said
        faults = tuple(msgspec.convert(fault, MemoryFault) for fault in said.get("faults", ()))
        return MemoryTest(
            gpu=self.device.gpu,
            mig=self.device.mig,
            free=said.get("free", 0),
            tested=said.get("tested", 0),
            faults=faults,
            error=self._error(),
        )

    def _error(self) -> str | None:
        said = self.said
        if "error" in said:
            return f"{said['error']}: {said['where']}"
        if "stuck" in said:
            return f"no answer for {said['stuck']:g} s: {said['step']}"
        if self.ended is not None:
            return str(self.ended)
        if said.get("short"):
            return "the time was too short for all of it"
        return said.get("ended")


@dataclass
class _Tests:
    """The children that run, and one queue for what they say."""

    stack: contextlib.ExitStack
    report: Report
    lines: queue.SimpleQueue[tuple[_Test, Line | Ending]] = field(default_factory=queue.SimpleQueue)

    def run(self, tests: Sequence[_Test], at_once: int) -> None:
        """Run all, so many at once. An interrupt ends their children on the way out."""
        waiting, running = list(tests), 0
        while waiting or running:
            while waiting and running < at_once:
                self._start(waiting.pop(0))
                running += 1
            test, line = self.lines.get()
            test.hear(line)
            if isinstance(line, Ending):
                running -= 1
            elif "moved" in line:
                self.report(test.device, min(1.0, line["moved"] / line["of"]))

    def _start(self, test: _Test) -> None:
        child = test.child()
        listener = Listener(child, partial(self._listen, test, child))
        # The listener ends when the child does; it is waited for after that.
        self.stack.callback(listener.join, 5.0)
        self.stack.enter_context(child)
        listener.start()

    def _listen(self, test: _Test, child: Child) -> None:
        for line in child.messages():
            self.lines.put((test, line))
            if "stuck" in line or "done" in line:
                break
        self.lines.put((test, child.ending()))
