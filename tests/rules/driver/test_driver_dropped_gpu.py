from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict
from tests.rules.driver.test_driver_not_loaded import UNLOADED
from tests.rules.driver.test_driver_too_old_for_gpu import blind

RULE = "driver-dropped-gpu"
PASCAL = f.PciDevice(address="0000:1b:00.0", vendor="10de", device="1c8d", driver=None, name="GP107M")


def with_driver(version: str, device: f.PciDevice = PASCAL) -> f.Facts:
    return change(
        blind(change(pci={"devices": (device,)})), nvml={"driver": version}, kernel_driver={"version": version}
    )


def test_a_pascal_under_branch_595_needs_branch_580() -> None:
    facts = with_driver("595.58.03")
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, RULE).fixes[0].commands == (
        "sudo apt update",
        "sudo apt install nvidia-driver-580",
        "sudo reboot",
    )


def test_a_branch_newer_than_the_list_has_dropped_it_too() -> None:
    assert found(with_driver("999.10"), RULE).severity.value == "error"


def test_its_last_branch_still_drives_it() -> None:
    assert outcome(with_driver("580.65.06"), RULE) == "passed"


LEGACY = (
    "NVRM: The NVIDIA NVIDIA GeForce GTX 1050 GPU installed in this system is",
    "NVRM:  supported through the NVIDIA 580.xx Legacy drivers. Please",
    "NVRM:  visit http://www.nvidia.com/object/unix.html for more",
    "NVRM:  information.  The 595.58.03 NVIDIA driver will ignore",
    "NVRM:  this GPU.  Continuing probe...",
    "NVRM: No NVIDIA GPU found.",
)


def test_the_kernel_names_gpu_and_branch_over_several_lines() -> None:
    facts = change(UNLOADED, kernel_log={"lines": LEGACY})
    assert verdict(facts) == ("broken", RULE)
    assert (
        found(facts, RULE).title == "The NVIDIA driver ignores NVIDIA GeForce GTX 1050: it needs the legacy branch 580."
    )


def test_lines_of_one_gpu_say_nothing_where_the_driver_lists_gpus() -> None:
    assert outcome(change(kernel_log={"lines": LEGACY}), RULE) == "passed"


@pytest.mark.parametrize("name", ["Quadro FX 1800M", "GeForce 320M", "Tesla C1060", "GeForce GTX 280"])
def test_gpus_from_before_fermi_have_no_driver_any_more(name: str) -> None:
    device = f.PciDevice(address="0000:1b:00.0", vendor="10de", device="0cbc", driver=None, name=name)
    assert name in found(with_driver("390.157", device), RULE).title


@pytest.mark.parametrize(
    "name", ["Quadro RTX 8000", "Tesla P40", "GeForce GTX 980", "GeForce RTX 3060", "GeForce 940MX"]
)
def test_later_names_that_look_alike_are_not_meant(name: str) -> None:
    device = f.PciDevice(address="0000:1b:00.0", vendor="10de", device="ffff", driver=None, name=name)
    assert outcome(with_driver("580.65.06", device), RULE) == "passed"


def test_a_message_of_a_paste_is_enough() -> None:
    bare = change(gpus=f.NOT_IN_PASTE, nvml=f.NOT_IN_PASTE, pci=f.NOT_IN_PASTE, kernel_driver=f.NOT_IN_PASTE)
    assert found(says(LEGACY[1], bare), RULE).evidence[0].source == "stderr"
