from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict, without_gpu

RULE = "wsl-unsupported"
NO_DEVICE = f.CudaDriver(source="libcuda", result="CUDA_ERROR_NO_DEVICE", code=100)
KERNEL = "5.15.153.1-microsoft-standard-WSL2"
WSL = change(
    without_gpu(),
    wsl={"version": 2, "dxg": True, "libraries": ("libcuda.so.1",)},
    pci=f.Missing("unreadable"),
    system={"kernel": KERNEL},
    nvml=f.Nvml(source="NVML", result="NVML_ERROR_DRIVER_NOT_LOADED", driver="551.86"),
    cuda=NO_DEVICE,
)


def test_wsl_1_has_no_gpu() -> None:
    facts = change(WSL, wsl={"version": 1})
    assert verdict(facts) == ("broken", RULE)
    assert all(fix.where == "host" for fix in found(facts, RULE).fixes)


def test_an_old_build_of_windows_is_named() -> None:
    facts = change(WSL, wsl={"windows": "10.0.19042.1052"})
    assert found(facts, RULE).title == "Windows build 19042 is too old: GPUs in WSL need 19044 or newer."


@pytest.mark.parametrize("build", ["10.0.19045.2728", "10.0.22000.194", "10.0.26100.1"])
def test_a_later_build_is_fine(build: str) -> None:
    assert outcome(change(WSL, wsl={"windows": build}), RULE) == "passed"


def test_an_old_kernel_of_microsoft_is_named_and_an_own_one_is_not_judged() -> None:
    old = change(WSL, system={"kernel": "5.4.72-microsoft-standard-WSL2"})
    assert "5.4.72" in found(old, RULE).title
    assert outcome(change(WSL, system={"kernel": "5.4.72"}), RULE) == "passed"


def test_no_dxg_device_means_that_windows_offers_no_gpu() -> None:
    assert "/dev/dxg" in found(change(WSL, wsl={"dxg": False}), RULE).title


def test_an_old_windows_driver_is_named() -> None:
    facts = change(WSL, nvml={"driver": "465.89"}, kernel_driver={"version": None})
    assert found(facts, RULE).fixes[0].title == "In Windows, install NVIDIA driver 470.14 or newer"


def test_where_cuda_works_nothing_of_this_matters() -> None:
    facts = change(wsl={"version": 2, "windows": "10.0.19042.1"}, system={"kernel": "4.19.128-microsoft-standard"})
    assert outcome(facts, RULE) == "passed"


def test_blocked_access_alone_is_only_possible() -> None:
    text = "Failed to initialize NVML: GPU access blocked by the operating system"
    assert found(says(text, WSL), RULE).confidence.value == "possible"


def test_outside_wsl_it_does_not_apply() -> None:
    assert outcome(change(), RULE) == "not-applicable"


def test_a_text_that_speaks_of_wsl_and_of_windows_build_is_enough() -> None:
    bare = change(WSL, wsl=f.NOT_IN_PASTE, system=f.NOT_IN_PASTE, cuda=f.NOT_IN_PASTE, nvml=f.NOT_IN_PASTE)
    text = says("Windows 10 Pro, 20H2, 19042.928", bare)
    assert "19042" in found(says("I am on WSL2", text), RULE).title
    assert outcome(text, RULE) != "found"
