"""The NVIDIA driver no longer supports this GPU.

## What it means
NVIDIA ends the support of old GPUs with a driver branch: Fermi with 390, Kepler with 470, Maxwell, Pascal and Volta
with 580. A newer driver ignores such a GPU, as if there were none.

## Why it happens
The distribution moved to a newer driver branch, or "the newest driver" was installed by hand.

## How to fix
Install the last branch that drives this GPU and hold it there. Frameworks must then be builds for a CUDA version that
this branch runs.

## How it is detected
The driver's branch is newer than the last one of the GPU's architecture and the driver does not list the GPU; or the
kernel says that the GPU is "supported through the NVIDIA … Legacy drivers"; or the GPU is older than Fermi, which no
CUDA since 6.5 serves.

## Sources
- https://www.nvidia.com/en-us/drivers/unix/legacy-gpu/
- https://docs.nvidia.com/datacenter/tesla/drivers/supported-drivers-and-cuda-toolkit-versions.html
"""

from __future__ import annotations

import re
from functools import lru_cache

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import DriverFiles, Gpus, Jetson, Nvml, PciDevices
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.relations import Platform
from gpudoctor.remedies import InstallDriver, Run
from gpudoctor.rules._printed import SILENT, heard
from gpudoctor.rules._silicon import branch_number, undriven
from gpudoctor.views import NVIDIA_VENDOR, DriverSide, Printed, UserDriver

RULE = Rule(
    masks=(
        "driver-not-loaded",
        "driver-open-module-unsupported",
        "driver-too-old-for-cuda",
        "device-nodes-missing",
        "gpu-hardware-fault",
        "bios-resource-limit",
        "smoke-ran-on-cpu",
    )
)


@RULE.detector
def branch_after_the_last_one(
    user: UserDriver,
    pci: PciDevices | None,
    gpus: Gpus | None,
    nvml: Nvml | None,
    side: DriverSide | None,
    jetson: Jetson | None,
    matrix: Matrix,
) -> Verdict:
    """The driver's branch against the last branch of a GPU that it does not list."""
    if jetson and jetson.l4t:
        return NotApplicable("the driver of a Jetson comes with its JetPack")
    platform: Platform = "windows" if side and side.windows_numbers else "linux"
    branch = matrix.driver_branch(user.version, platform)
    number = branch.number if not isinstance(branch, Unlisted) else int(user.version.split(".")[0])
    for gpu in undriven(pci, gpus, nvml, matrix):
        last = branch_number(gpu.architecture.last_branch)
        if last is not None and number > last:
            return Found(
                title=f"NVIDIA driver {user.version} no longer supports {gpu.name}: {last} is its last branch.",
                detail=f"{gpu.name} is of the {gpu.architecture.name} architecture ({gpu.architecture.capability}).",
                evidence=(cite("driver", user.version, user), gpu.evidence),
                remedies=(InstallDriver(capability=gpu.architecture.capability),),
            )
    return None


_LEGACY = (
    r"The NVIDIA ([\w ()-]{2,60}?) GPU installed in this system is\s{1,4}supported through the NVIDIA "
    r"([\d.]{3,8})xx Legacy drivers"
)
_LEGACY_PARTS = (
    r"supported through the NVIDIA ([\d.]{3,8})xx Legacy drivers",
    r"The ([\d.]{3,12}) NVIDIA driver will ignore",
    r"ignoring the legacy GPU",
)


@RULE.detector
def the_kernel_says_so(printed: Printed, gpus: Gpus | None, matrix: Matrix) -> Verdict:
    """The kernel module names the legacy branch that this GPU needs."""
    whole = heard(printed, _LEGACY)
    hit = whole or heard(printed, *_LEGACY_PARTS)
    if hit is None or (gpus and gpus.gpus):
        return NotApplicable(SILENT)
    model = matrix.gpu(whole.match[1]) if whole else None
    capability = None if model is None or isinstance(model, Unlisted) else model.capability
    branch = whole.match[2].rstrip(".") if whole else None
    return Found(
        title=f"The NVIDIA driver ignores {whole.match[1]}: it needs the legacy branch {branch}."
        if whole
        else "The NVIDIA driver ignores this GPU: it needs a legacy branch.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(InstallDriver(capability=capability),) if capability else (_legacy(branch),),
    )


def _legacy(branch: str | None) -> Run:
    return Run(
        title=f"Install the legacy driver {branch}" if branch else "Install the legacy driver that drives this GPU",
        note="The list of legacy GPUs and their drivers: https://www.nvidia.com/en-us/drivers/unix/legacy-gpu/",
    )


# Product names of the architecture before Fermi (compute capability 1.x), whose last driver branch is R340.
_BEFORE_FERMI = (
    r"\bQuadro (?:FX|NVS|CX|VX)\b|\bTesla (?:[CDS]8\d\d|[CMS]10\d\d)\b|\bGeForce (?:8\d{3}|9\d{3}|G1\d\dM?|GTS? 1\d\dM?"
    r"|GT[SX]? 2\d\dM?|2\d\dM?|3[01]0M?|320M|GTS? 3\d\dM)\b"
)


@lru_cache(maxsize=1024)
def _is_before_fermi(name: str) -> bool:
    return re.search(_BEFORE_FERMI, name, re.IGNORECASE) is not None


@RULE.detector
def older_than_any_driver(
    pci: PciDevices | None, gpus: Gpus | None, files: DriverFiles | None, user: UserDriver | None
) -> Verdict:
    """A GPU before Fermi, which no driver since R340 and no CUDA since 6.5 serves."""
    names = [gpu.name or "" for gpu in (gpus.gpus if gpus else ())]
    names += [device.name or "" for device in (pci.devices if pci else ()) if device.vendor == NVIDIA_VENDOR]
    old = next(filter(_is_before_fermi, names), None)
    source = pci or gpus
    if old is None or source is None:
        return Passed("no GPU from before Fermi") if names else NotApplicable("no NVIDIA GPU is known")
    return Found(
        title=f"No driver of today supports {old}: it is from before Fermi, limited to branch 340 and CUDA 6.5.",
        detail="No build of PyTorch, TensorFlow or JAX can use this GPU.",
        evidence=(cite("GPU", old, source), *((cite("driver", user.version, user),) if user else ())),
        remedies=(Run(title="Use another GPU", note="This one computes with CUDA 6.5 and older only."),),
        confidence=Confidence.CERTAIN if files or user else Confidence.LIKELY,
    )
