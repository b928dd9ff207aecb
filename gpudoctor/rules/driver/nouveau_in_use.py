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
By the driver link of the device in `/sys/bus/pci/devices/*/driver`; where that is not shown, nouveau is loaded and
NVIDIA's module is not, or the NVIDIA module or its installer says that nouveau has the GPU.

## Sources
- https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/
- https://docs.kernel.org/gpu/nova/index.html
"""

from __future__ import annotations

from typing import Literal

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, DriverFiles, KernelModules, Nvml, PciDevices
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.remedies import InstallDriver, ReplaceNouveau
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import NVIDIA_VENDOR, Presence, Printed

RULE = Rule(
    masks=(
        "driver-not-installed",
        "driver-not-loaded",
        "device-nodes-missing",
        "container-no-gpu-access",
        "smoke-ran-on-cpu",
    )
)

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
        # A driver package blocks nouveau by itself.
        remedies=(block,) if installed else (InstallDriver(), *(() if files else (block,))),
    )


def _holder(text: str) -> Literal["nouveau", "nova_core"]:
    return "nova_core" if "nova" in text.lower() else "nouveau"


@RULE.detector
def loaded_in_place_of_nvidias(
    modules: KernelModules, pci: PciDevices | None, presence: Presence | None, cuda: CudaDriver | None
) -> Verdict:
    """nouveau among the loaded modules, NVIDIA's not among them, and the bus does not say who holds the GPU."""
    if any(device.driver for device in (pci.devices if pci else ()) if device.vendor == NVIDIA_VENDOR):
        return NotApplicable("the bus says which driver holds the GPU")
    if works(cuda) or (presence and not presence.present):
        return NotApplicable("CUDA works, or there is no NVIDIA GPU")
    loaded = next((name for name in modules.loaded if name in ("nouveau", "nova_core")), None)
    if loaded is None or "nvidia" in modules.loaded:
        return Passed("nouveau is not loaded in place of NVIDIA's module")
    return Found(
        title=f"{loaded} is loaded, and NVIDIA's module is not.",
        evidence=(cite("kernel modules", ", ".join(modules.loaded), modules),),
        remedies=(InstallDriver(), ReplaceNouveau(module="nova_core" if loaded == "nova_core" else "nouveau")),
        confidence=Confidence.LIKELY,
    )


_TEXTS = (
    r"Nouveau kernel driver is currently in use by your system",
    r"is already bound to (nouveau|Nova\w{0,8})\b",
    r"a driver such as:?[^\n]{0,20} nouveau[^\n]{0,60} was loaded and obtained ownership",
    r"\bKernel driver in use: (?:nouveau|nova)",
    # nouveau has set the GPU up
    r"\bnouveau (?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]: DRM: ",
    r"\b(?:renderer|OpenGL|graphics)\b[^\n]{0,20}\bNV1[0-9A-F]{2}\b",
)


@RULE.detector
def a_program_says_so(
    printed: Printed, modules: KernelModules | None, cuda: CudaDriver | None, nvml: Nvml | None
) -> Verdict:
    """NVIDIA's module, its installer, a listing or nouveau itself name nouveau as the GPU's driver."""
    hit = heard(printed, *_TEXTS)
    answers = works(cuda) or (nvml is not None and nvml.result == "NVML_SUCCESS")
    if hit is None or answers or (modules and {"nvidia", "nouveau"} & set(modules.loaded)):
        return NotApplicable(SILENT)
    return Found(
        title=f"{_holder(hit.text)} holds the GPU; NVIDIA's driver cannot use it.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(InstallDriver(), ReplaceNouveau(module=_holder(hit.text))),
        confidence=Confidence.LIKELY,
    )
