"""What NVML lists and what lies on the bus are matched by address, however each of them spells it."""

from __future__ import annotations

import pytest

from gpudoctor import facts as f
from gpudoctor.matrix import load
from gpudoctor.rules._silicon import undriven
from tests.good import GOOD, change, with_gpu


def undriven_gpus(nvml_says: str, bus_says: str, error: str | None = "NVML_ERROR_UNKNOWN") -> int:
    gpu = GOOD.known_gpus()[0]
    device = f.PciDevice(address=bus_says, vendor="10de", device=gpu.pci_device or "", driver="nvidia")
    pci = f.PciDevices(source="/sys/bus/pci", devices=(device,))
    facts = with_gpu(change(GOOD, pci=pci), pci=nvml_says, error=error)
    assert isinstance(facts.gpus, f.Gpus)
    assert isinstance(facts.nvml, f.Nvml)
    alone = f.Gpus(source="NVML", gpus=facts.gpus.gpus[:1])
    return len(undriven(pci, alone, facts.nvml, load()))


def test_a_gpu_that_nvml_lists_without_an_error_is_driven() -> None:
    assert undriven_gpus("0000:17:00.0", "0000:17:00.0", error=None) == 0


@pytest.mark.parametrize(
    ("nvml_says", "bus_says"),
    [("00000000:17:00.0", "0000:17:00.0"), ("00010000:17:00.0", "10000:17:00.0"), ("0000:17:00.0", "17:00.0")],
)
def test_a_gpu_that_both_show_is_one(nvml_says: str, bus_says: str) -> None:
    assert undriven_gpus(nvml_says, bus_says) == 1


def test_a_gpu_in_another_domain_of_five_digits_is_another_one() -> None:
    assert undriven_gpus("0000:17:00.0", "10000:17:00.0") == 2
