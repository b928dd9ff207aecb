"""How fast a GPU computed against what its datasheet promises. Pure; the figures are the matrix's.

Datasheet peaks hold for a whole GPU at its highest clock, with dense matrices, so a sound GPU reaches 60 to 90 % of
them. A MIG instance or a vGPU has an unknown share of its GPU, and so no figure.

They are also what no honest clock can pass by far: see :func:`impossible`.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.facts import Facts, FrameworkName, Gpu, GpuLink, GpuModes, Part, Record, Smoke
from gpudoctor.matrix import Matrix
from gpudoctor.matrix.records import GpuModel, Unlisted

_PEAKS = {
    "matrix-product-fp32": "fp32_tflops",
    "matrix-product-tf32": "tf32_tflops",
    "matrix-product-fp16": "fp16_tflops",
    "matrix-product-bf16": "bf16_tflops",
    "copy-inside-gpu": "bandwidth_gb_s",
}
_OVER_PCIE = frozenset({"copy-to-gpu-pinned", "copy-from-gpu-pinned"})
# How far above the ceiling a rate may lie. Clocks above the datasheet's boost give up to a fifth (an H100 runs at 1980
# MHz where its datasheet counts with 1830; overclocked cards more), memory that is overclocked or partly answered by
# the L2 cache up to a third. No part multiplies sparse matrices in the hardware's own format, which would double it.
TOLERANCE = 1.5
_GEFORCE_FP16 = 2.0  # GeForce is twice as fast where sums are kept in fp16 as well; a framework may be told to
_FAST_CONVOLUTION = (
    4.0  # Winograd's algorithm saves that many multiplications at most: https://arxiv.org/abs/1509.09308
)
_INT8_OF_FP32 = 4.0  # DP4A: four products in place of one
_NARROW = 2.0  # int8 and fp8 are twice as fast as 16 bits
# GB/s of one lane after encoding. https://pcisig.com/specifications/pciexpress/
_LANE_GB_S = {1: 0.25, 2: 0.5, 3: 0.985, 4: 1.969, 5: 3.938, 6: 7.563}


class Speed(Record, frozen=True, kw_only=True):
    """What a part of a job reached of what is promised, both in ``unit``; ``promise`` says who promises it.

    ``gpu`` is NVML's index.
    """

    framework: FrameworkName
    gpu: int
    part: str
    reached: float
    promised: float
    unit: str
    promise: str

    @property
    def share(self) -> float:
        """Reached over promised."""
        return self.reached / self.promised


def all_speeds(facts: Facts, matrix: Matrix) -> tuple[Speed, ...]:
    """What all jobs reached on their GPUs."""
    gpus = {gpu.index: gpu for gpu in facts.known_gpus()}
    return tuple(
        speed for smoke in facts.smokes if smoke.gpu in gpus for speed in speeds(smoke, gpus[smoke.gpu], matrix)
    )


def speeds(smoke: Smoke, gpu: Gpu, matrix: Matrix) -> tuple[Speed, ...]:
    """The parts of a job for which there is a promise, in the order in which they ran."""
    return tuple(_speeds(smoke, gpu, matrix))


def _speeds(smoke: Smoke, gpu: Gpu, matrix: Matrix) -> Iterator[Speed]:
    model = figures(gpu, matrix)
    for part in smoke.parts:
        if part.rate is None or part.unit is None or part.holds is False:
            continue
        promise = _over_pcie(gpu) if part.name in _OVER_PCIE else _of_datasheet(part, model, smoke)
        if promise is not None:
            yield _speed(smoke, gpu, part, *promise)


def _speed(smoke: Smoke, gpu: Gpu, part: Part, promised: float, promise: str) -> Speed:
    assert part.rate is not None  # noqa: S101 - who asks has looked
    assert part.unit is not None  # noqa: S101
    return Speed(
        framework=smoke.framework,
        gpu=gpu.index,
        part=part.name,
        reached=part.rate,
        promised=promised,
        unit=part.unit,
        promise=promise,
    )


def impossible(smoke: Smoke, gpu: Gpu, matrix: Matrix) -> tuple[Speed, ...]:
    """The parts that claim more than this GPU can do in any way; ``promised`` is the most that it can.

    A matrix product is held against the fastest format in which its numbers could have been right (fp32 may have been
    rounded to tf32 by an environment variable, fp16 is computed in fp32 where the GPU has no fast fp16), a copy against
    the GPU's own memory, whatever brings the data. Nothing is said of MIG instances, vGPUs and unknown GPUs.
    """
    model = None if smoke.mig is not None else figures(gpu, matrix)
    return () if model is None else tuple(_impossible(smoke, gpu, model))


def _impossible(smoke: Smoke, gpu: Gpu, model: GpuModel) -> Iterator[Speed]:
    for part in smoke.parts:
        ceiling = _ceiling(part, model)
        if part.rate is not None and part.unit is not None and ceiling and part.rate > TOLERANCE * ceiling:
            yield _speed(smoke, gpu, part, ceiling, f"datasheet of {model.name}")


def _ceiling(part: Part, model: GpuModel) -> float | None:
    """The most that the datasheet allows, None where it has no figure."""
    if part.unit == "GB/s":
        return model.bandwidth_gb_s
    if part.unit != "TFLOP/s" or model.fp32_tflops is None:
        return None
    single = max(model.fp32_tflops, model.tf32_tflops or 0.0)
    half = max(single, (model.fp16_tflops or 0.0) * (_GEFORCE_FP16 if model.kind == "geforce" else 1.0))
    brain = max(single, model.bf16_tflops or 0.0)
    ceilings = {
        "matrix-product-fp16": half,
        "matrix-product-bf16": brain,
        "matrix-product-int8": max(_NARROW * half, _NARROW * brain, _INT8_OF_FP32 * model.fp32_tflops),
        "matrix-product-fp8": max(_NARROW * half, _NARROW * brain),
        "convolution-fp32": _FAST_CONVOLUTION * single,
        "convolution-fp16": _FAST_CONVOLUTION * half,
    }
    return ceilings.get(part.name, single)


def figures(gpu: Gpu, matrix: Matrix) -> GpuModel | None:
    """The matrix's row of this very product, None for a part of a GPU and for a name that only resembles one.

    A GPU with MIG gives no job all of itself, also where its instances are not listed.
    """
    if isinstance(gpu.modes, GpuModes) and (gpu.modes.virtualization == "vgpu" or gpu.modes.mig):
        return None
    model = matrix.gpu(gpu.name) if gpu.name else None
    if (model is None or isinstance(model, Unlisted)) and gpu.pci_device:
        model = matrix.gpu_by_pci_id(gpu.pci_device)
    return model if isinstance(model, GpuModel) and model.found_by in ("name", "pci-id") else None


def _of_datasheet(part: Part, model: GpuModel | None, smoke: Smoke) -> tuple[float, str] | None:
    peak = _PEAKS.get(part.name)
    if peak is None or model is None or smoke.mig is not None:
        return None
    value: float | None = getattr(model, peak)
    if part.name == "matrix-product-fp16" and value and model.fp32_tflops:
        value = max(value, model.fp32_tflops)  # GPUs without fast fp16 (Pascal) compute it in fp32
    return (value, f"datasheet of {model.name}") if value else None


def _over_pcie(gpu: Gpu) -> tuple[float, str] | None:
    """What the slot and the GPU agreed on at most; an idle link reads lower than it works."""
    link = gpu.link
    if not isinstance(link, GpuLink):
        return None
    lane, lanes = _LANE_GB_S.get(link.generation_max or 0), link.width or link.width_max
    return None if lane is None or not lanes else (lane * lanes, f"PCIe {link.generation_max}.0 ×{lanes}")
