"""The framework computed on the CPU, although a GPU is there.

## What it means
A GPU and a working driver are present, yet the framework lists no GPU, or the job's tensors and kernels were on the
CPU. Nothing fails; training is only ten to a hundred times slower, without a word.

## Why it happens
Most often another finding explains it: a CPU build, missing libraries, hidden devices. Where none does, the
framework lost the GPU at its own start: an earlier CUDA error in the process, a plug-in of another version, an
environment variable.

## How to fix
Fix what the other findings name. Otherwise look at the framework's own messages below the finding.

## How it is detected
Where parameters, gradients and outputs of the smoke job lived, and whether any witness outside the framework saw
the GPU at work; or a framework that lists no GPU while the CUDA driver counts one.

## Sources
- https://docs.pytorch.org/docs/stable/notes/cuda.html
- https://www.tensorflow.org/guide/gpu
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, CudaDriver, Framework, Imported, Smoke
from gpudoctor.findings import Confidence, Found, NotApplicable, Verdict
from gpudoctor.words import CUDA_BUILD_ONLY, name_of

RULE = Rule()


@RULE.detector
def job_on_the_cpu(smoke: Smoke) -> Verdict:
    """The job was to run on a GPU, and its evidence says CPU."""
    if smoke.device == "cpu":
        return NotApplicable("the job was meant for the CPU")
    if smoke.result != "ran-on-cpu":
        return None
    against = [proof for proof in smoke.proofs if proof.holds is False]
    return Found(
        title=f"{name_of(smoke.framework)} said {smoke.device} and computed on the CPU.",
        detail="; ".join(f"{proof.name}: {proof.detail}" for proof in against) + ("." if against else ""),
        evidence=tuple(cite(proof.name, proof.detail or "does not hold", smoke) for proof in against),
    )


@RULE.detector
def framework_lists_no_gpu(framework: Framework, imported: Imported, build: Build, cuda: CudaDriver) -> Verdict:
    """A CUDA build that imports well and lists no GPU, beside a CUDA driver that counts some."""
    if build.accelerator != "cuda":
        return NotApplicable(CUDA_BUILD_ONLY)
    if not imported.ok or imported.devices or imported.available or not cuda.count:
        return None
    return Found(
        title=f"{name_of(framework)} {build.version} lists no GPU, although the CUDA driver counts {cuda.count}.",
        detail=imported.warnings[-1] if imported.warnings else "",
        evidence=(
            cite("devices", "none", imported),
            cite("cuDeviceGetCount", cuda.count, cuda),
        ),
        confidence=Confidence.LIKELY,
    )
