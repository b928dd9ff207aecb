"""The firmware gives the GPU no room on the PCI bus.

## What it means
A GPU maps its memory and registers into the machine's address space. The firmware, or the virtual machine, gave it none
or too little, so the driver finds the GPU and cannot use it.

## Why it happens
"Above 4G Decoding" (or "large/64-bit BAR support") is off in the firmware, which GPUs with much memory need; resizable
BAR is half configured; a virtual machine has too small a window for 64-bit memory; Thunderbolt without resources.

## How to fix
Switch on Above 4G Decoding, and resizable BAR, in the firmware, with UEFI start and CSM off, and update the firmware.
In a virtual machine, enlarge the 64-bit MMIO window.

## How it is detected
The NVIDIA module logs that a PCI region is invalid (BAR0 is 0M) or that the system BIOS may have misconfigured the GPU.

## Sources
- https://github.com/NVIDIA/open-gpu-kernel-modules/blob/main/kernel-open/nvidia/nv-pci.c
- https://docs.kernel.org/admin-guide/kernel-parameters.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule
from gpudoctor.facts import CudaDriver, Gpus, KernelDriver, KernelLog, Nvml, VirtualMachine
from gpudoctor.findings import Confidence, Found, NotApplicable, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import Printed

RULE = Rule(masks=("driver-not-loaded", "device-nodes-missing", "gpu-lost", "smoke-ran-on-cpu"))

_TEXTS = (
    r"PCI I/O region assigned to your NVIDIA device is invalid",
    r"BAR\d is 0M @ 0x0",
    r"The system BIOS may have misconfigured your GPU",
    r"Failed to re-allocate BAR1",
    r"Fatal Error while attempting to resize PCIe BARs",
)


def _cure(machine: VirtualMachine | None) -> Run:
    if machine and machine.hypervisor:
        return Run(
            title="Enlarge the virtual machine's window for 64-bit PCI memory",
            where="host",
            note="VMware: pciPassthru.use64bitMMIO = TRUE and pciPassthru.64bitMMIOSizeGB; QEMU: OVMF with "
            "-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536. The size must exceed the memory of all GPUs.",
        )
    return Run(
        title="In the firmware, switch on Above 4G Decoding (and resizable BAR)",
        risk="The machine reboots.",
        verify=("gpudoctor", "diagnose"),
        note="Start by UEFI, with CSM off, and update the firmware. Where it has no such setting, the kernel parameter "
        "pci=realloc sometimes helps.",
    )


@RULE.detector
def the_module_says_so(
    printed: Printed, cuda: CudaDriver | None, gpus: Gpus | None, machine: VirtualMachine | None
) -> Verdict:
    """The NVIDIA module was given an empty region."""
    hit = heard(printed, *_TEXTS)
    if hit is None or works(cuda) or (gpus and gpus.gpus):
        return NotApplicable(SILENT)
    return Found(
        title="The firmware gives the GPU no room on the PCI bus.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(_cure(machine),),
    )


# The kernel tries again after such a line; what is still refused at the end stays refused. BAR 1 is the window to the
# GPU's memory, 256 MiB or more; 14 and 15 are a bridge's. BAR 7 and up of a device are virtual functions', which may
# go without. https://github.com/torvalds/linux/blob/master/drivers/pci/setup-res.c
_LARGE = r"\[mem size 0x[1-9a-f][0-9a-f]{7,11} 64bit pref\]"
_NO_ROOM = (
    rf"BAR (?:1|14|15): (?:no space for|failed to assign) {_LARGE}",
    rf"(?:BAR 1|bridge window) {_LARGE}: (?:can't assign; no space|failed to assign)",
)
_ROOM = r"BAR 1(?: \[mem 0x[^\]\n]{3,60}\])?: assigned"


@RULE.detector
def the_kernel_has_no_room(
    printed: Printed, cuda: CudaDriver | None, nvml: Nvml | None, machine: VirtualMachine | None
) -> Verdict:
    """The kernel finds no address for a region of a GPU or of a bridge above it."""
    hit = heard(printed, *_NO_ROOM)
    if hit is None or works(cuda) or (nvml and nvml.result == "NVML_SUCCESS"):
        return NotApplicable(SILENT)
    if heard(printed, _ROOM) or heard(printed, *_TEXTS):
        return NotApplicable("the region was placed in the end, or the NVIDIA module says more")
    return Found(
        title="The kernel finds no room on the PCI bus for the GPU's memory window.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(_cure(machine),),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def does_not_initialise(
    printed: Printed,
    gpus: Gpus | None,
    log: KernelLog | None,
    module: KernelDriver | None,
    machine: VirtualMachine | None,
) -> Verdict:
    """The driver finds the GPU and cannot start it: a firmware without large BARs is one of the reasons."""
    hit = heard(printed, r"RmInitAdapter failed! \(0x[0-9a-f]{1,8}:0x[0-9a-f]{1,8}:\d{1,6}\)")
    if hit is None or (gpus and gpus.gpus) or (log and log.xids) or heard(printed, *_TEXTS):
        return NotApplicable(SILENT)
    flavour = f" ({module.flavour})" if module and module.flavour else ""
    return Found(
        title=f"The driver{flavour} cannot start the GPU; the firmware may give it too little room.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(_cure(machine),),
        confidence=Confidence.POSSIBLE,
        settled_by=("sudo dmesg | grep -iE 'nvrm|BAR [0-9]'", "lspci -vvs $(lspci -d 10de: | head -1 | cut -d' ' -f1)"),
    )
