"""Which GPUs are in the machine, by what NVML or the bus says, that the present driver may not drive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gpudoctor.engine import cite
from gpudoctor.facts import (
    DriverFiles,
    Gpu,
    GpuCapability,
    Gpus,
    KernelDriver,
    Nvml,
    PciDevice,
    PciDevices,
    System,
    Wsl,
)
from gpudoctor.findings import Evidence, NotApplicable
from gpudoctor.matrix import Architecture, GpuModel, Matrix, Unlisted
from gpudoctor.pci import address
from gpudoctor.relations import Capability
from gpudoctor.views import NVIDIA_VENDOR


class Silicon(NamedTuple):
    """One GPU of known architecture."""

    name: str
    architecture: Architecture
    evidence: Evidence


def undriven(pci: PciDevices | None, gpus: Gpus | None, nvml: Nvml | None, matrix: Matrix) -> tuple[Silicon, ...]:
    """The GPUs that the present driver does not list without an error, or of which that is not known."""
    listed = gpus.gpus if gpus else ()
    answers = nvml is not None and nvml.result == "NVML_SUCCESS"
    found = [one for gpu in listed if not (answers and gpu.error is None) and (one := _listed(gpu, matrix))]
    seen = {address(gpu.pci) for gpu in listed if gpu.pci}
    # Pasted text often has GPUs without addresses: those on the bus are then the same ones.
    rest = pci.devices if pci and (seen or not listed) else ()
    for device in rest:
        if device.vendor == NVIDIA_VENDOR and address(device.address) not in seen and pci:
            model = model_of(device, matrix)
            if model:
                found += _one(device.name or model.name, model.capability, cite("GPU", model.name, pci), matrix)
    return tuple(found)


def _listed(gpu: Gpu, matrix: Matrix) -> Silicon | None:
    capability = gpu.capability.value if isinstance(gpu.capability, GpuCapability) else _by_name(gpu.name, matrix)
    if capability is None:
        return None
    name = gpu.name or f"GPU {gpu.index}"
    return next(_one(name, capability, cite("GPU", name, gpu), matrix), None)


def _by_name(name: str | None, matrix: Matrix) -> str | None:
    model = matrix.gpu(name) if name else None
    return model.capability if isinstance(model, GpuModel) and not model.other_capabilities else None


def model_of(device: PciDevice, matrix: Matrix) -> GpuModel | None:
    """The model of a device by its id, else by its printed name; None where either means several chips."""
    found = [matrix.gpu_by_pci_id(device.device), *([matrix.gpu(device.name)] if device.name else [])]
    models = [model for model in found if not isinstance(model, Unlisted)]
    return next((model for model in models if not model.other_capabilities), None)


def _one(name: str, capability: str, evidence: Evidence, matrix: Matrix) -> Iterator[Silicon]:
    architecture = matrix.architecture(Capability.parse(capability))
    if not isinstance(architecture, Unlisted):
        yield Silicon(name, architecture, evidence)


def module_flavour(
    module: KernelDriver | None, files: DriverFiles | None, system: System | None, wsl: Wsl | None
) -> KernelDriver | DriverFiles | NotApplicable:
    """The fact that tells the flavour of the kernel module: the loaded one's, else that of the files on disk."""
    if (system and system.os != "linux") or (wsl and wsl.version):
        return NotApplicable("only Linux has two flavours of the kernel module")
    fact = module if module and module.flavour else files
    if fact is None or fact.flavour is None:
        return NotApplicable("the flavour of the kernel module is not known")
    return fact


def branch_number(name: str | None) -> int | None:
    """550 of the branch name R550."""
    return int(name.removeprefix("R")) if name else None
