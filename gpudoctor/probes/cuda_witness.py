"""The memory in use on one GPU as another process sees it through the CUDA driver: a witness for smoke jobs.

It is asked where NVML does not tell: containers with the compute capability alone, WSL, virtual GPUs, MIG instances.
"""

from __future__ import annotations

import queue
import time
from typing import Any

from gpudoctor.children import Child, Limits, Listener
from gpudoctor.children import Message as Line
from gpudoctor.facts import GpuProcess, Missing, Record
from gpudoctor.pci import address
from gpudoctor.probes.cuda_devices import CALLS, bare_uuid, environment, patience
from gpudoctor.probes.own_child import ended_early, own_child
from gpudoctor.world import World

_LOOK_SECONDS = 10.0


class CudaSight(Record, frozen=True, kw_only=True):
    """Bytes in use on a GPU or MIG instance, by whomever. CUDA does not list processes."""

    used: int
    total: int
    processes: tuple[GpuProcess, ...] = ()
    listed: int | None = None


class CudaWitness:
    """A process of ours with a context on one GPU. Use it as a context manager: leaving it ends the process.

    The GPU is named by its PCI address, its UUID, or the UUID of a MIG instance. The process starts at once and in the
    background; the first look waits until its context exists, so that all looks count that context's memory alike. On
    a GPU that allows one process it makes none: the job needs it.
    """

    def __init__(
        self, world: World, limits: Limits, *, pci: str | None = None, uuid: str | None = None, mig: str | None = None
    ) -> None:
        wanted = {"ordinal": 0} if mig else {"pci": address(pci)} if pci else {"uuid": bare_uuid(uuid or "")}
        # Silence between two looks is no sign of a hang: each wait here has its own limit.
        alive = Limits(limits.deadline)
        self._child: Child = own_child(
            "cuda_witness_child", (wanted,), environment(world, mig), alive, modules=CALLS, listens=True
        )
        self._limits = limits
        self._start_seconds = limits.idle or patience(_count(world))
        self._look_seconds = limits.idle or _LOOK_SECONDS
        self._lines: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        self._listener = Listener(self._child, self._listen)
        self._step = "start"
        self._ready = False
        self._failed: Missing | None = None

    def __enter__(self) -> CudaWitness:
        self._child.__enter__()
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.__exit__()
        self._listener.join(5.0)

    def _listen(self) -> None:
        for line in self._child.messages():
            self._lines.put(line)
        self._lines.put(None)

    def look(self) -> CudaSight | Missing:
        """What is in use now. Once it failed, every later look says how."""
        if self._failed is None and not self._ready:
            self._wait("ready", self._start_seconds)
            self._ready = True
        if self._failed is None:
            self._child.send({"look": True})
            line = self._wait("free", self._look_seconds)
            if line is not None:
                return CudaSight(used=line["total"] - line["free"], total=line["total"])
        assert self._failed is not None  # noqa: S101 - a wait that fails says why
        return self._failed

    def _wait(self, key: str, seconds: float) -> dict[str, Any] | None:
        """The next line with that key; None, with the failure noted, where none comes in time."""
        end = min(time.monotonic() + seconds, self._limits.deadline)
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                self._failed = Missing("timed-out", f"no answer for {seconds:g} s", self._step)
                return None
            if line is None:
                self._failed = ended_early(self._child.ending(), self._step, self._limits)
                return None
            self._step = line.get("step", self._step)
            if "error" in line:
                self._failed = Missing("unreadable", line["error"], line["where"])
                return None
            if key in line:
                return line


def _count(world: World) -> int:
    try:
        return len(world.list("/proc/driver/nvidia/gpus"))
    except OSError:
        return 1
