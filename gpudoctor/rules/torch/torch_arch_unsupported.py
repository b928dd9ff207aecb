"""This PyTorch build has no kernels for this GPU.

## What it means
A build holds machine code for a list of compute capabilities. Code for X.y runs on X.z with z not below y, never on
another major; PTX, where a build has it, can be compiled for newer GPUs only. This GPU is not reached: "no kernel
image is available for execution on the device", "CUDA capability sm_XX is not compatible with the current PyTorch
installation".

## Why it happens
The GPU is newer than the build, or so old that newer builds left it out: CUDA 13 builds have nothing before 7.5,
and CUDA 12.8 and 12.9 builds nothing before 7.0 or 7.5.

## How to fix
Install a build whose list covers the GPU. For an older GPU that is an older CUDA variant, not a newer release or a
nightly.

## How it is detected
The architecture flags inside `libtorch_python.so` (what `torch.cuda.get_arch_list()` returns), read without
importing, against the compute capability that NVML reports for each GPU.

## Sources
- https://docs.nvidia.com/cuda/cuda-c-programming-guide/#application-compatibility
- https://github.com/pytorch/pytorch/blob/main/RELEASE.md
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Gpus, Imported, Message
from gpudoctor.findings import Confidence, Found, NotJudged, Passed, Verdict
from gpudoctor.remedies import InstallBuild
from gpudoctor.rules._architectures import covers_every_gpu, kernels_for_gpu
from gpudoctor.rules._texts import first_match, search
from gpudoctor.views import DriverCuda, capabilities_of

RULE = Rule(frameworks=("torch",), masks=("smoke-hang", "smoke-ran-on-cpu"))
RULE.detector(kernels_for_gpu)

_TEXTS = (
    r"CUDA capability sm_\d+ is not compatible with the current PyTorch installation",
    r"Found GPU\d+ .{0,80} which is of cuda capability [\d.]+",
    r"Found GPU\d+ .{0,80} which is of compute capability \(CC\) [\d.]+",
    r"PyTorch no longer supports this GPU because it is too old",
    r"The current PyTorch install(?:ation)? supports CUDA capabilities",
    r"no kernel image is available(?: for execution on the device)?",
    r"cudaErrorNoKernelImageForDevice",
    r"not built for .{0,40}\bsm_\d{2,3}\b",
)


@RULE.detector
def torch_says_so(
    message: Message, driver: DriverCuda | None, gpus: Gpus | None, build: Build | None, imported: Imported | None
) -> Verdict:
    """PyTorch or CUDA finds no code for the device."""
    text = first_match(_TEXTS, message.text)
    if text is None:
        return None
    if build and gpus and covers_every_gpu(build, imported, gpus):
        return Passed(f"PyTorch {build.version} has machine code for every GPU here")
    # The bare CUDA text may come from any program; PyTorch's own warning names PyTorch.
    own = "PyTorch" in text or "Found GPU" in text
    if not own and message.framework is None and build is None and not search(r"CUDA error|torch", message.text):
        return NotJudged("CUDA says so, and nothing names PyTorch")
    return Found(
        title="This PyTorch build has no kernels for the GPU.",
        detail=text,
        evidence=(cite("message", text, message),),
        remedies=(
            InstallBuild(
                framework="torch", capabilities=capabilities_of(gpus), driver_cuda=driver.version if driver else None
            ),
        ),
        confidence=Confidence.CERTAIN if own else Confidence.LIKELY,
    )
