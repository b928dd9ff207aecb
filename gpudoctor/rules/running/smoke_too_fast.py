"""A job claims more speed than the GPU has.

## What it means
A timed operation would have been faster than this GPU can be by its datasheet. Then the work was not done, or not when
it was timed, or the clock is wrong: none of the job's timings is to be believed, and the job itself is in doubt.

## Why it happens
A package that imitates the framework, or replaces its operations by others; a program that intercepts CUDA calls; a
virtual machine whose clock stands still or jumps; a GPU that is not what its name says.

## How to fix
Install the framework anew from its own source and unset what is loaded before it (LD_PRELOAD, CUDA_INJECTION64_PATH).
In a virtual machine, look at its clock source.

## How it is detected
After a training job on the GPU, matrix products, convolutions and other operations in TFLOP/s are compared with the
datasheet in the compatibility matrix, copies with the bandwidth of the GPU's memory, whatever brings the data. More
than 1.5 times the most that the datasheet allows is impossible: clocks above the datasheet's and memory that is partly
answered by the cache stay below. What the hardware may do in a faster way is allowed for: fp32 in TF32, sums in fp16
on GeForce, Winograd's convolution; sparsity is not, since no operation here uses it. MIG instances, vGPUs and GPUs
that the matrix does not know are not judged.

## Sources
- https://docs.nvidia.com/deeplearning/performance/dl-performance-gpu-background/index.html
- https://arxiv.org/abs/1509.09308
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Gpu, Smoke
from gpudoctor.findings import Confidence, Found, NotApplicable, NotJudged, Passed, Severity, Verdict
from gpudoctor.matrix import Matrix
from gpudoctor.speed import figures, impossible
from gpudoctor.words import name_of

RULE = Rule(severity=Severity.WARNING)


@RULE.detector
def beyond_the_datasheet(smoke: Smoke, gpu: Gpu, matrix: Matrix) -> Verdict:
    """What the parts of a job claim against the most that the datasheet allows."""
    if smoke.gpu is None or not any(part.rate for part in smoke.parts):
        return NotApplicable("nothing was timed on a GPU")
    if smoke.mig is not None or figures(gpu, matrix) is None:
        return NotJudged("there is no figure to compare with")
    claims = impossible(smoke, gpu, matrix)
    if not claims:
        return Passed("no timing is beyond the datasheet")
    told = "; ".join(f"{one.part} {one.reached:.4g} of at most {one.promised:.4g} {one.unit}" for one in claims)
    return Found(
        title=f"{name_of(smoke.framework)} claims more than {gpu.name or f'GPU {gpu.index}'} can do: {told}.",
        detail="The work was not done when it was timed, or the clock is wrong: no timing of this job counts.",
        evidence=tuple(
            cite(one.part, f"{one.reached:.4g} {one.unit}; {one.promise}: {one.promised:.4g} {one.unit}", smoke)
            for one in claims
        ),
        confidence=Confidence.LIKELY,
    )
