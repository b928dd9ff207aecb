from __future__ import annotations

import pytest

from gpudoctor import facts as f
from gpudoctor.report import judge
from tests.good import change, findings, found, outcome, says, verdict, with_gpu

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


FAULT = f.MemoryFault(first=0x900005, last=0x900005, wrote="404b4912c634c011", read="404b4912c630c011")


def deep(*tests: f.MemoryTest) -> f.Facts:
    return change(memory_tests=f.MemoryTests(source="CUDA driver API", tests=tests))


def of_gpu(gpu: int | None = 0, **more: object) -> f.MemoryTest:
    return f.MemoryTest(**{"gpu": gpu, "free": 80 << 30, "tested": 76 << 30, **more})  # type: ignore[arg-type]


def test_memory_that_comes_back_otherwise_is_an_error_with_its_address_ranges() -> None:
    finding = found(deep(of_gpu(faults=(FAULT,))), RULE)
    assert (finding.severity.value, finding.confidence.value, finding.about.gpu) == ("error", "certain", 0)
    assert finding.title == "NVIDIA H100 80GB HBM3 (GPU 0) does not keep what is written to its memory."
    assert finding.detail == (
        "NVIDIA H100 80GB HBM3 (GPU 0), 76.0 GiB tested: "
        "bytes 0x900005 to 0x900005: 404b4912c634c011 written, 404b4912c630c011 read"
    )
    assert [(one.fact, one.source) for one in finding.evidence] == [("memory test of GPU 0", "CUDA driver API")]
    assert finding.fixes[0].verify == "gpudoctor smoke --deep"
    assert "sudo nvidia-smi -i 0 --gpu-reset" in finding.fixes[0].commands


def test_many_ranges_and_several_devices_are_told_briefly() -> None:
    bad = of_gpu(mig="MIG-0", faults=(FAULT,) * 7, error="ended after 20 faulty ranges")
    finding = found(deep(of_gpu(), bad, of_gpu(5, faults=(FAULT,))), RULE)
    first, second = finding.detail.splitlines()
    assert first.startswith("NVIDIA H100 80GB HBM3 (GPU 0, MIG-0), 76.0 GiB tested: bytes 0x900005 to 0x900005: ")
    assert first.endswith("; 3 more ranges; ended after 20 faulty ranges")
    assert second.startswith("GPU 5, 76.0 GiB tested: ")


def test_a_test_that_ends_with_an_uncorrectable_error_is_one_too() -> None:
    ended = of_gpu(tested=0, error="CUDA_ERROR_ECC_UNCORRECTABLE: cuMemcpyDtoH_v2")
    assert found(deep(ended), RULE).detail.endswith("0.0 GiB tested: CUDA_ERROR_ECC_UNCORRECTABLE: cuMemcpyDtoH_v2")


@pytest.mark.parametrize(
    "error", [None, "no answer for 10 s: cuMemcpyDtoH_v2", "the time was too short for all of it", "CUDA_ERROR_UNKNOWN"]
)
def test_memory_that_was_tested_and_kept_all_is_no_finding_however_it_ended(error: str | None) -> None:
    assert outcome(deep(of_gpu(error=error)), RULE) == "passed"


def test_a_test_that_never_began_says_nothing_of_the_memory() -> None:
    facts = deep(of_gpu(tested=0, error="CUDA_ERROR_OUT_OF_MEMORY"))
    why = next(one.why for one in judge(facts).outcomes if one.rule == RULE)
    assert findings(facts, RULE) == ()
    assert "came back" not in why
