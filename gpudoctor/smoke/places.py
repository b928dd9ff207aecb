"""Where smoke jobs are due: every GPU and MIG instance that this environment may use. Pure.

CUDA shows a process at most one MIG instance, and lists GPUs in an order of its own, so each further job gets a child
that sees nothing but its own GPU, by UUID: https://docs.nvidia.com/cuda/cuda-c-programming-guide/#env-vars
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from gpudoctor.facts import Gpu, MigInstances

Choice = int | Literal["all", "cpu"]
"""Which devices are asked for: NVML's index of a GPU, all that are visible, or the CPU alone."""


class Place(NamedTuple):
    """One GPU or MIG instance for one job.

    ``device`` counts as the user's program would. ``gpu`` is NVML's index, None where that is not known yet.
    ``visible`` is the CUDA_VISIBLE_DEVICES of a child that shall see nothing else.
    """

    device: int = 0
    gpu: int | None = None
    visible: str = ""
    mig: str | None = None


def places(gpus: Sequence[Gpu], environ: Mapping[str, str], shown: int) -> tuple[Place, ...]:
    """All places, in the order of CUDA_VISIBLE_DEVICES, else in NVML's.

    ``shown`` is how many devices a framework lists in the user's own environment: where neither NVML nor the
    variable tells them apart, they are counted.
    """
    asked = environ.get("CUDA_VISIBLE_DEVICES")
    found = tuple(_all(gpus) if asked is None else _named(asked, gpus, environ))
    counted = tuple(Place(device=index, visible=str(index)) for index in range(shown))
    return found if gpus else found[:shown] or counted


def chosen(found: Sequence[Place], choice: Choice) -> tuple[Place, ...]:
    """Those of the places that were asked for. A GPU whose index is not known goes by its position."""
    if choice == "all":
        return tuple(found)
    return tuple(one for one in found if (one.device if one.gpu is None else one.gpu) == choice)


def _all(gpus: Sequence[Gpu]) -> Iterator[Place]:
    for position, gpu in enumerate(gpus):
        if isinstance(gpu.mig, MigInstances) and gpu.mig.instances:
            for instance in gpu.mig.instances:
                yield Place(position, gpu.index, instance.uuid, instance.uuid)
        else:
            yield Place(position, gpu.index, gpu.uuid or str(position))


def _named(asked: str, gpus: Sequence[Gpu], environ: Mapping[str, str]) -> Iterator[Place]:
    """CUDA takes the entries up to the first that names no device."""
    in_order = environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" or len({gpu.name for gpu in gpus}) == 1
    for position, entry in enumerate(asked.split(",")):
        name = entry.strip()
        known = _by_number(name, gpus) if name.isascii() and name.isdecimal() else _by_uuid(name, gpus)
        if (known is None and gpus) or not name or name[0] == "-":
            return
        counts = in_order or not name.isdecimal()
        yield Place(position, known if counts else None, name, name if name.startswith("MIG-") else None)


def _by_number(number: str, gpus: Sequence[Gpu]) -> int | None:
    return gpus[int(number)].index if int(number) < len(gpus) else None


def _by_uuid(prefix: str, gpus: Sequence[Gpu]) -> int | None:
    """CUDA takes as much of a UUID as tells it from the others."""
    fitting = {gpu.index for gpu in gpus for uuid in _uuids(gpu) if uuid.startswith(prefix)}
    return fitting.pop() if len(fitting) == 1 else None


def _uuids(gpu: Gpu) -> tuple[str, ...]:
    instances = gpu.mig.instances if isinstance(gpu.mig, MigInstances) else ()
    return (*filter(None, [gpu.uuid]), *(instance.uuid for instance in instances))
