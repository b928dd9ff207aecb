"""This driver has a known defect that shows here.

## What it means
Installation, device nodes and versions are right, and the driver still fails by a fault of its own. Three are
recognised: CUDA does not start (cuInit returns 3) because of heterogeneous memory management (HMM) in nvidia-uvm, while
nvidia-smi works; the GPU's own system processor (GSP) stops answering (Xid 119, 120); and the kernel crashes at an
instruction of one of NVIDIA's modules.

## Why it happens
HMM of the open modules does not get on with some kernels (Enterprise Linux 9 and 10, kernels with other memory
layouts). GSP time-outs come with some driver versions, with power states and with unstable links.

## How to fix
HMM: load nvidia-uvm with uvm_disable_hmm=1. GSP: reset the GPU or reboot, install a newer driver; with the proprietary
modules the GSP can be switched off (NVreg_EnableGpuFirmware=0). A crash in the kernel: reboot, and install another
release of the driver, one that knows this kernel.

## How it is detected
cuInit returns 3 although NVML works and all device nodes can be opened; or Xid 119 or 120, or their text;
or an oops of the kernel whose failing instruction (RIP) lies in a module nvidia….

## Sources
- https://github.com/NVIDIA/open-gpu-kernel-modules/issues/901
- https://github.com/NVIDIA/open-gpu-kernel-modules/issues/947
- https://docs.nvidia.com/deploy/xid-errors/
- https://docs.kernel.org/admin-guide/bug-hunting.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import (
    Container,
    CudaDriver,
    DeviceNodes,
    Environment,
    Gpus,
    KernelLog,
    KernelModules,
    Nvml,
    Wsl,
)
from gpudoctor.findings import About, Confidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.pci import index_at
from gpudoctor.relations import driver_version
from gpudoctor.remedies import InstallDriver, ReloadDriver, Run
from gpudoctor.rules._printed import SILENT, heard, nvml_fails, works
from gpudoctor.views import Printed, UserDriver

RULE = Rule(masks=("nccl-failure", "driver-broken-state", "gpu-hardware-fault", "smoke-hang", "smoke-ran-on-cpu"))

_FIRST_WITH_HMM = "535.43.02"
_NO_HMM = Run(
    title="Load nvidia-uvm without HMM",
    argvs=(
        ("sudo", "sh", "-c", "echo options nvidia_uvm uvm_disable_hmm=1 > /etc/modprobe.d/nvidia-uvm-hmm.conf"),
        ("sudo", "modprobe", "-r", "nvidia_uvm"),
        ("sudo", "modprobe", "nvidia_uvm"),
    ),
    risk="Programs that use CUDA must be stopped first. Where nvidia_uvm cannot be removed, reboot instead.",
    verify=("gpudoctor", "diagnose"),
)
_NODES = ("/dev/nvidiactl", "/dev/nvidia-uvm")


def _nodes_open(nodes: DeviceNodes | None) -> bool:
    """All nodes that CUDA needs are there and can be opened."""
    return nodes is not None and all((node := nodes.node(path)) and node.opens is None for path in _NODES)


@RULE.detector
def not_initialized_though_all_is_there(
    cuda: CudaDriver, nvml: Nvml, nodes: DeviceNodes, gpus: Gpus | None, wsl: Wsl | None
) -> Verdict:
    """cuInit returns 3 with NVML and the device nodes in order."""
    if wsl and wsl.version:
        return NotApplicable("WSL has no nvidia-uvm")
    if cuda.code != 3:
        return Passed(f"cuInit: {cuda.result}")
    if nvml.result != "NVML_SUCCESS" or not _nodes_open(nodes) or (gpus and any(gpu.error for gpu in gpus.gpus)):
        return NotApplicable("NVML or the device nodes are not in order")
    return Found(
        title="CUDA does not start (cuInit returns 3) though the driver, NVML and the device nodes are in order.",
        detail="A known fault of HMM in nvidia-uvm shows like this.",
        evidence=(cite("cuInit", f"{cuda.result} (3)", cuda), cite("NVML", nvml.result, nvml)),
        remedies=(_NO_HMM,),
        confidence=Confidence.LIKELY,
    )


_INIT_3 = (
    r"\bcuInit\b(?:\(0\)|/cudaGetDeviceCount)?[^\n]{0,60}?\b(?:err(?:or)?|code|return(?:s|ed)?)\s?[=:]?\s?3\b",
    r"\bcuInit\b[^\n]{0,60}CUDA_ERROR_NOT_INITIALIZED",
    r"\binit(?:ialization)? failure: 3\b",
)


@RULE.detector
def a_program_says_three(
    printed: Printed, cuda: CudaDriver | None, wsl: Wsl | None, nvml: Nvml | None, user: UserDriver | None
) -> Verdict:
    """A program shows that cuInit returned 3."""
    hit = heard(printed, *_INIT_3)
    if hit is None or works(cuda) or (cuda and cuda.code == 3) or (wsl and wsl.version):
        return NotApplicable(SILENT)
    if nvml_fails(nvml):
        return NotApplicable("NVML does not work either")
    if user and driver_version(user.version) < driver_version(_FIRST_WITH_HMM):
        return NotApplicable("this driver has no HMM yet")
    return Found(
        title="CUDA does not start (cuInit returns 3), as with a known fault of HMM in nvidia-uvm.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(_NO_HMM,),
        confidence=Confidence.LIKELY,
    )


_NO_DEVICE = (
    r"\bCUDA (?:finds|found|sees|saw|detects|lists) no (?:CUDA-capable )?(?:devices?|GPUs?)\b",
    r"no CUDA-capable device is detected",
    r"CUDA driver initialization failed",
    r"CUDA initialization: CUDA unknown error",
)


@RULE.detector
def no_device_though_all_is_there(
    printed: Printed,
    modules: KernelModules,
    nodes: DeviceNodes,
    gpus: Gpus,
    user: UserDriver,
    cuda: CudaDriver | None,
    environment: Environment | None,
    container: Container | None,
    wsl: Wsl | None,
) -> Verdict:
    """Modules, nodes and NVML are in order, and CUDA still finds nothing: what is left is nvidia-uvm itself."""
    hit = heard(printed, *_NO_DEVICE)
    if hit is None or works(cuda) or (wsl and wsl.version) or (container and container.engine):
        return NotApplicable(SILENT)
    if environment and "CUDA_VISIBLE_DEVICES" in environment.variables:
        return NotApplicable("CUDA_VISIBLE_DEVICES is set")
    healthy = bool(gpus.gpus) and all(gpu.error is None for gpu in gpus.gpus) and "nvidia_uvm" in modules.loaded
    if not healthy or not _nodes_open(nodes) or driver_version(user.version) < driver_version(_FIRST_WITH_HMM):
        return NotApplicable("the driver is not in order, or has no HMM")
    return Found(
        title="CUDA finds no device though driver, modules and device nodes are in order.",
        detail="What is left is nvidia-uvm: a known fault of its HMM shows like this.",
        evidence=(
            hit.evidence,
            cite("driver", user.version, user),
            cite("modules", ", ".join(modules.loaded), modules),
        ),
        remedies=(_NO_HMM,),
        confidence=Confidence.LIKELY,
    )


# The instruction that failed, as the kernel prints it: function, offset, and the module that the function is in.
_INSIDE = r"\b(?:RIP|EIP|pc) ?: (?:[0-9a-f]{4}:)?[\w.]{1,120}\+0x[0-9a-f]{1,8}/0x[0-9a-f]{1,8} \[(nvidia\w{0,10})\]"
# A mere warning has such a line too.
_CRASH = (
    r"\bBUG: (?:kernel NULL pointer dereference|unable to handle)",
    r"\bOops: [0-9a-f]{4}\b",
    r"\bgeneral protection fault\b",
    r"\bkernel BUG at\b",
    r"\bUnable to handle kernel\b",
)


@RULE.detector
def the_kernel_crashed_in_the_module(printed: Printed) -> Verdict:
    """An oops of the kernel whose failing instruction is in NVIDIA's module."""
    inside, crash = heard(printed, _INSIDE), heard(printed, *_CRASH)
    if inside is None or crash is None:
        return NotApplicable(SILENT)
    return Found(
        title=f"The kernel crashed inside the driver's module {inside.match[1]}.",
        detail=f"{crash.text}: {inside.text}.",
        evidence=(crash.evidence, inside.evidence),
        remedies=(ReloadDriver(), InstallDriver()),
        confidence=Confidence.LIKELY,
    )


