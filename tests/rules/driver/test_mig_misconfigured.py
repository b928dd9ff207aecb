from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict, with_gpu

RULE = "mig-misconfigured"
VARIABLE = "CUDA_VISIBLE_DEVICES"
NO_DEVICE = f.CudaDriver(source="libcuda", result="CUDA_ERROR_NO_DEVICE", code=100, version="13.0")
EMPTY = f.MigInstances(source="NVML", instances=())
ONE = f.MigInstances(source="NVML", instances=(f.MigInstance(uuid="MIG-0a"),))


def test_mig_without_instances_is_the_cause() -> None:
    facts = change(with_gpu(modes={"mig": True, "mig_pending": True}, mig=EMPTY), cuda=NO_DEVICE, smokes=())
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, RULE).about.gpu == 0


def test_mig_with_an_instance_is_none() -> None:
    assert outcome(with_gpu(modes={"mig": True, "mig_pending": True}, mig=ONE), RULE) == "passed"


def test_one_gpu_without_instances_beside_others_is_a_warning() -> None:
    facts = with_gpu(modes={"mig": True, "mig_pending": True}, mig=EMPTY)
    assert found(facts, RULE).severity.value == "warning"


def test_a_switch_that_waits_for_a_reset_is_a_warning() -> None:
    assert "waits for a reset" in found(with_gpu(modes={"mig_pending": True}), RULE).title


def test_several_instances_for_one_process() -> None:
    variables = {"CUDA_VISIBLE_DEVICES": "MIG-0a,MIG-0b"}
    facts = change(environment={"variables": variables}, gpus=f.NOT_IN_PASTE, cuda=f.NOT_IN_PASTE)
    assert found(facts, RULE).severity.value == "warning"
    stumbled = says("ValueError: invalid literal for int() with base 10: 'MIG-0a'", facts)
    assert found(stumbled, RULE).severity.value == "error"


@pytest.mark.parametrize(
    "text",
    [
        "ValueError: invalid literal for int() with base 10: 'MIG-2e782cfd-36f2-55ff-a7d5-c6734444be2b'",
        "|  No MIG devices found                                                                 |",
    ],
)
def test_programs_stumble_over_it(text: str) -> None:
    assert found(says(text, change(cuda=NO_DEVICE, smokes=())), RULE).confidence.value == "likely"


def test_one_instance_by_its_uuid_is_right_for_cuda_and_the_program_is_what_stumbles() -> None:
    text = "ValueError: invalid literal for int() with base 10: 'MIG-0a'"
    one = change(f.Facts(origin="paste"), environment=f.Environment(source="1", variables={VARIABLE: "MIG-0a"}))
    assert found(says(text, one), RULE).severity.value == "warning"
    assert found(says(text, f.Facts(origin="paste")), RULE).severity.value == "error"


def test_a_wrong_count_of_devices_says_so_only_with_mig_on() -> None:
    text = 'RuntimeError: device >= 0 && device < num_gpus INTERNAL ASSERT FAILED at "CUDAContext.cpp":49'
    bare = change(cuda=f.NOT_IN_PASTE, smokes=())
    assert outcome(says(text, bare), RULE) != "found"
    assert found(says(text, with_gpu(bare, modes={"mig": True, "mig_pending": True}, mig=ONE)), RULE)
