from __future__ import annotations

from gpudoctor import facts as f
from gpudoctor.report import judge
from tests.good import change, found, outcome, verdict
from tests.rules.driver.test_driver_not_loaded import UNLOADED

RULE = "bios-resource-limit"
LINES = (
    "NVRM: This PCI I/O region assigned to your NVIDIA device is invalid:",
    "NVRM: BAR1 is 0M @ 0x0 (PCI:0000:14:00.0)",
    "NVRM: The system BIOS may have misconfigured your GPU.",
)


def test_an_empty_region_is_the_cause() -> None:
    facts = change(UNLOADED, kernel_log={"lines": LINES})
    assert verdict(facts) == ("broken", RULE)
    assert "Above 4G Decoding" in found(facts, RULE).fixes[0].title


def test_in_a_virtual_machine_the_host_must_give_more_room() -> None:
    facts = change(UNLOADED, kernel_log={"lines": LINES}, virtual_machine={"hypervisor": "vmware"})
    assert "64bitMMIO" in found(facts, RULE).fixes[0].note


def test_a_gpu_that_works_has_its_region() -> None:
    assert outcome(change(kernel_log={"lines": LINES}), RULE) == "not-applicable"


def test_a_gpu_that_does_not_start_leaves_two_candidates_with_a_command() -> None:
    lines = ("NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x22:0x56:884)",)
    facts = change(
        kernel_log={"lines": lines},
        gpus={"gpus": ()},
        cuda=f.CudaDriver(source="libcuda", result="CUDA_ERROR_NO_DEVICE", code=100, version="13.0"),
        smokes=(),
    )
    report = judge(facts)
    assert report.cause is None
    assert {candidate.rule for candidate in report.candidates} == {RULE, "gpu-hardware-fault"}
    assert all(candidate.settled_by for candidate in report.candidates)
