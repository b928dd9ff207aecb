from __future__ import annotations

import msgspec

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, proved, verdict

RULE = "smoke-hang"


def hung(**fields: object) -> f.Facts:
    job = msgspec.structs.replace(
        proved("torch"), result="hung", stage="compute", ended="hung", seconds=61.0, proofs=(), **fields
    )
    return change(GOOD, smokes=(job, proved("tensorflow")))


def test_a_hung_job_is_the_cause_and_its_stage_is_named() -> None:
    assert verdict(hung()) == ("broken", RULE)
    assert found(hung(), RULE).title == "The PyTorch job on cuda:0 stopped at stage compute after 61 s."


def test_a_child_that_the_driver_holds_is_named_with_its_wait_channel() -> None:
    evidence = found(hung(pid=4711, wait_channel="os_acquire_rwlock"), RULE).evidence
    assert evidence[1].value == "4711, asleep in the kernel at os_acquire_rwlock"


def test_a_finished_job_is_no_hang() -> None:
    assert findings(GOOD, RULE) == ()
