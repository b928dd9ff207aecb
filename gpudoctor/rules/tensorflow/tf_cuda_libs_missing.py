"""TensorFlow cannot load the CUDA or cuDNN libraries that it was built for.

## What it means
TensorFlow opens CUDA's libraries by name when it first looks for GPUs. One that it needs was not found, so it goes
on without any GPU: "Could not load dynamic library", "Cannot dlopen some GPU libraries. Skipping registering GPU
devices".

## Why it happens
`pip install tensorflow` brings no CUDA libraries (`tensorflow[and-cuda]` does, from 2.14 on); older releases expect
CUDA and cuDNN of exactly their version from the system or from conda.

## How to fix
From 2.14 on, install `tensorflow[and-cuda]` of the same version. For older releases, install the CUDA and cuDNN of
the tested build, most easily with conda-forge's packages.

## How it is detected
TensorFlow's own messages at import, or: a CUDA build, no CUDA library packages beside it, and no CUDA toolkit on
the system.

## Sources
- https://www.tensorflow.org/install/pip
- https://www.tensorflow.org/install/source#gpu
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, CudnnCopies, Imported, Message, Packages, Toolkits
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.remedies import InstallBuild, Remedy
from gpudoctor.rules._texts import first_match, search
from gpudoctor.rules._words import CUDA_BUILD_ONLY

RULE = Rule(frameworks=("tensorflow",), masks=("smoke-ran-on-cpu",))

_CONSEQUENCE = r"Cannot dlopen some GPU libraries"
_LIBRARY = r"Could not load dynamic library '([^']{1,80})'"
# Without libcuda or TensorRT the CUDA libraries are not the matter: no driver, or an optional library.
_NOT_THESE = ("libcuda.so", "nvcuda.dll", "libnvinfer", "nvinfer")


@RULE.detector
def tensorflow_says_so(message: Message, build: Build | None, imported: Imported | None) -> Verdict:
    """TensorFlow names a library that it could not open, or says that it skips the GPUs."""
    named = search(_LIBRARY, message.text)
    if named and named[1].startswith(_NOT_THESE):
        return None
    text = named[0] if named else first_match((_CONSEQUENCE,), message.text)
    if text is None:
        return None
    if imported and imported.devices:
        return Passed("TensorFlow lists a GPU all the same")
    return Found(
        title=f"TensorFlow{' ' + build.version if build else ''} cannot load CUDA libraries that it needs"
        + (f": {named[1]}." if named else "."),
        detail=text,
        evidence=(cite("message", text, message), *((cite("built with CUDA", build.cuda, build),) if build else ())),
        remedies=_remedies(build),
    )


@RULE.detector
def no_libraries_anywhere(
    build: Build, packages: Packages, toolkits: Toolkits, cudnn: CudnnCopies, imported: Imported | None
) -> Verdict:
    """A CUDA build, and neither library packages nor a toolkit with cuDNN for it to load."""
    if build.accelerator != "cuda" or build.channel in ("ngc", "conda", "source"):
        return NotApplicable(CUDA_BUILD_ONLY)
    if imported and imported.devices:
        return Passed("TensorFlow lists a GPU")
    has_wheels = any(p.name.startswith(("nvidia-cudnn", "nvidia-cuda-runtime")) for p in packages.packages)
    if has_wheels or toolkits.toolkits or cudnn.copies:
        return None
    return Found(
        title=f"TensorFlow {build.version} was installed without the CUDA libraries that it needs.",
        detail=f"It was built with CUDA {build.cuda or '?'} and cuDNN {build.cudnn or '?'}; neither is in this "
        "environment nor on the system.",
        evidence=(
            cite("built with CUDA", build.cuda, build),
            cite("CUDA toolkits", "none", toolkits),
            cite("cuDNN", "none", cudnn),
        ),
        remedies=_remedies(build),
        confidence=Confidence.LIKELY,
    )


def _remedies(build: Build | None) -> tuple[Remedy, ...]:
    return (InstallBuild(framework="tensorflow", release=build.version if build else None),)
