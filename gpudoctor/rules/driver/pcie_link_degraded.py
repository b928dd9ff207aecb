"""The GPU's PCIe link runs with fewer lanes than it could, or with errors.

## What it means
Data goes to and from the GPU more slowly than card and slot allow. Training that streams much data, and several GPUs
without NVLink, suffer; pure computing does not. The link's generation falls while the GPU idles and says nothing.

## Why it happens
The card is not fully seated, dirt or damage on the contacts, a slot that shares its lanes, a riser cable, Thunderbolt.

## How to fix
Seat the card again, in a slot with all lanes; check riser and firmware settings. Link errors: lower the generation in
the firmware, or change the cable.

## How it is detected
NVML's lanes now against the lanes that card and slot allow (not in virtual machines, which invent them), and the
kernel's reports of PCIe bus errors.

## Sources
- https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
- https://docs.kernel.org/PCI/pcieaer-howto.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Gpu, GpuLink, VirtualMachine, Wsl
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard
from gpudoctor.views import Printed

RULE = Rule(severity=Severity.WARNING)

_CURE = Run(
    title="Seat the card again, in a slot with all its lanes",
    note="Check riser, contacts and the firmware's settings of the slot. Look again under load: "
    "nvidia-smi -q -d PERFORMANCE; lspci -vv shows LnkCap and LnkSta.",
)


@RULE.detector
def fewer_lanes(gpu: Gpu, link: GpuLink, machine: VirtualMachine | None, wsl: Wsl | None) -> Verdict:
    """Lanes in use against lanes that card and slot have."""
    if (machine and machine.hypervisor) or (wsl and wsl.version):
        return NotApplicable("a virtual machine shows lanes of its own making")
    if not link.width or not link.width_max:
        return NotApplicable("the number of lanes is not told")
    if link.width >= link.width_max:
        return Passed(f"{link.width} lanes")
    return Found(
        title=f"The PCIe link of {gpu.name or f'GPU {gpu.index}'} runs with {link.width} of {link.width_max} lanes.",
        evidence=(cite("lanes", f"{link.width} of {link.width_max}", link),),
        remedies=(_CURE,),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def the_kernel_reports_errors(printed: Printed) -> Verdict:
    """PCIe bus errors in the kernel log."""
    hit = heard(printed, r"PCIe Bus Error: severity=\w{4,14}[^\n]{0,80}", r"AER: (?:Multiple )?(?:Un)?corrected error")
    if hit is None:
        return NotApplicable(SILENT)
    return Found(
        title="The PCIe bus reports errors.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(_CURE,),
        confidence=Confidence.LIKELY,
    )
