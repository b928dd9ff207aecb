"""What NVML lists and what lies on the bus are matched by address, however each of them spells it."""

from __future__ import annotations

import pytest

from gpudoctor import facts as f
from gpudoctor.matrix import load
from gpudoctor.rules._silicon import silicon
from tests.good import GOOD, change, with_gpu


def driven(nvml_says: str, bus_says: str) -> list[bool | None]:
    gpu = GOOD.known_gpus()[0]
    device = f.PciDevice(address=bus_says, vendor="10de", device=gpu.pci_device or "", driver="nvidia")
    pci = f.PciDevices(source="/sys/bus/pci", devices=(device,))
    facts = with_gpu(change(GOOD, pci=pci), pci=nvml_says)
    assert isinstance(facts.gpus, f.Gpus)
    assert isinstance(facts.nvml, f.Nvml)
    alone = f.Gpus(source="NVML", gpus=facts.gpus.gpus[:1])
    return [one.driven for one in silicon(pci, alone, facts.nvml, load())]


@pytest.mark.parametrize(
    ("nvml_says", "bus_says"),
    [("00000000:17:00.0", "0000:17:00.0"), ("00010000:17:00.0", "10000:17:00.0"), ("0000:17:00.0", "17:00.0")],
)
def test_a_gpu_that_both_show_is_one(nvml_says: str, bus_says: str) -> None:
    assert driven(nvml_says, bus_says) == [True]


def test_a_gpu_in_another_domain_of_five_digits_is_another_one() -> None:
    assert driven("0000:17:00.0", "10000:17:00.0") == [True, False]
