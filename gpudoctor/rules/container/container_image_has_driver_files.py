"""The container image brings files of the NVIDIA driver, which hide those of the host.

## What it means
libcuda and libnvidia-ml belong to the host's kernel module and are mounted into a container at its start. An image
that has them itself either stops the start ("file exists"), or hides the mounted ones: CUDA then finds no device, or
versions that do not fit.

## Why it happens
The image was built or committed with the NVIDIA runtime, which leaves empty files behind; a driver package was
installed while building (often as a dependency of "cuda").

## How to fix
Remove the files in the image's build, or rebuild it without the NVIDIA runtime as the default one.

## How it is detected
The libcuda that the loader takes lies in a layer of the image, nvidia-container-cli says that a driver file exists, or
ldconfig finds empty driver files.

## Sources
- https://github.com/NVIDIA/nvidia-container-toolkit/issues/289
- https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/troubleshooting.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, CudaDriver, LibcudaFiles
from gpudoctor.findings import Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import Printed

RULE = Rule(
    masks=(
        "container-no-gpu-access",
        "driver-library-mismatch",
        "driver-not-installed",
        "wsl-libcuda-shadowed",
        "smoke-ran-on-cpu",
    )
)

_FILES = "libcuda.so*, libnvidia-ml.so*, libnvidia-*.so*, nvidia-smi"
_CURE = Run(
    title="Remove the driver's files from the image",
    where="host",
    note=f"In the Dockerfile, as the last step, remove {_FILES} below /usr/lib/x86_64-linux-gnu and /usr/bin. Install "
    "cuda-toolkit instead of cuda, and do not build with the NVIDIA runtime as Docker's default.",
)


@RULE.detector
def library_in_a_layer(container: Container, libcuda: LibcudaFiles, cuda: CudaDriver) -> Verdict:
    """The loader takes a libcuda of the image."""
    if container.engine is None:
        return NotApplicable("not in a container")
    taken = libcuda.taken
    if taken is None or taken.kind != "image":
        return Passed("the libcuda that is taken is not the image's")
    return Found(
        title=f"The image's own {taken.path} is loaded in place of the host's driver library.",
        evidence=(cite("libcuda.so.1", taken.path, libcuda), cite("cuInit", cuda.result, cuda)),
        remedies=(_CURE,),
        severity=Severity.INFO if works(cuda) else None,
    )


_TEXTS = (
    r"mount error: file creation failed: \S{0,300}/(?:libcuda|libnvidia|libdxcore|nvidia-)[\w.-]{0,60}: file exists",
    r"File \S{0,200}/(?:libcuda|libnvidia|libdxcore)\S{0,60} is empty, not checked",
    r"\blibcuda\.so[.\d]{0,16}: file too short",
)


@RULE.detector
def a_program_says_so(printed: Printed, cuda: CudaDriver | None) -> Verdict:
    """nvidia-container-cli, ldconfig or the loader stumble over driver files of the image."""
    hit = heard(printed, *_TEXTS)
    if hit is None or works(cuda):
        return NotApplicable(SILENT)
    return Found(
        title="The container image brings files of the NVIDIA driver.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(_CURE,),
    )
