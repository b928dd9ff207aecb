"""A compiled extension has no kernels for this GPU, though the framework itself has.

## What it means
vLLM, flash-attn, xformers, bitsandbytes and others bring CUDA code of their own, for fewer GPUs than PyTorch. The
framework trains on this GPU; a call into the extension ends with "no kernel image is available for execution on the
device".

## Why it happens
The extension's release leaves this GPU out: too old for it (flash-attn 2 needs 8.0, vLLM's wheels 7.0), or newer than
the release; or it was compiled here for another GPU (TORCH_CUDA_ARCH_LIST), or with a CUDA toolkit that is older than
the GPU. Triton compiles on the spot with a compiler of its own, which may be older than the GPU too.

## How to fix
Take a release of the extension that has this GPU, compile it for this GPU, or do without it.

## How it is detected
CUDA's words together with the architecture list of the installed PyTorch, which covers every GPU here, or with a CUDA
toolkit that cannot compile for it; the words of Triton's compiler; and the lowest capability that the matrix knows of
the extension.

## Sources
- https://docs.nvidia.com/cuda/cuda-c-programming-guide/#application-compatibility
- https://docs.vllm.ai/en/latest/getting_started/installation/gpu.html
- https://github.com/Dao-AILab/flash-attention#nvidia-cuda-support
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Frameworks, Gpus, Imported, Message, Packages, Toolkits
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, NotJudged, Passed, Severity, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.relations import Capability, CudaVersion
from gpudoctor.remedies import Run
from gpudoctor.rules._architectures import covers_every_gpu, knows
from gpudoctor.rules._texts import first_match
from gpudoctor.views import capabilities_of

RULE = Rule(frameworks=("torch",), masks=("torch-arch-unsupported",))

_EXTENSIONS = frozenset(
    {
        "vllm",
        "flash-attn",
        "xformers",
        "bitsandbytes",
        "deepspeed",
        "apex",
        "sglang",
        "flashinfer-python",
        "auto-gptq",
        "autoawq",
        "exllamav2",
        "mamba-ssm",
        "causal-conv1d",
        "torch-scatter",
        "torch-sparse",
        "mmcv",
        "mmcv-full",
        "detectron2",
        "pytorch3d",
        "spconv",
        "nerfacc",
        "gsplat",
        "tiny-cuda-nn",
        "sgl-kernel",
        "cupy",
        "sageattention",
    }
)
_TEXTS = (
    r"no kernel image is available(?: for execution on the device)?",
    r"cudaErrorNoKernelImageForDevice",
    r"CUDA_ERROR_NO_BINARY_FOR_GPU",
)
# Triton compiles on the spot, with the LLVM and the ptxas that it brings: an old one does not know a new GPU.
_COMPILER = (
    r"ptxas fatal {1,4}: Value 'sm_\d{2,3}[af]?' is not defined for option 'gpu-name'",
    r"'sm_\d{2,3}[af]?' is not a recognized processor for this target",
)
_OWN_WORDS = (
    # RAPIDS, on import: https://github.com/rapidsai/cudf/pull/15053
    r"A GPU with NVIDIA \w{3,12}\W{1,3}\(Compute Capability \d{1,2}\.\d\) or newer architecture is required",
    r"\bSM ?\d{2,3} kernels? (?:is|are) not available",
    r"FlashAttention (?:only )?supports? (?:only )?Ampere GPUs or newer",
    (
        r"requires? (?:a )?(?:GPU with )?(?:CUDA )?compute capability (?:of )?(?:at least |>= "
        r"?)\d\.\d.{0,80}\bGPU (?:has|with|is)"
    ),
)


@RULE.detector
def kernels_missing_elsewhere(
    message: Message, build: Build | None, gpus: Gpus | None, imported: Imported | None, packages: Packages | None
) -> Verdict:
    """CUDA misses a kernel, and PyTorch has code for every GPU here."""
    own = first_match(_OWN_WORDS, message.text)
    text = own or first_match(_TEXTS, message.text)
    if text is None:
        return None
    if not own:
        if build is None or gpus is None:
            return NotJudged("whether PyTorch has kernels for this GPU is not known")
        if build.accelerator != "cuda":
            return NotApplicable("no CUDA build of PyTorch")
        covered = covers_every_gpu(build, imported, gpus)
        if covered is None:
            return NotJudged("whether PyTorch has kernels for this GPU is not known")
        if not covered:
            return NotApplicable("PyTorch itself has no kernels for this GPU")
    found = [p for p in (packages.packages if packages else ()) if p.name in _EXTENSIONS]
    beside = f", though PyTorch {build.version} has" if build and not own else ""
    names = ", ".join(f"{p.name} {p.version or ''}".strip() for p in found)
    evidence: tuple[Evidence, ...] = (cite("message", text, message),)
    if gpus and capabilities_of(gpus):
        evidence += (cite("compute capability", ", ".join(capabilities_of(gpus)), gpus),)
    if packages and names:
        evidence += (cite("extensions", names, packages),)
    return Found(
        title=f"{names or 'An extension'} has no kernels for this GPU{beside}."
        if len(found) < 2
        else f"An extension has no kernels for this GPU{beside}: one of {names}.",
        detail=text,
        evidence=evidence,
        remedies=(_remedy(capabilities_of(gpus)),),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def lowest_capability_of_the_extension(packages: Packages, gpus: Gpus, matrix: Matrix) -> Verdict:
    """An installed extension whose release starts above a GPU here."""
    lowest = min(map(Capability.parse, capabilities_of(gpus)), default=None)
    if lowest is None:
        return NotApplicable("no GPU whose compute capability is known")
    for package in packages.packages:
        if package.name not in _EXTENSIONS or not package.version:
            continue
        row = matrix.companion(package.name, package.version)
        if isinstance(row, Unlisted) or row.min_capability is None or lowest >= Capability.parse(row.min_capability):
            continue
        return Found(
            title=f"{package.name} {package.version} needs compute capability {row.min_capability}; {lowest} is here.",
            evidence=(
                cite(package.name, package.version, packages),
                cite("compute capability", str(lowest), gpus),
            ),
            remedies=(_remedy((str(lowest),)),),
            severity=Severity.WARNING,
            confidence=Confidence.LIKELY,
        )
    return Passed("no extension that is known to leave a GPU here out")


@RULE.detector
def compiled_with_a_toolkit_older_than_the_gpu(
    message: Message, build: Build, gpus: Gpus, toolkits: Toolkits, imported: Imported | None, matrix: Matrix
) -> Verdict:
    """CUDA misses a kernel; PyTorch's CUDA knows every GPU here, and the toolkit that compiles extensions does not."""
    text = first_match(_TEXTS, message.text)
    wanted = [Capability.parse(value) for value in capabilities_of(gpus)]
    if text is None or not wanted:
        return None
    if covers_every_gpu(build, imported, gpus) is not None:
        return NotApplicable("whether PyTorch has kernels for this GPU is known")
    compilers = [(t.nvcc, CudaVersion.parse(t.nvcc)) for t in toolkits.toolkits if re.match(r"\d+\.\d", t.nvcc or "")]
    if not compilers or not re.match(r"\d+\.\d", build.cuda or ""):
        return NotJudged("the toolkit or PyTorch's CUDA is not known")
    own = all(knows(CudaVersion.parse(build.cuda or ""), one, matrix) for one in wanted)
    if not own or any(knows(version, one, matrix) is not False for _, version in compilers for one in wanted[:1]):
        return NotApplicable("the toolkit here can compile for this GPU, or PyTorch's cannot")
    return Found(
        title=f"The CUDA toolkit {compilers[0][0]} cannot compile for this GPU ({wanted[0]}), so an extension that was "
        "compiled with it has no kernels for it.",
        detail=text,
        evidence=(
            cite("message", text, message),
            cite("nvcc", compilers[0][0], toolkits),
            cite("torch built with CUDA", build.cuda, build),
        ),
        remedies=(_remedy(capabilities_of(gpus)),),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def compiler_older_than_the_gpu(
    message: Message, gpus: Gpus | None, packages: Packages | None, frameworks: Frameworks | None
) -> Verdict:
    """The compiler that Triton brings has not heard of the GPU."""
    text = first_match(_COMPILER, message.text)
    if text is None:
        return None
    listed = [one.name for one in (frameworks.frameworks if frameworks else ()) if one.installed]
    if message.framework == "tensorflow" or ("tensorflow" in listed and "torch" not in listed):
        return NotApplicable("XLA compiles for TensorFlow by itself")
    triton = packages.version("triton") if packages else None
    name = f"Triton {triton}" if triton else "Triton"
    known = capabilities_of(gpus)
    return Found(
        title=f"The compiler of {name} does not know this GPU.",
        detail=text,
        evidence=(
            cite("message", text, message),
            *((cite("compute capability", ", ".join(known), gpus),) if gpus and known else ()),
            *((cite("triton", triton, packages),) if packages and triton else ()),
        ),
        remedies=(_NEWER_TRITON,),
        confidence=Confidence.LIKELY,
    )


_NEWER_TRITON = Run(
    title="Take a release of PyTorch, and with it of Triton, that knows the GPU",
    where="environment",
    note="Triton belongs to the PyTorch it came with: gpudoctor matrix torch VERSION prints the pair. Where a CUDA "
    "toolkit that knows the GPU is installed, TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas makes Triton use its ptxas.",
)


def _remedy(capabilities: tuple[str, ...]) -> Run:
    wanted = ";".join(capabilities) or "this GPU"
    return Run(
        title="Take a release of the extension for this GPU, compile it, or leave it out",
        where="environment",
        note=f"When compiling: TORCH_CUDA_ARCH_LIST={wanted} and pip install --no-binary of the extension.",
    )
