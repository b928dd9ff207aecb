"""How fast a GPU computed against what its datasheet promises. Pure; the figures are the matrix's.

Datasheet peaks hold for a whole GPU at its highest clock, with dense matrices, so a sound GPU reaches 60 to 90 % of
them. A MIG instance or a vGPU has an unknown share of its GPU, and so no figure.
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
            promised, words = promise
            yield Speed(
                framework=smoke.framework,
                gpu=gpu.index,
                part=part.name,
                reached=part.rate,
                promised=promised,
                unit=part.unit,
                promise=words,
            )


def figures(gpu: Gpu, matrix: Matrix) -> GpuModel | None:
    """The matrix's row of this very product, None for a part of a GPU and for a name that only resembles one."""
    if isinstance(gpu.modes, GpuModes) and gpu.modes.virtualization == "vgpu":
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
    return (value, f"datasheet of {model.name}") if value else None


def _over_pcie(gpu: Gpu) -> tuple[float, str] | None:
    """What the slot and the GPU agreed on at most; an idle link reads lower than it works."""
    link = gpu.link
    if not isinstance(link, GpuLink):
        return None
    lane, lanes = _LANE_GB_S.get(link.generation_max or 0), link.width or link.width_max
    return None if lane is None or not lanes else (lane * lanes, f"PCIe {link.generation_max}.0 ×{lanes}")
