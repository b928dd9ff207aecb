from __future__ import annotations

from gpudoctor import facts as f
from tests.good import change, found, outcome, verdict
from tests.rules.driver.test_driver_too_old_for_gpu import blind

RULE = "driver-open-module-unsupported"
V100 = f.PciDevice(address="0000:1b:00.0", vendor="10de", device="1db5", driver=None, name="GV100GL [Tesla V100]")
OPEN = change(
    blind(change(pci={"devices": (V100,)})),
    nvml={"driver": "570.86.10"},
    kernel_driver={"version": "570.86.10", "flavour": "open"},
)


def test_the_open_module_cannot_drive_volta() -> None:
    assert verdict(OPEN) == ("broken", RULE)
    assert found(OPEN, RULE).fixes[0].commands[1] == "sudo apt install nvidia-driver-580"


def test_the_proprietary_module_can() -> None:
    assert outcome(change(OPEN, kernel_driver={"flavour": "proprietary"}), RULE) == "passed"


def test_a_newer_gpu_with_the_open_module_is_no_finding() -> None:
    assert outcome(change(kernel_driver={"flavour": "open"}), RULE) == "passed"


LINES = (
    "NVRM: The NVIDIA GPU 0000:09:00.0 (PCI ID: 10de:1d01)",
    "NVRM: installed in this system is not supported by open",
    "NVRM: nvidia.ko because it does not include the required GPU",
    "NVRM: System Processor (GSP).",
)


def test_the_kernels_sentence_is_read_over_its_lines_and_names_the_gpu() -> None:
    bare = change(OPEN, pci=f.Missing("unreadable"), kernel_driver=f.Missing("unreadable"), kernel_log={"lines": LINES})
    assert found(bare, RULE).title.startswith("The open kernel module cannot drive GeForce GT 1030")
    assert verdict(bare) == ("broken", RULE)


def test_the_sentence_of_an_old_log_is_not_believed_where_cuda_works() -> None:
    assert outcome(change(kernel_log={"lines": LINES}), RULE) == "passed"