_GSP = (
    r"Timeout (?:after \d{1,4}s of )?waiting for RPC (?:response )?from (?:GPU\d{1,3} )?GSP",
    r"\bXid\b:?(?: \((?:PCI:)?[0-9a-f:.]{4,20}\))?\s?[:=]?\s{0,3}1(?:19|20)\b",
)


@RULE.detector
def gsp_does_not_answer(printed: Printed, log: KernelLog | None, gpus: Gpus | None, cuda: CudaDriver | None) -> Verdict:
    """Xid 119 or 120: the GPU's system processor timed out or failed."""
    event = next((one for one in reversed(log.xids if log else ()) if one.xid in (119, 120)), None)
    hit = heard(printed, *_GSP)
    if event is None and hit is None:
        return NotApplicable(SILENT)
    index = index_at(gpus.gpus if gpus else (), event.pci if event else None)
    back = works(cuda) and all(gpu.error is None for gpu in (gpus.gpus if gpus else ()))
    evidence = (cite("Xid", event.xid, log),) if event and log else (hit.evidence,) if hit else ()
    return Found(
        title="The GPU's system processor (GSP) stopped answering the driver.",
        detail=event.text if event else hit.text if hit else "",
        evidence=evidence,
        remedies=(
            Run(
                title="Reset the GPU or reboot",
                argvs=(("sudo", "nvidia-smi", "--gpu-reset"),),
                risk="Every program on the GPU must be stopped first. Where the reset is refused, reboot.",
                note="With the proprietary modules the GSP can be switched off: options nvidia "
                "NVreg_EnableGpuFirmware=0 in /etc/modprobe.d, then reboot.",
            ),
            InstallDriver(),
        ),
        severity=Severity.WARNING if back else None,
        confidence=Confidence.LIKELY,
        about=About(gpu=index),
    )
