from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, found, outcome, says, verdict

FAILS = f.CudaDriver(source="libcuda", result="CUDA_ERROR_UNKNOWN", code=999, version="13.0")


def nodes(*paths: str, **fields: object) -> f.DeviceNodes:
    made = tuple(
        f.DeviceNode(path=path, mode="0666", readable=True, writable=True, **fields)  # type: ignore[arg-type]
        for path in paths
    )
    return f.DeviceNodes(source="/dev", nodes=made)


def test_a_missing_uvm_node_is_the_cause() -> None:
    facts = change(device_nodes=nodes("/dev/nvidia0", "/dev/nvidiactl"), cuda=FAILS, smokes=())
    assert verdict(facts) == ("broken", "device-nodes-missing")
    finding = found(facts, "device-nodes-missing")
    assert finding.title == "CUDA cannot reach the driver: /dev/nvidia-uvm does not exist."
    assert finding.fixes[0].commands == ("sudo nvidia-modprobe -u -c=0",)


def test_in_a_container_the_host_makes_the_node() -> None:
    facts = change(device_nodes=nodes("/dev/nvidia0", "/dev/nvidiactl"), cuda=FAILS, container={"engine": "podman"})
    assert found(facts, "device-nodes-missing").fixes[0].where == "host"


def test_a_node_that_may_not_be_opened_is_named_with_its_error() -> None:
    every = nodes("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", opens="EPERM")
    assert (
        "/dev/nvidia0 (0666, EPERM) may not be opened"
        in found(change(device_nodes=every, cuda=FAILS), "device-nodes-missing").detail
    )


def test_a_container_without_any_node_is_another_rules_business() -> None:
    facts = change(device_nodes=nodes(), container={"engine": "docker"})
    assert outcome(facts, "device-nodes-missing") == "not-applicable"


def test_a_container_may_hold_any_number_of_the_hosts_gpus() -> None:
    facts = change(
        device_nodes=nodes("/dev/nvidia3", "/dev/nvidiactl", "/dev/nvidia-uvm"), container={"engine": "docker"}
    )
    assert outcome(facts, "device-nodes-missing") == "passed"


def test_wsl_and_jetson_have_other_nodes() -> None:
    assert outcome(change(GOOD, device_nodes=nodes(), wsl={"version": 2}), "device-nodes-missing") == "not-applicable"


BARE = change(
    kernel_driver=f.NOT_IN_PASTE,
    nvml=f.NOT_IN_PASTE,
    cuda=f.NOT_IN_PASTE,
    gpus=f.NOT_IN_PASTE,
    device_nodes=f.NOT_IN_PASTE,
    smokes=(),
)
UNKNOWN = "failed call to cuInit: CUDA_ERROR_UNKNOWN: unknown error"


def test_a_listing_without_uvm_beside_a_failure() -> None:
    facts = says(UNKNOWN, change(BARE, device_nodes=nodes("/dev/nvidia0", "/dev/nvidiactl")))
    assert found(facts, "device-nodes-missing").title == "CUDA cannot reach the driver: /dev/nvidia-uvm does not exist."
    calm = change(BARE, device_nodes=nodes("/dev/nvidia0", "/dev/nvidiactl"))
    assert outcome(calm, "device-nodes-missing") != "found"


def test_nodes_for_a_group_alone_beside_a_refusal() -> None:
    closed = tuple(
        f.DeviceNode(path=path, mode="0660") for path in ("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm")
    )
    facts = change(BARE, device_nodes=f.DeviceNodes(source="ls", nodes=closed))
    refused = says("Failed to initialize NVML: Insufficient Permissions", facts)
    assert found(refused, "device-nodes-missing").fixes[0].title == "Give this user access to the NVIDIA device nodes"


@pytest.mark.parametrize(
    "text",
    [
        "ls: cannot access '/dev/nvidia-uvm': No such file or directory",
        "nvidia-uvm module is not loaded",
        "as_root: works",
        "after one run as root the user run works",
        "it works with sudo",
    ],
)
def test_a_node_that_only_root_makes(text: str) -> None:
    assert found(says(text, says(UNKNOWN, BARE)), "device-nodes-missing").confidence.value == "likely"


def test_words_are_not_believed_where_cuda_works() -> None:
    assert outcome(says(UNKNOWN), "device-nodes-missing") == "passed"
