"""The GPU's memory is held by other processes, or by the framework's own pre-allocation.

## What it means
A program asks for memory that the GPU has, and somebody else holds it: another user's job, a notebook kernel that was
never shut down, the desktop, or TensorFlow and JAX themselves, which take nearly all memory at their start and leave
none for cuDNN's and cuBLAS's own needs ("Could not create cudnn handle: CUDNN_STATUS_INTERNAL_ERROR").

## Why it happens
A second process on the same GPU; a process that ended badly and lives on; pre-allocation without memory growth.

## How to fix
Find who holds the memory and end what is no longer wanted. Let TensorFlow grow its memory and JAX not pre-allocate.

## How it is detected
From the numbers that PyTorch prints with its error, which tell this process from the others; by failures that come
before anything was computed; and by the driver's list of processes.

## Sources
- https://docs.pytorch.org/docs/stable/notes/cuda.html#memory-management
- https://www.tensorflow.org/guide/gpu#limiting_gpu_memory_growth
- https://docs.jax.dev/en/latest/gpu_memory_allocation.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Gpu, GpuMemory, GpuProcesses, Gpus, Message, Smoke
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, NotJudged, Passed, Verdict
from gpudoctor.remedies import Remedy, Run, SetVariable
from gpudoctor.rules._memory import GIB, shares, shown, with_numbers
from gpudoctor.rules._texts import first_match
from gpudoctor.views import Printed

RULE = Rule(without_gpu="fault", masks=("smoke-ran-on-cpu", "gpu-memory-too-small"))

SETTLED_BY = ("nvidia-smi",)
# Before anything was computed: what is missing was taken by somebody else, or by the framework beforehand.
_AT_START = (
    r"cuDevicePrimaryCtxRetain: CUDA_ERROR_OUT_OF_MEMORY",
    r"Could not create cudnn handle: CUDNN_STATUS_(?:INTERNAL_ERROR|ALLOC_FAILED|NOT_INITIALIZED)",
    r"Failed to get convolution algorithm\. This is probably because cuDNN failed to initialize",
    r"CUBLAS_STATUS_(?:ALLOC_FAILED|NOT_INITIALIZED)`? when calling `?cublasCreate",
    r"failed to create cublas handle: (?:CUBLAS_STATUS_)?(?:NOT_INITIALIZED|ALLOC_FAILED|cublas error)",
    r"could not retrieve CUDA device memory|error retrieving driver version .{0,40}out of memory",
    r"cudaErrorMemoryAllocation ?: out of memory",
    r"failed to allocate [\d.]{1,8}[KMG]i?B? \(\d{1,15} bytes\) from device: CUDA_ERROR_OUT_OF_MEMORY",
    r"XlaRuntimeError: FAILED_PRECONDITION: DNN library initialization failed",
    r"Free memory on device .{0,40} on startup is less than desired GPU memory utilization",
    r"CUDA error: out of memory$",
)
OPEN = (
    r"CUDA out of memory",
    r"CUDA_ERROR_OUT_OF_MEMORY",
    r"RESOURCE_EXHAUSTED: Out of memory while trying to allocate",
    r"cudaErrorMemoryAllocation",
    r"HIP out of memory",
)


@RULE.detector
def numbers_of_the_error(message: Message) -> Verdict:
    """PyTorch's own account: most of the memory belongs to others."""
    found = shares(message.text)
    if found is None:
        return None
    if found.held is False:
        return Passed(f"this process itself held {shown(found.own)} of {shown(found.total)}")
    return Found(
        title=f"Others held about {shown(found.others)} of the GPU's {shown(found.total)} when memory ran out.",
        detail=f"This process had reserved {shown(found.own)}.",
        evidence=(cite("message", message.text[:300], message),),
        remedies=_remedies(message.framework),
        confidence=Confidence.LIKELY if found.held else Confidence.POSSIBLE,
        settled_by=SETTLED_BY,
    )


