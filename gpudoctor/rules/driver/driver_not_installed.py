"""A GPU is present, and no NVIDIA driver is installed.

## What it means
The NVIDIA device is on the bus, yet there is neither a kernel module nor a user-mode library (NVML, libcuda) of
NVIDIA's driver here. Nothing that uses CUDA can start. CUDA itself need not be installed: PyTorch's and JAX's
wheels, and `tensorflow[and-cuda]`, bring their own CUDA libraries; the driver is the one thing that comes from the
system.

## Why it happens
A fresh system, a driver removed by an upgrade, or a kernel change on a system that builds no module.

## How to fix
Install a driver that still supports this GPU, with the distribution's package manager, and reboot.

## How it is detected
PCI vendor 10de, no NVIDIA kernel module loaded or on disk, and no libnvidia-ml.so.1 for the loader.

## Sources
- https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/
- https://docs.nvidia.com/deploy/nvml-api/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, DriverFiles, KernelDriver, Nvml, PciDevices
from gpudoctor.findings import Confidence, Found, NotApplicable, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.remedies import InstallDriver
from gpudoctor.views import NVIDIA_VENDOR, Presence

RULE = Rule(
    masks=(
        "device-nodes-missing",
        "container-no-gpu-access",
        "smoke-ran-on-cpu",
    )
)


@RULE.detector
def neither_module_nor_library(
    presence: Presence,
    pci: PciDevices,
    module: KernelDriver,
    nvml: Nvml,
    files: DriverFiles | None,
    container: Container | None,
    matrix: Matrix,
) -> Verdict:
    """A GPU on the bus without any trace of a driver."""
    if not presence.present:
        return NotApplicable("no NVIDIA GPU")
    if module.version or nvml.result != "NVML_ERROR_LIBRARY_NOT_FOUND":
        return None
    if files and (files.modules or files.libraries):
        return None
    inside = container is not None and container.engine is not None
    lacking = "loaded on the host" if inside else "installed"
    return Found(
        title=f"{presence.names[0]} is present, and no NVIDIA driver is {lacking}.",
        detail="No NVIDIA kernel module is loaded"
        + ("." if inside else ", none is on disk, and the loader finds no libnvidia-ml.so.1."),
        evidence=(
            cite("NVIDIA devices", ", ".join(presence.names), presence),
            cite("NVML", nvml.result, nvml),
            cite("kernel module", "not loaded", module),
        ),
        remedies=(InstallDriver(capability=_capability(pci, matrix)),),
        confidence=Confidence.LIKELY if inside or files is None else Confidence.CERTAIN,
    )


def _capability(pci: PciDevices, matrix: Matrix) -> str | None:
    """The compute capability of the first NVIDIA device by its PCI id, so that no driver is advised that dropped it."""
    for device in pci.devices:
        if device.vendor == NVIDIA_VENDOR:
            model = matrix.gpu_by_pci_id(device.device)
            return None if isinstance(model, Unlisted) else str(model.capability)
    return None
