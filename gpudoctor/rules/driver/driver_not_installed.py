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
PCI vendor 10de, no NVIDIA kernel module loaded or on disk, and no libnvidia-ml.so.1 for the loader; in WSL, no driver
library from Windows; or a program does not find the driver's libraries outside of any container.

## Sources
- https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/
- https://docs.nvidia.com/deploy/nvml-api/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import (
    Container,
    CudaDriver,
    DriverFiles,
    Gpus,
    Jetson,
    KernelDriver,
    KernelModules,
    Nvml,
    PciDevices,
    System,
    Wsl,
)
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.remedies import InstallDriver
from gpudoctor.rules._printed import SILENT, gpu_is_missed, heard, nvml_fails, works
from gpudoctor.views import NVIDIA_VENDOR, Presence, Printed

RULE = Rule(
    masks=(
        "device-nodes-missing",
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
    jetson: Jetson | None,
    cuda: CudaDriver | None,
    matrix: Matrix,
) -> Verdict:
    """A GPU on the bus without any trace of a driver."""
    if works(cuda):
        return Passed("CUDA works")
    if any(device.vendor == NVIDIA_VENDOR and device.driver == "vfio-pci" for device in pci.devices):
        return NotApplicable("the GPU is reserved for a virtual machine")
    if not presence.present or (jetson and jetson.l4t):
        return NotApplicable("no NVIDIA GPU, or a Jetson, whose driver comes with its JetPack")
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


@RULE.detector
def windows_gives_no_library(wsl: Wsl, nvml: Nvml, cuda: CudaDriver, container: Container | None) -> Verdict:
    """WSL 2 with a GPU of some kind, and no driver library from Windows."""
    if wsl.version != 2 or (container and container.engine):
        return NotApplicable("not in WSL 2, or in a container on it")
    if not wsl.dxg or not wsl.libraries or any(name.startswith("libcuda") for name in wsl.libraries):
        return NotApplicable("no /dev/dxg, or the libraries are there")
    if cuda.result != "not-found" or nvml.result != "NVML_ERROR_LIBRARY_NOT_FOUND":
        return NotApplicable("a driver library was found elsewhere")
    return Found(
        title="Windows gives WSL no NVIDIA driver: /usr/lib/wsl/lib has no libcuda.",
        detail="Windows has no NVIDIA driver, one without WSL support, or no NVIDIA GPU.",
        evidence=(cite("libraries from Windows", ", ".join(wsl.libraries[:6]), wsl), cite("NVML", nvml.result, nvml)),
        remedies=(InstallDriver(),),
        confidence=Confidence.LIKELY,
    )


_HOST = (
    r"load library failed: libnvidia-ml\.so\.1: cannot open shared object file",
    r"libcuda\.so\.1 not found on the host",
)
_IN_PASSING = (
    r"Found no NVIDIA driver on your system",
    r"libcuda\.so(?:\.1)?['\"]?; dlerror: libcuda\.so(?:\.1)?: cannot open shared object file",
    r"/proc/driver/nvidia/version does not exist",
)
_HERE = (
    # As a warning it comes wherever a CUDA build looks for a GPU.
    r"(?<!CUDA initialization: )Found no NVIDIA driver on your system",
    r"nvidia-smi['\"]?\W{1,4}(?:command not found|No such file or directory|not found)",
    r"(?:Command|command|program) ['\"`]?nvidia-smi['\"`]? (?:was )?not found",
    r"'nvidia-smi' is not recognized as an internal or external command",
    # cuDNN 8 asks for the link without a number, which a driver need not have where the loader looks.
    r"(?<!dlerror: )(?<!\. Error: )libcuda\.so(?:\.1)?: cannot open shared object file",
    r"couldn't find libnvidia-ml\.so library in your system",
    r"couldn't find nvml\.dll library in your system",
)


@RULE.detector
def a_program_says_so(
    printed: Printed,
    container: Container | None,
    nvml: Nvml | None,
    cuda: CudaDriver | None,
    module: KernelDriver | None,
    gpus: Gpus | None,
    presence: Presence | None,
    system: System | None,
    modules: KernelModules | None,
) -> Verdict:
    """The driver's libraries or programs are not found; inside a container this is about the container."""
    host = heard(printed, *_HOST)
    inside = container is not None and container.engine is not None
    hit = host or (None if inside else heard(printed, *_HERE))
    if hit is None and not inside and ((presence and presence.present) or gpu_is_missed(printed)):
        hit = heard(printed, *_IN_PASSING)
    if hit is None or works(cuda) or (module and module.version) or (system and system.os == "macos"):
        return NotApplicable(SILENT)
    if modules and "nvidia" in modules.loaded:
        return NotApplicable("the kernel module is loaded: a tool of the driver is missing, not the driver")
    answers = nvml is not None and not nvml_fails(nvml) and (nvml.result == "NVML_SUCCESS" or nvml.driver)
    if answers or (gpus and any(gpu.pci for gpu in gpus.gpus)) or (presence and not presence.present):
        return NotApplicable("a driver answers elsewhere in the text, or there is no GPU")
    return Found(
        title="No NVIDIA driver is installed on the host." if host and inside else "No NVIDIA driver is installed.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(InstallDriver(),),
        confidence=Confidence.LIKELY,
    )
