"""Which GPUs a test may use, and why there are not enough: what :mod:`gpudoctor.pytest_plugin` knows.

A test asks with a :class:`Need`; :func:`look` sees once what CUDA shows to this process; :func:`chosen` compares them.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from gpudoctor.facts import (
    CudaDriver,
    Facts,
    Gpu,
    GpuCapability,
    GpuMemory,
    GpuModes,
    Gpus,
    MigInstances,
    Missing,
    Nvml,
    Request,
)
from gpudoctor.facts import Record as _Record
from gpudoctor.preflight.requirements import (
    Amount,
    Capable,
    Named,
    Requirement,
    RequirementError,
    Versioned,
    parse,
)
from gpudoctor.world import World

_GIB = 1 << 30


class MarkerError(ValueError):
    """A marker asks for something that does not exist. The message is one sentence for the author of the test."""


class Device(_Record, frozen=True, kw_only=True):
    """A GPU, or a MIG instance, that CUDA shows to this process.

    ``number`` is CUDA's (``cuda:0``), after CUDA_VISIBLE_DEVICES; ``vram`` and ``free_vram`` are bytes, free as of the
    look; ``driver`` is the driver's version, ``cuda`` the newest CUDA that it runs (``12.4``). None: not told.
    """

    number: int
    name: str
    uuid: str | None = None
    capability: str | None = None
    vram: int | None = None
    free_vram: int | None = None
    driver: str | None = None
    cuda: str | None = None


class Sight(_Record, frozen=True, kw_only=True):
    """What one look saw. ``trouble`` says why there is no device, empty where there is one."""

    devices: tuple[Device, ...]
    trouble: str = ""


# ---------------------------------------------------------------------------------------------------- what is needed


@dataclass(frozen=True)
class Need:
    """What a test needs: ``count`` GPUs, each of which meets all ``wishes``."""

    count: int = 1
    wishes: tuple[Requirement, ...] = ()

    def __str__(self) -> str:
        subject = "a GPU" if self.count == 1 else f"{self.count} GPUs"
        return f"{subject} with {', '.join(wish.text for wish in self.wishes)}" if self.wishes else subject


def needed(markers: Iterable[tuple[tuple[object, ...], Mapping[str, object]]]) -> Need:
    """The need of a test from its markers' arguments, the closest marker first. Raises MarkerError."""
    said: dict[str, object] = {}
    for positional, named in markers:
        if positional:
            raise MarkerError(f"gpu({positional[0]!r}) has no name; gpu takes {_known()}")
        said = {**named, **said}
    count = _count(said.pop("count", 1))
    return Need(count, tuple(wish for name, value in said.items() for wish in _wishes(name, value)))


_SUBJECTS = {
    "vram": "vram",
    "free_vram": "free-vram",
    "capability": "capability",
    "driver": "driver",
    "cuda": "cuda",
    "name": "gpu",
}


def _known() -> str:
    return ", ".join(f"{name}=" for name in ("count", *_SUBJECTS))


def _count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise MarkerError(f"gpu(count={value!r}): a number of GPUs from 1 on is wanted")


def _wishes(name: str, value: object) -> tuple[Requirement, ...]:
    """The same words as in ``gpudoctor preflight --require``; a value without an operator is the least that will do."""
    if name not in _SUBJECTS:
        near = difflib.get_close_matches(name, ("count", *_SUBJECTS), 1)
        hint = f"did you mean {near[0]}=?" if near else f"gpu takes {_known()}"
        raise MarkerError(f"gpu({name}=…) is not known; {hint}")
    if not isinstance(value, str):
        raise MarkerError(f'gpu({name}={value!r}): text is wanted, such as {name}="{_EXAMPLES[name]}"')
    sign = "" if re.match(r"\s*[<>=!~]", value) else "~=" if name == "name" else ">="
    try:
        return parse(f"{_SUBJECTS[name]}{sign}{value}")
    except RequirementError as error:
        raise MarkerError(f"gpu({name}={value!r}): {error}") from None


_EXAMPLES = {
    "vram": "16GiB",
    "free_vram": "16GiB",
    "capability": "8.0",
    "driver": "550",
    "cuda": "12.4",
    "name": "H100",
}


# ------------------------------------------------------------------------------------------------- what is compared


def chosen(need: Need, sight: Sight) -> tuple[Device, ...] | str:
    """The devices that meet the need, at least as many as it asks for; else one sentence that says why not."""
    if not sight.devices:
        return f"needs {need}: {sight.trouble}"
    short = {device.number: tuple(_shortcomings(need, device)) for device in sight.devices}
    fit = tuple(device for device in sight.devices if not short[device.number])
    if len(fit) >= need.count:
        return fit
    told = "; ".join(
        f"GPU {device.number} ({device.name}) {' and '.join(short[device.number])}"
        for device in sight.devices
        if short[device.number]
    )
    there = f"CUDA shows {len(sight.devices)}" + (f", {len(fit)} of them fit" if told and fit else "")
    return f"needs {need}: {there}" + (f"; {told}" if told else "")


