from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict

RULE = "driver-known-bug"
THREE = f.CudaDriver(source="libcuda", result="CUDA_ERROR_NOT_INITIALIZED", code=3, version="13.0")


def test_cuinit_3_with_all_in_order_is_hmm() -> None:
    facts = change(cuda=THREE, smokes=())
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, RULE).fixes[0].commands[2] == "sudo modprobe nvidia_uvm"


def test_cuinit_3_without_the_uvm_node_is_the_node() -> None:
    nodes = tuple(f.DeviceNode(path=path, mode="0666") for path in ("/dev/nvidia0", "/dev/nvidiactl"))
    facts = change(cuda=THREE, smokes=(), device_nodes={"nodes": nodes})
    assert verdict(facts) == ("broken", "device-nodes-missing")


@pytest.mark.parametrize("text", ["cuInit/cudaGetDeviceCount err=3", "cuda driver library init failure: 3"])
def test_programs_show_the_three(text: str) -> None:
    assert found(says(text, change(cuda=f.NOT_IN_PASTE, smokes=())), RULE).confidence.value == "likely"


def test_a_forked_worker_has_the_same_number_and_no_fault() -> None:
    text = "RuntimeError: CUDA runtime API error cudaErrorInitializationError (3) in a forked worker"
    assert outcome(says(text, change(cuda=f.NOT_IN_PASTE, smokes=())), RULE) != "found"


def test_no_device_with_modules_nodes_and_nvml_in_order() -> None:
    bare = change(cuda=f.NOT_IN_PASTE, smokes=())
    assert found(says("RuntimeError: CUDA driver initialization failed", bare), RULE).confidence.value == "likely"
    hidden = change(bare, environment={"variables": {"CUDA_VISIBLE_DEVICES": "7"}})
    assert outcome(says("no CUDA-capable device is detected", hidden), RULE) != "found"


GSP = "NVRM: Xid (PCI:0000:61:00): 119, name=nvidia-smi, Timeout waiting for RPC from GSP!"


def test_a_gsp_that_does_not_answer_is_an_error_and_a_warning_once_it_works_again() -> None:
    event = f.XidEvent(xid=119, pci="0000:61:00.0", text=GSP)
    dead = f.CudaDriver(source="libcuda", result="CUDA_ERROR_UNKNOWN", code=999)
    assert found(change(kernel_log={"xids": (event,)}, cuda=dead, smokes=()), RULE).severity.value == "error"
    assert found(change(kernel_log={"xids": (event,)}), RULE).severity.value == "warning"


@pytest.mark.parametrize("text", [GSP, "NVRM: Timeout after 6s of waiting for RPC response from GPU0 GSP!"])
def test_every_generation_of_the_message(text: str) -> None:
    assert found(says(text, change(cuda=f.NOT_IN_PASTE, smokes=())), RULE).severity.value == "error"
