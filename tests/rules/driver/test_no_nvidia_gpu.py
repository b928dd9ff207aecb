from __future__ import annotations

from gpudoctor import facts as f
from gpudoctor.report import judge
from tests.good import GOOD, change, found, only, outcome, shown, verdict, with_framework, without_gpu

CPU = {"accelerator": "cpu", "cuda": None, "cudnn": None, "nccl": None, "targets": (), "version": "2.13.0+cpu"}
NO_DEVICE = {"available": False, "devices": (), "targets": ()}


def test_an_empty_bus_without_a_driver_is_the_cause() -> None:
    assert verdict(without_gpu()) == ("broken", "no-nvidia-gpu")


def test_the_cpu_build_is_info_because_of_it() -> None:
    facts = with_framework("torch", without_gpu(), build=CPU, imported=NO_DEVICE)
    assert shown(judge(facts)) == [("no-nvidia-gpu", "error", None), ("torch-cpu-build", "info", "no-nvidia-gpu")]


def test_where_the_cpu_is_allowed_it_is_info_and_no_cause() -> None:
    facts = change(without_gpu(), request={"allow_cpu": True, "quick": True})
    report = judge(facts)
    assert (report.status, report.cause) == ("healthy", None)
    assert found(facts, "no-nvidia-gpu").severity.value == "info"


def test_another_vendors_gpu_is_named() -> None:
    amd = f.PciDevice(address="0000:03:00.0", vendor="1002", device="744c", driver="amdgpu", name="Navi 31")
    facts = change(without_gpu(), pci={"devices": (amd,)})
    assert found(facts, "no-nvidia-gpu").detail == "Display and accelerator devices on the PCI bus: Navi 31."


def test_a_bus_that_cannot_be_looked_at_is_not_judged() -> None:
    facts = change(without_gpu(), pci=f.Missing("unreadable", "no such folder", "/sys/bus/pci/devices"))
    assert outcome(facts, "no-nvidia-gpu") == "skipped"
    assert verdict(facts) == ("undetermined", None)


def test_wsl_has_no_pci_bus_and_is_not_judged_by_it() -> None:
    facts = change(without_gpu(), wsl={"version": 2, "dxg": True})
    assert outcome(facts, "no-nvidia-gpu") == "skipped"


def test_a_jetson_has_its_gpu_off_the_bus() -> None:
    facts = change(without_gpu(), jetson={"l4t": "36.4.0", "model": "Jetson AGX Orin"})
    assert outcome(facts, "no-nvidia-gpu") == "passed"


def test_the_drivers_word_counts_more_than_the_bus() -> None:
    facts = change(GOOD, pci={"devices": ()})
    assert outcome(facts, "no-nvidia-gpu") == "passed"


def test_a_virtual_machine_is_told_to_get_one_attached() -> None:
    facts = change(without_gpu(), virtual_machine={"hypervisor": "kvm"})
    assert found(facts, "no-nvidia-gpu").fixes[0].title == "Give this virtual machine a GPU"


def test_a_build_for_another_accelerator_asks_for_no_nvidia_gpu() -> None:
    rocm = {"accelerator": "rocm", "cuda": None, "version": "2.6.0+rocm6.2.4"}
    facts = only("torch", with_framework("torch", without_gpu(), build=rocm))
    assert outcome(facts, "no-nvidia-gpu") == "not-applicable"
    assert outcome(only("torch", without_gpu()), "no-nvidia-gpu") == "found"
