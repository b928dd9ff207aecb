from __future__ import annotations

import msgspec

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, proved, verdict, with_gpu

RULE = "smoke-failed"


def failed(facts: f.Facts = GOOD, stage: str = "compute") -> f.Facts:
    job = msgspec.structs.replace(
        proved("torch"), result="failed", stage=stage, error="RuntimeError: something new", proofs=(), seconds=4.1
    )
    return change(facts, smokes=(job, proved("tensorflow")))


def test_a_failure_that_no_rule_knows_is_named_with_its_stage_and_line() -> None:
    assert verdict(failed()) == ("broken", RULE)
    finding = found(failed(), RULE)
    assert finding.title == "The PyTorch job on cuda:0 failed at stage compute after 4.1 s."
    assert finding.detail == "RuntimeError: something new"


def test_any_surer_finding_about_the_same_framework_explains_it() -> None:
    facts = failed(with_gpu(capability="7.0"))
    assert found(facts, RULE).because_of == "torch-arch-unsupported"


def test_a_failed_import_is_another_rules_business() -> None:
    assert findings(failed(stage="import"), RULE) == ()


def test_an_operation_that_failed_after_a_proved_job_is_a_warning() -> None:
    parts = (
        f.Part(name="fft", holds=None, error="RuntimeError: cuFFT error: CUFFT_INTERNAL_ERROR"),
        f.Part(name="solver", holds=True),
        f.Part(name="sparse-product", holds=None, detail="not in this framework's public interface"),
    )
    facts = change(GOOD, smokes=(msgspec.structs.replace(proved("torch"), parts=parts), proved("tensorflow")))
    assert verdict(facts) == ("warnings", RULE)
    finding = found(facts, RULE)
    assert finding.title == "PyTorch trains on cuda:0, but fails in: fft."
    assert finding.detail == "fft: RuntimeError: cuFFT error: CUFFT_INTERNAL_ERROR"
