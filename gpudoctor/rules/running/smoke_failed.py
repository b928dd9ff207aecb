"""A smoke job failed, and no other rule knows the reason.

## What it means
The small training job ended with an error at the stage that is named. The environment does not train as it is.

## Why it happens
Any fault that gpudoctor has no rule for yet. The last meaningful line of the framework is quoted.

## How to fix
Search for the quoted line together with the framework's version, or take the report to its maintainers.

## How it is detected
The child of the job reported an exception, ended with an exit code, or was ended by a signal. It is a warning where the
job itself is proved and only a single operation after it failed (FFT, solver, torch.compile …), and where processes
could not work together over gloo, which says nothing of training in one.

## Sources
- https://github.com/pytorch/pytorch/issues
- https://github.com/tensorflow/tensorflow/issues
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Collectives, Smoke
from gpudoctor.findings import About, Confidence, Found, NotJudged, Severity, Verdict
from gpudoctor.rules._collectives import NO_FAULT, NO_JOB, between, evidence, not_failed
from gpudoctor.words import name_of

RULE = Rule(without_gpu="none", last_resort=True, masks=("requirement-not-met",))


@RULE.detector
def ended_with_an_error(smoke: Smoke) -> Verdict:
    """A job that failed after its import."""
    if smoke.result != "failed" or smoke.stage in ("start", "import"):
        return None
    after = f" after {smoke.seconds:.1f} s" if smoke.seconds is not None else ""
    return Found(
        title=f"The {name_of(smoke.framework)} job on {smoke.device} failed at stage {smoke.stage}{after}.",
        detail=smoke.error or smoke.ended or "",
        evidence=(cite("stage", smoke.stage, smoke), cite("ended", smoke.ended or "exception", smoke)),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def failed_in_a_part(smoke: Smoke) -> Verdict:
    """The job trained; a single operation after it did not work."""
    broken = [part for part in smoke.parts if part.error]
    if not broken:
        return None
    return Found(
        title=f"{name_of(smoke.framework)} trains on {smoke.device}, but fails in: "
        f"{', '.join(part.name for part in broken)}.",
        detail="; ".join(f"{part.name}: {part.error}" for part in broken),
        evidence=tuple(cite(part.name, part.error or "", smoke) for part in broken),
        severity=Severity.WARNING,
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def collectives_ended_with_an_error(collectives: Collectives | None) -> Verdict:
    """Processes that torchrun started could not work together, after torch was imported."""
    if collectives is None:
        return NO_JOB
    if collectives.ended is None or collectives.ended in NO_FAULT:
        return not_failed(collectives)
    if collectives.stage in ("start", "import"):
        return NotJudged(f"no collective operation began: {collectives.error or collectives.ending}")
    if collectives.waited:
        return NotJudged("a process lost the connection to another; which one failed first is not known here")
    alone = collectives.backend == "gloo" or collectives.processes == 1
    verb = "hung" if collectives.ended == "hung" else "failed"
    return Found(
        title=f"torch.distributed over {collectives.backend} {verb} at {collectives.stage} {between(collectives)}.",
        detail=collectives.error or collectives.ended,
        evidence=evidence(collectives),
        severity=Severity.WARNING if alone else None,
        confidence=Confidence.LIKELY,
        about=About(framework="torch"),
    )
