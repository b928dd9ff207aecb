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
TensorFlow's own messages at import; or a CUDA build, no CUDA library packages beside it, and no CUDA toolkit on the
system; or a build that this GPU and this driver can run and that shows no GPU all the same.

## Sources
- https://www.tensorflow.org/install/pip
- https://www.tensorflow.org/install/source#gpu
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, CudnnCopies, Gpus, Imported, Message, Nvml, Packages, Toolkits
from gpudoctor.findings import Confidence, Found, NotApplicable, NotJudged, Passed, Verdict
from gpudoctor.relations import Capability, Coverage, CudaVersion, coverage, cuda_fits, parse_targets
from gpudoctor.remedies import InstallBuild, Remedy
from gpudoctor.rules._complaints import shows_no_gpu
from gpudoctor.rules._printed import heard
from gpudoctor.rules._texts import first_match, search
from gpudoctor.rules.tensorflow.tf_cuda_version_mismatch import missing_library
from gpudoctor.views import DriverCuda, Presence, Printed, capabilities_of
from gpudoctor.words import CUDA_BUILD_ONLY

RULE = Rule(frameworks=("tensorflow",), masks=("smoke-ran-on-cpu",))

_CONSEQUENCES = (r"Cannot dlopen some GPU libraries",)
# Printed by the stand-in for libcudart, where a machine has no GPU too.
_NO_RUNTIME = (r"Could not find cuda drivers on your machine, GPU will not be used",)
_LIBRARY = r"Could not load dynamic library '([^']{1,80})'"
# Without libcuda or TensorRT the CUDA libraries are not the matter: no driver, or an optional library.
_NOT_THESE = ("libcuda.so", "nvcuda.dll", "libnvinfer", "nvinfer")


@RULE.detector
def tensorflow_says_so(
    message: Message, build: Build | None, imported: Imported | None, presence: Presence | None, printed: Printed
) -> Verdict:
    """TensorFlow names a library that it could not open, or says that it skips the GPUs."""
    named = search(_LIBRARY, message.text)
    if named and named[1].startswith(_NOT_THESE):
        return None
    library = named[1] if named else wanted.name if (wanted := missing_library(message, build, printed)) else None
    text = named[0] if named else message.text[:200] if library else first_match(_CONSEQUENCES, message.text)
    if text is None and presence and presence.present:
        text = first_match(_NO_RUNTIME, message.text)
    if text is None:
        return None
    if imported and imported.devices:
        return Passed("TensorFlow lists a GPU all the same")
    return Found(
        title=f"TensorFlow{' ' + build.version if build else ''} cannot load CUDA libraries that it needs"
        + (f": {library}." if library else "."),
        detail=text,
        evidence=(cite("message", text, message), *((cite("built with CUDA", build.cuda, build),) if build else ())),
        remedies=_remedies(build),
        # Without a library's name it may be one that is there and does not fit, which other lines tell.
        confidence=Confidence.CERTAIN if library else Confidence.LIKELY,
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
    if not packages.complete:
        return NotJudged("not all packages are shown")
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


@RULE.detector
def no_gpu_beside_a_working_driver(
    build: Build, gpus: Gpus, nvml: Nvml, driver: DriverCuda, printed: Printed | None, imported: Imported | None
) -> Verdict:
    """A CUDA build that could use GPU and driver shows no GPU: TensorFlow skips them when a library is not found."""
    if build.accelerator != "cuda" or not gpus.gpus or nvml.result != "NVML_SUCCESS":
        return NotApplicable("no CUDA build beside a working driver")
    if imported and imported.devices:
        return Passed("TensorFlow lists a GPU")
    said = shows_no_gpu(printed, "tensorflow")
    if said is None:
        return NotApplicable("nothing says that no GPU is shown")
    if not _could_use(build, gpus, driver):
        return NotApplicable("this build cannot use the GPU or the driver anyway")
    return Found(
        title=f"TensorFlow {build.version} shows no GPU beside a working driver: it did not find its CUDA libraries.",
        detail=said.value,
        evidence=(said, cite("driver", nvml.driver, nvml), cite("built with CUDA", build.cuda, build)),
        remedies=_remedies(build),
        confidence=Confidence.LIKELY,
        settled_by=("python -c \"import tensorflow as tf; tf.config.list_physical_devices('GPU')\"",),
    )


_WITH_WHEELS = r"tensorflow\[and-cuda\]"


@RULE.detector
def wheels_that_the_release_does_not_find(
    build: Build, printed: Printed | None, packages: Packages | None, imported: Imported | None
) -> Verdict:
    """TensorFlow 2.16 does not look into the NVIDIA wheels that its extra and-cuda brings; 2.17 does again.

    https://github.com/tensorflow/tensorflow/issues/63362
    """
    if not re.match(r"2\.16(?!\d)", build.version) or build.accelerator not in ("cuda", "unknown"):
        return NotApplicable("not TensorFlow 2.16")
    wheels = packages is not None and any(p.name.startswith("nvidia-cudnn") for p in packages.packages)
    if not wheels and heard(printed, _WITH_WHEELS) is None:
        return NotApplicable("nothing shows that the CUDA libraries came as wheels")
    if imported is None or imported.available is not False:
        return NotJudged("whether TensorFlow lists a GPU is not known")
    return Found(
        title=f"TensorFlow {build.version} does not find the CUDA libraries that its wheels bring.",
        detail="Its loader path does not lead to the packages nvidia-*. 2.15 and 2.17 find them.",
        evidence=(cite("tensorflow", build.version, build), cite("GPUs listed", "none", imported)),
        remedies=(InstallBuild(framework="tensorflow", release=None),),
        confidence=Confidence.LIKELY,
    )


def _could_use(build: Build, gpus: Gpus, driver: DriverCuda) -> bool:
    """Whether the build reaches a GPU here and the driver runs its CUDA, as far as is known."""
    capabilities = capabilities_of(gpus)
    targets = parse_targets(build.targets)
    reaches = (
        not targets
        or not capabilities
        or any(coverage(targets, Capability.parse(value)) is not Coverage.NONE for value in capabilities)
    )
    try:
        return reaches and (
            not build.cuda or cuda_fits(CudaVersion.parse(driver.version), CudaVersion.parse(build.cuda)).fits
        )
    except ValueError:
        return reaches


def _remedies(build: Build | None) -> tuple[Remedy, ...]:
    return (InstallBuild(framework="tensorflow", release=build.version if build else None),)
