"""Answers that follow from several facts together, computed once for all rules. A view is a fact like any other.

Each takes all facts and returns a record, Missing, or None where it is known that there is nothing of the kind; a
detector asks for it by type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from gpudoctor.facts import (
    Container,
    CudaDriver,
    Fact,
    Facts,
    FrameworkName,
    GpuCapability,
    Gpus,
    Imported,
    Jetson,
    KernelDriver,
    KernelLog,
    Message,
    Missing,
    Nvml,
    PciDevices,
    Request,
    System,
    Wsl,
)
from gpudoctor.preflight.judged import Requirements, requirements
from gpudoctor.relations import Capability

NVIDIA_VENDOR = "10de"


class Presence(Fact, frozen=True, kw_only=True):
    """Whether an NVIDIA GPU is in this machine at all, whatever the driver says. ``names`` as far as known."""

    present: bool
    names: tuple[str, ...] = ()


class Proved(Fact, frozen=True, kw_only=True):
    """The smoke jobs that were proved, as (framework, NVML index of the GPU or None)."""

    jobs: tuple[tuple[str, int | None], ...]

    def trains(self, framework: str, gpu: int) -> bool:
        """Whether that framework was seen to train on that GPU."""
        return (framework, gpu) in self.jobs


class DriverSide(Fact, frozen=True, kw_only=True):
    """Where the driver lives, and so who can change it: this machine, the host of a container, or Windows."""

    place: str
    windows_numbers: bool


class DriverCuda(Fact, frozen=True, kw_only=True):
    """The newest CUDA that the driver side runs, as ``12.4``: that of the libcuda which programs here load."""

    version: str


class UserDriver(Fact, frozen=True, kw_only=True):
    """The version of the user-mode driver in use, which NVML names, such as 535.129.03."""

    version: str


class Printed(Fact, frozen=True, kw_only=True):
    """Every line that programs, smoke jobs and the kernel printed, each with its source.

    ``sentences`` are the kernel's, put together again: the NVIDIA module breaks one over several lines of the log,
    each with its own ``NVRM:``. ``low`` is all lines in lower case: what is not in it, no line says.
    """

    lines: tuple[Message, ...]
    sentences: str = ""
    low: str = ""


def presence(facts: Facts) -> Presence | Missing:
    """NVML's and CUDA's word where they see a GPU, the PCI bus's where they do not; Tegra and WSL have none."""
    if isinstance(facts.gpus, Gpus) and facts.gpus.gpus:
        names = tuple(gpu.name or "NVIDIA GPU" for gpu in facts.gpus.gpus)
        return Presence(source=facts.gpus.source, present=True, names=names)
    if isinstance(facts.cuda, CudaDriver) and facts.cuda.count:
        return Presence(source=facts.cuda.source, present=True, names=facts.cuda.names)
    if isinstance(facts.nvml, Nvml) and facts.nvml.result == "NVML_ERROR_LIB_RM_VERSION_MISMATCH":
        # A kernel module answered, and it loads only where a GPU is, also where /sys and /proc do not show it.
        return Presence(source=facts.nvml.source, present=True, names=("NVIDIA GPU",))
    if isinstance(facts.jetson, Jetson) and facts.jetson.l4t:
        return Presence(source=facts.jetson.source, present=True, names=(facts.jetson.model or "Tegra",))
    if isinstance(facts.wsl, Wsl) and facts.wsl.version:
        return Missing("unreadable", "WSL shows no PCI devices", "PCI bus")
    if isinstance(facts.pci, Missing):
        return facts.pci
    return _presence_on_bus(facts.pci)


def _presence_on_bus(pci: PciDevices) -> Presence:
    found = tuple(device for device in pci.devices if device.vendor == NVIDIA_VENDOR)
    names = tuple(device.name or f"NVIDIA device {device.device}" for device in found)
    return Presence(source=pci.source, present=bool(found), names=names)


def proved(facts: Facts) -> Proved:
    """What the smoke jobs have proved so far; nothing, where none ran."""
    jobs = tuple((smoke.framework, smoke.gpu) for smoke in facts.smokes if smoke.result == "proved")
    return Proved(source="smoke jobs", jobs=jobs)


