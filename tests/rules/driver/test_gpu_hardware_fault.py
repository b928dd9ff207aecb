from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict, with_gpu

RULE = "gpu-hardware-fault"
NO_JOB = change(smokes=())


def test_a_row_that_could_not_be_remapped_is_certain() -> None:
    facts = with_gpu(NO_JOB, ecc={"remap_failure": True})
    assert (verdict(facts)[1], found(facts, RULE).confidence.value) == (RULE, "certain")


def test_uncorrected_errors_are_an_error_and_a_warning_where_a_job_was_proved() -> None:
    assert found(with_gpu(NO_JOB, ecc={"uncorrected": 2}), RULE).severity.value == "error"
    assert found(with_gpu(ecc={"uncorrected": 2}), RULE).severity.value == "warning"


def test_a_pending_repair_is_a_warning() -> None:
    assert found(with_gpu(ecc={"remap_pending": True}), RULE).severity.value == "warning"


@pytest.mark.parametrize(
    "ecc", [{"corrected": 500}, {"remapped_corrected": 3}, {"retired_pages": 4}, {"enabled": False}]
)
def test_what_was_mended_is_no_finding(ecc: dict[str, int]) -> None:
    assert outcome(with_gpu(ecc=ecc), RULE) == "passed"


def event(xid: int) -> f.XidEvent:
    return f.XidEvent(xid=xid, pci="0000:41:00.0", text=f"NVRM: Xid (PCI:0000:41:00): {xid}")


def test_an_xid_of_the_hardware_is_named_with_its_meaning() -> None:
    assert "(Xid 48)" in found(change(NO_JOB, kernel_log={"xids": (event(48),)}), RULE).title


@pytest.mark.parametrize("xid", [13, 31, 43, 45, 119])
def test_an_xid_of_programs_or_of_the_driver_is_none(xid: int) -> None:
    assert outcome(change(NO_JOB, kernel_log={"xids": (event(xid),)}), RULE) == "passed"


@pytest.mark.parametrize(
    "text",
    [
        "RuntimeError: CUDA error: uncorrectable ECC error encountered",
        "failed call to cuDevicePrimaryCtxRetain: CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered",
        "DCGM_FI_DEV_ROW_REMAP_FAILURE: 1",
        "Remapping Failure Occurred        : Yes",
        "NVRM: GPU 0000:01:00.0: GPU does not have the necessary power cables connected.",
    ],
)
def test_programs_name_the_fault(text: str) -> None:
    assert found(says(text, NO_JOB), RULE).severity.value == "error"


def test_a_counter_of_zero_says_nothing() -> None:
    assert outcome(says("DCGM_FI_DEV_ROW_REMAP_FAILURE: 0", NO_JOB), RULE) == "passed"


def test_a_gpu_that_does_not_start_is_one_of_several_causes() -> None:
    lines = ("NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x22:0x56:884)",)
    facts = change(NO_JOB, gpus={"gpus": ()}, kernel_log={"lines": lines}, cuda={"code": 100, "count": None})
    assert found(facts, RULE).confidence.value == "possible"
