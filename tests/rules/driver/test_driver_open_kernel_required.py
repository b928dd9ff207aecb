from __future__ import annotations

from gpudoctor import facts as f
from tests.good import change, found, outcome, verdict
from tests.rules.driver.test_driver_too_old_for_gpu import blind

RULE = "driver-open-kernel-required"
RTX5090 = f.PciDevice(address="0000:1b:00.0", vendor="10de", device="2b85", driver="nvidia", name="GB202 [RTX 5090]")
CLOSED = change(
    blind(change(pci={"devices": (RTX5090,)})),
    nvml={"driver": "580.65.06"},
    kernel_driver={"version": "580.65.06", "flavour": "proprietary"},
)


def test_blackwell_with_the_proprietary_module_is_the_cause() -> None:
    assert verdict(CLOSED) == ("broken", RULE)
    assert found(CLOSED, RULE).fixes[0].commands[1] == "sudo apt install nvidia-driver-580-open"


def test_the_open_module_is_right() -> None:
    assert outcome(change(CLOSED, kernel_driver={"flavour": "open"}), RULE) == "passed"


def test_a_driver_from_before_the_gpu_is_too_old_in_either_flavour() -> None:
    old = change(CLOSED, nvml={"driver": "550.163.01"}, kernel_driver={"version": "550.163.01"})
    assert verdict(old) == ("broken", "driver-too-old-for-gpu")
    assert outcome(old, RULE) == "not-applicable"


def test_older_gpus_run_with_the_proprietary_module() -> None:
    assert outcome(change(kernel_driver={"flavour": "proprietary"}), RULE) == "passed"


def test_the_hardware_errors_that_follow_are_explained_by_it() -> None:
    log = f.KernelLog(source="/dev/kmsg", xids=(f.XidEvent(xid=169, pci="000f:01:00", text="Xid 169"),))
    assert verdict(change(CLOSED, kernel_log=log)) == ("broken", RULE)


def test_the_kernel_says_it_itself() -> None:
    lines = ("NVRM: installed in this system requires use of the NVIDIA open kernel modules.",)
    facts = change(
        CLOSED, pci=f.Missing("unreadable"), kernel_driver=f.Missing("unreadable"), kernel_log={"lines": lines}
    )
    assert found(facts, RULE).severity.value == "error"
    assert outcome(change(kernel_log={"lines": lines}), RULE) == "passed"


def test_windows_and_wsl_have_one_flavour() -> None:
    assert outcome(change(CLOSED, wsl={"version": 2}), RULE) == "not-applicable"


def test_the_flavour_on_disk_counts_where_none_is_loaded() -> None:
    unloaded = change(CLOSED, kernel_driver={"version": None, "flavour": None}, driver_files={"flavour": "proprietary"})
    assert found(unloaded, RULE).severity.value == "error"
