"""CUDA cannot exist on this Mac.

## What it means
Macs with Apple silicon have no NVIDIA GPU, and macOS since 10.14 has no driver for one. No build of a framework for
macOS has CUDA. PyTorch (MPS), TensorFlow (with tensorflow-metal) and JAX (with jax-metal) can use the Apple GPU.

## Why it happens
A program or a guide was written for machines with NVIDIA GPUs.

## How to fix
Use the Apple GPU where the program allows it (device "mps"), the CPU, or another machine with an NVIDIA GPU.

## How it is detected
The operating system is macOS 10.14 or later. It is an error only where a GPU is required here or a program asked for
CUDA.

## Sources
- https://docs.nvidia.com/cuda/cuda-installation-guide-mac-os-x/
- https://developer.apple.com/metal/pytorch/
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, Imported, System
from gpudoctor.findings import Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._apple import apple_silicon
from gpudoctor.rules._printed import heard
from gpudoctor.views import Printed

RULE = Rule(
    masks=(
        "no-nvidia-gpu",
        "driver-not-installed",
        "driver-not-loaded",
        "torch-cpu-build",
        "tf-cpu-build",
        "tf-cuda-libs-missing",
        "jax-cpu-build",
        "cuda-visible-devices",
        "smoke-ran-on-cpu",
    ),
    without_gpu="absent",
)

_CURE = Run(
    title="Use the Apple GPU, the CPU, or another machine",
    where="environment",
    note='PyTorch: device "mps"; TensorFlow: pip install tensorflow-metal; JAX: pip install jax-metal. If training on '
    "the CPU is meant: gpudoctor diagnose --allow-cpu",
)


def _had_cuda(system: System) -> bool:
    """macOS 10.13 was the last one with NVIDIA's drivers."""
    found = re.match(r"10\.(\d{1,2})", system.release or "")
    return bool(found and int(found[1]) <= 13)


@RULE.detector
def looked_for_and_not_there(system: System, cuda: CudaDriver, imported: Imported | None) -> Verdict:
    """This machine was asked for its CUDA driver and has none."""
    if system.os != "macos":
        return NotApplicable("not macOS")
    if _had_cuda(system) or cuda.code == 0 or (imported and imported.available):
        return Passed("this macOS can have NVIDIA's driver, or a GPU is usable")
    return Found(
        title="CUDA cannot exist on this Mac.",
        detail=f"{system.name or 'macOS'} has no NVIDIA driver.",
        evidence=(cite("operating system", system.name or "macOS", system), cite("libcuda", cuda.result, cuda)),
        remedies=(_CURE,),
    )


_WANTED = (
    r"Torch not compiled with CUDA enabled",
    r"Found no NVIDIA driver",
    (
        r"\b(?:no|without|cannot find|missing)(?: (?:an?|any|the|usable|supported|compatible|suitable|available"
        r"|dedicated|external)){0,2} (?:NVIDIA|CUDA|e?GPU)\b"
    ),
    r"\b(?:NVIDIA|CUDA|e?GPU)\b[^\n]{0,40}\b(?:not (?:available|found|supported|detected|compiled|used)|unavailable)\b",
    r"Could not load dynamic library ['\"]?libcu\w{2,12}\.dylib",
    r"\bno nvidia-smi\b|\bnvidia-smi\b[^\n]{0,40}(?:not found|No such file)",
    # pip was told to take a build for CUDA, and there is none for macOS
    r"No matching distribution found for [\w.-]{1,40}==[\w.]{1,20}\+cu\d{2,3}\b",
)
# Apple's own GPU would be listed too, with Metal's plug-in, which has a rule of its own.
_LISTED = r"list_physical_devices\([^\n]{0,20}\)[^\n]{0,6}\[\]"


@RULE.detector
def a_program_asked_for_cuda(system: System, printed: Printed | None, cuda: CudaDriver | None) -> Verdict:
    """A program wanted CUDA on a Mac."""
    if system.os != "macos":
        return NotApplicable("not macOS")
    if _had_cuda(system) or cuda is not None:
        return NotApplicable("this macOS can have NVIDIA's driver, or was asked")
    hit = heard(printed, *_WANTED, *(() if apple_silicon(system) else (_LISTED,)))
    if hit is None:
        return Found(
            title="CUDA cannot exist on this Mac.",
            evidence=(cite("operating system", system.name or "macOS", system),),
            severity=Severity.INFO,
        )
    return Found(
        title="CUDA cannot exist on this Mac.",
        detail=hit.text,
        evidence=(hit.evidence, cite("operating system", system.name or "macOS", system)),
        remedies=(_CURE,),
    )
