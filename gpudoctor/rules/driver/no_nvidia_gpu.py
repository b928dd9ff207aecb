"""There is no NVIDIA GPU here.

## What it means
No NVIDIA display, 3D or accelerator device is on the PCI bus, the driver shows none, and this is no Jetson.
Training on an NVIDIA GPU is impossible on this machine as it stands; everything else about GPU builds follows from
that.

## Why it happens
The machine has none; a virtual machine or cloud instance was made without one; the GPU is not seated, not powered,
or switched off in the firmware; a hosted notebook runs on a CPU runtime.

## How to fix
Use a machine or an instance type with an NVIDIA GPU, or attach one to this virtual machine. If the CPU is meant to
be used, say so with `--allow-cpu`: the report is then about what can run here.

## How it is detected
By the vendor id 10de among the display (class 03) and accelerator (class 12) devices in `/sys/bus/pci/devices`,
after NVML and the CUDA driver were asked. Where the bus cannot be looked at (WSL, some sandboxes) and the driver
shows nothing, the rule is not judged.

## Sources
- https://docs.kernel.org/PCI/sysfs-pci.html
- https://admin.pci-ids.ucw.cz/read/PC/10de
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Frameworks, HostedNotebook, PciDevices, VirtualMachine
from gpudoctor.findings import Found, NotApplicable, Passed, Verdict
from gpudoctor.remedies import Run
from gpudoctor.views import Presence

RULE = Rule(
    masks=(
        "driver-not-installed",
        "driver-not-loaded",
        "device-nodes-missing",
        "cuda-visible-devices",
        "driver-too-old-for-cuda",
        "torch-cpu-build",
        "tf-cpu-build",
        "tf-windows-native",
        "tf-cuda-libs-missing",
        "jax-cpu-build",
        "smoke-ran-on-cpu",
    ),
    without_gpu="absent",
)


@RULE.detector
def nothing_on_the_bus(
    presence: Presence,
    pci: PciDevices | None,
    machine: VirtualMachine | None,
    hosted: HostedNotebook | None,
    frameworks: Frameworks | None,
) -> Verdict:
    """The machine was looked at and has no NVIDIA device."""
    if presence.present:
        return Passed(", ".join(presence.names))
    if _for_another_accelerator(frameworks):
        return NotApplicable("the framework that is installed is a build for another maker's accelerator")
    others = pci.devices if pci else ()
    seen = ", ".join(device.name or f"{device.vendor}:{device.device}" for device in others) or "none"
    return Found(
        title="There is no NVIDIA GPU in this machine.",
        detail=f"Display and accelerator devices on the PCI bus: {seen}.",
        evidence=(cite("NVIDIA devices", 0, presence),),
        remedies=(_remedy(machine, hosted),),
    )


def _for_another_accelerator(frameworks: Frameworks | None) -> bool:
    """Whether what is installed was meant for ROCm, XPU or Metal, and nothing for CUDA."""
    listed = frameworks.frameworks if frameworks else ()
    kinds = {one.build.accelerator for one in listed if one.installed and isinstance(one.build, Build)}
    return bool(kinds & {"rocm", "xpu", "metal"}) and "cuda" not in kinds


def _remedy(machine: VirtualMachine | None, hosted: HostedNotebook | None) -> Run:
    if hosted and hosted.service:
        where = "the notebook's settings: Runtime, Change runtime type" if hosted.service == "colab" else "Settings"
        return Run(title="Choose a GPU runtime", where="host", note=f"Select a GPU accelerator in {where}.")
    if machine and machine.hypervisor:
        note = (
            f"This is a virtual machine ({machine.hypervisor}): attach a GPU to it, or use an instance type with one."
        )
        return Run(title="Give this virtual machine a GPU", where="host", note=note)
    return Run(
        title="Use a machine with an NVIDIA GPU",
        note="If one is built in, check its seat, its power cables and the firmware settings. "
        "If training on the CPU is meant: gpudoctor diagnose --allow-cpu",
    )
