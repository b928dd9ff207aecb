"""What is seen of the GPUs from outside while a job runs on them: the witnesses that no framework can bribe."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, ExitStack

from gpudoctor.children import Limits
from gpudoctor.facts import Missing
from gpudoctor.probes.nvml import witness
from gpudoctor.probes.nvml_record import Record
from gpudoctor.smoke import Target
from gpudoctor.smoke_facts import Sight
from gpudoctor.world import World

_SECONDS = 20.0


class Outside:
    """The driver's own sight of each GPU. Use it as a context manager: leaving it ends what it has started."""

    def __init__(self, world: World, limits: Limits) -> None:
        self._world = world
        self._limits = limits
        self._exit = ExitStack()

    def __enter__(self) -> Outside:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def look(self, pids: tuple[int, ...], target: Target) -> Sight | Missing:
        """One GPU's memory in use and those of the processes that are on it."""
        if target.gpu is None:
            return Missing("unreadable", "NVML does not list this GPU")
        left = self._limits.deadline - time.monotonic()
        return witness(self._world, pids, target.gpu, Limits.within(min(left, _SECONDS)))

    def record(self, gpus: tuple[int, ...]) -> AbstractContextManager[Record]:
        """A record of these GPUs (NVML's indices) from now on."""
        return Record(self._world, gpus, Limits(self._limits.deadline))
