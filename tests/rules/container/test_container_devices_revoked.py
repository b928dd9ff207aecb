from __future__ import annotations

from gpudoctor import facts as f
from gpudoctor.report import judge
from tests.good import change, found, outcome, says, verdict

RULE = "container-devices-revoked"
UNKNOWN = f.Nvml(source="NVML", result="NVML_ERROR_UNKNOWN")
DEAD = f.CudaDriver(source="libcuda", result="CUDA_ERROR_NO_DEVICE", code=100)
PATHS = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm")
REFUSED = f.DeviceNodes(source="/dev", nodes=tuple(f.DeviceNode(path=p, mode="0666", opens="EPERM") for p in PATHS))
INSIDE = change(
    container={"engine": "docker"},
    nvml=UNKNOWN,
    cuda=DEAD,
    gpus=f.Missing("unreadable"),
    device_nodes=REFUSED,
    smokes=(),
)


def test_nodes_that_refuse_against_their_mode_are_the_cause() -> None:
    assert verdict(INSIDE) == ("broken", RULE)
    assert found(INSIDE, RULE).fixes[0].where == "host"


def test_on_a_host_or_with_a_closed_mode_it_is_a_matter_of_permission() -> None:
    assert outcome(change(INSIDE, container={"engine": None}), RULE) != "found"
    closed = tuple(f.DeviceNode(path=p, mode="0660", opens="EACCES") for p in PATHS)
    assert verdict(change(INSIDE, device_nodes={"nodes": closed}))[1] == "device-nodes-missing"


TEXT = "Failed to initialize NVML: Unknown Error"
BARE = change(cuda=f.NOT_IN_PASTE, device_nodes=f.NOT_IN_PASTE, nvml=UNKNOWN, gpus=f.NOT_IN_PASTE, smokes=())


def test_nvmls_unknown_error_in_a_container_is_likely_it() -> None:
    facts = says(TEXT, change(BARE, container={"engine": "containerd"}))
    assert found(facts, RULE).confidence.value == "likely"
    assert found(says("event: systemctl daemon-reload on the host", facts), RULE).confidence.value == "certain"


def test_anywhere_else_it_is_only_possible() -> None:
    assert judge(says(TEXT, BARE)).cause is None or found(says(TEXT, BARE), RULE).confidence.value == "possible"


def test_words_are_not_believed_where_cuda_works() -> None:
    assert outcome(says(TEXT, change(container={"engine": "docker"})), RULE) == "passed"
