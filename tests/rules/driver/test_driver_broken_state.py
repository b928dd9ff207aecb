from __future__ import annotations

import pytest

from gpudoctor import facts as f
from gpudoctor.report import judge
from tests.good import change, found, outcome, says, verdict

RULE = "driver-broken-state"
UNKNOWN = "RuntimeError: CUDA unknown error - this may be due to an incorrectly set up environment, e.g. changing env"
BARE = change(cuda=f.NOT_IN_PASTE, device_nodes=f.NOT_IN_PASTE, nvml=f.NOT_IN_PASTE, gpus=f.NOT_IN_PASTE, smokes=())


def test_999_with_all_in_order_is_a_broken_state() -> None:
    facts = change(cuda=f.CudaDriver(source="libcuda", result="CUDA_ERROR_UNKNOWN", code=999), smokes=())
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, RULE).fixes[0].commands == ("sudo modprobe -r nvidia_uvm", "sudo modprobe nvidia_uvm")


def test_an_nvml_that_cannot_count_its_gpus_is_not_in_order() -> None:
    cuda = f.CudaDriver(source="libcuda", result="CUDA_ERROR_UNKNOWN", code=999)
    uncounted = f.Missing("unreadable", "NVML_ERROR_UNKNOWN", "nvmlDeviceGetCount")
    assert outcome(change(cuda=cuda, gpus=uncounted, smokes=()), RULE) == "not-applicable"


@pytest.mark.parametrize(
    "text",
    [
        "laptop went to sleep before",
        "system suspended and resumed",
        "started after the machine was suspended",
        "GPU is no longer available to CUDA after wake up",
        "it broke after suspend",
    ],
)
def test_a_failure_that_began_with_a_suspend(text: str) -> None:
    assert found(says(text, says(UNKNOWN, BARE)), RULE).confidence.value == "likely"


@pytest.mark.parametrize(
    "text", ["    time.sleep(1)", "Resumed training from checkpoint 12", "sleeping 5 s before retry"]
)
def test_programs_that_sleep_or_resume_are_no_suspend(text: str) -> None:
    assert found(says(text, says(UNKNOWN, BARE)), RULE).confidence.value == "possible"


def test_an_unknown_error_alone_is_one_of_two_candidates() -> None:
    report = judge(says(UNKNOWN, BARE))
    assert report.cause is None
    assert {candidate.rule for candidate in report.candidates} == {RULE, "device-nodes-missing"}


def test_it_is_not_believed_where_cuda_works() -> None:
    assert outcome(says(UNKNOWN), RULE) == "passed"
