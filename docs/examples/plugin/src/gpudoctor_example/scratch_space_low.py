"""The scratch folder has no room for checkpoints.

## What it means
Training works until the first checkpoint is written, and then ends with "No space left on device".

## Why it happens
Other jobs left their files in the folder that `SCRATCH` names, or it names a small file system.

## How to fix
Point `SCRATCH` at a larger file system, or remove what is no longer needed.

## How it is detected
By statvfs of the folder: less than 10 GiB are free.

## Sources
- https://man7.org/linux/man-pages/man3/statvfs.3.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule
from gpudoctor.facts import Extras
from gpudoctor.findings import Evidence, Found, NotJudged, Severity, Verdict
from gpudoctor.remedies import Run

RULE = Rule(severity=Severity.WARNING, without_gpu="none")

NEEDED = 10 * 2**30


@RULE.detector
def low(extras: Extras) -> Verdict:
    """The bytes free against those needed."""
    scratch = extras.of("scratch-space")
    if scratch is None:
        return NotJudged("the probe scratch-space saw nothing")
    free, folder = scratch.values["free"], scratch.values["folder"]
    if not isinstance(free, int) or free >= NEEDED:
        return None
    return Found(
        title=f"{folder} has {free / 2**30:.1f} GiB free, checkpoints need {NEEDED // 2**30} GiB",
        evidence=(Evidence(fact="bytes free", value=str(free), source=scratch.source),),
        remedies=(Run(title="See what fills it", argvs=(("du", "-xh", "--max-depth=1", str(folder)),)),),
    )
