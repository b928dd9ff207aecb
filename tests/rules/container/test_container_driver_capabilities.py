from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict

RULE = "container-driver-capabilities"
INSIDE = change(
    container={"engine": "docker"},
    libcuda={"taken": None},
    cuda=f.CudaDriver(source="libcuda", result="not-found"),
    smokes=(),
)


def test_nvml_without_libcuda_is_the_cause() -> None:
    facts = change(INSIDE, environment={"variables": {"NVIDIA_DRIVER_CAPABILITIES": "utility"}})
    assert verdict(facts) == ("broken", RULE)
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in found(INSIDE, RULE).fixes[0].title


def test_libcuda_without_nvml_is_a_warning() -> None:
    facts = change(container={"engine": "docker"}, nvml=f.Nvml(source="NVML", result="NVML_ERROR_LIBRARY_NOT_FOUND"))
    assert found(facts, RULE).severity.value == "warning"


@pytest.mark.parametrize("value", ["all", "compute,utility", "compute, utility, graphics"])
def test_a_container_with_both_is_none(value: str) -> None:
    facts = change(container={"engine": "docker"}, environment={"variables": {"NVIDIA_DRIVER_CAPABILITIES": value}})
    assert outcome(facts, RULE) == "passed"


def test_outside_a_container_libcuda_is_missing_for_other_reasons() -> None:
    assert outcome(change(INSIDE, container={"engine": None}), RULE) == "not-applicable"


BARE = change(container={"engine": "docker"}, cuda=f.NOT_IN_PASTE, nvml=f.NOT_IN_PASTE, gpus=f.NOT_IN_PASTE, smokes=())


def test_a_value_of_a_paste_that_leaves_compute_out() -> None:
    facts = change(BARE, environment={"variables": {"NVIDIA_DRIVER_CAPABILITIES": "graphics,display"}})
    assert "without compute and utility" in found(facts, RULE).title


def test_a_start_with_gpus_and_a_missing_libcuda() -> None:
    start = f.ContainerStart(source="line 1", engine="docker", gpus="all")
    text = "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory"
    assert verdict(says(text, change(BARE, container_start=start)))[1] == RULE
    assert outcome(says(text, BARE), RULE) != "found"
