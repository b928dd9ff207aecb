from __future__ import annotations

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict, with_gpu

RULE = "vm-passthrough-blocked"
GUEST = change(
    with_gpu(name="NVIDIA GeForce GTX 1050", capability="6.1", error="NVML_ERROR_UNKNOWN"),
    virtual_machine={"hypervisor": "kvm"},
    nvml={"driver": "440.33.01"},
    kernel_driver={"version": "440.33.01", "flavour": "proprietary"},
    cuda=f.CudaDriver(source="libcuda", result="CUDA_ERROR_UNKNOWN", code=999, version="10.2"),
    smokes=(),
)


def test_an_old_driver_refuses_a_geforce_in_a_virtual_machine() -> None:
    assert verdict(GUEST) == ("broken", RULE)
    assert found(GUEST, RULE).confidence.value == "likely"


def test_on_bare_metal_it_is_something_else() -> None:
    assert outcome(change(GUEST, virtual_machine={"hypervisor": None}), RULE) == "not-applicable"


def test_a_data_centre_gpu_is_allowed_in_virtual_machines() -> None:
    assert outcome(with_gpu(GUEST, name="NVIDIA A100-SXM4-80GB"), RULE) == "not-applicable"


def test_a_gpu_that_answers_is_not_blocked() -> None:
    assert outcome(with_gpu(GUEST, error=None), RULE) == "passed"


def test_error_43_counts_inside_a_virtual_machine_only() -> None:
    text = "Windows has stopped this device because it has reported problems. (Code 43)"
    guest = change(virtual_machine={"hypervisor": "kvm"}, cuda=f.NOT_IN_PASTE, gpus=f.NOT_IN_PASTE)
    assert found(says(text, guest), RULE).confidence.value == "likely"
    assert outcome(says(text), RULE) == "not-applicable"
