"""NVIDIA's open kernel modules are installed, and they cannot drive this GPU.

## What it means
The open modules need a processor inside the GPU (GSP) that exists from Turing on. Maxwell, Pascal and Volta have none:
the open module refuses them, and nvidia-smi finds no driver or no device.

## Why it happens
From driver 560 on many packages install the open modules unless told otherwise.

## How to fix
Install the proprietary flavour of a driver branch that still supports the GPU (580 is the last one for Maxwell, Pascal
and Volta) and reboot.

## How it is detected
The loaded module is the open one and the GPU's architecture is one without GSP; or the kernel says that the GPU "is
not supported by open nvidia.ko".

## Sources
- https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/kernel-modules.html
- https://github.com/NVIDIA/open-gpu-kernel-modules/blob/main/src/nvidia/arch/nvalloc/unix/src/osapi.c
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, DriverFiles, Gpus, KernelDriver, Nvml, PciDevices, System, Wsl
from gpudoctor.findings import Found, NotApplicable, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.remedies import InstallDriver
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.rules._silicon import module_flavour, undriven
from gpudoctor.views import Printed

RULE = Rule(
    masks=(
        "driver-not-loaded",
        "device-nodes-missing",
        "driver-too-old-for-gpu",
        "bios-resource-limit",
        "gpu-hardware-fault",
        "smoke-ran-on-cpu",
    )
)


@RULE.detector
def open_on_a_gpu_without_gsp(
    module: KernelDriver | None,
    files: DriverFiles | None,
    pci: PciDevices | None,
    gpus: Gpus | None,
    nvml: Nvml | None,
    system: System | None,
    wsl: Wsl | None,
    matrix: Matrix,
) -> Verdict:
    """The flavour of the loaded module against what the GPU's architecture allows."""
    fact = module_flavour(module, files, system, wsl)
    if isinstance(fact, NotApplicable):
        return fact
    if fact.flavour == "proprietary":
        return None
    for gpu in undriven(pci, gpus, nvml, matrix):
        tegra_or_new = gpu.architecture.tegra or gpu.architecture.open_kernel != "unsupported"
        if not tegra_or_new:
            version = f" {module.version}" if module and module.version else ""
            return Found(
                title=f"The open kernel module{version} cannot drive {gpu.name}: it needs the proprietary one.",
                detail=f"The {gpu.architecture.name} architecture has no GPU System Processor (GSP).",
                evidence=(gpu.evidence, cite("kernel module", f"open{version}", fact)),
                remedies=(InstallDriver(capability=gpu.architecture.capability, open_kernel=False),),
            )
    return None


_TEXTS = (
    r"\(PCI ID: 10de:([0-9a-f]{4})\)\s{1,4}installed in this (?:vGPU host )?system is not supported by\s{1,4}open",
    r"is not supported by\s{1,4}open(?:\s{1,4}nvidia\.ko|$)",
    r"nvidia\.ko because it does not include the required GPU",
    r"Open nvidia\.ko is only ready for use on Data Center GPUs",
)


@RULE.detector
def the_kernel_says_so(printed: Printed, cuda: CudaDriver | None, matrix: Matrix) -> Verdict:
    """The open module names the GPU that it cannot drive."""
    named = heard(printed, _TEXTS[0])
    hit = named or heard(printed, *_TEXTS[1:])
    if hit is None or works(cuda):
        return NotApplicable(SILENT)
    model = matrix.gpu_by_pci_id(named.match[1]) if named else None
    known = None if model is None or isinstance(model, Unlisted) else model
    return Found(
        title=f"The open kernel module cannot drive {known.name if known else 'this GPU'}: it needs the proprietary "
        "one.",
        detail=f"The kernel: {hit.text}.",
        evidence=(hit.evidence,),
        remedies=(InstallDriver(capability=known.capability if known else None, open_kernel=False),),
    )