def driver_side(facts: Facts) -> DriverSide | Missing:
    """Windows around WSL, the host around a container, else this machine."""
    if isinstance(facts.wsl, Wsl) and facts.wsl.version:
        return DriverSide(source=facts.wsl.source, place="windows", windows_numbers=True)
    if isinstance(facts.system, System) and facts.system.os == "windows":
        return DriverSide(source=facts.system.source, place="machine", windows_numbers=True)
    if isinstance(facts.container, Container) and facts.container.engine:
        return DriverSide(source=facts.container.source, place="host", windows_numbers=False)
    if isinstance(facts.system, Missing):
        return facts.system
    return DriverSide(source=facts.system.source, place="machine", windows_numbers=False)


def user_driver(facts: Facts) -> UserDriver | Missing:
    """NVML's driver version; the kernel module's where NVML has none but is not contradicted."""
    if isinstance(facts.nvml, Nvml) and facts.nvml.driver:
        return UserDriver(source=facts.nvml.source, version=facts.nvml.driver)
    if isinstance(facts.kernel_driver, KernelDriver) and facts.kernel_driver.version:
        return UserDriver(source=facts.kernel_driver.source, version=facts.kernel_driver.version)
    return facts.nvml if isinstance(facts.nvml, Missing) else Missing("unreadable", "no driver version", "NVML")


def driver_cuda(facts: Facts) -> DriverCuda | Missing:
    """cuDriverGetVersion of the loaded libcuda (cuda-compat included), else what NVML says of the driver's own."""
    if isinstance(facts.cuda, CudaDriver) and facts.cuda.version:
        return DriverCuda(source=facts.cuda.source, version=facts.cuda.version)
    if isinstance(facts.nvml, Nvml) and facts.nvml.cuda:
        return DriverCuda(source=facts.nvml.source, version=facts.nvml.cuda)
    if isinstance(facts.cuda, Missing):
        return facts.cuda
    return Missing("unreadable", "there is no libcuda to ask", "cuDriverGetVersion")


_BREAK = re.compile(r"(?:\\x0a)?\s{0,40}NVRM:\s{1,4}")


def printed(facts: Facts) -> Printed | None:
    """Messages, the words of failed imports and smoke jobs, and the kernel log; None where nothing was printed."""
    lines = [*facts.messages, *_of_frameworks(facts)]
    log = facts.kernel_log
    if isinstance(log, KernelLog):
        lines += [Message(source=log.source, text=event.text) for event in log.xids]
        lines += [Message(source=log.source, text=text) for text in log.lines]
    if not lines:
        return None
    broken = [line.text for line in lines if "NVRM:" in line.text]
    sentences = _BREAK.sub(" ", " ".join(broken)) if broken else ""
    low = "\n".join([line.text for line in lines]).lower()
    return Printed(source="what programs printed", lines=tuple(lines), sentences=sentences, low=low)


def _of_frameworks(facts: Facts) -> Iterator[Message]:
    for framework in facts.installed_frameworks():
        found = framework.imported
        if isinstance(found, Imported):
            for text in (*((found.error,) if found.error else ()), *found.warnings):
                yield Message(source=found.source, text=text, framework=framework.name)
    for smoke in facts.smokes:
        if smoke.error:
            yield Message(source=smoke.source, text=smoke.error, framework=smoke.framework)
        for part in smoke.parts:
            if part.error:
                yield Message(source=f"{smoke.source}, {part.name}", text=part.error, framework=smoke.framework)


def capabilities_of(gpus: Gpus | None) -> tuple[str, ...]:
    """The compute capabilities of all GPUs that tell theirs, each once, lowest first."""
    known = (gpu.capability for gpu in (gpus.gpus if gpus else ()))
    values = {found.value for found in known if isinstance(found, GpuCapability)}
    return tuple(sorted(values, key=Capability.parse))


def wanted(framework: FrameworkName, request: Request) -> bool:
    """Whether a framework is to be imported and trained: those that were asked for, or all where none was."""
    return not request.required or framework in request.required


VIEWS: dict[type, Callable[[Facts], Any]] = {
    Presence: presence,
    Proved: proved,
    DriverSide: driver_side,
    UserDriver: user_driver,
    DriverCuda: driver_cuda,
    Printed: printed,
    Requirements: requirements,
}

NOTHING: dict[type, str] = {Printed: "nothing was printed"}
"""What is said to a rule that looks at something of which there is nothing."""
