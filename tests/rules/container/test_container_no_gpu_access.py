from __future__ import annotations

import pytest

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
    bare = change(container=f.NOT_IN_PASTE, cuda=f.NOT_IN_PASTE, smokes=())
    assert found(says(text, bare), RULE).severity.value == "error"


BARE = change(
    INSIDE,
    cuda=f.NOT_IN_PASTE,
    nvml=f.NOT_IN_PASTE,
    pci=f.NOT_IN_PASTE,
    gpus=f.NOT_IN_PASTE,
    kernel_driver=f.NOT_IN_PASTE,
    device_nodes=f.NOT_IN_PASTE,
)


@pytest.mark.parametrize(
    "text",
    [
        "WARNING: The NVIDIA Driver was not detected.  GPU functionality will not be available.",
        "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
        "RuntimeError: Found no NVIDIA driver on your system.",
        "nvidia-smi: command not found",
    ],
)
def test_a_program_inside_that_finds_no_driver(text: str) -> None:
    assert found(says(text, BARE), RULE).confidence.value == "likely"
    plain = f.ContainerStart(source="line 1", engine="docker", text="docker run -it image")
    assert found(says(text, change(BARE, container_start=plain)), RULE).confidence.value == "certain"


def test_a_host_without_an_nvidia_gpu_has_none_to_give() -> None:
    text = 'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].'
    intel = f.PciDevice(address="0000:00:02.0", vendor="8086", device="9a49", driver="i915", name="Iris Xe")
    facts = says(text, change(BARE, pci=f.PciDevices(source="lspci", devices=(intel,))))
    assert verdict(facts)[1] == "no-nvidia-gpu"


def test_outside_a_container_the_same_words_mean_the_machine() -> None:
    text = "RuntimeError: Found no NVIDIA driver on your system."
    assert outcome(says(text, change(BARE, container={"engine": None})), RULE) != "found"


def test_tensorflows_line_on_every_machine_counts_only_where_a_gpu_is_missed() -> None:
    text = "kernel driver does not appear to be running on this host: /proc/driver/nvidia/version does not exist"
    passing = says(text, BARE)
    assert outcome(passing, RULE) != "found"
    assert found(says("failed call to cuInit: CUDA_ERROR_NO_DEVICE", passing), RULE).confidence.value == "likely"


def test_a_host_without_any_module_has_no_driver_to_give() -> None:
    facts = change(INSIDE, kernel_driver={"version": None, "flavour": None})
    assert verdict(facts) == ("broken", "driver-not-installed")


NO_NVML = (
    "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared object"
)


def test_an_engine_that_does_not_see_a_driver_that_works_is_told() -> None:
    shown = change(
        f.Facts(origin="paste"), nvml=f.Nvml(source="line 9", result="NVML_SUCCESS", driver="530.30.02", cuda="12.1")
    )
    assert verdict(says(NO_NVML, shown)) == ("broken", RULE)
    finding = found(says(NO_NVML, shown), RULE)
    assert (finding.confidence.value, finding.evidence[1].value) == ("likely", "530.30.02")


def test_without_a_working_driver_that_line_says_that_the_host_has_none() -> None:
    assert outcome(says(NO_NVML, f.Facts(origin="paste")), RULE) != "found"


def test_an_engine_that_runs_in_a_container_was_itself_given_nothing() -> None:
    nested = says(NO_NVML, says("I run docker in an unprivileged LXC container", f.Facts(origin="paste")))
    assert found(nested, RULE).title == "The container that the engine runs in was given nothing of the NVIDIA driver."
    same = says(NO_NVML, says("the xlc compiler is installed", f.Facts(origin="paste")))
    assert outcome(same, RULE) != "found"


CGROUP = "nvidia-container-cli: mount error: failed to add device rules: unable to find any existing device filters"


def test_an_engine_that_may_not_set_the_rules_of_devices() -> None:
    paste = f.Facts(origin="paste")
    assert verdict(says(CGROUP + " attached to the cgroup: operation not permitted: unknown.", paste))[1] == RULE
    disk = "nvidia-container-cli: mount error: open failed: /var/lib/docker/overlay2/x: no space left on device"
    assert outcome(says(disk, paste), RULE) != "found"
