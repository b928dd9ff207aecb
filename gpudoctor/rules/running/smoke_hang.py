"""A smoke job made no progress within its limit.

## What it means
The training job stopped answering at the stage that is named and used no processor time. It was ended; what it had
reached is in the report.

## Why it happens
The GPU or the driver hangs (look for Xid errors), the process was stopped from outside, a lock is held by another
process, or the file system under the environment does not answer. Compilation of PTX is no hang: it uses processor
time.

## How to fix
Look at the kernel log for the time of the job. If the process could not be killed, the driver holds it: only a
reboot helps.

## How it is detected
No line from the child and no processor time used by its process group for longer than the limit.

## Sources
- https://docs.nvidia.com/deploy/xid-errors/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Smoke
from gpudoctor.findings import Confidence, Evidence, Found, Verdict
from gpudoctor.remedies import Run
from gpudoctor.words import name_of

RULE = Rule(without_gpu="none")


@RULE.detector
def no_progress(smoke: Smoke) -> Verdict:
    """The job's child was ended for silence, or for the time limit."""
    if smoke.result != "hung":
        return None
    after = f" after {smoke.seconds:.0f} s" if smoke.seconds is not None else ""
    stuck: tuple[Evidence, ...] = ()
    if smoke.wait_channel:
        stuck = (cite("process", f"{smoke.pid}, asleep in the kernel at {smoke.wait_channel}", smoke),)
    return Found(
        title=f"The {name_of(smoke.framework)} job on {smoke.device} stopped at stage {smoke.stage}{after}.",
        detail=smoke.error or "",
        evidence=(cite("stage", smoke.stage, smoke), *stuck),
        remedies=(
            Run(
                title="Look for driver errors in the kernel log",
                argvs=(("sudo", "dmesg"),),
                where="machine",
                note="Lines with NVRM: Xid name the fault. A process in state D is held by the driver: reboot.",
            ),
        ),
        confidence=Confidence.CERTAIN,
    )
