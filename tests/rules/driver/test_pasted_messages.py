"""What kernels, builders of modules and the driver print, in other words than the cases: text in, first cause out."""

from __future__ import annotations

import pytest

from tests.good import findings, outcome, verdict
from tests.intake.pastes import facts


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            (
                "[    0.6] pci 0000:09:00.0: BAR 1: no space for [mem size 0x200000000 64bit pref]\n"
                "[    0.6] pci 0000:09:00.0: BAR 1: failed to assign [mem size 0x200000000 64bit pref]"
            ),
            "bios-resource-limit",
        ),
        (
            "pcieport 0000:00:01.0: bridge window [mem size 0x18000000 64bit pref]: can't assign; no space",
            "bios-resource-limit",
        ),
        ("NVRM: GPU 0000:41:00.0 is already bound to NovaCore.", "nouveau-in-use"),
        ("NVRM: GPU at 0000:41:00.0 has fallen off the bus.", "gpu-lost"),
        ("nvidia: nvAssertFailed: NV_ERR_RESET_REQUIRED (0x68)", "gpu-hardware-fault"),
        ("Installing DKMS module: 'nvidia-470.256.02' ... FAILED!", "driver-not-loaded"),
        ("==> ERROR: 'dkms install --no-depmod nvidia/550.78 -k 6.9.1-arch1-1' exited 8", "driver-not-loaded"),
        (
            (
                "  *-display\n       description: VGA compatible controller\n       product: GP104 [GeForce GTX 1080]\n"
                "       vendor: NVIDIA Corporation\n       bus info: pci@0000:02:00.0\n"
                "       configuration: driver=nouveau latency=0\nRuntimeError: No CUDA GPUs are available"
            ),
            "nouveau-in-use",
        ),
    ],
)
def test_each_sentence_names_its_cause(text: str, cause: str) -> None:
    assert verdict(facts(text))[1] == cause


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        # Virtual functions may go without room, as may a bridge without a GPU's window.
        ("pci 0000:09:00.0: BAR 7: no space for [mem size 0x200000000 64bit pref]", "bios-resource-limit"),
        ("pci 0000:00:1c.0: BAR 14: no space for [mem size 0x00200000]", "bios-resource-limit"),
        ("NVRM: GPU 0000:41:00.0 is already bound to vfio-pci.", "nouveau-in-use"),
        ("Installing DKMS module: 'v4l2loopback-0.12' ... FAILED!", "driver-not-loaded"),
        ("nvidia-smi: command not found\n$ lsmod | grep nvidia\nnvidia  1000 2 nvidia_uvm", "driver-not-installed"),
    ],
)
def test_its_neighbours_do_not(text: str, rule: str) -> None:
    assert outcome(facts(text), rule) != "found"


def test_the_old_number_of_the_unknown_error_counts_as_the_new_one() -> None:
    text = "cudaGetDeviceCount returned 30\n-> unknown error\nResult = FAIL"
    for rule in ("driver-broken-state", "device-nodes-missing"):
        assert [one.confidence.value for one in findings(facts(text), rule)] == ["possible"]


def test_a_runtime_that_compared_versions_reached_the_driver() -> None:
    text = (
        "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.6\n"
        "Failed to initialize NVML: Insufficient Permissions\nls: cannot access '/dev/nvidia-uvm': No such file"
    )
    assert outcome(facts(text), "device-nodes-missing") != "found"
