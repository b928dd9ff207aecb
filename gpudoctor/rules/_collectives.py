"""What rules say of a job of collective operations."""

from __future__ import annotations

from gpudoctor.engine import cite
from gpudoctor.facts import Collective, Collectives
from gpudoctor.findings import Evidence, NotApplicable, NotJudged, Passed, Verdict

NO_FAULT = ("timed out", "interrupted")
NO_JOB = NotApplicable("no collective operations were run")
ONE_MACHINE = "gpudoctor smoke (on each machine alone)"


def between(collectives: Collectives) -> str:
    """Who took part: ``between 16 processes on 2 machines``."""
    machines = f" on {collectives.nodes} machines" if collectives.nodes > 1 else ""
    return f"between {collectives.processes} processes{machines}" if collectives.processes > 1 else "in one process"


def wrong(collectives: Collectives) -> tuple[Collective, ...]:
    """The operations whose result was compared and differs."""
    return tuple(one for one in collectives.collectives if one.holds is False)


def not_failed(collectives: Collectives) -> Verdict:
    """What to answer where the job did not fail: it passed, or it was ended before it came to anything."""
    if collectives.ended in NO_FAULT:
        return NotJudged(f"the collective job was not finished: {collectives.ending}")
    return Passed(f"the collective job {between(collectives)} ended well")


def without_nccl(collectives: Collectives | None) -> NotApplicable | None:
    """Why NCCL is not asked about; None where it carried the data."""
    if collectives is None:
        return NO_JOB
    return None if collectives.backend == "nccl" else NotApplicable(f"the processes used {collectives.backend}")


def evidence(collectives: Collectives) -> tuple[Evidence, ...]:
    """How it ended, and the line that says why."""
    ended = cite("collective job", f"{collectives.backend}, {collectives.ending}", collectives)
    if not collectives.error:
        return (ended,)
    return (ended, cite(f"error of process {collectives.rank}", collectives.error, collectives))
