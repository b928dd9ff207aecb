"""The GPU's hardware reports a fault.

## What it means
Memory of the GPU failed beyond what error correction mends, or another unit of it failed. Programs on it end with
"uncorrectable ECC error", crash, or compute wrong numbers.

## Why it happens
Ageing or damaged memory, heat, power, memory that is clocked too high. Single events are mended by retiring the row or
page; a row that could not be remapped, or events that come back, mean that the card must be replaced.

## How to fix
Take the GPU out of use, reset it or reboot (pending repairs are applied then), run NVIDIA's diagnostics, and replace
the card if the fault returns.

## How it is detected
NVML: row-remapping failure, uncorrected errors since the start, pending repairs; the kernel log: Xid events of the
hardware (48, 64, 74, 94, 95 …); CUDA: error 214 (uncorrectable ECC), 220 (NVLink); ``gpudoctor smoke --deep``: bytes
that were written to the GPU's free memory and came back otherwise.

## Sources
- https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/index.html
- https://docs.nvidia.com/deploy/xid-errors/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Gpu, GpuEcc, Gpus, KernelLog, MemoryTest, MemoryTests
from gpudoctor.findings import About, Confidence, Evidence, Found, NotApplicable, NotJudged, Passed, Severity, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.pci import index_at
from gpudoctor.remedies import Run
from gpudoctor.rules._memory import shown
from gpudoctor.rules._printed import SILENT, heard
from gpudoctor.views import Printed, Proved

RULE = Rule(
    masks=(
        "nccl-failure",
        "smoke-wrong-results",
        "smoke-hang",
        "smoke-ran-on-cpu",
        "driver-broken-state",
        "gpu-throttled",
    )
)

_RETIRED_LIMIT = 60  # pages; https://docs.nvidia.com/deploy/dynamic-page-retirement/


def _replace(index: int | None = None, verify: tuple[str, ...] = ()) -> Run:
    which = ("-i", str(index)) if index is not None else ()
    return Run(
        title="Take the GPU out of use, reset it, and have it tested",
        argvs=(("sudo", "nvidia-smi", *which, "--gpu-reset"), ("nvidia-smi", *which, "-q", "-d", "ECC,ROW_REMAPPER")),
        risk="Every program on this GPU must be stopped first.",
        note="Where a reset is refused, reboot. A fault that returns means that the card must be replaced; DCGM's "
        "diagnostics (dcgmi diag -r 3) tell.",
        verify=verify,
    )


@RULE.detector
def memory_errors(gpu: Gpu, ecc: GpuEcc, proved: Proved) -> Verdict:
    """What NVML says of the GPU's memory."""
    name = gpu.name or f"GPU {gpu.index}"
    trained = any(job_gpu == gpu.index for _, job_gpu in proved.jobs)
    if ecc.remap_failure:
        text, severity = f"A failing memory row of {name} could not be replaced: the card must be.", None
    elif (ecc.retired_pages or 0) >= _RETIRED_LIMIT:
        text, severity = f"{name} has retired {ecc.retired_pages} memory pages: the card must be replaced.", None
    elif ecc.uncorrected:
        text = f"{name} had {ecc.uncorrected} uncorrectable memory errors since the driver was loaded."
        severity = Severity.WARNING if trained else None
    elif ecc.remap_pending or ecc.retired_pending:
        text, severity = f"{name} waits for a reset to replace failing memory.", Severity.WARNING
    else:
        return Passed(f"no memory error of {name}")
    return Found(
        title=text,
        evidence=_evidence(ecc),
        remedies=(_replace(gpu.index),),
        severity=severity,
        confidence=Confidence.CERTAIN if ecc.remap_failure else Confidence.LIKELY,
    )


def _evidence(ecc: GpuEcc) -> tuple[Evidence, ...]:
    told = {
        "row remapping failed": ecc.remap_failure,
        "row remapping pending": ecc.remap_pending,
        "uncorrected errors": ecc.uncorrected,
        "retired pages": ecc.retired_pages,
        "page retirement pending": ecc.retired_pending,
    }
    return tuple(cite(label, value, ecc) for label, value in told.items() if value)


_MOST_TOLD = 4  # ranges of one test
_ECC = "CUDA_ERROR_ECC_UNCORRECTABLE"


@RULE.detector
def memory_that_comes_back_otherwise(tests: MemoryTests, gpus: Gpus | None) -> Verdict:
    """Bytes that were written to the GPU's memory and read back."""
    if not tests.tests:
        return NotApplicable("no GPU whose memory CUDA may use")
    bad = [test for test in tests.tests if test.faults or _ECC in (test.error or "")]
    if bad:
        return Found(
            title=f"{_named(bad[0], gpus)} does not keep what is written to its memory.",
            detail="\n".join(_wrong(test, gpus) for test in bad),
            evidence=tuple(cite(f"memory test of {_place(test)}", _wrong(test, gpus), tests) for test in bad),
            remedies=(_replace(bad[0].gpu, ("gpudoctor", "smoke", "--deep")),),
            confidence=Confidence.CERTAIN,
            about=About(gpu=bad[0].gpu),
        )
    tested = [test for test in tests.tests if test.tested]
    if not tested:
        return NotJudged(f"the memory of {_place(tests.tests[0])} was not tested: {tests.tests[0].error}")
    sizes = ", ".join(f"{shown(test.tested)} of {_place(test)}" for test in tested)
    return Passed(f"memory came back as it was written: {sizes}")


