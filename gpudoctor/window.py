"""Which builds fit a machine: what its driver and its GPUs run, against what each installed build needs. Pure.

The relations are those that the rules ask (:mod:`gpudoctor.relations`), the figures the matrix's. A window explains;
what is wrong, the findings say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Literal

from gpudoctor.facts import Build, Facts, Framework, FrameworkName, Gpu, GpuCapability, Imported, Missing, Record
from gpudoctor.matrix import Matrix
from gpudoctor.matrix.questions import remembered
from gpudoctor.matrix.records import Architecture, Unlisted
from gpudoctor.relations import (
    Capability,
    CodeTarget,
    Coverage,
    CudaVersion,
    DriverFit,
    Platform,
    coverage,
    cuda_fits,
    driver_version,
    parse_targets,
    ptx_fits,
)
from gpudoctor.views import driver_cuda, driver_side, user_driver

Fit = Literal["newer-major", "same-or-newer-minor", "minor-version-compatibility", "too-old"]
"""As :class:`gpudoctor.relations.DriverFit`."""

Way = Literal["native", "jit", "jit-refused", "uncertain", "none", "unknown"]
"""As :class:`gpudoctor.relations.Coverage`; ``jit-refused``: PTX alone, from a newer CUDA than the driver compiles;
``unknown``: the build does not say what it holds."""


class DriverRange(Record, frozen=True, kw_only=True):
    """The CUDA versions whose builds a driver runs: its own ``cuda`` and all before it, and up to ``newest``.

    ``newest`` is the newest CUDA that minor-version compatibility reaches and that the matrix knows, ``cuda`` itself
    where there is no such compatibility. ``version`` is the driver's own number.
    """

    version: str | None
    cuda: str
    newest: str


class GpuRange(Record, frozen=True, kw_only=True):
    """The CUDA versions that make machine code for GPUs of one compute capability.

    ``gpus`` are NVML's indices. ``first`` None: the matrix does not know the capability; ``last`` None: there is none.
    """

    gpus: tuple[int, ...]
    name: str | None
    capability: str
    first: str | None
    last: str | None


class Reach(Record, frozen=True, kw_only=True):
    """The best way in which a build reaches GPUs of one capability. ``proved``: a smoke job trained on each of them."""

    capability: str
    way: Way
    proved: bool


class Need(Record, frozen=True, kw_only=True):
    """What one installed build needs and holds.

    ``targets`` are the capabilities that it has machine code for, ``ptx`` those that it has PTX for, ``9.0a`` for one
    alone. ``driver`` None: not known, or no CUDA build. ``minimum`` is the lowest driver for its CUDA.
    """

    framework: FrameworkName
    version: str
    accelerator: str
    cuda: str | None
    driver: Fit | None
    minimum: str | None
    targets: tuple[str, ...]
    ptx: tuple[str, ...]
    reaches: tuple[Reach, ...]


class Window(Record, frozen=True, kw_only=True):
    """A machine's range and the builds in it. ``driver`` None: not known. ``newest`` is the newest CUDA known."""

    driver: DriverRange | None
    gpus: tuple[GpuRange, ...]
    builds: tuple[Need, ...]
    newest: str


def window(facts: Facts, matrix: Matrix) -> Window | None:
    """What fits here; None where neither the driver's CUDA nor a GPU's compute capability is known."""
    driver = _driver(facts, matrix)
    gpus = tuple(_gpus(facts.known_gpus(), matrix))
    if driver is None and not gpus:
        return None
    builds = tuple(_needs(facts, driver, gpus, matrix))
    return Window(driver=driver, gpus=gpus, builds=builds, newest=str(_newest(matrix)))


@remembered
def _newest(matrix: Matrix, major: int | None = None) -> CudaVersion:
    known = (CudaVersion.parse(toolkit.cuda) for toolkit in matrix.toolkits if not toolkit.preview)
    return max((one for one in known if major in (None, one.major)), default=CudaVersion(major or 0, 0))


def _cuda(text: str | None) -> CudaVersion | None:
    try:
        return CudaVersion.parse(text or "")
    except ValueError:
        return None


def _capability(text: str) -> Capability | None:
    try:
        return Capability.parse(text)
    except ValueError:
        return None


# ------------------------------------------------------------------------------------------------ the driver


def _driver(facts: Facts, matrix: Matrix) -> DriverRange | None:
    told, user = driver_cuda(facts), user_driver(facts)
    own = None if isinstance(told, Missing) else _cuda(told.version)
    if own is None:
        return None
    newest = max(own, _newest(matrix, own.major))
    version = None if isinstance(user, Missing) else user.version
    reached = _fit(own, newest, version, _platform(facts), matrix).fits
    return DriverRange(version=version, cuda=str(own), newest=str(newest if reached else own))


def _platform(facts: Facts) -> Platform:
    side = driver_side(facts)
    return "windows" if not isinstance(side, Missing) and side.windows_numbers else "linux"


