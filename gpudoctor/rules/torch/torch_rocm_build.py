"""The installed PyTorch is a build for AMD's ROCm, and the GPU here is NVIDIA's.

## What it means
A ROCm build has code for AMD GPUs only and looks for AMD's driver. `torch.version.hip` is set, `torch.version.cuda`
is None, and no NVIDIA GPU is ever listed.

## Why it happens
An installer took the processor's integrated AMD graphics for the GPU to use; the command of the wrong tab of
PyTorch's page was copied; an index of ROCm wheels came first.

## How to fix
Install the CUDA build of PyTorch that this driver and GPU can run, from PyTorch's CUDA index.

## How it is detected
A `+rocm` version or `hip` in `torch/version.py`, beside an NVIDIA GPU and no discrete AMD GPU.

## Sources
- https://pytorch.org/get-started/locally/
- https://docs.pytorch.org/docs/stable/notes/hip.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Gpus, KernelModules, Message
from gpudoctor.findings import Confidence, Found, NotApplicable, NotJudged, Verdict
from gpudoctor.remedies import InstallBuild, Remedy
from gpudoctor.rules._texts import first_match
from gpudoctor.views import DriverCuda, Presence, capabilities_of

RULE = Rule(
    frameworks=("torch",),
    masks=("smoke-ran-on-cpu", "torch-cpu-build", "companion-mismatch"),
    without_gpu="absent",
)


@RULE.detector
def rocm_build_beside_nvidia(
    build: Build,
    presence: Presence | None,
    modules: KernelModules | None,
    driver: DriverCuda | None,
    gpus: Gpus | None,
) -> Verdict:
    """A ROCm build on a machine with an NVIDIA GPU."""
    if build.accelerator != "rocm":
        return NotApplicable(f"PyTorch {build.version} is a {build.accelerator} build")
    if presence is None:
        return NotJudged("whether there is an NVIDIA GPU is not known")
    if not presence.present:
        return NotApplicable("no NVIDIA GPU here that another build could use")
    both = modules is not None and "amdgpu" in modules.loaded
    return Found(
        title=f"PyTorch {build.version} is a build for AMD GPUs: it cannot use {presence.names[0]}.",
        evidence=(
            cite(f"{build.distribution} built for", "ROCm", build),
            cite("NVIDIA GPU", ", ".join(presence.names), presence),
        ),
        remedies=_remedies(driver, gpus),
        # With AMD's driver loaded, the build may be meant for another GPU of this machine.
        confidence=Confidence.LIKELY if both else Confidence.CERTAIN,
    )


_TEXTS = (
    r"Installing torch .{0,80}\+rocm[\d.]{1,6}",
    r"torch==[\d.]{3,10}\+rocm[\d.]{1,6}",
    r"libamdhip64\.so\S{0,6}: cannot open shared object file",
    r"No HIP GPUs are available",
)


@RULE.detector
def a_text_says_so(
    message: Message, build: Build | None, presence: Presence, driver: DriverCuda | None, gpus: Gpus | None
) -> Verdict:
    """HIP's own words on a machine with an NVIDIA GPU."""
    text = first_match(_TEXTS, message.text)
    if text is None or not presence.present:
        return None
    if build is not None and build.accelerator not in ("rocm", "unknown"):
        return NotApplicable(f"PyTorch {build.version} is a {build.accelerator} build")
    return Found(
        title=f"The installed PyTorch is a build for AMD GPUs: it cannot use {presence.names[0]}.",
        detail=text,
        evidence=(cite("message", text, message), cite("NVIDIA GPU", ", ".join(presence.names), presence)),
        remedies=_remedies(driver, gpus),
        confidence=Confidence.LIKELY,
    )


def _remedies(driver: DriverCuda | None, gpus: Gpus | None) -> tuple[Remedy, ...]:
    version = driver.version if driver else None
    return (InstallBuild(framework="torch", capabilities=capabilities_of(gpus), driver_cuda=version),)
