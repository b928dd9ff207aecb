"""This TensorFlow build has no machine code for this GPU.

## What it means
TensorFlow's wheels hold machine code for some compute capabilities and PTX for the newest of them. A newer GPU
makes the driver compile that PTX at the first start, which takes up to half an hour and sometimes fails
("CUDA_ERROR_INVALID_PTX", "CUDA_ERROR_INVALID_HANDLE"); an older GPU is not reached at all.

## Why it happens
The GPU came after the release, or the release dropped the GPU.

## How to fix
Install a release with machine code for this GPU. Where there is none, NVIDIA's TensorFlow container or another
framework.

## How it is detected
`cuda_compute_capabilities` in TensorFlow's build_info.py against the compute capability that NVML reports. With PTX
alone the finding is a warning until a smoke job has decided.

## Sources
- https://www.tensorflow.org/install/gpu
- https://docs.nvidia.com/cuda/cuda-c-programming-guide/#application-compatibility
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Message
from gpudoctor.findings import Confidence, Found, Verdict
from gpudoctor.remedies import InstallBuild
from gpudoctor.rules._architectures import kernels_for_gpu
from gpudoctor.rules._texts import first_match

RULE = Rule(frameworks=("tensorflow",), masks=("smoke-hang", "smoke-ran-on-cpu"))
RULE.detector(kernels_for_gpu)

_TEXTS = (
    r"TensorFlow was not built with CUDA kernel binaries compatible with compute capability [\d.]+",
    r"Ignoring visible gpu device .{0,200} with Cuda compute capability [\d.]+\. The minimum required",
    r"CUDA_ERROR_NO_BINARY_FOR_GPU",
    r"CUDA_ERROR_INVALID_PTX",
)


@RULE.detector
def tensorflow_says_so(message: Message) -> Verdict:
    """TensorFlow finds no code for the device."""
    text = first_match(_TEXTS, message.text)
    if text is None:
        return None
    return Found(
        title="This TensorFlow build has no machine code for the GPU.",
        detail=text,
        evidence=(cite("message", text, message),),
        remedies=(InstallBuild(framework="tensorflow"),),
        confidence=Confidence.CERTAIN if "Ignoring" in text else Confidence.LIKELY,
    )
