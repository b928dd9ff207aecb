"""The machine has an accelerator of another maker, which gpudoctor does not judge.

## What it means
There is no NVIDIA GPU, and an AMD, Intel, Apple or Habana accelerator with a build of a framework that is meant for it.
That is a sound machine outside of gpudoctor's field: it is neither proved nor called broken.

## Why it happens
ROCm, XPU, Metal and Gaudi builds exist for other accelerators.

## How to fix
Nothing is to be fixed here. For NVIDIA builds use a machine with an NVIDIA GPU.

## How it is detected
By the vendor of the devices on the PCI bus, or by the build (ROCm, XPU, Metal) that is installed, where no NVIDIA GPU
is known.

## Sources
- https://pytorch.org/get-started/locally/
- https://rocm.docs.amd.com/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Framework, PciDevices
from gpudoctor.findings import Found, NotApplicable, Severity, Verdict
from gpudoctor.views import Presence
from gpudoctor.words import name_of

RULE = Rule(severity=Severity.INFO, without_gpu="none")

_BUILDS = {"rocm": "AMD GPUs (ROCm)", "xpu": "Intel GPUs (XPU)", "metal": "Apple GPUs (Metal)"}
_VENDORS = {"1002": "AMD", "1da3": "Habana", "1e52": "Tenstorrent", "106b": "Apple", "1d0f": "AWS Neuron"}


@RULE.detector
def a_build_for_it(framework: Framework, build: Build, presence: Presence | None) -> Verdict:
    """A framework that was built for another accelerator."""
    if build.accelerator not in _BUILDS or (presence and presence.present):
        return NotApplicable("no build for another accelerator")
    return Found(
        title=f"{name_of(framework)} {build.version} is a build for {_BUILDS[build.accelerator]}, not judged here.",
        evidence=(cite(f"{build.distribution} built for", build.accelerator, build),),
    )


@RULE.detector
def on_the_bus(pci: PciDevices, presence: Presence | None) -> Verdict:
    """An accelerator of another vendor, and no NVIDIA GPU."""
    if presence is None or presence.present:
        return NotApplicable("there is an NVIDIA GPU, or it is not known whether there is one")
    other = next((device for device in pci.devices if device.vendor in _VENDORS), None)
    if other is None:
        return NotApplicable("no accelerator of another maker")
    return Found(
        title=f"The accelerator here is from {_VENDORS[other.vendor]}: {other.name or other.device}.",
        detail="gpudoctor judges NVIDIA GPUs.",
        evidence=(cite("PCI device", f"{other.vendor}:{other.device}", pci),),
    )
