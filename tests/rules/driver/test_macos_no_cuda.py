from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, without_gpu

RULE = "macos-no-cuda"
MAC = change(
    without_gpu(),
    system=f.System(source="sw_vers", os="macos", release="15.3", name="macOS 15.3", architecture="arm64"),
    pci=f.Missing("unreadable"),
)
PASTE = change(MAC, cuda=f.NOT_IN_PASTE, nvml=f.NOT_IN_PASTE, gpus=f.NOT_IN_PASTE, frameworks=f.NOT_IN_PASTE)


def test_a_mac_that_was_asked_is_told() -> None:
    assert found(MAC, RULE).severity.value == "error"
    assert verdict(MAC) == ("broken", RULE)


def test_where_the_cpu_is_allowed_it_is_a_remark() -> None:
    assert found(change(MAC, request={"allow_cpu": True}), RULE).severity.value == "info"


EMPTY = 'tf.config.list_physical_devices("GPU") -> []'


@pytest.mark.parametrize("text", ["AssertionError: Torch not compiled with CUDA enabled", EMPTY])
def test_a_program_that_wants_cuda_on_a_mac(text: str) -> None:
    intel = change(PASTE, system={"architecture": "x86_64"})
    assert found(says(text, intel), RULE).severity.value == "error"
    # On Apple silicon TensorFlow's list lacks the Mac's own GPU.
    assert found(says(text, PASTE), RULE).severity.value == ("info" if text == EMPTY else "error")


def test_a_mac_on_which_nobody_asks_for_cuda_is_sound() -> None:
    assert found(PASTE, RULE).severity.value == "info"


def test_the_last_macos_with_nvidias_driver_is_none() -> None:
    old = change(PASTE, system={"release": "10.13.6"})
    assert findings(says("CUDA error: no kernel image", old), RULE) == ()


def test_other_systems_are_none() -> None:
    assert outcome(only("torch", GOOD), RULE) == "not-applicable"


def test_a_build_for_cuda_that_pip_does_not_find_was_wanted() -> None:
    line = "ERROR: No matching distribution found for torch=={}"
    assert found(says(line.format("1.12.1+cu113"), PASTE), RULE).severity.value == "error"
    assert found(says(line.format("1.0"), PASTE), RULE).severity.value == "info"


def test_who_looks_for_nvidias_tools_wants_a_gpu() -> None:
    assert found(says("zsh: command not found: nvidia-smi; nvidia-smi was not found", PASTE), RULE).severity.value == (
        "error"
    )
    assert found(says("nvidia-smi is a program of Linux", PASTE), RULE).severity.value == "info"