def _shortcomings(need: Need, device: Device) -> Iterator[str]:
    for wish in need.wishes:
        words, value, holds = _measured(wish, device)
        if value is None:
            yield f"does not tell its {words}"
        elif not holds:
            yield f"has {words} {value}" if words != "name" else "has another name"


def _measured(wish: Requirement, device: Device) -> tuple[str, str | None, bool]:
    """In words, with the device's own value, None where it is not known: does a device meet one wish?"""
    if isinstance(wish, Amount):
        words, size = ("memory", device.vram) if wish.name == "vram" else ("free memory", device.free_vram)
        return words, None if size is None else _gib(size), size is not None and wish.holds(size)
    if isinstance(wish, Capable):
        pair = _NUMBERS.fullmatch(device.capability or "")
        return "compute capability", device.capability, bool(pair and wish.holds((int(pair[1]), int(pair[2]))))
    if isinstance(wish, Versioned):
        words, version = ("driver", device.driver) if wish.name == "driver" else ("CUDA", device.cuda)
        try:
            return words, version, version is not None and wish.holds(version)
        except ValueError:  # the driver's own text is no version
            return words, None, False
    return "name", device.name, isinstance(wish, Named) and wish.holds(device.name)


_NUMBERS = re.compile(r"(\d+)\.(\d+)")


def _gib(size: int) -> str:
    return f"{size / _GIB:.2f}".rstrip("0").rstrip(".") + " GiB"


# ------------------------------------------------------------------------------------------------------ what is seen


def look(world: World) -> Sight:
    """Look at the driver's side as a pre-flight does; where CUDA shows nothing, ask the rules why."""
    from gpudoctor.preflight import look as preflight

    facts = preflight.look_for(
        preflight.Sight(Request(source="a test", quick=True, smoke=False), sys.executable), world
    )
    found = devices(facts.cuda, facts.gpus, facts.nvml, world.environ.get("CUDA_VISIBLE_DEVICES"))
    return Sight(devices=found, trouble="" if found else _trouble(facts))


def devices(
    cuda: CudaDriver | Missing, gpus: Gpus | Missing, nvml: Nvml | Missing, visible: str | None
) -> tuple[Device, ...]:
    """CUDA's devices in CUDA's order, with what NVML knows of each; only the name, where it cannot tell which one.

    ``visible`` is CUDA_VISIBLE_DEVICES, which NVML ignores.
    """
    if isinstance(cuda, Missing) or cuda.result != "CUDA_SUCCESS":
        return ()
    left = list(_known_devices(gpus.gpus, visible) if isinstance(gpus, Gpus) else ())
    found = []
    for number, name in enumerate(cuda.names):
        like = next((device for device in left if device.name == name), None)
        if like is not None:
            left.remove(like)
        found.append(
            msgspec.structs.replace(
                like or Device(number=number, name=name),
                number=number,
                driver=nvml.driver if isinstance(nvml, Nvml) else None,
                cuda=cuda.version,
            )
        )
    return tuple(found)


def _known_devices(gpus: tuple[Gpu, ...], visible: str | None) -> Iterator[Device]:
    """Every GPU and MIG instance, those first which the variable names, in its order."""
    every = [device for gpu in gpus for device in _of_gpu(gpu)]
    entries = [entry.strip().lower() for entry in (visible or "").split(",") if entry.strip()]

    def place(device: Device) -> int:
        own = (str(device.number), (device.uuid or "").lower())
        named = (index for index, entry in enumerate(entries) if own[0] == entry or (own[1].startswith(entry)))
        return next(named, len(entries))

    return iter(sorted(every, key=place))


def _of_gpu(gpu: Gpu) -> Iterator[Device]:
    capability = gpu.capability.value if isinstance(gpu.capability, GpuCapability) else None
    if isinstance(gpu.modes, GpuModes) and gpu.modes.mig:
        for one in gpu.mig.instances if isinstance(gpu.mig, MigInstances) else ():
            yield Device(number=gpu.index, name=one.name or "", uuid=one.uuid, capability=capability, vram=one.memory)
        return
    memory = gpu.memory if isinstance(gpu.memory, GpuMemory) else None
    yield Device(
        number=gpu.index,
        name=gpu.name or "",
        uuid=gpu.uuid,
        capability=capability,
        vram=memory.total if memory else None,
        free_vram=memory.free if memory else None,
    )


def _trouble(facts: Facts) -> str:
    """Why CUDA shows no GPU: the cause that the rules name, else CUDA's own word."""
    from gpudoctor.findings import Severity
    from gpudoctor.report import judge

    for finding in judge(facts).findings:
        if finding.severity is Severity.ERROR and finding.because_of is None:
            return f"{finding.title} ({finding.rule})"
    if isinstance(facts.cuda, Missing):
        return f"CUDA {facts.cuda}"
    return f"CUDA answers {facts.cuda.result}" if facts.cuda.result != "CUDA_SUCCESS" else "CUDA shows no GPU"
