from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gpudoctor import facts as f
from gpudoctor.report import judge
from tests.good import GOOD, change, findings, found, outcome, proved, shown, with_gpu

RULE = "smoke-slow"
SOUND = {
    "matrix-product-fp32": (52.0, "TFLOP/s"),
    "matrix-product-tf32": (380.0, "TFLOP/s"),
    "matrix-product-bf16": (710.0, "TFLOP/s"),
    "copy-inside-gpu": (2900.0, "GB/s"),
    "copy-to-gpu-pinned": (53.0, "GB/s"),
    "copy-to-gpu-pageable": (9.0, "GB/s"),
    "fft": (3.0, "TFLOP/s"),
}


def timed(gpu: dict[str, Any] | None = None, throttle: tuple[str, ...] = (), **rates: float) -> f.Facts:
    """The good machine with timed parts; some of other rates (dashes written as underscores)."""
    other = {name.replace("_", "-"): rate for name, rate in rates.items()}
    parts = tuple(
        f.Part(name=name, holds=True, rate=other.get(name, rate), unit=unit)  # type: ignore[arg-type]
        for name, (rate, unit) in SOUND.items()
    )
    samples = tuple(
        f.Sample(at=at / 2, temperature=60 + at, power=300.0, sm_clock=1200, throttle=throttle) for at in range(10)
    )
    job = msgspec.structs.replace(proved("torch"), parts=parts, timeline=samples)
    facts = change(GOOD, smokes=(job, proved("tensorflow")))
    return with_gpu(facts, **gpu) if gpu else facts


def test_a_sound_gpu_is_not_slow() -> None:
    assert findings(timed(), RULE) == ()
    assert outcome(timed(), RULE) == "passed"


def test_products_far_below_the_datasheet_are_slow_with_the_reason() -> None:
    finding = found(timed(matrix_product_bf16=210.0, throttle=("sw-power-cap",)), RULE)
    assert finding.title == (
        "NVIDIA H100 80GB HBM3 computes far below what it can: matrix-product-bf16 210 of 989 TFLOP/s (21%)."
    )
    assert finding.detail == (
        "Timed with PyTorch. Meanwhile NVML named: power cap; at most 69 °C, 300 of 700 W, 1200 MHz."
    )
    assert [(one.fact, one.value) for one in finding.evidence] == [
        ("matrix-product-bf16", "210 TFLOP/s; datasheet of NVIDIA H100 80GB HBM3: 989 TFLOP/s"),
        ("throttle reason sw-power-cap", "10 of 10 samples"),
    ]
    assert finding.severity.value == "warning"
    assert finding.confidence.value == "likely"


def test_without_a_reason_it_is_possible() -> None:
    finding = found(timed(copy_inside_gpu=900.0, throttle=("gpu-idle",)), RULE)
    assert finding.confidence.value == "possible"
    assert "NVML named no reason while it ran" in finding.detail


def test_a_copy_far_below_the_link_is_slow() -> None:
    assert "copy-to-gpu-pinned 12 of 63.01 GB/s (19%)" in found(timed(copy_to_gpu_pinned=12.0), RULE).title


def test_a_link_of_an_older_slot_promises_less() -> None:
    link = f.GpuLink(source="NVML", generation=1, generation_max=3, width=16, width_max=16)
    assert findings(timed({"link": link}, copy_to_gpu_pinned=12.0), RULE) == ()


def test_a_share_of_a_gpu_has_no_datasheet() -> None:
    modes = f.GpuModes(source="NVML", virtualization="vgpu")
    assert findings(timed({"modes": modes}, matrix_product_bf16=210.0), RULE) == ()
    facts = timed(matrix_product_bf16=210.0)
    sliced = change(facts, smokes=tuple(msgspec.structs.replace(job, mig="MIG-1") for job in facts.smokes))
    assert findings(sliced, RULE) == ()


def test_a_gpu_that_others_use_is_not_judged() -> None:
    processes = f.GpuProcesses(source="NVML", processes=(f.GpuProcess(pid=7, used=1 << 30),))
    assert findings(timed({"processes": processes}, matrix_product_bf16=210.0), RULE) == ()


@pytest.mark.parametrize("name", ["NVIDIA Imaginary 9000", None])
def test_a_gpu_that_the_matrix_does_not_know_is_not_judged_by_a_datasheet(name: str | None) -> None:
    facts = timed({"name": name, "pci_device": None}, matrix_product_bf16=210.0)
    assert findings(facts, RULE) == ()


def test_a_gpu_that_throttles_all_the_time_explains_it() -> None:
    clocks = f.GpuClocks(source="NVML", throttle=("hw-thermal-slowdown",), temperature=95)
    facts = timed({"clocks": clocks}, matrix_product_bf16=210.0)
    assert shown(judge(facts)) == [("gpu-throttled", "warning", None), (RULE, "warning", "gpu-throttled")]


def test_a_part_with_wrong_numbers_is_not_called_slow() -> None:
    wrong = f.Part(name="matrix-product-bf16", holds=False, rate=20.0, unit="TFLOP/s")
    job = msgspec.structs.replace(proved("torch"), parts=(wrong,))
    assert findings(change(GOOD, smokes=(job, proved("tensorflow"))), RULE) == ()