def _fit(have: CudaVersion, need: CudaVersion, driver: str | None, platform: Platform, matrix: Matrix) -> DriverFit:
    """The driver against a build's CUDA; of CUDA 11.0, only later drivers have minor-version compatibility."""
    fit = cuda_fits(have, need)
    if fit is not DriverFit.MINOR_VERSION_COMPATIBILITY or driver is None:
        return fit
    floor = matrix.minor_version_floor(need.major, platform)
    if isinstance(floor, Unlisted) or not _below(driver, floor.on(platform)):
        return fit
    return DriverFit.TOO_OLD


def _below(driver: str, floor: str) -> bool:
    try:
        return driver_version(driver) < driver_version(floor)
    except ValueError:
        return False


def _minimum(need: CudaVersion, platform: Platform, matrix: Matrix) -> str | None:
    floor = matrix.minor_version_floor(need.major, platform)
    if not isinstance(floor, Unlisted) and need != CudaVersion(11, 0):
        return floor.on(platform)
    own = matrix.minimum_driver(need, platform)
    return None if isinstance(own, Unlisted) else own.version


# -------------------------------------------------------------------------------------------------- the GPUs


def _gpus(gpus: Iterable[Gpu], matrix: Matrix) -> Iterator[GpuRange]:
    told = [(gpu.capability.value, gpu) for gpu in gpus if isinstance(gpu.capability, GpuCapability)]
    told.sort(key=lambda entry: _capability(entry[0]) or (0, 0))
    for value, same in groupby(told, key=lambda entry: entry[0]):
        alike = [gpu for _, gpu in same]
        rows = _siblings(_capability(value), matrix)
        lasts = [row.last_toolkit for row in rows]
        yield GpuRange(
            gpus=tuple(gpu.index for gpu in alike),
            name=alike[0].name if len({gpu.name for gpu in alike}) == 1 else None,
            capability=value,
            first=str(min(CudaVersion.parse(row.first_toolkit) for row in rows)) if rows else None,
            last=None if None in lasts or not rows else str(max(CudaVersion.parse(last) for last in lasts if last)),
        )


@remembered
def _siblings(capability: Capability | None, matrix: Matrix) -> tuple[Architecture, ...]:
    """The capabilities whose machine code runs on this one: itself, and those below it in its major but for Tegra's."""
    if capability is None:
        return ()
    own = matrix.architecture(capability)
    if isinstance(own, Unlisted) or own.tegra:
        return () if isinstance(own, Unlisted) else (own,)
    return tuple(row for row in matrix.architectures if not row.tegra and _reaches(row.cc, capability))


def _reaches(code: Capability, gpu: Capability) -> bool:
    return code.major == gpu.major and code <= gpu


# ------------------------------------------------------------------------------------------------ the builds


def _needs(facts: Facts, driver: DriverRange | None, gpus: tuple[GpuRange, ...], matrix: Matrix) -> Iterator[Need]:
    for framework in facts.installed_frameworks():
        if isinstance(framework.build, Build):
            yield _need(facts, framework, framework.build, driver, gpus, matrix)


def _need(
    facts: Facts,
    framework: Framework,
    build: Build,
    driver: DriverRange | None,
    gpus: tuple[GpuRange, ...],
    matrix: Matrix,
) -> Need:
    need = _cuda(build.cuda) if build.accelerator == "cuda" else None
    have = _cuda(driver.cuda) if driver else None
    platform = _platform(facts)
    fit = _fit(have, need, driver.version if driver else None, platform, matrix) if have and need else None
    targets = _targets(framework, build)
    proved = {smoke.gpu for smoke in facts.smokes if (smoke.framework, smoke.result) == (framework.name, "proved")}
    return Need(
        framework=framework.name,
        version=build.version,
        accelerator=build.accelerator,
        cuda=str(need) if need else None,
        driver=fit.value if fit else None,
        minimum=_minimum(need, platform, matrix) if need else None,
        targets=tuple(f"{one.capability}{one.scope}" for one in targets if not one.ptx),
        ptx=tuple(f"{one.capability}{one.scope}" for one in targets if one.ptx),
        reaches=tuple(
            Reach(
                capability=gpu.capability, way=_way(build, targets, gpu, need, have), proved=proved.issuperset(gpu.gpus)
            )
            for gpu in gpus
        ),
    )


def _targets(framework: Framework, build: Build) -> tuple[CodeTarget, ...]:
    """What the imported framework says of itself comes from the very library that runs."""
    imported = framework.imported
    stated = imported.targets if isinstance(imported, Imported) and imported.targets else build.targets
    try:
        return parse_targets(stated)
    except ValueError:
        return ()


def _way(
    build: Build, targets: tuple[CodeTarget, ...], gpu: GpuRange, need: CudaVersion | None, have: CudaVersion | None
) -> Way:
    capability = _capability(gpu.capability)
    if build.accelerator not in ("cuda", "unknown"):
        return "none"
    if capability is None or not targets:
        return "unknown"
    way = coverage(targets, capability)
    if way is Coverage.JIT and have and need and not ptx_fits(have, need):
        return "jit-refused"
    return way.value
