"""The Windows driver runs this GPU in TCC mode, in which WSL cannot see it.

## What it means
Windows can drive a data-centre or workstation GPU as a pure computing device (TCC). Windows programs may use CUDA then;
WSL reaches GPUs only through the graphics driver model (WDDM, or MCDM), so it sees none: "GPU access blocked by the
operating system".

## Why it happens
TCC is the default of data-centre drivers for Windows, or an administrator chose it.

## How to fix
Switch the GPU to WDDM in Windows and restart; data-centre GPUs need a driver that has that mode (vGPU or RTX driver).

## How it is detected
Windows' nvidia-smi shows TCC for a GPU of this machine; or NVML is blocked in WSL and the GPU is a data-centre one.

## Sources
- https://docs.nvidia.com/cuda/wsl-user-guide/
- https://docs.nvidia.com/nsight-visual-studio-edition/reference/index.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, GpuModes, Gpus, Nvml, Wsl
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard, in_wsl, works
from gpudoctor.views import Printed

RULE = Rule(masks=("no-nvidia-gpu", "driver-not-loaded", "driver-not-installed", "smoke-ran-on-cpu"))

_WDDM = Run(
    title="In Windows, switch the GPU to the WDDM driver model and restart",
    where="host",
    argvs=(("nvidia-smi", "-i", "0", "-dm", "0"), ("wsl", "--shutdown")),
    risk="Windows must be restarted. The first command needs a terminal with administrator's rights.",
    note="Where the driver refuses, it has no WDDM mode for this GPU: install one that has.",
)
_BLOCKED = r"GPU access blocked by the operating system"


@RULE.detector
def model_that_windows_shows(wsl: Wsl, gpus: Gpus, cuda: CudaDriver | None) -> Verdict:
    """Windows' own list names the driver model."""
    if wsl.version is None:
        return NotApplicable("not in WSL")
    held = next((gpu for gpu in gpus.gpus if isinstance(gpu.modes, GpuModes) and gpu.modes.model == "TCC"), None)
    if held is None or works(cuda):
        return Passed("no GPU in TCC mode is shown")
    return Found(
        title=f"Windows drives {held.name or 'the GPU'} in TCC mode, in which WSL cannot see it.",
        evidence=(cite("driver model", "TCC", held),),
        remedies=(_WDDM,),
    )


@RULE.detector
def access_is_blocked(
    printed: Printed | None,
    wsl: Wsl | None,
    nvml: Nvml | None,
    gpus: Gpus | None,
    cuda: CudaDriver | None,
    matrix: Matrix,
) -> Verdict:
    """NVML is blocked in WSL: likely TCC for a data-centre GPU, one of several reasons for others."""
    hit = heard(printed, _BLOCKED, r"\bTCC\b[^\n]{0,30}\bmode\b")
    blocked = nvml is not None and nvml.result == "NVML_ERROR_OPERATING_SYSTEM"
    if not in_wsl(wsl, printed) or works(cuda) or not (hit or blocked):
        return NotApplicable(SILENT)
    models = [matrix.gpu(gpu.name) for gpu in (gpus.gpus if gpus else ()) if gpu.name]
    kinds = {model.kind for model in models if not isinstance(model, Unlisted)}
    if kinds and not kinds & {"datacenter", "workstation"}:
        return NotApplicable("GeForce GPUs have no TCC mode")
    named = heard(printed, r"\bTCC\b")
    return Found(
        title="The GPU may be in TCC mode, in which WSL cannot see it.",
        detail=hit.text if hit else "",
        evidence=(hit.evidence,) if hit else (cite("NVML", nvml.result, nvml),) if nvml else (),
        remedies=(_WDDM,),
        confidence=Confidence.LIKELY if "datacenter" in kinds or named else Confidence.POSSIBLE,
        settled_by=("nvidia-smi.exe -q -d COMPUTE", "nvidia-smi.exe --query-gpu=driver_model.current --format=csv"),
    )
