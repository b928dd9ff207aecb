"""The GPU refuses to work inside this virtual machine.

## What it means
The GPU was given to the virtual machine and the driver, once it sees that it is inside one, does not start it: error 43
in Windows, "Unable to determine the device handle … Unknown Error" in Linux.

## Why it happens
Drivers before R465 refuse GeForce GPUs in virtual machines; other causes are a missing GPU ROM, interrupts of the old
kind, and a GPU that the host did not let go of.

## How to fix
Install a newer driver in the guest (R465 or later allows it). With an older one, hide the hypervisor from the guest.

## How it is detected
A virtual machine, a GPU of the GeForce line that NVML lists without an answer, or error 43, and the driver's branch.

## Sources
- https://nvidia.custhelp.com/app/answers/detail/a_id/5173
- https://wiki.archlinux.org/title/PCI_passthrough_via_OVMF
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Gpu, VirtualMachine
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.relations import driver_version
from gpudoctor.remedies import InstallDriver, Remedy, Run
from gpudoctor.rules._printed import SILENT, heard
from gpudoctor.views import Printed, UserDriver

RULE = Rule(masks=("driver-not-loaded", "gpu-lost", "bios-resource-limit", "gpu-hardware-fault", "smoke-ran-on-cpu"))

_FIRST_THAT_ALLOWS = "465.89"
_HIDE = Run(
    title="Hide the hypervisor from the guest",
    where="host",
    note="libvirt: <kvm><hidden state='on'/></kvm> and a <hyperv><vendor_id state='on' value='whatever'/></hyperv>; "
    "QEMU: -cpu host,kvm=off.",
)


def _refuses(user: UserDriver | None) -> bool | None:
    """Whether this driver is known to refuse GeForce GPUs in virtual machines; None where its version is not known."""
    return None if user is None else driver_version(user.version) < driver_version(_FIRST_THAT_ALLOWS)


def _remedies(user: UserDriver | None) -> tuple[Remedy, ...]:
    return (InstallDriver(minimum=_FIRST_THAT_ALLOWS), _HIDE) if _refuses(user) is not False else (_HIDE,)


@RULE.detector
def listed_without_an_answer(gpu: Gpu, machine: VirtualMachine, user: UserDriver | None) -> Verdict:
    """A GeForce in a virtual machine whose handle NVML refuses."""
    if machine.hypervisor is None:
        return NotApplicable("not in a virtual machine")
    if gpu.error != "NVML_ERROR_UNKNOWN":
        return Passed("NVML answers for the GPU")
    if gpu.name and not re.search(r"GeForce|TITAN", gpu.name, re.IGNORECASE):
        return NotApplicable("not a GPU of the GeForce line")
    return Found(
        title=f"The driver refuses {gpu.name or f'GPU {gpu.index}'} inside this {machine.hypervisor} guest.",
        evidence=(cite("NVML", gpu.error, gpu), cite("hypervisor", machine.hypervisor, machine)),
        remedies=_remedies(user),
        confidence=Confidence.LIKELY if _refuses(user) else Confidence.POSSIBLE,
        settled_by=("sudo dmesg | grep -i nvrm",),
    )


_ERROR_43 = r"\b(?:error )?code[ :]{0,2}43\b|\berror 43\b"
_NO_HANDLE = r"Unable to determine the device handle for (?:GPU|gpu) ?[0-9A-Fa-f:.]{4,20}: Unknown Error"
_VM = r"\b(?:passthrough|pass-through|QEMU|KVM|Proxmox|libvirt|VMware|Hyper-V|virtual machine|guest OS|VFIO|kubevirt)\b"


@RULE.detector
def a_program_says_so(printed: Printed, machine: VirtualMachine | None, user: UserDriver | None) -> Verdict:
    """Windows' error 43, or a handle that NVML refuses, inside a virtual machine."""
    hit = heard(printed, _ERROR_43, _NO_HANDLE)
    if hit is None:
        return NotApplicable(SILENT)
    guest = (machine and machine.hypervisor) or heard(printed, _VM)
    if not guest:
        return NotApplicable("nothing says that this is a virtual machine")
    return Found(
        title="The driver refuses the GPU inside this virtual machine.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=_remedies(user),
        confidence=Confidence.LIKELY,
    )
