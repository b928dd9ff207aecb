"""Facts that no rule about driver and machine can find a fault in. Pure.

Loading ninety rules takes longer than asking the driver, and nearly every pre-flight runs on a sound machine. What is
listed here is narrow on purpose: anything else, a surprising value as much as an unknown one, is left to the rules.
That they find no error on facts that are plain is a law which tests/preflight/test_plain.py holds.
"""

from __future__ import annotations

import re

from gpudoctor.facts import (
    NOT_ASKED,
    Container,
    CudaDriver,
    Environment,
    Facts,
    Gpu,
    GpuCapability,
    GpuClocks,
    GpuEcc,
    GpuFabric,
    GpuMemory,
    GpuModes,
    Gpus,
    HostedNotebook,
    Jetson,
    KernelDriver,
    KernelLog,
    LibcudaFiles,
    Missing,
    Nvml,
    PciDevices,
    Scheduler,
    SharedMemory,
    System,
    Wsl,
)

# What a pre-flight of the driver's side looks at; a kind of fact that is not among them is for the rules.
_LOOKED_AT = frozenset(
    {
        *("gpudoctor", "created", "origin", "request", "system", "libc", "processor", "memory", "shared_memory"),
        *("virtual_machine", "wsl", "container", "jetson", "hosted", "scheduler", "pci", "kernel_modules"),
        *("kernel_driver", "driver_files", "secure_boot", "device_nodes", "kernel_log", "services", "environment"),
        *("nvml", "gpus", "libcuda", "cuda"),
    }
)
_NVIDIA = "10de"
_IDLE = frozenset({"gpu-idle", "applications-clocks-setting", "sw-power-cap", "sync-boost", "display-clock-setting"})
# What the driver says as it loads, and any program that ended by a bad access of its own.
_PLAIN_LINES = (
    r"NVRM: loading NVIDIA UNIX .*"
    r"|nvidia: (?:loading out-of-tree module taints kernel|module license .{0,40} taints kernel)\.?"
    r"|nvidia-nvlink: Nvlink Core is being initialized, .*"
    r"|nvidia-modeset: Loading NVIDIA .*"
    r"|nvidia-uvm: Loaded the UVM driver, .*"
    r"|\[drm\] (?:\[nvidia-drm\] \[GPU ID 0x[0-9a-f]{1,16}\] Loading driver|Initialized nvidia-drm .*)"
    r"|\S{1,40}\[\d{1,10}\]: segfault at .*"
)


def plain(facts: Facts) -> bool:
    """Whether driver and CUDA work, agree with one another, and every GPU is as a sound one is."""
    return (
        _nothing_else(facts)
        and _place(facts)
        and _driver(facts)
        and _log(facts.kernel_log)
        and all(_gpu(gpu) for gpu in facts.known_gpus())
    )


def _nothing_else(facts: Facts) -> bool:
    """Only the driver's side was looked at: nothing was run or said, and no environment is judged."""
    others = (getattr(facts, name) for name in facts.__struct_fields__ if name not in _LOOKED_AT)
    return all(one == NOT_ASKED or one == () for one in others)


def _place(facts: Facts) -> bool:
    container, memory = facts.container, facts.shared_memory
    return (
        isinstance(facts.system, System)
        and facts.system.os == "linux"
        and isinstance(facts.wsl, Wsl)
        and facts.wsl.version is None
        and isinstance(facts.jetson, Jetson)
        and facts.jetson.l4t is None
        and isinstance(facts.hosted, HostedNotebook)
        and facts.hosted.service is None
        and isinstance(facts.scheduler, Scheduler)
        and facts.scheduler.name is None
        and isinstance(container, Container)
        and isinstance(memory, SharedMemory)
        and isinstance(facts.environment, Environment)
        and facts.environment.variables.get("CUDA_VISIBLE_DEVICES") is None
    )


def _driver(facts: Facts) -> bool:
    nvml, cuda, module, files = facts.nvml, facts.cuda, facts.kernel_driver, facts.libcuda
    return (
        isinstance(nvml, Nvml)
        and nvml.result == "NVML_SUCCESS"
        and nvml.driver is not None
        and isinstance(cuda, CudaDriver)
        and cuda.code == 0
        and cuda.version == nvml.cuda
        and isinstance(facts.gpus, Gpus)
        and cuda.count == len(facts.gpus.gpus) > 0
        and isinstance(module, KernelDriver)
        and module.version in (None, nvml.driver)
        and isinstance(files, LibcudaFiles)
        and files.taken is not None
        and files.taken.kind == "driver"
        and files.taken.version in (None, nvml.driver)
        and all(other.kind in ("driver", "stub") for other in files.others)
        and _bus(facts)
    )


def _bus(facts: Facts) -> bool:
    """No GPU on the bus that another driver holds, that nobody does, or that answers with nothing but ones."""
    if not isinstance(facts.pci, PciDevices):
        return False
    listed = [device for device in facts.pci.devices if device.vendor == _NVIDIA]
    return all(device.driver == "nvidia" and (device.revision or "").lower() != "ff" for device in listed)


def _log(log: KernelLog | Missing) -> bool:
    """A log that may not be read says nothing, to the rules as well."""
    if isinstance(log, Missing):
        return log.kind == "unreadable"
    return not log.xids and all(re.fullmatch(_PLAIN_LINES, line) for line in log.lines)


def _gpu(gpu: Gpu) -> bool:
    return (
        gpu.error is None
        and gpu.name is not None
        and isinstance(gpu.capability, GpuCapability)
        and isinstance(gpu.memory, GpuMemory)
        and isinstance(gpu.modes, GpuModes)
        and gpu.modes.compute in (None, "default")
        and not gpu.modes.mig
        and not gpu.modes.mig_pending
        and gpu.modes.model is None
        and gpu.modes.vgpu_license in (None, "licensed")
        and gpu.modes.confidential in (None, "off")
        and _memory_is_sound(gpu)
        and _is_cool(gpu)
        and isinstance(gpu.fabric, GpuFabric)
        and (gpu.fabric.state, gpu.fabric.status) in (("not-supported", None), ("completed", "NVML_SUCCESS"))
    )


def _memory_is_sound(gpu: Gpu) -> bool:
    ecc = gpu.ecc
    if not isinstance(ecc, GpuEcc):
        return isinstance(ecc, Missing) and ecc.detail == "NVML_ERROR_NOT_SUPPORTED"
    counts = (ecc.uncorrected, ecc.uncorrected_lifetime, ecc.remapped_uncorrected, ecc.retired_pages)
    return not any(counts) and not any((ecc.remap_pending, ecc.remap_failure, ecc.retired_pending))


def _is_cool(gpu: Gpu) -> bool:
    return isinstance(gpu.clocks, GpuClocks) and _IDLE.issuperset(gpu.clocks.throttle)
