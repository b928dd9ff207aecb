"""The GPU's compute mode keeps this process out.

## What it means
An administrator can allow one process for each GPU (exclusive process) or none (prohibited). Any other process then
gets "all CUDA-capable devices are busy or unavailable" (error 46).

## Why it happens
A cluster sets the mode so that jobs do not share GPUs; several processes of one job open GPU 0 before each takes its
own; a process that was thought dead still holds the GPU.

## How to fix
Let each process choose its GPU before it uses CUDA, wait for a free GPU, or set the mode back to default.

## How it is detected
NVML's compute mode together with a process on the GPU or a refusal by CUDA; prohibited is enough by itself.

## Sources
- https://docs.nvidia.com/cuda/cuda-c-programming-guide/#compute-modes
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, Gpu, GpuModes, GpuProcesses, Gpus
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard
from gpudoctor.views import Printed, Proved

RULE = Rule(masks=("driver-broken-state", "smoke-ran-on-cpu"))

_EXCLUSIVE = ("exclusive-process", "exclusive-thread")
_BUSY = (
    r"CUDA-capable device(?:\(s\)|s) (?:is/are|are|is) busy or unavailable",
    r"cudaErrorDevicesUnavailable|CUDA_ERROR_DEVICE_UNAVAILABLE",
)


def _default(index: int | None = None) -> Run:
    which = ("-i", str(index)) if index is not None else ()
    return Run(
        title="Set the compute mode to default, or give each process its own GPU",
        argvs=(("sudo", "nvidia-smi", *which, "-c", "0"),),
        risk="Processes may then share the GPU and its memory; on a cluster this is the administrators' choice.",
        verify=("gpudoctor", "diagnose"),
        note="In a distributed job call torch.cuda.set_device(local_rank) before anything else uses CUDA. "
        "nvidia-smi shows the process that holds the GPU.",
    )


@RULE.detector
def mode_of_the_gpu(
    gpu: Gpu,
    modes: GpuModes,
    printed: Printed | None,
    proved: Proved,
    cuda: CudaDriver | None,
    processes: GpuProcesses | None,
) -> Verdict:
    """Prohibited, or exclusive with another process on the GPU or a refusal."""
    if modes.compute is None or modes.compute == "default":
        return Passed(f"compute mode {modes.compute or 'not supported'}")
    if any(job_gpu == gpu.index for _, job_gpu in proved.jobs):
        return Passed(f"compute mode {modes.compute}, and a job ran")
    name = gpu.name or f"GPU {gpu.index}"
    holders = [p for p in (processes.processes if processes else ()) if p.kind == "compute"]
    refused = heard(printed, *_BUSY) or (cuda and cuda.code == 46)
    evidence = (cite("compute mode", modes.compute, modes),)
    if modes.compute == "prohibited":
        title = f"The compute mode of {name} is prohibited: no program may use CUDA on it."
        return Found(title=title, evidence=evidence, remedies=(_default(gpu.index),))
    if refused or holders:
        return Found(
            title=f"The compute mode of {name} is {modes.compute}, and another process holds it.",
            detail=", ".join(f"{p.name or 'process'} ({p.pid})" for p in holders[:5]),
            evidence=evidence,
            remedies=(_default(gpu.index),),
            severity=None if refused else Severity.WARNING,
            confidence=Confidence.LIKELY,
        )
    title = f"The compute mode of {name} is {modes.compute}: one process at a time may use it."
    return Found(title=title, evidence=evidence, remedies=(_default(gpu.index),), severity=Severity.INFO)


_MODE = r"\b(?:exclusive(?:[- _](?:process|thread|compute))|E\. (?:Process|Thread))(?:[- _]mode)?\b"


@RULE.detector
def a_program_says_so(printed: Printed, gpus: Gpus | None, proved: Proved) -> Verdict:
    """CUDA says that the device is busy or unavailable; by its documentation, the compute mode is the usual reason."""
    hit = heard(printed, *_BUSY)
    if hit is None or proved.jobs:
        return NotApplicable(SILENT)
    modes = [gpu.modes.compute for gpu in (gpus.gpus if gpus else ()) if isinstance(gpu.modes, GpuModes)]
    known = [mode for mode in modes if mode]
    if known:
        return NotApplicable("the compute modes are known")
    said = heard(printed, _MODE)
    return Found(
        title="Another process holds the GPU, and its compute mode allows only one."
        if said
        else "CUDA calls the GPU busy or unavailable: its compute mode may allow one process only.",
        detail=hit.text,
        evidence=(hit.evidence, *((said.evidence,) if said else ())),
        remedies=(_default(),),
        confidence=Confidence.CERTAIN if said else Confidence.POSSIBLE,
        settled_by=() if said else ("nvidia-smi --query-gpu=index,compute_mode --format=csv",),
    )
