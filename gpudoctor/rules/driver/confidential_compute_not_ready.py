"""The GPU is in confidential mode and not ready for work.

## What it means
In confidential computing mode (Hopper and later) the GPU refuses every CUDA context until an administrator of the
confidential virtual machine has attested it and set the ready state. A plain host cannot use a GPU in this mode at all.

## Why it happens
The ready state was not set after the start; or the mode was left on when the GPU went back to ordinary use.

## How to fix
After attestation, set the ready state inside the confidential virtual machine. Where no confidential computing is
meant, switch the mode off on the host and reset the GPU.

## How it is detected
NVML: confidential computing is on and the ready state is not set; or a tool says that confidential mode is on while the
driver finds no device.

## Sources
- https://docs.nvidia.com/confidential-computing/
- https://github.com/NVIDIA/nvtrust
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, Gpu, GpuModes, Gpus
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import Printed

RULE = Rule(
    masks=(
        "nccl-failure",
        "fabric-manager-not-running",
        "driver-broken-state",
        "driver-not-loaded",
        "gpu-hardware-fault",
        "bios-resource-limit",
        "gpu-lost",
        "smoke-ran-on-cpu",
    )
)

_READY = Run(
    title="After attestation, set the ready state",
    argvs=(("sudo", "nvidia-smi", "conf-compute", "-srs", "1"), ("nvidia-smi", "conf-compute", "-grs")),
    where="environment",
    risk="From then on work is accepted; attest the GPU first.",
    verify=("gpudoctor", "diagnose"),
)
_OFF = Run(
    title="Where no confidential computing is meant, switch the mode off on the host and reset the GPU",
    where="host",
    note="With gpu_cc_tool.py or nvidia_gpu_tools.py of https://github.com/NVIDIA/gpu-admin-tools: "
    "--set-cc-mode=off --reset-after-cc-mode-switch",
)


@RULE.detector
def nvml_says_not_ready(gpu: Gpu, modes: GpuModes) -> Verdict:
    """Confidential computing is on and the ready state is not set."""
    if modes.confidential is None:
        return NotApplicable("no confidential computing")
    if modes.confidential != "not-ready":
        return Passed(f"confidential computing: {modes.confidential}")
    return Found(
        title=f"{gpu.name or f'GPU {gpu.index}'} is in confidential mode and its ready state is not set.",
        evidence=(cite("confidential computing", modes.confidential, modes),),
        remedies=(_READY,),
    )


_NOT_READY = (
    r"(?:Confidential Compute|CC) GPUs? Ready state\W{1,4}not[- ]ready",
    r"\bready state (?:is )?not (?:set|ready)\b",
)
_NO_HANDLE = r"Unable to determine the device handle for"
_MODE_ON = r"\bcc[-_ ]mode(?:\W{1,4}| is | set to )on\b|\bhas CC mode on\b"


@RULE.detector
def a_program_says_so(printed: Printed, gpus: Gpus | None, cuda: CudaDriver | None) -> Verdict:
    """A tool shows the mode or the missing ready state, and there is no working GPU."""
    ready = heard(printed, *_NOT_READY)
    mode = None if ready else heard(printed, _MODE_ON)
    hit = ready or mode
    if hit is None or works(cuda):
        return NotApplicable(SILENT)
    if mode and gpus and any(gpu.error is None for gpu in gpus.gpus) and heard(printed, _NO_HANDLE) is None:
        return NotApplicable("the driver lists the GPU")
    return Found(
        title="The GPU is in confidential mode and its ready state is not set."
        if ready
        else "The GPU is in confidential mode, in which only a confidential virtual machine can use it.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(_READY,) if ready else (_OFF, _READY),
        confidence=Confidence.CERTAIN if ready else Confidence.LIKELY,
    )
