"""The nouveau driver holds the GPU, so NVIDIA's driver cannot.

## What it means
The Linux kernel's own open driver (nouveau, or its successor nova) is bound to the GPU. It draws a desktop; it does
not run CUDA, and while it holds the device NVIDIA's module cannot take it.

## Why it happens
NVIDIA's driver was never installed, or it was installed and nouveau is still loaded from the initial RAM disk
because the machine was not rebooted or the block list is not in that disk.

## How to fix
Install NVIDIA's driver, block nouveau, rebuild the initial RAM disk and reboot. The distribution's driver packages
do all of this.

## How it is detected
By the driver link of the device in `/sys/bus/pci/devices/*/driver`.

## Sources
- https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/
- https://docs.kernel.org/gpu/nova/index.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import DriverFiles, PciDevices
from gpudoctor.findings import Found, NotApplicable, Verdict
from gpudoctor.remedies import InstallDriver, ReplaceNouveau
from gpudoctor.views import NVIDIA_VENDOR

RULE = Rule(masks=("driver-not-installed", "driver-not-loaded", "device-nodes-missing", "container-no-gpu-access"))

_KERNEL_DRIVERS = {"nouveau": "nouveau", "nova": "nova_core", "nova_core": "nova_core", "NovaCore": "nova_core"}


@RULE.detector
def bound_on_the_bus(pci: PciDevices, files: DriverFiles | None) -> Verdict:
    """An NVIDIA device is bound to nouveau or nova."""
    devices = [device for device in pci.devices if device.vendor == NVIDIA_VENDOR]
    if not devices:
        return NotApplicable("no NVIDIA device on the PCI bus")
    held = [device for device in devices if device.driver in _KERNEL_DRIVERS]
    if not held:
        return None
    first = held[0]
    name = first.name or f"NVIDIA device {first.device}"
    installed = bool(files and files.modules)
    module = "nova_core" if _KERNEL_DRIVERS[first.driver or ""] == "nova_core" else "nouveau"
    block = ReplaceNouveau(module="nova_core" if module == "nova_core" else "nouveau")
    return Found(
        title=f"{first.driver} holds the GPU; NVIDIA's driver cannot use it.",
        detail=f"{name} at {first.address} is bound to {first.driver}."
        + (" NVIDIA's module is installed but not in use." if installed else ""),
        evidence=tuple(cite(f"driver of {device.address}", device.driver, pci) for device in held),
        remedies=(block,) if installed else (InstallDriver(), block),
    )
