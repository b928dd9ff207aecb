"""Which GPUs and MIG instances CUDA may use here, and by which of NVML's GPUs each is meant.

libcuda is asked in a child process under the user's environment, so that CUDA_VISIBLE_DEVICES is respected. Of MIG
instances a process sees one alone: the others that the user may use are those that NVML lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gpudoctor.children import Limits
from gpudoctor.facts import Gpu, MigInstance, MigInstances, Missing
from gpudoctor.pci import address
from gpudoctor.probes.own_child import ended_early, own_child
from gpudoctor.world import World

SOURCE = "CUDA driver API"
CALLS = ("cuda_child", "cuda_calls")
"""The modules that a child needs which uses a GPU."""

_IDLE_SECONDS = 20.0
_IDLE_SECONDS_PER_GPU = 5.0  # cuInit starts all GPUs; without persistence mode that takes seconds for each


@dataclass(frozen=True)
class CudaDevice:
    """A GPU or a MIG instance that CUDA may use here.

    ``gpu`` is NVML's index, else CUDA's; ``ordinal`` is CUDA's, None for a MIG instance, which gets an environment of
    its own; ``mig`` is the instance's UUID.
    """

    gpu: int
    ordinal: int | None = None
    pci: str | None = None
    mig: str | None = None

    def __str__(self) -> str:
        return f"GPU {self.gpu}" + (f", {self.mig}" if self.mig else "")

    def wanted(self) -> dict[str, Any]:
        """What a child looks for: see ``Cuda.find``."""
        if self.mig is not None:
            return {"ordinal": 0}
        return {"ordinal": self.ordinal} if self.pci is None else {"pci": self.pci}


def cuda_devices(world: World, gpus: Sequence[Gpu], limits: Limits) -> tuple[CudaDevice, ...] | Missing:
    """All that CUDA may use under this environment; ``gpus`` are NVML's. Missing where libcuda does not tell."""
    said: dict[str, Any] = {}
    limits = Limits(limits.deadline, limits.idle or patience(len(gpus)))
    with own_child("cuda_devices_child", (), world, limits, modules=CALLS) as child:
        for message in child.messages():
            said.update(message)
            if "error" in message:
                return Missing("unreadable", message["error"], message["where"])
            if "done" in message:
                return tuple(_devices(world, gpus, said["devices"]))
        return ended_early(child.ending(), said.get("step", "start"), limits)


def patience(gpus: int) -> float:
    """Seconds without sign of work after which a child that starts so many GPUs is given up."""
    return _IDLE_SECONDS + _IDLE_SECONDS_PER_GPU * gpus


def _devices(world: World, gpus: Sequence[Gpu], told: Sequence[dict[str, Any]]) -> Iterator[CudaDevice]:
    instances = {bare_uuid(one.uuid): (gpu.index, one) for gpu in gpus for one in _instances(gpu)}
    for device in told:
        gpu = _index(gpus, device)
        if device["uuid"] in instances:
            index, instance = instances.pop(device["uuid"])
            yield CudaDevice(index, mig=instance.uuid)
        else:
            yield CudaDevice(gpu, device["ordinal"], device["pci"])
    for index, instance in instances.values():
        if _allowed(instance, world.environ.get("CUDA_VISIBLE_DEVICES")):
            yield CudaDevice(index, mig=instance.uuid)


def _instances(gpu: Gpu) -> tuple[MigInstance, ...]:
    return gpu.mig.instances if isinstance(gpu.mig, MigInstances) else ()


def _allowed(instance: MigInstance, visible: str | None) -> bool:
    """Whether CUDA_VISIBLE_DEVICES names a MIG instance, by the start of its UUID, or is not set."""
    if visible is None:
        return True
    return any(name.startswith("MIG-") and instance.uuid.startswith(name) for name in visible.split(","))


def _index(gpus: Sequence[Gpu], device: dict[str, Any]) -> int:
    """NVML's index of a device by PCI address, else by UUID, else CUDA's own."""
    for gpu in gpus:
        if gpu.pci is not None and device["pci"] is not None and address(gpu.pci) == address(device["pci"]):
            return gpu.index
    for gpu in gpus:
        if gpu.uuid is not None and bare_uuid(gpu.uuid) == device["uuid"]:
            return gpu.index
    return int(device["ordinal"])


def bare_uuid(uuid: str) -> str:
    """A UUID without GPU- or MIG-."""
    return uuid.partition("-")[2].lower()


def environment(world: World, mig: str | None) -> World:
    """The same machine, with a MIG instance as the only device that a child sees."""
    if mig is None:
        return world
    return replace(world, environ={**world.environ, "CUDA_VISIBLE_DEVICES": mig})
