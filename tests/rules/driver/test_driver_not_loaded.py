from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, outcome, says, verdict

UNLOADED = change(
    GOOD,
    kernel_modules={"loaded": ()},
    kernel_driver={"version": None, "flavour": None},
    device_nodes={"nodes": ()},
    nvml=f.Nvml(source="NVML", result="NVML_ERROR_DRIVER_NOT_LOADED"),
    gpus={"gpus": ()},
    cuda=f.CudaDriver(source="libcuda", result="CUDA_ERROR_NO_DEVICE", code=100),
    smokes=(),
)


def test_a_module_on_disk_and_not_in_the_kernel_is_the_cause() -> None:
    assert verdict(UNLOADED) == ("broken", "driver-not-loaded")
    assert found(UNLOADED, "driver-not-loaded").fixes[0].commands == ("sudo modprobe nvidia",)


def test_a_module_for_another_kernel_is_built_for_the_running_one() -> None:
    module = f.ModuleFile(kernel="6.8.0-80-generic", version="580.65.06", how="dkms")
    finding = found(change(UNLOADED, driver_files={"modules": (module,)}), "driver-not-loaded")
    assert finding.detail == "No NVIDIA module is built for the running kernel 6.8.0-85-generic."
    assert finding.fixes[0].commands == (
        "sudo apt install linux-headers-6.8.0-85-generic",
        "sudo dkms autoinstall",
        "sudo modprobe nvidia",
    )


def test_secure_boot_is_named_where_it_is_on() -> None:
    finding = found(change(UNLOADED, secure_boot={"enabled": True}), "driver-not-loaded")
    assert "secure boot is on" in finding.detail
    assert finding.fixes[0].commands == ("sudo mokutil --import /var/lib/shim-signed/mok/MOK.der", "sudo reboot")


def test_a_gpu_reserved_for_a_virtual_machine_is_named() -> None:
    device = f.PciDevice(address="0000:1b:00.0", vendor="10de", device="2330", driver="vfio-pci")
    assert "vfio-pci" in found(change(UNLOADED, pci={"devices": (device,)}), "driver-not-loaded").detail


def test_the_loaders_own_refusal_is_enough() -> None:
    text = "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service"
    facts = says(text, change(UNLOADED, driver_files=f.Missing("unreadable"), kernel_driver=f.Missing("unreadable")))
    assert found(facts, "driver-not-loaded").evidence[0].value == (
        "could not insert 'nvidia': Key was rejected by service"
    )


def test_a_loaded_module_is_no_finding_whatever_an_old_log_says() -> None:
    facts = says("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.")
    assert outcome(facts, "driver-not-loaded") == "passed"


def test_inside_a_container_the_module_is_the_hosts() -> None:
    facts = change(UNLOADED, container={"engine": "docker"})
    assert outcome(facts, "driver-not-loaded") == "not-applicable"


@pytest.mark.parametrize(
    "text",
    [
        "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown.",
        "ERROR: Unable to load the kernel module 'nvidia.ko'.",
        "Loading of unsigned module is rejected",
        "Error! Bad return status for module build on kernel: 6.1.0-18-cloud-amd64 (x86_64)",
        "NVIDIA kernel module missing. Falling back to nouveau.",
        "modprobe: FATAL: Module nvidia not found in directory /lib/modules/6.8.0-85-generic",
    ],
)
def test_loaders_installers_and_runtimes_say_it_in_many_words(text: str) -> None:
    bare = change(UNLOADED, driver_files=f.Missing("unreadable"), kernel_driver=f.Missing("unreadable"))
    assert found(says(text, bare), "driver-not-loaded").severity.value == "error"


def test_in_wsl_the_module_is_windows_business() -> None:
    text = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    bare = change(UNLOADED, kernel_driver=f.NOT_IN_PASTE, wsl={"version": 2})
    assert findings(says(text, bare), "driver-not-loaded") == ()


def test_a_module_that_modinfo_does_not_find_was_not_built() -> None:
    paste = f.Facts(origin="paste")
    assert verdict(says("modinfo: ERROR: Module nvidia not found.", paste)) == ("broken", "driver-not-loaded")
    assert findings(says("modinfo: ERROR: Module nouveau not found.", paste), "driver-not-loaded") == ()
    assert findings(says("modinfo: ERROR: Module nvidia not found.", GOOD), "driver-not-loaded") == ()
