"""The GPU's firmware (VBIOS) is too old or damaged for this driver.

## What it means
The driver starts the GPU's own processors with code from the VBIOS. It could not read or run that code, so the GPU
stays unused although the driver is loaded.

## Why it happens
An early VBIOS of a new product that a later driver no longer accepts; a VBIOS that was flashed wrongly; a virtual
machine that shows no or a wrong GPU ROM.

## How to fix
Update the VBIOS with the tool of the card's or the server's maker; in a virtual machine, pass the right ROM. Until
then an older driver may work.

## How it is detected
The NVIDIA module logs that it cannot parse the VBIOS or its start-up code (FWSEC), or that it needs a newer one.

## Sources
- https://github.com/NVIDIA/open-gpu-kernel-modules/blob/main/src/nvidia/src/kernel/gpu/gsp/kernel_gsp.c
- https://nvidia.custhelp.com/app/answers/detail/a_id/5233
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, Gpus
from gpudoctor.findings import Confidence, Found, NotApplicable, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import Printed

RULE = Rule(masks=("driver-not-loaded", "device-nodes-missing"))

_TEXTS = (
    r"failed to parse FWSEC ucode from VBIOS image[^\n]{0,60}",
    r"failed to prepare interface data for FWSEC[^\n]{0,40}",
    r"too few interface entires found for FWSEC",
    r"VBIOS (?:version )?(?:[\w.]{0,20} )?(?:is )?(?:too old|out ?dated|not supported by this driver)",
    r"(?:please |must |need to )update (?:the |your )?(?:VBIOS|GPU firmware)",
    r"failed to copy vbios to system memory",
)


@RULE.detector
def the_module_says_so(printed: Printed, cuda: CudaDriver | None, gpus: Gpus | None) -> Verdict:
    """The NVIDIA module cannot use the VBIOS."""
    hit = heard(printed, *_TEXTS)
    if hit is None or works(cuda) or (gpus and any(gpu.error is None for gpu in gpus.gpus)):
        return NotApplicable(SILENT)
    version = heard(printed, r"VBIOS version ([0-9A-F]{2}(?:\.[0-9A-F]{2}){3,4})")
    return Found(
        title="The driver cannot use the GPU's firmware (VBIOS): it is too old or damaged.",
        detail=hit.text,
        evidence=(hit.evidence, *((version.evidence,) if version else ())),
        remedies=(
            Run(
                title="Update the VBIOS with the tool of the card's or server's maker",
                risk="A VBIOS for another card makes this one unusable.",
                note="In a virtual machine, pass the card's own ROM to the guest. An older driver may work meanwhile.",
            ),
        ),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def start_up_code_hangs(printed: Printed, gpus: Gpus | None) -> Verdict:
    """The GPU's start-up firmware does not finish: damaged, too old, or the card is."""
    hit = heard(printed, r"failed to wait for GFW(?:_| )BOOT[^\n]{0,60}")
    if hit is None or gpus is None or any(gpu.error is None for gpu in gpus.gpus):
        return NotApplicable(SILENT)
    return Found(
        title="The GPU's start-up firmware does not finish.",
        detail=hit.text,
        evidence=(hit.evidence, cite("GPUs that the driver lists", len(gpus.gpus), gpus)),
        remedies=(
            Run(title="Switch the machine off and on; then update the VBIOS", note="If it stays, test the card."),
        ),
        confidence=Confidence.POSSIBLE,
        settled_by=("sudo dmesg | grep -i nvrm",),
    )
