"""Direct transfers between the GPUs hang or corrupt data.

## What it means
GPUs copy to one another over PCIe or NVLink without passing main memory (peer to peer). Where the platform does not
let such transfers through, a copy returns success and wrong data, or a collective operation waits for ever: training
on one GPU works, on several it hangs at the start, or the loss is not a number.

## Why it happens
The IOMMU or PCIe access control (ACS) redirects peer traffic: usual on AMD hosts, in virtual machines and with some
boards. Some drivers announce peer access on GPUs that do not support it.

## How to fix
Switch the IOMMU (or ACS) off in the firmware or on the kernel's command line (amd_iommu=off, intel_iommu=off,
iommu=pt), or update the driver. Until then NCCL_P2P_DISABLE=1 lets NCCL go through main memory.

## How it is detected
By IOMMU faults in the kernel's log, by copies between GPUs whose data differ, and by jobs that run as soon as peer
transfers are off.

## Sources
- https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html
- https://github.com/pytorch/pytorch/issues/52142
- https://github.com/NVIDIA/nccl/issues/631
"""

from __future__ import annotations

from gpudoctor.engine import Rule
from gpudoctor.facts import Gpus
from gpudoctor.findings import Confidence, Found, NotApplicable, Verdict
from gpudoctor.remedies import Run, SetVariable
from gpudoctor.rules._printed import SILENT, Heard, heard
from gpudoctor.views import Printed

RULE = Rule(masks=("nccl-failure", "smoke-hang", "smoke-wrong-results"))

_GOOD = r"(?:works?|working|helps?|helped|fix(?:es|ed)|solve[sd]?|runs?|ok|fine|resolve[sd]?)"
_DATA = (
    r"AMD-Vi: Event logged \[IO_PAGE_FAULT",
    r"DMAR: \[DMA (?:Read|Write)(?: NO_PASID)?\] Request device \[\S{1,20}\] .{0,60}fault",
    r"cudaMemcpyPeer\w{0,6}\b.{0,80}(?:mismatch|corrupt|wrong|incorrect|differ)",
    r"\b(?:p2p|peer(?:-to-peer| to peer)?)\b.{0,60}(?:mismatch|corrupt|wrong (?:data|values|results))",
    r"cuda:\d ?(?:->|→|to) ?cuda:\d.{0,40}(?:mismatch|corrupt|wrong|other values|different values|garbage|zeros)",
    r"cuda:\d.{1,30}cuda:\d.{1,30}(?:returns? (?:other|wrong|different|garbage)|silently wrong|corrupted)",
    r"Verification error @ element \d{1,9}: val =",
)
_CURED = (
    rf"\b{_GOOD}\b.{{0,60}}NCCL_P2P_DISABLE ?= ?1",
    rf"NCCL_P2P_DISABLE ?= ?1.{{0,60}}\b{_GOOD}\b",
    rf"\b{_GOOD}\b.{{0,40}}(?:IOMMU|ACS) (?:is |was |being )?(?:off|disabled|switched off)",
    rf"(?:disabling|switching off|turning off) (?:the )?(?:IOMMU|ACS|P2P).{{0,60}}\b{_GOOD}\b",
    rf"\b{_GOOD}\b.{{0,40}}\bP2P\b.{{0,20}}(?:off|disabled)",
)
_HANGS = (
    (
        r"(?:multi-?GPU|multiple GPUs|several GPUs|\d (?:or more )?GPUs|DataParallel|DDP).{0,60}(?:hang|freez"
        r"|stuck|deadlock)"
    ),
    (
        r"(?:hang|freez|stuck|deadlock)\w{0,4}\b.{0,60}(?:multi-?GPU|multiple GPUs|several GPUs|[2-9] (?:or more "
        r")?GPUs|DataParallel)"
    ),
)


@RULE.detector
def transfers_that_fail(printed: Printed, gpus: Gpus | None) -> Verdict:
    """Faults of the IOMMU, data that differ, a hang that is gone without peer transfers."""
    if gpus is not None and len(gpus.gpus) == 1 and gpus.gpus[0].name is not None and not heard(printed, *_CURED):
        return NotApplicable("one GPU")
    found = heard(printed, *_DATA) or heard(printed, *_CURED)
    if found is not None:
        return _found(found, "Direct transfers between the GPUs hang or corrupt data.", Confidence.LIKELY)
    found = heard(printed, *_HANGS)
    if found is None:
        return NotApplicable(SILENT)
    return _found(
        found, "Jobs on several GPUs hang; direct transfers between them may be the reason.", Confidence.POSSIBLE
    )


def _found(found: Heard, title: str, confidence: Confidence) -> Found:
    return Found(
        title=title,
        detail=found.text,
        evidence=(found.evidence,),
        remedies=(
            SetVariable(name="NCCL_P2P_DISABLE", value="1"),
            Run(
                title="Let peer transfers through: IOMMU and ACS off in the firmware, or on the kernel's command line",
                where="machine",
                risk="A change of the kernel's command line needs a reboot; virtual machines may need the IOMMU.",
                note="amd_iommu=off or intel_iommu=off. nvidia-smi topo -p2p r shows between which GPUs transfers are "
                "allowed; CUDA's sample p2pBandwidthLatencyTest and simpleP2P prove them.",
            ),
        ),
        confidence=confidence,
        settled_by=("NCCL_P2P_DISABLE=1 (in front of the command that hangs)", "nvidia-smi topo -p2p r"),
    )
