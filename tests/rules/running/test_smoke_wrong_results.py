from __future__ import annotations

import msgspec
import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, proved, verdict

RULE = "smoke-wrong-results"


def with_proof(name: str, holds: bool | None) -> f.Facts:
    proof = f.Proof(name=name, holds=holds, detail="gradients differ by 0.4", required=True)
    job = msgspec.structs.replace(proved("torch"), result="failed", stage="verify", proofs=(proof,))
    return change(GOOD, smokes=(job, proved("tensorflow")))


@pytest.mark.parametrize("name", ["matches-cpu", "weights-changed", "loss-fell"])
def test_numbers_that_contradict_are_the_cause(name: str) -> None:
    facts = with_proof(name, False)
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, RULE).title == "PyTorch computed wrong numbers on cuda:0."


def test_the_failed_job_is_its_consequence() -> None:
    assert found(with_proof("matches-cpu", False), "smoke-failed").because_of == RULE


def test_a_proof_that_could_not_be_looked_at_is_no_wrong_number() -> None:
    assert findings(with_proof("matches-cpu", None), RULE) == ()


def test_another_items_absence_is_no_wrong_number() -> None:
    assert findings(with_proof("same-bits", False), RULE) == ()


def with_part(part: f.Part) -> f.Facts:
    return change(GOOD, smokes=(msgspec.structs.replace(proved("torch"), parts=(part,)), proved("tensorflow")))


def test_a_single_operation_with_other_numbers_is_the_cause() -> None:
    facts = with_part(f.Part(name="fft", holds=False, detail="2^20 points; off by 3.1e-01 of their size"))
    assert verdict(facts) == ("broken", RULE)
    finding = found(facts, RULE)
    assert finding.title == "PyTorch computed wrong numbers on cuda:0: fft."
    assert finding.detail == "fft: 2^20 points; off by 3.1e-01 of their size."


def test_an_operation_that_failed_or_was_not_tried_has_no_wrong_numbers() -> None:
    assert findings(with_part(f.Part(name="fft", holds=None, error="RuntimeError: CUFFT_INTERNAL_ERROR")), RULE) == ()
    assert findings(with_part(f.Part(name="fft", holds=None, detail="no time left")), RULE) == ()
