"""The GPU computed, and the numbers are wrong.

## What it means
The same batch was computed on the GPU and, in double precision, on the CPU. Loss or gradients differ by far more
than rounding can explain. Trainings on this GPU cannot be trusted.

## Why it happens
Failing memory or an unstable GPU (overclocking, power, heat); a wrong library loaded in place of the framework's
own; a known defect of a driver or library version.

## How to fix
Look for Xid errors and ECC counts first. Undo overclocking; make sure that the framework's own cuDNN and cuBLAS are
loaded; try another driver. If it stays, the GPU is to be replaced.

## How it is detected
A smoke job's comparison with a float64 reference on the CPU, TF32 off, within the tolerance shown in the evidence;
and the same for single operations (matrix products, convolution, FFT, solver, copies …) after a job on a GPU.
Collective operations between processes that torchrun started are compared with exact results.

## Sources
- https://docs.nvidia.com/deploy/xid-errors/
- https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html
"""

from __future__ import annotations

from collections.abc import Sequence

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Collectives, Part, Proof, Smoke
from gpudoctor.findings import About, Found, Passed, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._collectives import NO_JOB, between, wrong
from gpudoctor.words import name_of

RULE = Rule(without_gpu="none", masks=("smoke-ran-on-cpu",))

_LOG = Run(
    title="Look for hardware errors in the kernel log",
    argvs=(("sudo", "dmesg"),),
    where="machine",
    note="Lines with NVRM: Xid name the fault. Then run: gpudoctor smoke --deep",
)
_NUMBERS = ("matches-cpu", "weights-changed", "loss-fell")


@RULE.detector
def numbers_of_the_job(smoke: Smoke) -> Verdict:
    """A proof about the numbers was looked at and does not hold."""
    differ = [proof for proof in smoke.proofs if proof.name in _NUMBERS and proof.holds is False]
    return _computed_wrongly(smoke, differ, "") if differ else None


@RULE.detector
def numbers_of_a_part(smoke: Smoke) -> Verdict:
    """A single operation gave other numbers than the CPU."""
    differ = [part for part in smoke.parts if part.holds is False]
    return _computed_wrongly(smoke, differ, f": {', '.join(part.name for part in differ)}") if differ else None


def _computed_wrongly(smoke: Smoke, differ: Sequence[Proof | Part], where: str) -> Found:
    return Found(
        title=f"{name_of(smoke.framework)} computed wrong numbers on {smoke.device}{where}.",
        detail="; ".join(f"{one.name}: {one.detail}" for one in differ) + ".",
        evidence=tuple(cite(one.name, one.detail, smoke) for one in differ),
        remedies=(_LOG,),
    )


@RULE.detector
def numbers_of_collectives(collectives: Collectives | None) -> Verdict:
    """What processes sent one another arrived otherwise, over whatever backend."""
    if collectives is None:
        return NO_JOB
    differ = wrong(collectives)
    if not differ:
        return Passed("no collective operation gave wrong numbers")
    names = ", ".join(one.name for one in differ)
    return Found(
        title=f"torch.distributed over {collectives.backend} gives wrong numbers {between(collectives)}: {names}.",
        detail="; ".join(f"{one.name}: {one.detail}" for one in differ) + ".",
        evidence=tuple(cite(one.name, one.detail, collectives) for one in differ),
        remedies=(_LOG,),
        about=About(framework="torch"),
    )
