"""Which GPUs a test may use, and why there are not enough: what :mod:`gpudoctor.pytest_plugin` knows.

A test asks with a :class:`Need`; :func:`look` sees once what CUDA shows to this process; :func:`chosen` compares them.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from gpudoctor.children import Limits
from gpudoctor.facts import CudaDriver, Gpu, GpuCapability, GpuMemory, GpuModes, Gpus, MigInstances, Missing, Nvml
from gpudoctor.facts import Record as _Record
from gpudoctor.world import World

_LOOK_SECONDS = 120.0
_UNITS = {
    f"{prefix}{unit}": base**power
    for unit, base in (("B", 1000), ("iB", 1024))
    for power, prefix in enumerate(("K", "M", "G", "T"), 1)
}
_GIB = 1 << 30
_MACHINE = ("driver", "container", "environment")  # rules that say why CUDA shows no GPU, whatever is installed


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


class Need(_Record, frozen=True, kw_only=True):
    """What a test needs: ``count`` GPUs, each of which has at least the rest. Memory is in bytes.

    ``name`` is a regular expression that is found in the GPU's name, whatever its case.
    """

    count: int = 1
    vram: int | None = None
    free_vram: int | None = None
    capability: str | None = None
    driver: str | None = None
    cuda: str | None = None
    name: str | None = None

    def __str__(self) -> str:
        wishes = (
            (self.vram, f"{_gib(self.vram)} of memory"),
            (self.free_vram, f"{_gib(self.free_vram)} of free memory"),
            (self.capability, f"compute capability {self.capability}"),
            (self.driver, f"driver {self.driver}"),
            (self.cuda, f"CUDA {self.cuda}"),
            (self.name, f"a name like {self.name}"),
        )
        told = ", ".join(words for wish, words in wishes if wish is not None)
        subject = "a GPU" if self.count == 1 else f"{self.count} GPUs"
        return f"{subject} with {told}" if told else subject


def needed(markers: Iterable[tuple[tuple[object, ...], Mapping[str, object]]]) -> Need:
    """The need of a test from its markers' arguments, the closest marker first. Raises MarkerError."""
    wishes: dict[str, object] = {}
    for positional, named in markers:
        if positional:
            raise MarkerError(f"gpu({positional[0]!r}) has no name; gpu takes {_known()}")
        wishes = {**named, **wishes}
    return Need(**{name: _READERS[_checked(name)](name, value) for name, value in wishes.items()})


def _known() -> str:
    return ", ".join(f"{name}=" for name in _READERS)


def _checked(name: str) -> str:
    if name in _READERS:
        return name
    near = difflib.get_close_matches(name, _READERS, 1)
    raise MarkerError(
        f"gpu({name}=…) is not known; " + (f"did you mean {near[0]}=?" if near else f"gpu takes {_known()}")
    )


def _count(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise MarkerError(f"gpu({name}={value!r}): a number of GPUs from 1 on is wanted")


def _bytes(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    size = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?B)\s*", value) if isinstance(value, str) else None
    if size is None:
        raise MarkerError(f'gpu({name}={value!r}): a size such as "16GiB", or bytes, is wanted')
    return int(float(size[1]) * _UNITS[size[2]])


def _version(name: str, value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+){0,3}", value):
        return value
    raise MarkerError(f'gpu({name}={value!r}): text such as "{_EXAMPLES[name]}" is wanted')


def _pattern(name: str, value: object) -> str:
    try:
        if isinstance(value, str):
            return re.compile(value).pattern
    except re.error:
        pass
    raise MarkerError(f"gpu({name}={value!r}): a regular expression is wanted")


_EXAMPLES = {"capability": "8.0", "driver": "550.54", "cuda": "12.4"}
_READERS: dict[str, Any] = {
    "count": _count,
    "vram": _bytes,
    "free_vram": _bytes,
    "capability": _version,
    "driver": _version,
    "cuda": _version,
    "name": _pattern,
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
    if need.vram is not None and (device.vram is None or device.vram < need.vram):
        yield "does not tell its memory" if device.vram is None else f"has {_gib(device.vram)}"
    if need.free_vram is not None and (device.free_vram is None or device.free_vram < need.free_vram):
        yield "does not tell its free memory" if device.free_vram is None else f"has {_gib(device.free_vram)} free"
    for words, wanted, there in (
        ("compute capability", need.capability, device.capability),
        ("driver", need.driver, device.driver),
        ("CUDA", need.cuda, device.cuda),
    ):
        if wanted and (there is None or _numbers(there) < _numbers(wanted)):
            yield f"has {words} {there}" if there else f"does not tell its {words}"
    if need.name and not re.search(need.name, device.name, re.IGNORECASE):
        yield "has another name"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _gib(size: int | None) -> str:
    return f"{(size or 0) / _GIB:.2f}".rstrip("0").rstrip(".") + " GiB"


# ------------------------------------------------------------------------------------------------------ what is seen


def look(world: World) -> Sight:
    """Ask NVML and CUDA, in child processes, what this process may use; where nothing, ask the rules why."""
    from gpudoctor.probes.cuda_driver import cuda_driver
    from gpudoctor.probes.nvml import nvml

    limits = Limits.within(_LOOK_SECONDS)
    try:
        cuda, answer = cuda_driver(world, limits), nvml(world, limits)
    except OSError as error:
        return Sight(devices=(), trouble=f"the GPUs cannot be looked at: {error}")
    found = devices(cuda, answer.gpus, answer.nvml, world.environ.get("CUDA_VISIBLE_DEVICES"))
    return Sight(devices=found, trouble="" if found else _trouble(cuda, world))


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


def _trouble(cuda: CudaDriver | Missing, world: World) -> str:
    """Why CUDA shows no GPU: the cause that the rules name, else CUDA's own word."""
    from gpudoctor.doctor import Plan, diagnose
    from gpudoctor.facts import Request
    from gpudoctor.findings import Severity
    from gpudoctor.rules import GROUPS

    request = Request(source="a test", quick=True, smoke=False)
    report = diagnose(Plan(sys.executable, request, time_limit=_LOOK_SECONDS), world)
    machine = {rule for group in _MACHINE for rule in GROUPS[group]}
    for finding in report.findings:
        if finding.rule in machine and finding.severity is Severity.ERROR and finding.because_of is None:
            return f"{finding.title} ({finding.rule})"
    if isinstance(cuda, Missing):
        return f"CUDA {cuda}"
    return f"CUDA answers {cuda.result}" if cuda.result != "CUDA_SUCCESS" else "CUDA shows no GPU"
