"""The GPU computes far below what it can.

## What it means
The numbers are right and training works, but matrix products or copies reach only a small share of what this GPU's
datasheet, or its PCIe link, promises. A sound GPU reaches 60 to 90 % of it.

## Why it happens
Heat or a power limit that keeps the clocks low, clocks that an administrator has fixed, another program on the same
GPU, a link with fewer lanes or of an older generation than the slot could have, or a build that computes by detours.

## How to fix
Follow the reason that is named. Without one: look at clocks, power and temperature while the job runs, at other
programs on the GPU, and at the link.

## How it is detected
After a training job on the GPU, matrix products in each number format and copies are timed and compared with the
datasheet in the compatibility matrix, pinned copies with the PCIe link's highest generation. Below 40 %, for copies
over PCIe below 30 %, it is slow. The throttle reasons are those that NVML told while the job ran. MIG instances,
vGPUs and GPUs on which other programs were found are not judged, nor are timings that the GPU cannot have reached
(smoke-too-fast).

## Sources
- https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html
- https://docs.nvidia.com/deeplearning/performance/dl-performance-matrix-multiplication/index.html
"""

from __future__ import annotations

from collections import Counter

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Gpu, GpuClocks, GpuProcesses, Smoke
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, NotJudged, Passed, Severity, Verdict
from gpudoctor.matrix import Matrix
from gpudoctor.remedies import Run
from gpudoctor.rules._throttling import REASONS
from gpudoctor.speed import Speed, impossible, speeds
from gpudoctor.words import name_of

RULE = Rule(severity=Severity.WARNING)

_SLOW = 0.4
_SLOW_OVER_PCIE = 0.3
_OFTEN = 0.2  # of the samples: what was seen once explains nothing
_CURE = Run(
    title="See what holds the GPU back while it works",
    argvs=(("nvidia-smi", "-q", "-d", "PERFORMANCE,TEMPERATURE,POWER,CLOCK"),),
    note="Run it while gpudoctor smoke or a training of your own keeps the GPU busy.",
)


@RULE.detector
def far_below_the_promise(
    smoke: Smoke, gpu: Gpu, matrix: Matrix, clocks: GpuClocks | None, processes: GpuProcesses | None
) -> Verdict:
    """What the parts of a job reached against the datasheet and the link."""
    if smoke.gpu is None or not any(part.rate for part in smoke.parts):
        return NotApplicable("nothing was timed on a GPU")
    measured = speeds(smoke, gpu, matrix)
    if not measured:
        return NotJudged("there is no figure to compare with")
    if impossible(smoke, gpu, matrix):
        return NotJudged("its timings are beyond what the GPU can do")
    slow = [speed for speed in measured if speed.share < (_SLOW_OVER_PCIE if "PCIe" in speed.promise else _SLOW)]
    if not slow:
        return Passed("; ".join(_words(speed) for speed in measured))
    if processes and processes.processes:
        return NotJudged("other programs were on the GPU")
    reasons = _reasons(smoke)
    return Found(
        title=f"{gpu.name or f'GPU {gpu.index}'} computes far below what it can: {'; '.join(map(_words, slow))}.",
        detail=_detail(reasons, smoke, clocks),
        evidence=(*(_evidence(speed, smoke) for speed in slow), *_seen(reasons, smoke)),
        remedies=(_CURE,),
        confidence=Confidence.LIKELY if reasons else Confidence.POSSIBLE,
    )


def _words(speed: Speed) -> str:
    return f"{speed.part} {speed.reached:.3g} of {speed.promised:.4g} {speed.unit} ({speed.share:.0%})"


def _evidence(speed: Speed, smoke: Smoke) -> Evidence:
    value = f"{speed.reached:.3g} {speed.unit}; {speed.promise}: {speed.promised:.4g} {speed.unit}"
    return cite(speed.part, value, smoke)


def _reasons(smoke: Smoke) -> dict[str, int]:
    """The reasons that hold clocks down, each with the number of samples that showed it, most frequent first."""
    seen = Counter(reason for sample in smoke.timeline for reason in sample.throttle if reason in REASONS)
    return {reason: count for reason, count in seen.most_common() if count >= _OFTEN * len(smoke.timeline)}


def _detail(reasons: dict[str, int], smoke: Smoke, clocks: GpuClocks | None) -> str:
    told = ", ".join(REASONS[reason] for reason in reasons)
    why = f"Meanwhile NVML named: {told}" if told else "NVML named no reason while it ran"
    return f"Timed with {name_of(smoke.framework)}. {why}{_readings(smoke, clocks)}."


def _readings(smoke: Smoke, clocks: GpuClocks | None) -> str:
    hottest = max((sample.temperature for sample in smoke.timeline if sample.temperature is not None), default=None)
    power = max((sample.power for sample in smoke.timeline if sample.power is not None), default=None)
    clock = max((sample.sm_clock for sample in smoke.timeline if sample.sm_clock is not None), default=None)
    limit = f" of {clocks.power_limit:.0f}" if clocks and clocks.power_limit else ""
    most = f" of {clocks.sm_clock_max}" if clocks and clocks.sm_clock_max else ""
    parts = [
        f"{hottest} °C" if hottest is not None else "",
        f"{power:.0f}{limit} W" if power is not None else "",
        f"{clock}{most} MHz" if clock is not None else "",
    ]
    told = ", ".join(part for part in parts if part)
    return f"; at most {told}" if told else ""


def _seen(reasons: dict[str, int], smoke: Smoke) -> tuple[Evidence, ...]:
    total = len(smoke.timeline)
    return tuple(
        Evidence(fact=f"throttle reason {reason}", value=f"{count} of {total} samples", source="NVML")
        for reason, count in reasons.items()
    )
