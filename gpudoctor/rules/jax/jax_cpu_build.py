"""The installed JAX has no CUDA plugin, so it computes on the CPU.

## What it means
`jaxlib` alone runs on the CPU. The GPU comes with the packages jax-cudaXX-plugin and jax-cudaXX-pjrt (before
0.4.31: with a jaxlib whose version ends in +cudaXX), and none is installed.

## Why it happens
`pip install jax` without an extra.

## How to fix
Install `jax[cuda13]`, or `jax[cuda12]` for a driver of CUDA 12.

## How it is detected
The installed distributions of the environment under test.

## Sources
- https://docs.jax.dev/en/latest/installation.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Gpus, Message
from gpudoctor.findings import Found, Passed, Verdict
from gpudoctor.remedies import InstallBuild
from gpudoctor.rules._cpu_build import cpu_build_beside_gpu
from gpudoctor.rules._texts import first_match
from gpudoctor.views import DriverCuda, Presence, capabilities_of

RULE = Rule(frameworks=("jax",), masks=("smoke-ran-on-cpu",), without_gpu="absent")
RULE.detector(cpu_build_beside_gpu)

_TEXTS = (
    r"An NVIDIA GPU may be present on this machine, but a CUDA-enabled jaxlib is not installed",
    r"CUDA-enabled jaxlib is not installed",
    r"Unknown backend:? '?(?:gpu|cuda)'? requested, but no platforms that are instances of (?:gpu|cuda) are present",
    r"Unable to initialize backend 'cuda': module 'jaxlib\.xla_extension' has no attribute 'GpuAllocatorConfig'",
)


@RULE.detector
def jax_says_so(
    message: Message, build: Build | None, presence: Presence | None, driver: DriverCuda | None, gpus: Gpus | None
) -> Verdict:
    """JAX itself says that it found a GPU and has no CUDA."""
    text = first_match(_TEXTS, message.text)
    if text is None:
        return None
    if build and build.accelerator == "cuda":
        return Passed(f"{build.distribution} {build.version} has its CUDA plug-in; it did not start")
    if presence is not None and not presence.present:
        return Passed("no NVIDIA GPU is here")
    return Found(
        title="The installed JAX has no CUDA plug-in.",
        detail=text,
        evidence=(cite("message", text, message),),
        remedies=(
            InstallBuild(
                framework="jax", capabilities=capabilities_of(gpus), driver_cuda=driver.version if driver else None
            ),
        ),
    )
