"""The compatibility window in words: what each build needs, and whether driver and GPUs give it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gpudoctor.relations import CudaVersion
from gpudoctor.render import text
from gpudoctor.render.summary import FRAMEWORK_TITLES, Mark
from gpudoctor.window import DriverRange, GpuRange, Need, Reach, Window

Judged = tuple[Mark, str]
_KINDS = {"cpu": "CPU", "rocm": "ROCm"}


def build_name(need: Need) -> str:
    """``PyTorch 2.5.1+cu124``."""
    return f"{FRAMEWORK_TITLES[need.framework]} {text.name(need.version)}"


def gpu_name(gpu: GpuRange, *, short: bool = False) -> str:
    """``GPU 0, 1 (9.0)``, and what they are called unless it must be short."""
    name = f" {text.name(gpu.name.removeprefix('NVIDIA '))}" if gpu.name and not short else ""
    return f"GPU {text.ranges(gpu.gpus)}{name} ({text.name(gpu.capability)})"


def driver_name(driver: DriverRange) -> str:
    """``Driver 570.211.01 (CUDA 12.8)``."""
    return (
        f"Driver {text.name(driver.version)} (CUDA {driver.cuda})" if driver.version else f"Driver (CUDA {driver.cuda})"
    )


def driver_words(driver: DriverRange) -> str:
    """Which builds the driver runs."""
    if driver.newest == driver.cuda:
        return f"runs builds made with CUDA {driver.cuda} and older"
    return f"runs builds made with CUDA {driver.cuda} and older, and machine code up to CUDA {driver.newest}"


def gpu_words(gpu: GpuRange) -> str:
    """Which CUDA versions make machine code for it."""
    if gpu.first is None:
        return "not in the compatibility matrix"
    if gpu.last is None:
        return f"has machine code in builds made with CUDA {gpu.first} and newer, where they were compiled for it"
    return f"has machine code in builds made with CUDA {gpu.first} to {gpu.last}, where they were compiled for it"


def driver_fit(need: Need, driver: DriverRange | None) -> Judged:
    """Whether the driver runs the build."""
    if need.accelerator not in ("cuda", "unknown"):
        return Mark.NOTE, f"{_KINDS.get(need.accelerator, need.accelerator)} build: needs no NVIDIA driver"
    if need.driver is None or driver is None:
        return Mark.UNKNOWN, "not known whether the driver runs it"
    if need.driver == "too-old":
        return Mark.FAULT, f"needs driver {need.minimum} or newer" if need.minimum else "the driver is too old"
    return Mark.OK, "the driver runs it"


_WAYS: dict[str, Judged] = {
    "native": (Mark.OK, "machine code"),
    "jit": (Mark.WARNING, "PTX alone, compiled by the driver"),
    "jit-refused": (Mark.FAULT, "PTX too new for the driver"),
    "uncertain": (Mark.WARNING, "code of a sibling, not guaranteed"),
    "none": (Mark.FAULT, "no code"),
    "unknown": (Mark.UNKNOWN, "the build does not say"),
}


def gpu_fit(need: Need, reach: Reach) -> Judged:
    """Whether the build has code for the GPUs of one capability; what was proved needs no guess."""
    if need.accelerator not in ("cuda", "unknown"):
        return Mark.FAULT, "no CUDA code"
    mark, words = _WAYS[reach.way]
    return (Mark.OK, f"{words}; it trains") if reach.proved else (mark, words)


def sentences(window: Window) -> Iterator[tuple[Mark | None, str]]:
    """The whole picture as sentences: the ranges, then each build."""
    if window.driver is not None:
        yield None, f"{driver_name(window.driver)} {driver_words(window.driver)}."
    for gpu in window.gpus:
        yield None, f"{gpu_name(gpu)} {gpu_words(gpu)}."
    for need in window.builds:
        yield _build_sentence(need, window)


def _build_sentence(need: Need, window: Window) -> tuple[Mark, str]:
    reached = [(gpu_fit(need, reach), gpu) for reach, gpu in zip(need.reaches, window.gpus, strict=False)]
    by_driver = driver_fit(need, window.driver)
    on_gpus = [f"{gpu_name(gpu, short=True)}: {words}" for (_, words), gpu in reached]
    made = f", made with CUDA {need.cuda}" if need.cuda else ""
    mark = worst([by_driver[0], *(judged[0] for judged, _ in reached)])
    return mark, f"{build_name(need)}{made}: {'; '.join([by_driver[1], *on_gpus])}.{_holds(need)}"


def _holds(need: Need) -> str:
    code = f"machine code for {' '.join(need.targets)}" if need.targets else ""
    ptx = f"PTX for {' '.join(need.ptx)}" if need.ptx else ""
    told = text.listed([one for one in (code, ptx) if one])
    return f" It holds {text.shorten(told, 300)}." if told else ""


_WORST_FIRST = (Mark.FAULT, Mark.UNKNOWN, Mark.WARNING, Mark.NOTE, Mark.OK)


def worst(marks: Sequence[Mark]) -> Mark:
    """The mark that counts most."""
    return min(marks, key=_WORST_FIRST.index)


def opening(window: Window) -> tuple[CudaVersion, CudaVersion] | None:
    """The CUDA versions that the driver runs and that make code for every GPU; None where there is no such range."""
    firsts = [CudaVersion.parse(gpu.first) for gpu in window.gpus if gpu.first]
    lasts = [CudaVersion.parse(gpu.last) for gpu in window.gpus if gpu.last]
    if window.driver is None or len(firsts) < len(window.gpus) or not firsts:
        return None
    first, last = max(firsts), min([CudaVersion.parse(window.driver.newest), *lasts])
    return (first, last) if first <= last else None
