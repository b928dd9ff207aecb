"""What is seen of the GPUs from outside while a job runs on them: the witnesses that no framework can bribe."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, ExitStack

from gpudoctor.children import Limits
from gpudoctor.facts import Missing
from gpudoctor.probes.cuda_witness import CudaWitness
from gpudoctor.probes.nvml import witness
from gpudoctor.probes.nvml_record import Record
from gpudoctor.smoke.jobs import Target
from gpudoctor.smoke.told import Sight
from gpudoctor.world import World

_SECONDS = 20.0


class Outside:
    """The driver's own sight of each GPU. Use it as a context manager: leaving it ends what it has started.

    NVML is asked first. Where it does not tell, and for a MIG instance, whose GPU's memory other instances move as
    well, a process of ours looks through the CUDA driver. Whoever looked first looks again: only like is compared.
    """

    def __init__(self, world: World, limits: Limits) -> None:
        self._world = world
        self._limits = limits
        self._exit = ExitStack()
        self._by_nvml: set[Target] = set()
        self._by_cuda: dict[Target, CudaWitness] = {}

    def __enter__(self) -> Outside:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def look(self, pids: tuple[int, ...], target: Target) -> Sight | Missing:
        """The memory in use on one GPU, and those of the processes that are on it."""
        if target in self._by_cuda:
            return self._by_cuda[target].look()
        told = self._nvml(pids, target)
        if target in self._by_nvml or (not isinstance(told, Missing) and told.used is not None):
            self._by_nvml.add(target)
            return told
        return self._cuda(target) if target.mig or target.pci else told

    def _nvml(self, pids: tuple[int, ...], target: Target) -> Sight | Missing:
        if target.gpu is None:
            return Missing("unreadable", "NVML does not list this GPU")
        if target.mig is not None:
            return Missing("not-asked", "its GPU's memory is that of all instances")
        return witness(self._world, pids, target.gpu, self._patience())

    def _cuda(self, target: Target) -> Sight | Missing:
        opened = CudaWitness(self._world, Limits(self._limits.deadline), pci=target.pci, mig=target.mig)
        self._by_cuda[target] = self._exit.enter_context(opened)
        return opened.look()

    def _patience(self) -> Limits:
        return Limits.within(min(self._limits.deadline - time.monotonic(), _SECONDS))

    def record(self, gpus: tuple[int, ...]) -> AbstractContextManager[Record]:
        """A record of these GPUs (NVML's indices) from now on."""
        return Record(self._world, gpus, Limits(self._limits.deadline))
