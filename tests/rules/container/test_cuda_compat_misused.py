from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict, with_gpu

RULE = "cuda-compat-misused"
COMPAT = f.LibraryFile(path="/usr/local/cuda-12.4/compat/libcuda.so.1", version="550.54.15", kind="compat")
E804 = f.CudaDriver(source="libcuda", result="CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", code=804, version="12.4")
BAD = change(with_gpu(name="NVIDIA GeForce RTX 3090"), libcuda={"taken": COMPAT}, cuda=E804, smokes=())


def test_forward_compatibility_on_a_geforce_is_the_cause() -> None:
    assert verdict(BAD) == ("broken", RULE)
    assert "NVIDIA GeForce RTX 3090" in found(BAD, RULE).detail


def test_error_803_is_it_only_with_the_compat_library() -> None:
    pair = change(BAD, cuda={"code": 803, "result": "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"})
    assert found(pair, RULE).confidence.value == "certain"
    own = f.LibraryFile(path="/usr/lib/x86_64-linux-gnu/libcuda.so.1", kind="driver")
    assert outcome(change(pair, libcuda={"taken": own}), RULE) == "not-applicable"


def test_a_compat_library_that_works_is_how_it_is_meant() -> None:
    assert outcome(change(libcuda={"taken": COMPAT}), RULE) == "passed"


@pytest.mark.parametrize(
    "text",
    [
        "RuntimeError: CUDA failed with error forward compatibility was attempted on non supported HW",
        "Unexpected error from cudaGetDeviceCount(). Error 804: forward compatibility was attempted",
    ],
)
def test_programs_say_804(text: str) -> None:
    assert found(says(text, change(cuda=f.NOT_IN_PASTE, smokes=())), RULE).confidence.value == "certain"


def test_programs_that_say_803_on_a_bare_host_mean_the_driver() -> None:
    text = "Error 803: system has unsupported display driver / cuda driver combination"
    bare = change(cuda=f.NOT_IN_PASTE, nvml=f.NOT_IN_PASTE, kernel_driver=f.NOT_IN_PASTE, smokes=())
    assert verdict(says(text, bare))[1] == "driver-library-mismatch"
    assert verdict(says(text, change(bare, container={"engine": "docker"})))[1] == RULE
