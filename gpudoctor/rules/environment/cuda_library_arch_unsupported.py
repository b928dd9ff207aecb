"""An installed CUDA library has dropped this GPU, though the framework has kernels for it.

## What it means
A framework calls cuDNN for convolutions, and cuDNN has kernels of its own. Releases after 9.10 have none for Maxwell,
Pascal and Volta; older ones have none for GPUs that came later. The framework starts, lists the GPU and computes, and
the first convolution fails or falls back ("CUDNN_STATUS_ARCH_MISMATCH", "unable to find an engine").

## Why it happens
A requirement without an upper bound (JAX, TensorFlow from 2.20 on) or an upgrade took the newest cuDNN; or a cuDNN of
an old guide lies in front of the right one.

## How to fix
Install a cuDNN release that still (or already) has this GPU: up to 9.10 for Maxwell, Pascal and Volta.

## How it is detected
The cuDNN that the framework reports, or its installed package, in the matrix of cuDNN's supported compute
capabilities, against the capability of each GPU.

## Sources
- https://docs.nvidia.com/deeplearning/cudnn/backend/latest/reference/support-matrix.html
- https://github.com/conda-forge/cudnn-feedstock/issues/124
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Fact, Framework, Gpu, GpuCapability, Gpus, Imported, Message, Packages
from gpudoctor.findings import Confidence, Found, NotApplicable, NotJudged, Passed, Severity, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.matrix.records import Cudnn
from gpudoctor.relations import Capability, Coverage, coverage, parse_targets
from gpudoctor.remedies import InstallPackages
from gpudoctor.rules._texts import first_match
from gpudoctor.views import Proved
from gpudoctor.words import CUDA_BUILD_ONLY, name_of

RULE = Rule(masks=("smoke-hang",))

_LAST_WITH_OLD_GPUS = "9.11"


@RULE.detector
def cudnn_against_gpu(
    framework: Framework,
    build: Build,
    gpu: Gpu,
    capability: GpuCapability,
    proved: Proved,
    imported: Imported | None,
    packages: Packages | None,
    matrix: Matrix,
) -> Verdict:
    """The cuDNN in use against the compute capability of one GPU."""
    if build.accelerator != "cuda":
        return NotApplicable(CUDA_BUILD_ONLY)
    version, source = _cudnn_of(build, imported, packages)
    if version is None:
        return NotApplicable("no cuDNN of the framework is known")
    cudnn = matrix.cudnn(version)
    if isinstance(cudnn, Unlisted):
        return NotJudged(cudnn.sentence())
    wanted = Capability.parse(capability.value)
    if cudnn.family.supports(wanted):
        return Passed(f"cuDNN {version} has kernels for {capability.value}")
    if not _newer_than_the_gpu(cudnn, wanted):
        return NotJudged(f"cuDNN {version} came before compute capability {capability.value}; its PTX may do")
    if build.targets and coverage(parse_targets(build.targets), wanted) is Coverage.NONE:
        return NotApplicable("the framework itself has no kernels for this GPU")
    return Found(
        title=f"cuDNN {version} has no kernels for {gpu.name or 'this GPU'} (compute capability {capability.value}), "
        f"though {name_of(framework)} {build.version} has.",
        detail=f"This cuDNN starts at {cudnn.family.first_capability}.",
        evidence=(cite("cuDNN", version, source), cite("compute capability", capability.value, capability)),
        remedies=(_older(version, packages),),
        severity=Severity.WARNING if proved.trains(framework.name, gpu.index) else Severity.ERROR,
        confidence=Confidence.LIKELY,
    )


def _cudnn_of(build: Build, imported: Imported | None, packages: Packages | None) -> tuple[str | None, Fact]:
    """What the imported framework says, else its package. A build's own word is what it was made with, not "
    "what runs."""
    if imported and imported.cudnn:
        return imported.cudnn, imported
    for package in packages.packages if packages else ():
        if packages and package.name.startswith("nvidia-cudnn-cu") and package.version:
            return package.version, packages
    return None, build


def _newer_than_the_gpu(cudnn: Cudnn, wanted: Capability) -> bool:
    return wanted < Capability.parse(cudnn.family.first_capability)


def _older(version: str, packages: Packages | None) -> InstallPackages:
    name = next(
        (p.name for p in (packages.packages if packages else ()) if p.name.startswith("nvidia-cudnn-cu1")), None
    )
    return InstallPackages(
        requirements=(f"{name or 'nvidia-cudnn-cu12'}<{_LAST_WITH_OLD_GPUS}",),
        title=f"Install the last cuDNN with kernels for this GPU in place of {version}",
    )


_TEXTS = (r"CUDNN_STATUS_ARCH_MISMATCH", r"CUDNN_STATUS_EXECUTION_FAILED_CUDART")


@RULE.detector
def cudnn_says_so(message: Message, packages: Packages | None, gpus: Gpus | None) -> Verdict:
    """cuDNN itself says that it has nothing for this architecture."""
    text = first_match(_TEXTS[:1], message.text)
    old = [gpu.capability.value for gpu in (gpus.gpus if gpus else ()) if isinstance(gpu.capability, GpuCapability)]
    if text is None and old and max(map(Capability.parse, old)) < Capability(7, 5):
        text = first_match(_TEXTS[1:], message.text)
    if text is None:
        return None
    version = next(
        (p.version for p in (packages.packages if packages else ()) if p.name.startswith("nvidia-cudnn")), None
    )
    return Found(
        title="cuDNN has no kernels for this GPU's architecture.",
        detail=text,
        evidence=(cite("message", text, message),),
        remedies=(_older(version or "the installed one", packages),),
        confidence=Confidence.LIKELY,
    )
