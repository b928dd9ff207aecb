from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, found, outcome, says, verdict

BARE = change(
    GOOD,
    kernel_driver={"version": None, "flavour": None},
    driver_files={"modules": (), "libraries": ()},
    device_nodes={"nodes": ()},
    nvml=f.Nvml(source="NVML", result="NVML_ERROR_LIBRARY_NOT_FOUND"),
    gpus={"gpus": ()},
    cuda=f.CudaDriver(source="libcuda", result="not-found"),
    smokes=(),
)


def bound_to(driver: str | None, facts: f.Facts = BARE) -> f.Facts:
    device = f.PciDevice(address="0000:1b:00.0", vendor="10de", device="2330", driver=driver, name="H100")
    return change(facts, pci={"devices": (device,)})


@pytest.mark.parametrize("driver", ["nouveau", "nova", "nova_core"])
def test_a_gpu_held_by_the_kernels_own_driver_is_the_cause(driver: str) -> None:
    assert verdict(bound_to(driver)) == ("broken", "nouveau-in-use")


def test_its_fix_installs_the_driver_which_blocks_nouveau() -> None:
    (fix,) = found(bound_to("nouveau"), "nouveau-in-use").fixes
    assert fix.commands == ("sudo apt update", "sudo ubuntu-drivers install", "sudo reboot")


def test_where_the_driver_is_installed_nouveau_must_only_be_blocked() -> None:
    module = f.ModuleFile(kernel="6.8.0-85-generic", version="580.65.06", how="dkms")
    facts = change(bound_to("nouveau"), driver_files={"modules": (module,)})
    (fix,) = found(facts, "nouveau-in-use").fixes
    assert fix.commands == (
        "echo 'blacklist nouveau' | sudo tee /etc/modprobe.d/blacklist-nouveau.conf",
        "sudo update-initramfs -u",
        "sudo reboot",
    )


@pytest.mark.parametrize("driver", [None, "vfio-pci", "nvidia"])
def test_other_drivers_are_not_its_business(driver: str | None) -> None:
    assert outcome(bound_to(driver), "nouveau-in-use") == "passed"


def test_nouveau_on_another_vendors_device_is_nonsense_and_ignored() -> None:
    device = f.PciDevice(address="0000:00:02.0", vendor="8086", device="9a49", driver="nouveau")
    assert outcome(change(BARE, pci={"devices": (device,)}), "nouveau-in-use") == "not-applicable"


def test_loaded_in_place_of_nvidias_module_is_likely_it_where_the_bus_does_not_tell() -> None:
    silent = change(bound_to(None), kernel_modules={"loaded": ("nouveau",)})
    assert found(silent, "nouveau-in-use").confidence.value == "likely"
    both = change(bound_to(None), kernel_modules={"loaded": ("nouveau", "nvidia")})
    assert outcome(both, "nouveau-in-use") == "passed"


def test_the_installers_own_words_are_enough_and_not_believed_where_cuda_works() -> None:
    text = "ERROR: The Nouveau kernel driver is currently in use by your system."
    bare = change(BARE, kernel_modules=f.NOT_IN_PASTE, pci=f.NOT_IN_PASTE)
    assert found(says(text, bare), "nouveau-in-use").severity.value == "error"
    assert outcome(says(text), "nouveau-in-use") == "passed"
