from __future__ import annotations

from gpudoctor import facts as f
from tests.good import change, found, outcome, verdict

RULE = "gpu-firmware-outdated"
LINES = (
    "NVRM: kgspInitRm_IMPL: failed to parse FWSEC ucode from VBIOS image (VBIOS version 94.02.71.40.83): 0x25",
    "NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x62:0x25:2015)",
)
DEAD = change(
    gpus={"gpus": ()},
    cuda=f.CudaDriver(source="libcuda", result="CUDA_ERROR_NO_DEVICE", code=100, version="13.0"),
    smokes=(),
)


def test_a_vbios_that_the_driver_cannot_use_is_the_cause() -> None:
    facts = change(DEAD, kernel_log={"lines": LINES})
    assert verdict(facts) == ("broken", RULE)
    assert "94.02.71.40.83" in found(facts, RULE).evidence[1].value


def test_a_version_alone_is_no_complaint() -> None:
    lines = ("NVRM: kgspWaitForGfwBootOk_TU102: (note: VBIOS version 94.02.71.40.83)",)
    assert outcome(change(DEAD, kernel_log={"lines": lines}), RULE) == "not-applicable"


def test_a_gpu_that_works_has_a_vbios_that_works() -> None:
    assert outcome(change(kernel_log={"lines": LINES}), RULE) == "not-applicable"
