"""This virtual GPU has no licence.

## What it means
A guest of NVIDIA's vGPU software works at full speed only with a licence. Without one it is throttled some minutes
after the start, and CUDA is then refused: "all CUDA-capable devices are busy or unavailable".

## Why it happens
The licence server cannot be reached, the client's token is missing or expired, the service nvidia-gridd does not run,
or the clock is wrong.

## How to fix
Put the token into /etc/nvidia/ClientConfigToken, restart nvidia-gridd, and look at what it logs.

## How it is detected
NVML lists a vGPU whose licensable features are not enabled, nvidia-smi -q shows "License Status: Unlicensed", or
nvidia-gridd logs that it got no licence.

## Sources
- https://docs.nvidia.com/vgpu/latest/grid-licensing-user-guide/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, Gpu, GpuModes
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import Printed

RULE = Rule(masks=("compute-mode-exclusive", "gpu-throttled", "driver-broken-state", "smoke-ran-on-cpu"))

_CURE = Run(
    title="Give this guest a licence",
    argvs=(("sudo", "systemctl", "restart", "nvidia-gridd"), ("journalctl", "-u", "nvidia-gridd", "-n", "20")),
    note="The client token belongs into /etc/nvidia/ClientConfigToken and the kind of licence into "
    "/etc/nvidia/gridd.conf; clock and network to the licence server must be right.",
)


@RULE.detector
def nvml_says_so(gpu: Gpu, modes: GpuModes, cuda: CudaDriver | None) -> Verdict:
    """A vGPU without a licence; an error where CUDA is refused already."""
    if modes.vgpu_license is None:
        return NotApplicable("not a vGPU that needs a licence")
    if modes.vgpu_license != "unlicensed":
        return Passed(f"the vGPU is {modes.vgpu_license}")
    return Found(
        title=f"The virtual GPU {gpu.name or gpu.index} has no licence: it is throttled, and CUDA refused later.",
        evidence=(cite("vGPU licence", modes.vgpu_license, modes),),
        remedies=(_CURE,),
        severity=Severity.WARNING if works(cuda) else None,
    )


_TEXTS = (
    r"License Status\s{0,30}:\s{0,4}Unlicensed",
    r"nvidia-gridd[^\n]{0,20}: Failed to (?:acquire|borrow|renew) license",
    r"\bvGPU\b[^\n]{0,40}\bunlicensed\b",
)
# nvidia-gridd's words where the log's own column, which names it, is gone; then its settings or product tell whose.
_REFUSED = r"Failed to (?:acquire|borrow|renew) license"
_GRID = r"\bgridd\b|\bNVIDIA (?:GRID|Virtual|vGPU)|\bvGPU\b|\bFeatureType ?= ?\d|\bClientConfigToken\b"


@RULE.detector
def a_program_says_so(printed: Printed) -> Verdict:
    """nvidia-smi -q or nvidia-gridd say that there is no licence."""
    hit = heard(printed, *_TEXTS) or (heard(printed, _REFUSED) if heard(printed, _GRID) else None)
    if hit is None:
        return NotApplicable(SILENT)
    refused = heard(printed, r"busy or unavailable", r"cudaErrorDevicesUnavailable")
    return Found(
        title="This virtual GPU has no licence.",
        detail=hit.text,
        evidence=(hit.evidence, *((refused.evidence,) if refused else ())),
        remedies=(_CURE,),
        confidence=Confidence.CERTAIN if refused else Confidence.LIKELY,
    )
