"""This GPU needs NVIDIA's open kernel modules, and the proprietary ones are installed.

## What it means
From Blackwell on, and on Grace Hopper, the GPU is driven by the open kernel modules only. The proprietary modules load
and then leave the GPU alone: nvidia-smi says "No devices were found". The user-mode driver is the same in both.

## Why it happens
A driver package without "open" in its name was installed, as was right for older GPUs.

## How to fix
Install the open flavour of the same driver branch and reboot.

## How it is detected
The loaded module is proprietary and the GPU's architecture is one that only the open modules drive; or the kernel says
that the GPU "requires use of the NVIDIA open kernel modules".

## Sources
- https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/kernel-modules.html
- https://developer.nvidia.com/blog/nvidia-transitions-fully-towards-open-source-gpu-kernel-modules/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, DriverFiles, Gpus, KernelDriver, Nvml, PciDevices, System, Wsl
from gpudoctor.findings import Found, NotApplicable, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.remedies import InstallDriver
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.rules._silicon import branch_number, module_flavour, undriven
from gpudoctor.views import Printed

RULE = Rule(
    masks=(
        "driver-not-loaded",
        "device-nodes-missing",
        "driver-too-old-for-gpu",
        "gpu-hardware-fault",
        "gpu-lost",
        "driver-known-bug",
        "bios-resource-limit",
        "gpu-firmware-outdated",
        "smoke-ran-on-cpu",
    )
)


@RULE.detector
def proprietary_on_a_gpu_that_needs_open(
    module: KernelDriver | None,
    files: DriverFiles | None,
    pci: PciDevices | None,
    gpus: Gpus | None,
    nvml: Nvml | None,
    system: System | None,
    wsl: Wsl | None,
    matrix: Matrix,
) -> Verdict:
    """The flavour of the loaded module against what the GPU's architecture needs."""
    fact = module_flavour(module, files, system, wsl)
    if isinstance(fact, NotApplicable):
        return fact
    if fact.flavour == "open":
        return None
    for gpu in undriven(pci, gpus, nvml, matrix):
        if _before_the_gpu(module, gpu.architecture.first_branch, matrix):
            return NotApplicable("the driver is older than the GPU, in either flavour")
        if gpu.architecture.open_kernel == "required":
            version = f" {module.version}" if module and module.version else ""
            return Found(
                title=f"{gpu.name} needs the open kernel modules; the proprietary module{version} is installed.",
                detail=f"The {gpu.architecture.name} architecture is driven by the open modules only.",
                evidence=(gpu.evidence, cite("kernel module", f"proprietary{version}", fact)),
                remedies=(InstallDriver(capability=gpu.architecture.capability, open_kernel=True),),
            )
    return None


def _before_the_gpu(module: KernelDriver | None, first_branch: str | None, matrix: Matrix) -> bool:
    first = branch_number(first_branch)
    if first is None or module is None or module.version is None:
        return False
    branch = matrix.driver_branch(module.version, "linux")
    return not isinstance(branch, Unlisted) and branch.number < first


@RULE.detector
def the_kernel_says_so(printed: Printed, cuda: CudaDriver | None) -> Verdict:
    """The proprietary module names the open ones as needed."""
    hit = heard(printed, r"requires use of (?:the )?NVIDIA open kernel modules")
    if hit is None or works(cuda):
        return NotApplicable(SILENT)
    return Found(
        title="This GPU needs NVIDIA's open kernel modules; the proprietary ones are installed.",
        detail=f"The kernel: {hit.text}.",
        evidence=(hit.evidence,),
        remedies=(InstallDriver(open_kernel=True),),
    )