def _place(test: MemoryTest) -> str:
    place = "the GPU" if test.gpu is None else f"GPU {test.gpu}"
    return f"{place}, {test.mig}" if test.mig else place


def _named(test: MemoryTest, gpus: Gpus | None) -> str:
    name = next((gpu.name for gpu in (gpus.gpus if gpus else ()) if gpu.index == test.gpu and gpu.name), None)
    return f"{name} ({_place(test)})" if name else _place(test)


def _wrong(test: MemoryTest, gpus: Gpus | None) -> str:
    ranges = [
        f"bytes {fault.first:#x} to {fault.last:#x}: {fault.wrote} written, {fault.read} read"
        for fault in test.faults[:_MOST_TOLD]
    ]
    ranges += [f"{len(test.faults) - _MOST_TOLD} more ranges"] if len(test.faults) > _MOST_TOLD else []
    ranges += [test.error] if test.error else []
    return f"{_named(test, gpus)}, {shown(test.tested)} tested: {'; '.join(ranges)}"


_OTHER_RULES = frozenset({79})  # gpu-lost
# A row that was remapped, an error that was contained, corrected errors: the GPU goes on.
_MENDED = frozenset({63, 92, 94, 162, 163, 164})


@RULE.detector
def xid_of_the_hardware(log: KernelLog, gpus: Gpus | None, proved: Proved, matrix: Matrix) -> Verdict:
    """An Xid that NVIDIA's catalogue counts as one of the hardware."""
    for event in reversed(log.xids):
        known = matrix.xid(event.xid)
        if isinstance(known, Unlisted) or known.severity != "hardware" or event.xid in _OTHER_RULES:
            continue
        index = index_at(gpus.gpus if gpus else (), event.pci)
        mild = event.xid in _MENDED or any(job_gpu == index for _, job_gpu in proved.jobs)
        where = f"The GPU at {event.pci}" if event.pci else "A GPU"
        return Found(
            title=f"{where} reported a fault of its hardware (Xid {event.xid}): {known.meaning}.",
            detail=event.text,
            evidence=(cite("Xid", event.xid, log),),
            remedies=(_replace(index),),
            severity=Severity.WARNING if mild else None,
            confidence=Confidence.LIKELY,
            about=About(gpu=index),
        )
    return Passed("no Xid of the hardware in the kernel log")


_TEXTS = (
    r"uncorrectable ECC error(?: encountered)?",
    r"(?:CUDA_ERROR|cudaError|\bERROR)_?ECC_?UNCORRECTABLE",
    r"uncorrectable NVLink error",
    r"(?:CUDA_ERROR|cudaError)_?NVLINK_?UNCORRECTABLE",
    r"double[- ]bit ECC error",
    r"Remapping Failure Occurred\s{0,20}:\s{0,4}Yes",
    r"ROW_REMAP_FAILURE\W{1,6}1\b",
    r"does not have the necessary power cables connected",
    r"\bNV_ERR_RESET_REQUIRED\b|\bNVML_ERROR_RESET_REQUIRED\b|\bGPU requires reset\b",
    r"\bXid\b:?(?: \((?:PCI:)?[0-9a-f:.]{4,20}\))?\s?[:=]?\s{0,3}(?:48|64|95|140|143|171|172)\b",
)
_SOFTER = (r"infoROM is corrupted at gpu [0-9A-Fa-f:.]{4,20}",)


@RULE.detector
def a_program_says_so(printed: Printed, log: KernelLog | None, proved: Proved) -> Verdict:
    """CUDA, nvidia-smi, DCGM or the kernel name a fault of the hardware."""
    if log and any(event.xid in (48, 64, 95, 140, 143, 171, 172) for event in log.xids):
        return NotApplicable("told by the kernel log")
    hit = heard(printed, *_TEXTS)
    mild = None if hit else heard(printed, *_SOFTER)
    found = hit or mild
    if found is None:
        return NotApplicable(SILENT)
    return Found(
        title="The GPU reports a fault of its hardware.",
        detail=found.text,
        evidence=(found.evidence,),
        remedies=(_replace(),),
        severity=Severity.WARNING if mild or proved.jobs else None,
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def does_not_initialise(printed: Printed, log: KernelLog | None, gpus: Gpus | None) -> Verdict:
    """The driver finds the GPU and cannot start it; the log does not say why, so this is one of several causes."""
    hit = heard(printed, r"RmInitAdapter failed! \(0x[0-9a-f]{1,8}:0x[0-9a-f]{1,8}:\d{1,6}\)")
    if hit is None or (gpus and any(gpu.error is None for gpu in gpus.gpus)):
        return NotApplicable(SILENT)
    if log and any(event.xid for event in log.xids):
        return NotApplicable("the kernel log says more")
    return Found(
        title="The driver cannot start the GPU; it may be broken, badly seated or without power.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(_replace(),),
        confidence=Confidence.POSSIBLE,
        settled_by=("sudo dmesg | grep -iE 'nvrm|xid|BAR'", "lspci -vvs $(lspci -d 10de: | head -1 | cut -d' ' -f1)"),
    )
