"""What a job reached against datasheet and link."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gpudoctor import facts as f
from gpudoctor.matrix import load
from gpudoctor.speed import all_speeds
from tests.good import GOOD, change, proved, with_gpu

PARTS = (
    f.Part(name="matrix-product-bf16", holds=True, rate=710.0, unit="TFLOP/s"),
    f.Part(name="matrix-product-int8", holds=True, rate=1400.0, unit="TFLOP/s"),
    f.Part(name="matrix-product-fp32", holds=False, rate=50.0, unit="TFLOP/s"),
    f.Part(name="copy-inside-gpu", holds=True, rate=2900.0, unit="GB/s"),
    f.Part(name="copy-to-gpu-pinned", holds=True, rate=53.0, unit="GB/s"),
    f.Part(name="copy-to-gpu-pageable", holds=True, rate=9.0, unit="GB/s"),
    f.Part(name="fft", holds=None, detail="no time left"),
)


def reached(**gpu: Any) -> list[tuple[str, float, str]]:
    job = msgspec.structs.replace(proved("torch"), parts=PARTS)
    facts = with_gpu(change(GOOD, smokes=(job,)), **gpu)
    return [(one.part, round(one.promised, 1), one.promise) for one in all_speeds(facts, load())]


H100 = "datasheet of NVIDIA H100 80GB HBM3"
OVER_PCIE = ("copy-to-gpu-pinned", 63.0, "PCIe 5.0 ×16")


def test_right_parts_with_a_figure_are_compared_and_no_others() -> None:
    assert reached() == [("matrix-product-bf16", 989.0, H100), ("copy-inside-gpu", 3350.0, H100), OVER_PCIE]


@pytest.mark.parametrize(
    "gpu",
    [
        {"modes": f.GpuModes(source="NVML", virtualization="vgpu")},
        {"modes": f.GpuModes(source="NVML", mig=True)},
        {"name": "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "pci_device": None},
        {"name": "Imaginary 9000", "pci_device": None},
    ],
)
def test_a_share_of_a_gpu_or_an_unknown_one_has_no_datasheet(gpu: dict[str, Any]) -> None:
    assert reached(**gpu) == [OVER_PCIE]


def test_an_idle_link_promises_what_it_can_do_at_work() -> None:
    link = f.GpuLink(source="NVML", generation=1, generation_max=4, width=8, width_max=16)
    assert reached(link=link)[-1] == ("copy-to-gpu-pinned", 15.8, "PCIe 4.0 ×8")


def test_a_link_that_is_not_known_promises_nothing() -> None:
    assert [part for part, *_ in reached(link=f.Missing("unreadable"))] == ["matrix-product-bf16", "copy-inside-gpu"]


def test_a_mig_instance_has_no_figure_of_its_own() -> None:
    job = msgspec.structs.replace(proved("torch"), parts=PARTS, mig="MIG-1")
    assert [one.part for one in all_speeds(change(GOOD, smokes=(job,)), load())] == ["copy-to-gpu-pinned"]


def test_a_gpu_without_fast_fp16_promises_what_it_does_in_fp32() -> None:
    part = f.Part(name="matrix-product-fp16", holds=True, rate=10.0, unit="TFLOP/s")
    job = msgspec.structs.replace(proved("torch"), parts=(part,))
    facts = with_gpu(change(GOOD, smokes=(job,)), name="NVIDIA GeForce GTX 1080 Ti", pci_device="1b06")
    (speed,) = all_speeds(facts, load())
    assert (speed.promised, round(speed.share, 2)) == (11.3, 0.88)
