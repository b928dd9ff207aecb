"""The program needs more memory than this GPU has.

## What it means
The process that failed held most of the GPU's memory itself: model, optimiser, activations and batch do not fit. The
environment is sound.

## Why it happens
A batch, an image size, a sequence or a model made for a larger GPU; memory that is kept alive by the program;
fragmentation of the allocator.

## How to fix
Smaller batches with gradient accumulation, mixed precision, checkpointing, a smaller model, or a larger GPU.

## How it is detected
From the numbers that PyTorch prints with its error: this process's own share of the GPU's memory. TensorFlow's "OOM
when allocating tensor" comes after it took all free memory for itself.

## Sources
- https://docs.pytorch.org/docs/stable/notes/cuda.html#memory-management
- https://docs.pytorch.org/docs/stable/torch_cuda_memory.html
- https://www.tensorflow.org/guide/gpu
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Message
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._memory import shares, shown, with_numbers
from gpudoctor.rules._texts import first_match
from gpudoctor.rules.running.gpu_memory_held import OPEN, SETTLED_BY
from gpudoctor.views import Printed

RULE = Rule(severity=Severity.WARNING)

_OWN = (
    r"OOM when allocating tensor with shape ?\[[\d,]{1,60}\]",
    r"ran out of memory trying to allocate [\d.]{1,10}[KMG]i?B\b",
    r"No available memory for the cache blocks",
    r"larger than the (?:available KV cache memory|maximum number of tokens that can be stored in KV cache)",
)


@RULE.detector
def numbers_of_the_error(message: Message) -> Verdict:
    """PyTorch's own account: most of the memory was this process's."""
    found = shares(message.text)
    if found is None:
        return None
    if found.held:
        return Passed(f"others held about {shown(found.others)} of {shown(found.total)}")
    return Found(
        title=f"The program itself held {shown(found.own)} of the GPU's {shown(found.total)} when memory ran out.",
        evidence=(cite("message", message.text[:300], message),),
        remedies=(_REMEDY,),
        confidence=Confidence.LIKELY if found.held is False else Confidence.POSSIBLE,
        settled_by=SETTLED_BY,
    )


@RULE.detector
def out_of_memory_while_training(message: Message, printed: Printed) -> Verdict:
    """An allocation of the program's own failed."""
    own = first_match(_OWN, message.text)
    text = own or first_match(OPEN[:3], message.text)
    if text is None or shares(message.text) is not None or "from device" in message.text or "CtxRetain" in message.text:
        return None
    if own is None and with_numbers(printed):
        return NotApplicable("another line has the numbers")
    return Found(
        title="The program needs more memory than the GPU had left for it.",
        detail=text,
        evidence=(cite("message", text, message),),
        remedies=(_REMEDY,),
        confidence=Confidence.LIKELY if own else Confidence.POSSIBLE,
        settled_by=SETTLED_BY,
    )


_REMEDY = Run(
    title="Make the job smaller, or use a larger GPU",
    where="environment",
    note="Smaller batches with gradient accumulation, mixed precision, activation checkpointing. For PyTorch's "
    "fragmentation: PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True.",
)
