from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import change, findings, found, outcome, says, verdict, with_gpu

RULE = "compute-mode-exclusive"
BUSY = "RuntimeError: CUDA error: all CUDA-capable devices are busy or unavailable"
NO_JOB = change(smokes=())
HELD = f.GpuProcesses(source="NVML", processes=(f.GpuProcess(pid=17, name="python"),))


def test_prohibited_is_the_cause_by_itself() -> None:
    assert verdict(with_gpu(NO_JOB, modes={"compute": "prohibited"}))[1] == RULE


def test_exclusive_alone_is_a_remark() -> None:
    facts = with_gpu(NO_JOB, modes={"compute": "exclusive-process"})
    assert found(facts, RULE).severity.value == "info"


def test_exclusive_with_a_process_is_a_warning_and_with_a_refusal_an_error() -> None:
    facts = with_gpu(NO_JOB, modes={"compute": "exclusive-process"}, processes=HELD)
    assert found(facts, RULE).severity.value == "warning"
    assert found(says(BUSY, facts), RULE).severity.value == "error"


def test_a_job_that_ran_proves_that_the_mode_does_not_hinder() -> None:
    assert outcome(with_gpu(modes={"compute": "exclusive-process"}), RULE) == "passed"


@pytest.mark.parametrize("text", [BUSY, "CUDA error: CUDA-capable device(s) is/are busy or unavailable"])
def test_a_refusal_is_a_candidate_where_the_mode_is_not_known(text: str) -> None:
    bare = change(gpus=f.NOT_IN_PASTE, cuda=f.NOT_IN_PASTE, smokes=())
    assert found(says(text, bare), RULE).confidence.value == "possible"
    assert found(says("GPUs are in exclusive process mode", says(text, bare)), RULE).confidence.value == "certain"


def test_a_refusal_in_default_mode_has_another_cause() -> None:
    assert findings(says(BUSY, NO_JOB), RULE) == ()
