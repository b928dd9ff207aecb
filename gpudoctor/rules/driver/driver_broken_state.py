"""The driver is in a broken state until it is loaded anew.

## What it means
Everything is installed and was working, and now CUDA fails with "unknown error" (999) in every program. nvidia-smi
often still works. No package needs to change: the module nvidia-uvm has lost its state.

## Why it happens
The machine was suspended and woken up while CUDA was in use; a program or the GPU crashed; the driver was updated
without a reboot.

## How to fix
Reload nvidia-uvm, or reboot. For machines that are suspended often, let the driver save its memory
(NVreg_PreserveVideoMemoryAllocations=1 with the services nvidia-suspend, nvidia-resume and nvidia-hibernate).

## How it is detected
cuInit returns 999 although NVML lists the GPUs and the device nodes can be opened; or a failure of CUDA that began
with a suspend.

## Sources
- https://download.nvidia.com/XFree86/Linux-x86_64/580.65.06/README/powermanagement.html
- https://github.com/pytorch/pytorch/issues/49081
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, CudaDriver, DeviceNodes, Gpus, Nvml, Wsl
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.remedies import ReloadDriver, Run
from gpudoctor.rules._printed import SILENT, heard, nvml_fails, unknown_error, works
from gpudoctor.views import Printed

RULE = Rule(
    masks=(
        "nccl-failure",
        "smoke-ran-on-cpu",
    )
)

_RELOAD = Run(
    title="Reload nvidia-uvm",
    argvs=(("sudo", "modprobe", "-r", "nvidia_uvm"), ("sudo", "modprobe", "nvidia_uvm")),
    risk="Programs that use CUDA must be stopped first. Where the module cannot be removed, reboot.",
    verify=("gpudoctor", "diagnose"),
    note="If it comes back after every suspend: NVreg_PreserveVideoMemoryAllocations=1 for the module nvidia, and "
    "sudo systemctl enable nvidia-suspend nvidia-resume nvidia-hibernate",
)
_NODES = ("/dev/nvidiactl", "/dev/nvidia-uvm")


@RULE.detector
def unknown_error_though_all_is_there(
    cuda: CudaDriver, nvml: Nvml, nodes: DeviceNodes, gpus: Gpus | None, wsl: Wsl | None
) -> Verdict:
    """cuInit returns 999 with NVML and the device nodes in order."""
    if cuda.code != 999:
        return Passed(f"cuInit: {cuda.result}")
    if wsl and wsl.version:
        return NotApplicable("WSL has no nvidia-uvm")
    in_order = all((node := nodes.node(path)) and node.opens is None for path in _NODES)
    # nvmlInit works with a driver that then cannot even count its GPUs.
    listed = gpus is not None and gpus.gpus and not any(gpu.error for gpu in gpus.gpus)
    if nvml.result != "NVML_SUCCESS" or not listed or not in_order:
        return NotApplicable("NVML or the device nodes are not in order")
    return Found(
        title="CUDA fails with an unknown error (999) though the driver and its device nodes are in order.",
        evidence=(cite("cuInit", f"{cuda.result} (999)", cuda), cite("NVML", nvml.result, nvml)),
        remedies=(_RELOAD, ReloadDriver()),
        confidence=Confidence.LIKELY,
    )


_UNKNOWN = (
    r"CUDA unknown error - this may be due to an incorrectly set up environment",
    r"CUDA_ERROR_UNKNOWN|cudaErrorUnknown\b|UNKNOWN_ERROR\(99?9?\)",
    r"\b(?:cuInit|nvcuda|cudaGetDeviceCount)\b[^\n]{0,40}\b(?:999|returned 30|unknown error)\b",
    r"CUDA error: (?:unknown error|unspecified launch failure)",
    r"\bGPU\b[^\n]{0,30}\bno longer available\b",
)
# Sleep of a machine, not of a program: ``time.sleep(1)`` is none.
_SUSPEND = (
    r"\b(?:system|machine|laptop|notebook|computer|PC|host|GPU|CUDA|after|from|to|before|on|upon|was|is) "
    r"[^\n]{0,30}?(?<![.\w])(?:suspend(?:ed|ing)?|suspension|hibernat(?:e|ed|ion|ing)|sleep(?:ing)?|w[ao]ke[ns]?[- ]?up"
    r"|waking[- ]up|resumed? from (?:suspend|sleep))\b(?!\()"
)
# One sentence that tells both: "the GPU stops working after the host was suspended".
_WORKED_BEFORE = (
    r"\b(?:GPUs?|CUDA|nvidia[\w-]{0,12})\b[^\n]{0,60}\b(?:stop(?:s|ped)?|fail(?:s|ed)?|br(?:eaks?|oken)|unavailable"
    r"|unusable|disappear(?:s|ed)?|(?:no longer|not) [^\n]{0,20}\w)\b[^\n]{0,30}\b(?:after|since)\b[^\n]{0,40}"
    r"(?<![.\w])(?:suspend(?:ed|ing)?|suspension|hibernat(?:e|ed|ion|ing)|sleep|w[ao]ke[ns]?[- ]?up|waking"
    r"|resum(?:ed?|ing))\b(?!\()"
)
_MANAGEMENT = r"System Power Management attempted without driver procfs suspend interface"


@RULE.detector
def began_with_a_suspend(printed: Printed, cuda: CudaDriver | None) -> Verdict:
    """CUDA fails, and the machine slept before."""
    told = heard(printed, _WORKED_BEFORE)
    slept = heard(printed, _MANAGEMENT, _SUSPEND) or told
    if slept is None or works(cuda):
        return NotApplicable(SILENT)
    failed = heard(printed, *_UNKNOWN, r"\bCUDA (?:fails|failed) to initiali[sz]e\b", r"No CUDA GPUs are available")
    failed = failed or told
    if failed is None:
        return NotApplicable("no failure of CUDA is told")
    return Found(
        title="CUDA fails since the machine was suspended: the driver must be loaded anew.",
        detail=failed.text,
        evidence=tuple(dict.fromkeys((failed.evidence, slept.evidence))),
        remedies=(_RELOAD, ReloadDriver()),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def an_unknown_error(
    printed: Printed,
    cuda: CudaDriver | None,
    nvml: Nvml | None,
    nodes: DeviceNodes | None,
    container: Container | None,
    wsl: Wsl | None,
) -> Verdict:
    """An unknown error of CUDA: a broken state is one reason, nodes that are missing another."""
    hit = heard(printed, *_UNKNOWN[:3])
    if (
        hit is None
        or (cuda and not unknown_error(cuda))
        or (wsl and wsl.version)
        or heard(printed, _MANAGEMENT, _SUSPEND)
    ):
        return NotApplicable(SILENT)
    if nvml_fails(nvml) or (nodes and nodes.nodes):
        return NotApplicable("more is known of driver and device nodes")
    inside = container is not None and container.engine is not None
    return Found(
        title="CUDA fails with an unknown error (999): the driver may be in a broken state.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(ReloadDriver(),) if inside else (_RELOAD, ReloadDriver()),
        confidence=Confidence.POSSIBLE,
        settled_by=("ls -l /dev/nvidia*", "sudo dmesg | grep -iE 'nvrm|suspend'"),
    )
