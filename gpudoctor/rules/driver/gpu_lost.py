"""A GPU fell off the PCI bus.

## What it means
The driver lost contact with a GPU that it had been using: it answers no more. Programs on it fail, other GPUs may go
on. Only a reset, a reboot or a power cycle brings it back, and it will happen again until its cause is removed.

## Why it happens
Power (a supply too weak for the peaks, a loose or shared cable), heat, a card that is not seated, a riser or cable that
does not carry the link's speed, an old system firmware; seldom the driver.

## How to fix
Reboot, better switch the machine off and on. Then check seat, power cables and temperatures; lower the power limit, or
the PCIe generation in the firmware, to find out which it is.

## How it is detected
NVML reports NVML_ERROR_GPU_IS_LOST (or that the GPU needs a reset), the bus shows revision ff for the device, the
kernel logs Xid 79, or a program says that the GPU is lost.

## Sources
- https://docs.nvidia.com/deploy/xid-errors/
- https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, Gpu, Gpus, KernelLog, PciDevices, VirtualMachine
from gpudoctor.findings import About, Confidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.pci import index_at
from gpudoctor.remedies import ReloadDriver, Run
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import NVIDIA_VENDOR, Printed

RULE = Rule(
    masks=(
        "nccl-failure",
        "gpu-hardware-fault",
        "gpu-throttled",
        "driver-known-bug",
        "driver-broken-state",
        "driver-not-loaded",
        "compute-mode-exclusive",
        "smoke-hang",
        "smoke-ran-on-cpu",
        "smoke-wrong-results",
    )
)

_LOST = {
    "NVML_ERROR_GPU_IS_LOST": "is lost: it fell off the bus",
    "NVML_ERROR_RESET_REQUIRED": "refuses work until it is reset",
}


_CURE = (
    ReloadDriver(title="Reboot, so that the GPU is found on the bus again"),
    Run(
        title="If it happens again, look for the reason in the hardware",
        note="Switch the machine off and on. Check seat, power cables and temperature of the card, and try a lower "
        "power limit (nvidia-smi -pl) or a lower PCIe generation in the firmware.",
    ),
)


@RULE.detector
def nvml_lost_it(gpu: Gpu) -> Verdict:
    """NVML has the GPU in its list and no answer from it."""
    if gpu.error not in _LOST:
        return None
    name = f"GPU {gpu.index}" + (f" ({gpu.name}" + (f", {gpu.pci})" if gpu.pci else ")") if gpu.name else "")
    return Found(
        title=f"{name} {_LOST[gpu.error]}.",
        detail=f"NVML: {gpu.error}.",
        evidence=(cite("NVML", gpu.error, gpu),),
        remedies=_CURE,
    )


@RULE.detector
def the_bus_reads_all_ones(pci: PciDevices) -> Verdict:
    """A device that no longer answers reads as ones, which lspci shows as revision ff."""
    gone = next((d for d in pci.devices if d.vendor == NVIDIA_VENDOR and (d.revision or "").lower() == "ff"), None)
    if gone is None:
        return None
    return Found(
        title=f"{gone.name or 'The NVIDIA GPU'} at {gone.address} no longer answers on the PCI bus.",
        detail="Its revision reads as ff: it is switched off or has fallen off the bus.",
        evidence=(cite(f"revision of {gone.address}", "ff", pci),),
        remedies=_CURE,
    )


@RULE.detector
def the_kernel_logged_it(log: KernelLog, gpus: Gpus | None, cuda: CudaDriver | None) -> Verdict:
    """Xid 79. Where all GPUs answer again, it is a thing of the past and a warning."""
    event = next((one for one in reversed(log.xids) if one.xid == 79), None)
    if event is None:
        return Passed("no Xid 79 in the kernel log")
    listed = gpus.gpus if gpus else ()
    index = index_at(listed, event.pci)
    back = works(cuda) and all(gpu.error is None for gpu in listed)
    where = f"The GPU at {event.pci}" if event.pci else "A GPU"
    return Found(
        title=f"{where} fell off the bus since the last start." if back else f"{where} fell off the bus.",
        detail=event.text,
        evidence=(cite("Xid", event.xid, log),),
        remedies=_CURE,
        severity=Severity.WARNING if back else None,
        about=About(gpu=index),
    )


_TEXTS = (
    r"GPU is lost",
    r"\b(?:NVML_)?ERROR_GPU_IS_LOST",
    # "GPU has fallen off the bus", "GPU at 0000:01:00.0 has fallen off the bus"
    r"\bGPU\b[^\n]{0,60}? f[ae]ll(?:en|s)? (?:off|out) (?:of )?the (?:PCIe? )?bus\b",
    r"has fallen off the bus and is not responding to commands",
    r"\bXid\b:?(?: \((?:PCI:)?[0-9a-f:.]{4,20}\))?\s?[:=]?\s{0,3}79\b",
)
_NO_HANDLE = r"Unable to determine the device handle for (?:GPU|gpu) ?[0-9A-Fa-f:.]{4,20}: Unknown Error"


@RULE.detector
def a_program_says_so(
    printed: Printed, log: KernelLog | None, cuda: CudaDriver | None, gpus: Gpus | None, machine: VirtualMachine | None
) -> Verdict:
    """nvidia-smi, NVML or the kernel say that a GPU is lost."""
    if (log and any(event.xid == 79 for event in log.xids)) or any(
        g.error in _LOST for g in (gpus.gpus if gpus else ())
    ):
        return NotApplicable("told by the kernel log or NVML")
    hit = heard(printed, *_TEXTS)
    unclear = None if hit else heard(printed, _NO_HANDLE)
    found = hit or unclear
    if found is None or works(cuda):
        return NotApplicable(SILENT)
    if unclear and machine and machine.hypervisor:
        return NotApplicable("in a virtual machine this says rather that the driver refuses to work there")
    return Found(
        title="A GPU is lost: it fell off the bus.",
        detail=found.text,
        evidence=(found.evidence,),
        remedies=_CURE,
        confidence=Confidence.CERTAIN if hit else Confidence.LIKELY,
    )
