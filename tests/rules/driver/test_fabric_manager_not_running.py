from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict, with_gpu

RULE = "fabric-manager-not-running"
NOT_READY = f.CudaDriver(source="libcuda", result="CUDA_ERROR_SYSTEM_NOT_READY", code=802, version="13.0")
DOWN = change(cuda=NOT_READY, smokes=())


def manager(state: str, version: str | None = None) -> f.Services:
    service = f.Service(name="nvidia-fabricmanager", state=state, version=version)
    return f.Services(source="systemd", services=(service,))


def test_error_802_is_the_fabric() -> None:
    facts = change(DOWN, services=manager("not-found"))
    assert verdict(facts) == ("broken", RULE)
    finding = found(facts, RULE)
    assert finding.detail == "The service nvidia-fabricmanager is not-found."
    assert finding.fixes[0].commands[0] == "sudo systemctl enable --now nvidia-fabricmanager"
    assert "580.65.06, exactly the driver's" in finding.fixes[0].note


def test_a_gpu_that_is_not_registered_is_named_where_cuda_fails() -> None:
    dead = f.CudaDriver(source="libcuda", result="CUDA_ERROR_NOT_INITIALIZED", code=3)
    facts = change(with_gpu(fabric=f.GpuFabric(source="NVML", state="in-progress")), cuda=dead, smokes=())
    assert "in-progress" in found(facts, RULE).title


def test_a_state_without_a_failure_is_no_finding() -> None:
    assert outcome(with_gpu(fabric=f.GpuFabric(source="NVML", state="in-progress")), RULE) == "passed"


def test_a_manager_of_another_version_is_named_with_both() -> None:
    dead = f.CudaDriver(source="libcuda", result="CUDA_ERROR_UNKNOWN", code=999)
    facts = change(cuda=dead, smokes=(), services=manager("failed", "580.95.05"))
    assert "580.95.05 and the driver 580.65.06" in found(facts, RULE).title


@pytest.mark.parametrize("name", ["NVIDIA GeForce RTX 4090", "NVIDIA A40", "NVIDIA H100 PCIe", "Tesla T4"])
def test_machines_without_nvswitch_need_no_manager(name: str) -> None:
    bare = change(with_gpu(name=name), cuda=f.NOT_IN_PASTE, services=manager("failed", "520.61.05"), smokes=())
    text = "request to query NVSwitch device information from NVSwitch driver failed with error:WARNING Nothing to do"
    assert outcome(says(text, bare), RULE) in ("passed", "not-applicable", "skipped")
    assert outcome(says("CUDA initialization error", bare), RULE) != "found"


@pytest.mark.parametrize(
    "text",
    [
        "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized",
        "failed call to cuInit: CUDA_ERROR_SYSTEM_NOT_READY: system not yet initialized",
        "[rank3]: Cuda failure 802 'system not yet initialized'",
        "CUDA initialization fails with 802 system error",
        "fabric manager NVIDIA GPU driver interface version 530.30.02 don't match with driver version 530.41.03.",
        "fabric manager NVIDIA GPU driver interface version 550.90.07 don\u2019t match with driver version 550.107.02.",
    ],
)
def test_programs_say_it_in_many_words(text: str) -> None:
    bare = change(cuda=f.NOT_IN_PASTE, nvml=f.NOT_IN_PASTE, gpus=f.NOT_IN_PASTE, smokes=())
    assert found(says(text, bare), RULE).severity.value == "error"


def test_words_are_not_believed_where_cuda_works() -> None:
    assert outcome(says("Error 802: system not yet initialized"), RULE) == "passed"


def test_confidential_mode_has_the_same_number_and_another_rule() -> None:
    facts = with_gpu(DOWN, modes={"confidential": "not-ready"})
    assert verdict(facts) == ("broken", "confidential-compute-not-ready")


def test_beside_error_802_another_version_is_told_too() -> None:
    facts = change(DOWN, services=manager("inactive", "570.211.01"))
    assert found(facts, RULE).detail == (
        "The service nvidia-fabricmanager is inactive. "
        "It is 570.211.01 and the driver 580.65.06: they must be the same."
    )


def test_what_cuinit_returned_is_read_from_a_log_of_another_program_too() -> None:
    bare = change(with_gpu(name="NVIDIA H100 80GB HBM3"), cuda=f.NOT_IN_PASTE, smokes=())
    line = "Unable to load cudart library /usr/lib/libcuda.so.570.169: cuda driver library init failure: {}"
    assert found(says(line.format(802), bare), RULE).confidence.value == "certain"
    assert outcome(says(line.format(100), bare), RULE) != "found"
