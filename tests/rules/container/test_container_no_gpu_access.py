from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, found, outcome, says, verdict

RULE = "container-no-gpu-access"
INSIDE = change(
    GOOD,
    container={"engine": "docker"},
    device_nodes={"nodes": ()},
    nvml=f.Nvml(source="NVML", result="NVML_ERROR_LIBRARY_NOT_FOUND"),
    gpus={"gpus": ()},
    libcuda={"taken": None},
    cuda=f.CudaDriver(source="libcuda", result="not-found"),
    driver_files={"modules": (), "libraries": ()},
    smokes=(),
)


def test_a_container_on_a_gpu_host_that_was_given_nothing_is_the_cause() -> None:
    assert verdict(INSIDE) == ("broken", RULE)
    fix = found(INSIDE, RULE).fixes[0]
    assert (fix.title, fix.where) == ("Start the container with GPU access: docker run --gpus all …", "host")


def test_each_engine_has_its_own_way() -> None:
    fix = found(change(INSIDE, container={"engine": "podman"}), RULE).fixes[0]
    assert fix.verify == "podman run --rm --device nvidia.com/gpu=all ubuntu nvidia-smi"
    pod = change(INSIDE, container={"engine": "containerd", "orchestrator": "kubernetes"})
    assert "nvidia.com/gpu: 1" in found(pod, RULE).fixes[0].note


def test_outside_a_container_it_does_not_apply() -> None:
    assert outcome(change(INSIDE, container={"engine": None}), RULE) == "not-applicable"


def test_a_container_on_a_host_without_a_gpu_is_not_blamed() -> None:
    facts = change(INSIDE, pci={"devices": ()}, kernel_driver={"version": None})
    assert verdict(facts) == ("broken", "no-nvidia-gpu")


def test_a_container_with_the_gpu_is_healthy() -> None:
    assert outcome(change(GOOD, container={"engine": "docker"}), RULE) == "passed"


def test_the_engines_refusal_is_enough() -> None:
    text = 'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].'
    assert found(says(text, change(container=f.NOT_IN_PASTE)), RULE).severity.value == "error"