@RULE.detector
def failed_at_the_start(message: Message, gpus: Gpus | None) -> Verdict:
    """cuDNN, cuBLAS or the CUDA context itself found no memory."""
    text = first_match(_AT_START, message.text)
    if text is None or shares(message.text) is not None:
        return None
    holders = _holders(gpus)
    return Found(
        title="The GPU's memory was taken before the program could begin.",
        detail=text,
        evidence=(cite("message", text, message), *holders),
        remedies=_remedies(message.framework),
        confidence=Confidence.CERTAIN if holders else Confidence.LIKELY,
        settled_by=SETTLED_BY,
    )


@RULE.detector
def out_of_memory_somehow(message: Message, gpus: Gpus | None, printed: Printed) -> Verdict:
    """An error without numbers: others, or too large a model. The list of processes tells."""
    text = first_match(OPEN, message.text)
    if text is None or shares(message.text) is not None or first_match(_AT_START, message.text):
        return None
    if with_numbers(printed):
        return NotApplicable("another line has the numbers")
    holders = _holders(gpus)
    if gpus is not None and not holders and _listed(gpus):
        return Passed("no other process holds memory on the GPUs")
    return Found(
        title="The GPU's memory ran out; other processes may hold it.",
        detail=text,
        evidence=(cite("message", text, message), *holders),
        remedies=_remedies(message.framework),
        confidence=Confidence.LIKELY if holders else Confidence.POSSIBLE,
        settled_by=SETTLED_BY,
    )


def _listed(gpus: Gpus) -> bool:
    return any(isinstance(gpu.processes, GpuProcesses) for gpu in gpus.gpus)


def _holders(gpus: Gpus | None) -> tuple[Evidence, ...]:
    """Processes that hold a good part of a GPU, or memory in use that no process explains."""
    return tuple(evidence for gpu in (gpus.gpus if gpus else ()) for evidence in _on(gpu))


def _on(gpu: Gpu) -> tuple[Evidence, ...]:
    memory = gpu.memory if isinstance(gpu.memory, GpuMemory) else None
    processes = gpu.processes if isinstance(gpu.processes, GpuProcesses) else None
    return tuple(
        cite(f"GPU {gpu.index}, process {one.pid}", f"{one.name or '?'}, {shown(one.used or 0)}", gpu)
        for one in (processes.processes if processes else ())
        if one.used and memory and one.used > 0.2 * memory.total
    )


@RULE.detector
def smoke_job_without_room(smoke: Smoke, gpu: Gpu, memory: GpuMemory) -> Verdict:
    """Even the small smoke job found no memory."""
    text = first_match((*_AT_START, *OPEN), smoke.error or "")
    if smoke.result != "failed" or text is None:
        return NotApplicable("no job ran out of memory")
    if memory.free is not None and memory.free > 2 * GIB and not _on(gpu):
        return NotJudged(f"GPU {gpu.index} has {shown(memory.free)} free")
    return Found(
        title=f"GPU {gpu.index} had too little free memory for the smoke job.",
        detail=text,
        evidence=(
            cite("job", text, smoke),
            *((cite("free memory", shown(memory.free), memory),) if memory.free is not None else ()),
            *_on(gpu),
        ),
        remedies=_remedies(smoke.framework),
    )


def _remedies(framework: str | None) -> tuple[Remedy, ...]:
    look = Run(
        title="See who holds the memory",
        argvs=(("nvidia-smi",),),
        where="machine",
        note="End processes that are no longer wanted (notebook kernels too). Processes of other users and containers "
        "are not always listed.",
    )
    grow: tuple[Remedy, ...] = ()
    if framework in (None, "tensorflow"):
        grow = (SetVariable(name="TF_FORCE_GPU_ALLOW_GROWTH", value="true"),)
    if framework == "jax":
        grow = (SetVariable(name="XLA_PYTHON_CLIENT_PREALLOCATE", value="false"),)
    return (look, *grow)
