"""Machines with NVIDIA GPUs that do not exist: described here, answered by fake driver libraries.

``install(folder, Machine())`` gives the environment variables under which any program that uses NVML or the CUDA
driver API sees one healthy H100. A machine is a frozen value: change one fact with ``dataclasses.replace``.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.drivers.build import build

GIB = 1 << 30
MIB = 1 << 20

Fault = str
HANG: Fault = "hang"
SPIN: Fault = "spin"
SEGV: Fault = "segv"
ABORT: Fault = "abort"
FLOOD: Fault = "flood"
"""The function prints without end."""
SLOW: Fault = "slow"
"""The function takes half a second, and then works."""


def error(code: int) -> Fault:
    """The function answers with this error code."""
    return f"error {code}"


def prints(text: str) -> Fault:
    """The function prints this on standard output, without a final newline, and then works."""
    return f"print {text}"


def after(calls: int, fault: Fault) -> Fault:
    """The function works so many times in a process, then this happens at every call."""
    return f"after {calls} {fault}"


WRONG: Fault = "wrong"
"""Of a copy between two GPUs: it reports success, and half of the data never arrives."""

Range = tuple[int, int, int]


@dataclass(frozen=True)
class Process:
    """A process on a GPU; ``used`` None is memory that the driver does not tell."""

    pid: int
    used: int | None = 512 * MIB
    name: str | bytes | None = "python3"


@dataclass(frozen=True)
class MigSlice:
    """A MIG compute instance. ``flips`` as for a GPU."""

    uuid: str
    name: str = "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
    memory: int = 10 * GIB
    bar1: int = 16383 * MIB
    flips: tuple[Range, ...] = ()


@dataclass(frozen=True)
class FakeGpu:
    """One GPU. A reading that is None is one that it does not support (NVML_ERROR_NOT_SUPPORTED).

    ``faults`` are by the C name of the function (``nvmlDeviceGetHandleByIndex_v2``) and hold for this GPU alone.
    Codes are those of nvml.h; ``mig`` and ``ecc`` are (now, after reset), ``fabric`` is (state, status),
    ``remapped`` is (corrected, uncorrected, pending, failure), powers are milliwatts.

    For the memory that a program takes through libcuda: ``flips`` are (first byte, last byte, mask) of bits that come
    back otherwise, ``stuck`` of bits that come back as one, ``aliases`` (first byte, length, other first byte) of
    addresses that are other addresses in truth, all counted from the start of the GPU's memory, which is given out from
    there; ``largest_allocation`` is what one call may get, ``context_memory`` what each process with a context costs.
    """

    name: str | bytes = "NVIDIA H100 80GB HBM3"
    uuid: str | bytes = "GPU-5e1f7c2a-0000-4000-8000-0000000000a0"
    pci: str = "00000000:17:00.0"
    pci_id: int = 0x233010DE
    capability: tuple[int, int] = (9, 0)
    memory: tuple[int, int, int] | None = (80 * GIB, 600 * MIB, 0)  # total, reserved by the driver, used
    vbios: str | None = "96.00.89.00.01"
    compute_mode: int | None = 0
    persistence: bool | None = True
    mig_mode: tuple[bool, bool] | None = (False, False)
    mig_slices: tuple[MigSlice, ...] = ()
    display_active: bool | None = False
    virtualization: int | None = 0
    vgpu_licensed: bool | None = None
    ecc: tuple[bool, bool] | None = (True, True)
    ecc_errors: tuple[int, int, int, int] | None = (0, 0, 0, 0)  # corrected, uncorrected; each volatile, lifetime
    remapped: tuple[int, int, bool, bool] | None = (0, 0, False, False)
    retired: tuple[int, int] | None = None  # by cause: many single-bit errors, a double-bit error
    retired_pending: bool | None = None
    throttle: int | None = 0x1
    temperature: int | None = 34
    temperature_slowdown: int | None = 87
    power: int | None = 71_250
    power_limit: int | None = 700_000
    power_default_limit: int | None = 700_000
    sm_clock: int | None = 345
    sm_clock_max: int | None = 1980
    pcie: tuple[int, int, int, int] | None = (5, 5, 16, 16)  # generation now, most; lanes now, most
    pcie_replays: int | None = 0
    nvlink: tuple[bool, ...] = (True,) * 18
    fabric: tuple[int, int] | None = (3, 0)
    compute: tuple[Process, ...] | None = ()
    graphics: tuple[Process, ...] | None = ()
    utilization: int | None = 0
    integrated: bool = False
    flips: tuple[Range, ...] = ()
    stuck: tuple[Range, ...] = ()
    aliases: tuple[Range, ...] = ()
    largest_allocation: int | None = None
    context_memory: int | None = None
    faults: Mapping[str, Fault] = field(default_factory=dict)


@dataclass(frozen=True)
class Machine:
    """A machine. ``faults`` are by the C name of the function and hold for every GPU; ``without`` are functions that
    this driver does not have; ``nvml`` or ``cuda`` False leaves that library out.

    ``confidential`` is (environment, feature, development tools) of nvmlSystemGetConfComputeState. ``no_peers`` are
    (GPU, peer) without access; ``peer_faults`` happen to copies from the first to the second GPU, ``direct_faults``
    only to those that do not pass main memory.
    """

    gpus: tuple[FakeGpu, ...] = (FakeGpu(),)
    driver: str = "580.65.06"
    cuda_version: int = 13000
    confidential: tuple[int, int, int] | None = (0, 0, 0)
    confidential_ready: bool = True
    compat_cuda_version: int | None = None
    faults: Mapping[str, Fault] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    nvml: bool = True
    cuda: bool = True
    no_peers: tuple[tuple[int, int], ...] = ()
    peer_faults: Mapping[tuple[int, int], Fault] = field(default_factory=dict)
    direct_faults: Mapping[tuple[int, int], Fault] = field(default_factory=dict)
    process_names: Mapping[int, str | bytes] = field(default_factory=dict)


def gpus(count: int, **changes: object) -> tuple[FakeGpu, ...]:
    """So many healthy H100s that differ in UUID and PCI address."""
    return tuple(
        FakeGpu(
            uuid=f"GPU-5e1f7c2a-0000-4000-8000-0000000000a{index:x}",
            pci=f"00000000:{0x17 + 0x10 * index:02X}:00.0",
            **changes,  # type: ignore[arg-type]
        )
        for index in range(count)
    )


def install(folder: Path, machine: Machine) -> dict[str, str]:
    """Lay the machine's driver libraries into ``folder``; the environment variables with which programs find them.

    The real files carry the driver's version in their names, as a driver package installs them.
    """
    library = folder / "lib"
    library.mkdir(parents=True)
    if machine.nvml:
        lay(library, "libnvidia-ml.so.1", machine)
    if machine.cuda:
        lay(library, "libcuda.so.1", machine)
    description = folder / "machine.txt"
    description.write_text(describe(machine), "ascii")
    return {"LD_LIBRARY_PATH": str(library), "GPUDOCTOR_LAB_MACHINE": str(description)}


def lay(folder: Path, soname: str, machine: Machine, version: str | None = None) -> Path:
    """Put one library and its link into a folder: ``libcuda.so.1`` -> ``libcuda.so.<version>``."""
    folder.mkdir(parents=True, exist_ok=True)
    without = tuple(name for name in machine.without if name.startswith("cu" if "cuda" in soname else "nvml"))
    real = folder / soname.replace(".so.1", f".so.{version or machine.driver}")
    shutil.copy(build(soname, without), real)
    (folder / soname).symlink_to(real.name)
    return real


# ------------------------------------------------------------------------------------------------ the description


def describe(machine: Machine) -> str:
    """The machine as the lines that the libraries read (lab.h)."""
    entries: dict[str, object] = {
        "driver": machine.driver,
        "nvml": f"{machine.cuda_version // 1000}.{machine.driver}",
        "cuda": machine.cuda_version,
        "compat.cuda": machine.compat_cuda_version,
        "confidential": machine.confidential,
        "confidential.ready": machine.confidential_ready if machine.confidential else None,
        "gpus": len(machine.gpus),
    }
    entries |= {f"fault.{function}": fault for function, fault in machine.faults.items()}
    entries |= {f"peer.{gpu}.{peer}": 0 for gpu, peer in machine.no_peers}
    entries |= {f"peer_fault.{source}.{target}": fault for (source, target), fault in machine.peer_faults.items()}
    entries |= {
        f"peer_fault.direct.{source}.{target}": fault for (source, target), fault in machine.direct_faults.items()
    }
    entries |= {f"process.{pid}": name for pid, name in machine.process_names.items()}
    for index, gpu in enumerate(machine.gpus):
        entries |= {f"gpu.{index}.{leaf}": value for leaf, value in _leaves(gpu).items()}
        entries |= {f"fault.{function}.{index}": fault for function, fault in gpu.faults.items()}
        for process in (*(gpu.compute or ()), *(gpu.graphics or ())):
            entries[f"process.{process.pid}"] = process.name
    return "".join(f"{key}={_written(value)}\n" for key, value in entries.items() if value is not None)


def _leaves(gpu: FakeGpu) -> dict[str, object]:
    pcie = gpu.pcie or (None,) * 4
    errors = gpu.ecc_errors or (None,) * 4
    retired = gpu.retired or (None,) * 2
    leaves: dict[str, object] = {
        "name": gpu.name,
        "uuid": gpu.uuid,
        "pci": gpu.pci,
        "pci_id": gpu.pci_id,
        "capability": gpu.capability,
        "memory": gpu.memory,
        "vbios": gpu.vbios,
        "compute_mode": gpu.compute_mode,
        "persistence": gpu.persistence,
        "mig": gpu.mig_mode,
        "mig_most": 7 if gpu.mig_mode else None,
        "display_active": gpu.display_active,
        "display_mode": gpu.display_active,
        "virtualization": gpu.virtualization,
        "vgpu_licensed": gpu.vgpu_licensed,
        "ecc": gpu.ecc,
        **{f"ecc.{kind}.{counter}": errors[2 * kind + counter] for kind in (0, 1) for counter in (0, 1)},
        "remapped": gpu.remapped,
        "retired.0": retired[0],
        "retired.1": retired[1],
        "retired_pending": gpu.retired_pending,
        "throttle": gpu.throttle,
        "temperature.0": gpu.temperature,
        "threshold.1": gpu.temperature_slowdown,
        "power": gpu.power,
        "power_limit": gpu.power_limit,
        "power_default_limit": gpu.power_default_limit,
        **{f"clock.{kind}": gpu.sm_clock for kind in (0, 1)},
        **{f"clock_max.{kind}": gpu.sm_clock_max for kind in (0, 1)},
        "pcie_generation": pcie[0],
        "pcie_generation_max": pcie[1],
        "pcie_width": pcie[2],
        "pcie_width_max": pcie[3],
        "pcie_replays": gpu.pcie_replays,
        "nvlink": gpu.nvlink or None,
        "fabric": gpu.fabric,
        "compute": _process_list(gpu.compute),
        "graphics": _process_list(gpu.graphics),
        "utilization": None if gpu.utilization is None else (gpu.utilization, 0),
        "integrated": gpu.integrated,
        "flips": gpu.flips or None,
        "stuck": gpu.stuck or None,
        "aliases": gpu.aliases or None,
        "largest_allocation": gpu.largest_allocation,
        "context_memory": gpu.context_memory,
    }
    for index, instance in enumerate(gpu.mig_slices):
        leaves[f"mig.{index}.uuid"] = instance.uuid
        leaves[f"mig.{index}.name"] = instance.name
        leaves[f"mig.{index}.memory"] = (instance.memory, 0, 0)
        leaves[f"mig.{index}.bar1"] = instance.bar1
        leaves[f"mig.{index}.flips"] = instance.flips or None
    return leaves


def _process_list(processes: tuple[Process, ...] | None) -> str | None:
    if processes is None:
        return None
    return ",".join(f"{process.pid}:{'-' if process.used is None else process.used}" for process in processes)


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(_written(item) for item in value)
    if isinstance(value, bool):
        return str(int(value))
    data = value if isinstance(value, bytes) else str(value).encode()
    return "".join(chr(byte) if 0x20 <= byte < 0x7F and byte != ord("%") else f"%{byte:02X}" for byte in data)
