from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gpudoctor import facts as f
from gpudoctor.report import judge
from tests.good import GOOD, change, findings, found, outcome, proved, with_gpu

RULE = "smoke-too-fast"
H100 = {"name": "NVIDIA H100 80GB HBM3"}
RTX_3090 = {"name": "NVIDIA GeForce RTX 3090", "pci_device": "2204"}
GTX_1080_TI = {"name": "NVIDIA GeForce GTX 1080 Ti", "pci_device": "1b06"}


def timed(part: str, rate: float, unit: str = "TFLOP/s", mig: str | None = None, **gpu: Any) -> f.Facts:
    """The good machine with one part timed on its GPU."""
    parts = (f.Part(name=part, holds=True, rate=rate, unit=unit),)  # type: ignore[arg-type]
    job = msgspec.structs.replace(proved("torch"), parts=parts, mig=mig)
    return with_gpu(change(GOOD, smokes=(job, proved("tensorflow"))), **{**H100, **gpu})


def test_more_than_the_datasheet_allows_is_never_healthy() -> None:
    facts = timed("matrix-product-bf16", 5000.0)
    finding = found(facts, RULE)
    assert finding.title == (
        "PyTorch claims more than NVIDIA H100 80GB HBM3 can do: matrix-product-bf16 5000 of at most 989 TFLOP/s."
    )
    assert [(one.fact, one.value) for one in finding.evidence] == [
        ("matrix-product-bf16", "5000 TFLOP/s; datasheet of NVIDIA H100 80GB HBM3: 989 TFLOP/s")
    ]
    assert (finding.severity.value, finding.confidence.value) == ("warning", "likely")
    report = judge(facts)
    assert report.status == "warnings"
    assert report.cause is not None
    assert report.cause.rule == RULE


# What is right though it is above the figure of its own format, and the least that is not.
@pytest.mark.parametrize(
    ("gpu", "part", "unit", "possible", "beyond"),
    [
        (H100, "matrix-product-bf16", "TFLOP/s", 1070.0, 1490.0),  # 1980 MHz in place of 1830
        (H100, "matrix-product-fp16", "TFLOP/s", 1070.0, 1490.0),
        (H100, "matrix-product-fp32", "TFLOP/s", 400.0, 750.0),  # NVIDIA_TF32_OVERRIDE=1
        (H100, "matrix-product-int8", "TFLOP/s", 1600.0, 3000.0),
        (H100, "matrix-product-fp8", "TFLOP/s", 1600.0, 3000.0),
        (H100, "convolution-fp32", "TFLOP/s", 1000.0, 3000.0),
        (H100, "fft", "TFLOP/s", 20.0, 750.0),
        (H100, "sparse-product", "TFLOP/s", 5.0, 750.0),
        (H100, "copy-inside-gpu", "GB/s", 4400.0, 5100.0),  # partly from the cache
        (H100, "copy-to-gpu-pinned", "GB/s", 450.0, 5100.0),  # over NVLink, whatever PCIe promises
        (RTX_3090, "matrix-product-fp16", "TFLOP/s", 142.0, 214.0),  # sums in fp16
        (RTX_3090, "matrix-product-bf16", "TFLOP/s", 85.0, 107.0),  # overclocked
        (GTX_1080_TI, "matrix-product-fp16", "TFLOP/s", 12.5, 18.0),  # computed in fp32
        (GTX_1080_TI, "matrix-product-int8", "TFLOP/s", 44.0, 70.0),  # four products at once
    ],
)
def test_what_hardware_can_do_passes_and_what_none_can_does_not(
    gpu: dict[str, Any], part: str, unit: str, possible: float, beyond: float
) -> None:
    assert outcome(timed(part, possible, unit, **gpu), RULE) == "passed"
    assert part in found(timed(part, beyond, unit, **gpu), RULE).title


@pytest.mark.parametrize(
    "gpu",
    [
        {"mig": "MIG-1"},
        {"modes": f.GpuModes(source="NVML", mig=True)},
        {"modes": f.GpuModes(source="NVML", virtualization="vgpu")},
        {"name": "NVIDIA Imaginary 9000", "pci_device": None},
    ],
)
def test_a_share_of_a_gpu_or_an_unknown_one_is_not_judged(gpu: dict[str, Any]) -> None:
    facts = timed("matrix-product-bf16", 5000.0, **gpu)
    assert findings(facts, RULE) == ()
    assert outcome(facts, RULE) == "skipped"


def test_numbers_of_other_units_and_parts_that_were_not_timed_claim_nothing() -> None:
    assert outcome(timed("random-numbers", 9e9, "M/s"), RULE) == "passed"
    assert outcome(GOOD, RULE) == "not-applicable"


def test_timings_that_cannot_be_are_no_ground_to_call_a_gpu_slow() -> None:
    facts = timed("matrix-product-bf16", 5000.0)
    (job, other) = facts.smokes
    slow = f.Part(name="copy-inside-gpu", holds=True, rate=3.0, unit="GB/s")
    both = change(facts, smokes=(msgspec.structs.replace(job, parts=(*job.parts, slow)), other))
    assert findings(both, "smoke-slow") == ()


def test_wrong_numbers_do_not_excuse_an_impossible_speed() -> None:
    wrong = f.Part(name="matrix-product-bf16", holds=False, rate=5000.0, unit="TFLOP/s")
    job = msgspec.structs.replace(proved("torch"), parts=(wrong,))
    assert found(change(GOOD, smokes=(job, proved("tensorflow"))), RULE)
