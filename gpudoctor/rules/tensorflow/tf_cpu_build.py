"""The installed TensorFlow is a CPU-only build.

## What it means
This package was built without CUDA, so `tf.config.list_physical_devices('GPU')` is empty whatever the driver does.

## Why it happens
`tensorflow-cpu` (or tensorflow-intel, or conda's mkl or eigen variant) was installed, by name or as a dependency;
on Windows and on ARM the package index has CPU builds only.

## How to fix
Remove the CPU package and install `tensorflow[and-cuda]`, on Linux or in WSL 2.

## How it is detected
`is_cuda_build` in `tensorflow/python/platform/build_info.py`, read as text, and the name of the distribution.

## Sources
- https://www.tensorflow.org/install/pip
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, CondaPackage, Message, Packages
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.remedies import InstallBuild
from gpudoctor.rules._cpu_build import cpu_build_beside_gpu
from gpudoctor.rules._texts import first_match
from gpudoctor.views import Presence

RULE = Rule(frameworks=("tensorflow",), masks=("smoke-ran-on-cpu", "tf-cuda-libs-missing"), without_gpu="absent")
RULE.detector(cpu_build_beside_gpu)

_STATED = (
    r"\b(?:mkl|eigen) (?:build|variant) of tensorflow\b",
    r"\btensorflow\b.{0,60}\b(?:mkl|eigen)_py\w{2,40}",
)


@RULE.detector
def a_text_says_so(message: Message, build: Build | None, presence: Presence | None) -> Verdict:
    """A text names conda's CPU variant of TensorFlow."""
    text = first_match(_STATED, message.text)
    if text is None:
        return None
    if build and build.accelerator == "cuda":
        return Passed(f"{build.distribution} {build.version} is a CUDA build")
    if presence is not None and not presence.present:
        return Passed("no NVIDIA GPU is here")
    return Found(
        title="The installed TensorFlow is conda's CPU variant.",
        detail=text,
        evidence=(cite("message", text, message),),
        remedies=(InstallBuild(framework="tensorflow"),),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def conda_packages_of_two_kinds(packages: Packages) -> Verdict:
    """conda's tensorflow of one channel beside tensorflow-gpu of another: the first holds the code, a CPU build."""
    named = {package.name: package for package in packages.conda}
    code, meta = named.get("tensorflow"), named.get("tensorflow-gpu")
    if code is None or meta is None or not code.channel or not meta.channel:
        return NotApplicable("no such packages of conda")
    if code.channel == meta.channel or _is_gpu(code):
        return Passed(f"tensorflow {code.build}")
    return Found(
        title=f"tensorflow of {code.channel} is a CPU build, beside tensorflow-gpu of {meta.channel}.",
        evidence=(
            cite("tensorflow", f"{code.version} {code.build} {code.channel}", packages),
            cite("tensorflow-gpu", f"{meta.version} {meta.build} {meta.channel}", packages),
        ),
        remedies=(InstallBuild(framework="tensorflow"),),
        confidence=Confidence.LIKELY,
    )


def _is_gpu(package: CondaPackage) -> bool:
    return any(mark in package.build for mark in ("gpu", "cuda"))
