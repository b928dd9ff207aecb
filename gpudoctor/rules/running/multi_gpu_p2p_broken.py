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
iommu=pt), or update the driver. Until then NCCL_P2P_DISABLE=1 lets NCCL go through main memory. Run ``gpudoctor smoke
--deep`` again afterwards: it copies directly, whatever that variable says.

## How it is detected
By IOMMU faults in the kernel's log, by copies between GPUs whose data differ, by NCCL operations that end well with
wrong numbers, by jobs that run as soon as peer transfers are off, and by hangs where a PCIe bridge has ACS on.
``gpudoctor smoke --deep`` copies between every two GPUs in both directions and compares all bytes.

## Sources
- https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html
- https://github.com/pytorch/pytorch/issues/52142
- https://github.com/NVIDIA/nccl/issues/631
"""

from __future__ import annotations

from collections.abc import Sequence

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Collectives, Environment, Gpus, PeerCopies, PeerCopy
from gpudoctor.findings import Confidence, Found, NotApplicable, NotJudged, Passed, Verdict
from gpudoctor.remedies import Run, SetVariable
from gpudoctor.rules._collectives import ONE_MACHINE, between, without_nccl, wrong
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
    r"\b(?:hang|freez|stuck|dead-?lock)\w{0,4}\b.{0,30}\b(?:with|when|if) (?:P2P|peer).{0,20}\b(?:on|enabled|used)\b",
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
    r"\b(?:nccl[A-Za-z]{0,20}|all_?reduce(?:_perf)?|p2pBandwidthLatencyTest)\b.{0,40}\b(?:hang|freez|stuck|dead-?lock)",
    r"\b(?:hang|freez|stuck|dead-?lock)\w{0,4}\b.{0,20}\bbetween GPU ?\d",
)
# Programs that do nothing but move data between GPUs: in them no code of one's own can wait for another process.
_TEST_HANGS = (
    (
        r"\b(?:all_?reduce_perf|nccl-tests?|p2pBandwidthLatencyTest|simpleP2P)\b.{0,60}"
        r"\b(?:hang|freez|stuck|dead-?lock)"
    ),
    r"\b(?:hang|freez|stuck|dead-?lock)\w{0,4}\b.{0,30}\b(?:all_?reduce_perf|nccl-tests?|p2pBandwidthLatencyTest)\b",
)
_MACHINES = r"\b(?:mpirun|mpiexec|srun|NET/IB|nnodes|[2-9] nodes)\b"
# lspci -vvv of a bridge that sends what one device writes to another through the root, and so through the IOMMU:
# https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html
_ACS = r"\bACSCtl: [^\n]{0,20}\b(?:SrcValid|ReqRedir|CmpltRedir)\+"


_MOST_TOLD = 4  # pairs; eight GPUs have 56

_REMEDIES = (
    SetVariable(name="NCCL_P2P_DISABLE", value="1"),
    Run(
        title="Let peer transfers through: IOMMU and ACS off in the firmware, or on the kernel's command line",
        where="machine",
        risk="A change of the kernel's command line needs a reboot; virtual machines may need the IOMMU.",
        verify=("gpudoctor", "smoke", "--deep"),
        note="amd_iommu=off or intel_iommu=off. Where ACS is on, lspci -vvv (as root) shows SrcValid+ in its lines "
        "ACSCtl. nvidia-smi topo -p2p r shows between which GPUs transfers are allowed; CUDA's samples "
        "p2pBandwidthLatencyTest and simpleP2P prove them.",
    ),
)


@RULE.detector
def copies_that_differ(copies: PeerCopies | None, gpus: Gpus | None) -> Verdict:
    """What arrived when every GPU's memory was copied to every other's, or that a copy never returned."""
    if copies is None and gpus is not None and len(gpus.gpus) == 1:
        return NotApplicable("one GPU")
    if copies is None:
        return NotJudged("what copies between the GPUs bring is not known: gpudoctor smoke --deep tries them")
    if not copies.copies:
        return NotApplicable("no two GPUs that CUDA may use")
    wrong = [copy for copy in copies.copies if copy.holds is False]
    hung = [copy for copy in copies.copies if copy.hung]
    if wrong or hung:
        return _copied(wrong, hung, copies)
    unknown = [copy for copy in copies.copies if copy.holds is None]
    if unknown:
        return NotJudged(f"{len(unknown)} of {len(copies.copies)} copies were not compared: {_told(unknown[0])}")
    return Passed(f"{len(copies.copies)} copies between the GPUs arrived as they were sent")


def _copied(wrong: Sequence[PeerCopy], hung: Sequence[PeerCopy], copies: PeerCopies) -> Found:
    parts = [f"arrive with wrong data ({_pairs(wrong)})"] if wrong else []
    parts += [f"do not return ({_pairs(hung)})"] if hung else []
    # By main memory neither the IOMMU nor ACS stands between the GPUs: then the cause is open.
    direct = any(copy.direct for copy in (*wrong, *hung))
    sure = Confidence.CERTAIN if wrong else Confidence.LIKELY
    return Found(
        title=f"Copies between the GPUs {' and '.join(parts)}.",
        detail="\n".join(_told(copy) for copy in (*wrong, *hung)[:_MOST_TOLD]),
        evidence=tuple(
            cite(f"copy from GPU {copy.source_gpu} to GPU {copy.target_gpu}", copy.error or "wrong data", copies)
            for copy in (*wrong, *hung)[:_MOST_TOLD]
        ),
        remedies=_REMEDIES,
        confidence=sure if direct else Confidence.POSSIBLE,
        settled_by=() if direct else ("sudo dmesg | grep -iE 'io_page_fault|dmar'", "nvidia-smi topo -p2p r"),
    )


def _pairs(copies: Sequence[PeerCopy]) -> str:
    listed = [f"GPU {copy.source_gpu} to GPU {copy.target_gpu}" for copy in copies[:_MOST_TOLD]]
    return ", ".join([*listed, *([f"{len(copies) - _MOST_TOLD} more"] if len(copies) > _MOST_TOLD else [])])


def _told(copy: PeerCopy) -> str:
    way = {True: "direct", False: "by main memory", None: "way not known"}[copy.direct]
    return f"GPU {copy.source_gpu} to GPU {copy.target_gpu} ({way}): {copy.error or 'wrong data'}"


@RULE.detector
def collectives_that_differ(collectives: Collectives | None, environment: Environment | None) -> Verdict:
    """NCCL ended well and gave other numbers: what the processes sent did not arrive as it was."""
    if collectives is None or collectives.backend != "nccl":
        return without_nccl(collectives)
    if collectives.processes == 1:
        return NotApplicable("one GPU")
    differ = wrong(collectives)
    if not differ:
        return _all_right(collectives)
    off = environment is not None and environment.variables.get("NCCL_P2P_DISABLE") == "1"
    if off:
        return NotApplicable("NCCL_P2P_DISABLE=1: NCCL went through main memory")
    names = ", ".join(one.name for one in differ)
    return Found(
        title=f"NCCL gives wrong numbers {between(collectives)}: {names}.",
        detail="\n".join(f"{one.name}: {one.detail}" for one in differ),
        evidence=tuple(cite(one.name, one.detail, collectives) for one in differ),
        remedies=_REMEDIES,
        # Between machines the network may be at fault as well.
        confidence=Confidence.LIKELY if collectives.nodes == 1 else Confidence.POSSIBLE,
        settled_by=("NCCL_P2P_DISABLE=1 gpudoctor smoke",) if collectives.nodes == 1 else (ONE_MACHINE,),
    )


def _all_right(collectives: Collectives) -> Verdict:
    if all(one.holds for one in collectives.collectives):
        return Passed(f"collective operations {between(collectives)} gave exact results")
    return NotJudged(f"not every collective operation was compared: {collectives.ending}")


@RULE.detector
def transfers_that_fail(printed: Printed, gpus: Gpus | None) -> Verdict:
    """Faults of the IOMMU, data that differ, a hang that is gone without peer transfers."""
    if gpus is not None and len(gpus.gpus) == 1 and gpus.gpus[0].name is not None and not heard(printed, *_CURED):
        return NotApplicable("one GPU")
    found = heard(printed, *_DATA) or heard(printed, *_CURED)
    if found is not None:
        return _found(found, "Direct transfers between the GPUs hang or corrupt data.", Confidence.LIKELY)
    found = heard(printed, *_TEST_HANGS)
    if found is not None and heard(printed, _MACHINES) is None:
        return _found(found, "A test of transfers between the GPUs hangs.", Confidence.LIKELY, heard(printed, _ACS))
    found = found or heard(printed, *_HANGS)
    if found is None:
        return NotApplicable(SILENT)
    redirected = heard(printed, _ACS)
    if redirected is not None:
        title = "Jobs on several GPUs hang, and a PCIe bridge has access control (ACS) on."
        return _found(found, title, Confidence.LIKELY, redirected)
    return _found(
        found, "Jobs on several GPUs hang; direct transfers between them may be the reason.", Confidence.POSSIBLE
    )


def _found(found: Heard, title: str, confidence: Confidence, further: Heard | None = None) -> Found:
    return Found(
        title=title,
        detail=found.text,
        evidence=(found.evidence, *((further.evidence,) if further else ())),
        remedies=_REMEDIES,
        confidence=confidence,
        settled_by=("NCCL_P2P_DISABLE=1 (in front of the command that hangs)", "nvidia-smi topo -p2p r"),
    )
