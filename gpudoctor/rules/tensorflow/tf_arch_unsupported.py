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
from gpudoctor.facts import Build, Gpus, Imported, Message
from gpudoctor.findings import Confidence, Evidence, Found, NotJudged, Passed, Verdict
from gpudoctor.matrix import Matrix
from gpudoctor.relations import Capability, CudaVersion
from gpudoctor.remedies import InstallBuild
from gpudoctor.rules._architectures import covers_every_gpu, kernels_for_gpu, knows
from gpudoctor.rules._libraries import Library, brings
from gpudoctor.rules._texts import first_match, search
from gpudoctor.views import capabilities_of

RULE = Rule(frameworks=("tensorflow",), masks=("smoke-hang", "smoke-ran-on-cpu"))
RULE.detector(kernels_for_gpu)

_CERTAIN = (
    r"Ignoring visible gpu device .{0,200} with Cuda compute capability [\d.]+\. The minimum required",
    r"TensorFlow was not built with CUDA kernel binaries compatible with compute capability [\d.]+",
)
_LIKELY = (
    r"CUDA runtime implicit initialization on GPU:\d+ failed\. Status: device kernel image is invalid",
    r"device kernel image is invalid",
    r"CUDA_ERROR_NO_BINARY_FOR_GPU",
    r"no kernel image is available(?: for execution on the device)?",
    r"CUDA_ERROR_INVALID_PTX",
    r"'cuLaunchKernel\(.{0,200}\)' failed with 'CUDA_ERROR_INVALID_HANDLE'",
    r"ptxas fatal {1,4}: Value 'sm_\w{2,5}' is not defined for option 'gpu-name'",
)


@RULE.detector
def tensorflow_says_so(message: Message, build: Build | None, gpus: Gpus | None, imported: Imported | None) -> Verdict:
    """TensorFlow finds no code for the device."""
    certain = first_match(_CERTAIN, message.text)
    text = certain or first_match(_LIKELY, message.text)
    if text is None:
        return None
    if not certain and build is None and message.framework != "tensorflow" and "CUDA runtime implicit" not in text:
        return NotJudged("CUDA says so, and nothing names TensorFlow")
    if not certain and build and gpus and covers_every_gpu(build, imported, gpus):
        return Passed(f"TensorFlow {build.version} has machine code for every GPU here")
    return _found(text, (cite("message", text, message),), Confidence.CERTAIN if certain else Confidence.LIKELY, gpus)


def _found(detail: str, evidence: tuple[Evidence, ...], confidence: Confidence, gpus: Gpus | None) -> Found:
    return Found(
        title="This TensorFlow build has no machine code for the GPU.",
        detail=detail,
        evidence=evidence,
        remedies=(InstallBuild(framework="tensorflow", capabilities=capabilities_of(gpus)),),
        confidence=confidence,
    )


_OPENED = r"Successfully opened dynamic library (libcudart\.so\.\d{1,2}(?:\.\d)?|cudart64_\d{2,3}\.dll)"


@RULE.detector
def the_cuda_it_opened_is_older(message: Message, gpus: Gpus, build: Build | None, matrix: Matrix) -> Verdict:
    """TensorFlow's log names its CUDA runtime, and no CUDA of that name compiles for a GPU here."""
    match = search(_OPENED, message.text)
    library = Library.parse(match[1]) if match else None
    if match is None or library is None or (build and build.targets):
        return None
    newest = max((CudaVersion.parse(t.cuda) for t in matrix.toolkits if _named(t.cuda, library)), default=None)
    if newest is None:
        return NotJudged(f"no toolkit is known that has {library.name}")
    late = [value for value in capabilities_of(gpus) if knows(newest, Capability.parse(value), matrix) is False]
    if not late:
        return Passed(f"CUDA {newest} compiles for the GPUs here")
    evidence = (cite("message", match[0], message), cite("compute capability", ", ".join(late), gpus))
    return _found(
        f"It runs with CUDA {newest}, which compiles for no GPU of {late[0]}.", evidence, Confidence.LIKELY, gpus
    )


def _named(cuda: str, library: Library) -> bool:
    return brings(CudaVersion.parse(cuda), library) is True
