"""The NVIDIA driver is older than this GPU.

## What it means
Every driver knows the GPUs that existed when it was made. This one does not know this GPU, so it leaves it alone:
nvidia-smi says "No devices were found", or the kernel module is not loaded at all.

## Why it happens
A new GPU was put into a machine whose driver stayed; the distribution's default driver is older than the GPU.

## How to fix
Install a driver of the first branch that knows the GPU, or a newer one.

## How it is detected
The driver's branch is older than the first one that drives the GPU's architecture and the driver does not list the
GPU; or the kernel says that it "is not supported by the NVIDIA … driver release" of a GPU that newer branches drive.

## Sources
- https://docs.nvidia.com/datacenter/tesla/drivers/supported-drivers-and-cuda-toolkit-versions.html
- https://github.com/NVIDIA/open-gpu-kernel-modules/blob/main/src/nvidia/arch/nvalloc/unix/src/osapi.c
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Gpus, Jetson, Nvml, PciDevices
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.relations import Platform
from gpudoctor.remedies import InstallDriver
from gpudoctor.rules._printed import SILENT, heard
from gpudoctor.rules._silicon import Silicon, branch_number, undriven
from gpudoctor.views import DriverSide, Printed, UserDriver

RULE = Rule(
    masks=(
        "driver-not-loaded",
        "device-nodes-missing",
        "driver-too-old-for-cuda",
        "gpu-hardware-fault",
        "bios-resource-limit",
        "smoke-ran-on-cpu",
    )
)


@RULE.detector
def branch_before_the_gpu(
    user: UserDriver,
    pci: PciDevices | None,
    gpus: Gpus | None,
    nvml: Nvml | None,
    side: DriverSide | None,
    jetson: Jetson | None,
    matrix: Matrix,
) -> Verdict:
    """The driver's branch against the first branch of a GPU that it does not list."""
    if jetson and jetson.l4t:
        return NotApplicable("the driver of a Jetson comes with its JetPack")
    platform: Platform = "windows" if side and side.windows_numbers else "linux"
    branch = matrix.driver_branch(user.version, platform)
    if isinstance(branch, Unlisted):
        return Passed(f"driver {user.version} is newer than the branches that are listed")
    for gpu in undriven(pci, gpus, nvml, matrix):
        first = branch_number(gpu.architecture.first_branch)
        if first is not None and branch.number < first:
            return _found(gpu, user, first)
    return None


def _found(gpu: Silicon, user: UserDriver, first: int) -> Found:
    return Found(
        title=f"NVIDIA driver {user.version} is older than {gpu.name}, which needs branch {first} or newer.",
        detail=f"{gpu.name} is of the {gpu.architecture.name} architecture ({gpu.architecture.capability}).",
        evidence=(cite("driver", user.version, user), gpu.evidence),
        remedies=(InstallDriver(minimum=str(first), capability=gpu.architecture.capability),),
    )


_UNKNOWN = r"installed in this system is not supported by the (?:NVRM: )?NVIDIA ([\d.]{3,12}) driver release"
_DEVICE = r"\(PCI ID: 10de:([0-9a-f]{4})\)\s{1,4}installed in this system is not supported by the NVIDIA ([\d.]{3,12})"


@RULE.detector
def the_kernel_says_so(printed: Printed, gpus: Gpus | None, matrix: Matrix) -> Verdict:
    """The kernel module does not know the GPU; the PCI id says whether it is too new or too old for it."""
    named = heard(printed, _DEVICE)
    hit = named or heard(printed, _UNKNOWN)
    if hit is None or (gpus and gpus.gpus):
        return NotApplicable(SILENT)
    model = matrix.gpu_by_pci_id(named.match[1]) if named else None
    capability = None if model is None or isinstance(model, Unlisted) else model.capability
    return Found(
        title="The NVIDIA driver does not know this GPU: it is newer than the driver.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(InstallDriver(capability=capability),),
        confidence=Confidence.LIKELY,
    )
