from __future__ import annotations

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict

RULE = "docker-desktop-too-old"
E500 = f.CudaDriver(source="libcuda", result="CUDA_ERROR_NOT_FOUND", code=500)
INSIDE = change(
    wsl={"version": 2, "dxg": True},
    container={"engine": "docker"},
    kernel_driver={"version": None, "flavour": None},
    nvml={"driver": "561.09"},
    cuda=E500,
    device_nodes={"nodes": ()},
    smokes=(),
)


def test_error_500_in_a_container_on_wsl_is_the_cause() -> None:
    assert verdict(INSIDE) == ("broken", RULE)
    assert "4.31" in found(INSIDE, RULE).fixes[0].title


def test_other_errors_are_none() -> None:
    assert outcome(change(INSIDE, cuda={"code": 100}), RULE) == "passed"


TEXT = "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 500: named symbol not found"


def test_a_program_says_so_on_windows_with_a_new_driver() -> None:
    bare = change(INSIDE, cuda=f.NOT_IN_PASTE)
    assert found(says(TEXT, bare), RULE).confidence.value == "likely"
    assert outcome(says(TEXT, change(bare, nvml={"driver": "551.86"})), RULE) != "found"


def test_a_missing_kernel_of_a_module_is_something_else() -> None:
    bare = change(INSIDE, cuda=f.NOT_IN_PASTE)
    assert outcome(says("cuModuleGetFunction failed: named symbol not found", bare), RULE) != "found"
