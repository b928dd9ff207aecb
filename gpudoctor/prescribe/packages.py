"""Fixes of Python packages, with the tool that manages the environment: pip, uv, conda, or a project's own."""

from __future__ import annotations

import re

import msgspec
from packaging.version import InvalidVersion, Version

from gpudoctor import remedies as r
from gpudoctor.facts import Build, Gpus, Missing
from gpudoctor.findings import Fix
from gpudoctor.matrix import Unlisted
from gpudoctor.matrix.records import TensorFlowRelease, TorchBuild
from gpudoctor.prescribe.environment import use_wsl, with_extra
from gpudoctor.prescribe.place import Place
from gpudoctor.prescribe.projects import NAMED_ALONE, added, ruler, taken_out
from gpudoctor.prescribe.shell import (
    NotPrintableError,
    printable,
    python_path,
    requirement,
    verify_with,
)
from gpudoctor.relations import Capability, Coverage, CudaVersion, coverage, parse_targets
from gpudoctor.views import capabilities_of, driver_cuda
from gpudoctor.words import name_of


def install_packages(remedy: r.InstallPackages, place: Place) -> Fix:
    """Exact requirements, by pip or uv; nothing is printed that does not parse as a requirement."""
    title = remedy.title or "Install the versions that fit"
    try:
        requirements = tuple(map(requirement, remedy.requirements))
    except NotPrintableError:
        return Fix(title=title, verify=verify_with(place))
    options = (*(("--force-reinstall",) if remedy.reinstall else ()), *(("--no-deps",) if remedy.no_deps else ()))
    index = ("--index-url", remedy.index) if remedy.index else ()
    return _pip_fix(place, title, (*options, *requirements, *index))


def uninstall_packages(remedy: r.UninstallPackages, place: Place) -> Fix:
    """Distributions removed, by pip or uv, or from the project that rules over the environment."""
    names = tuple(map(requirement, remedy.names))
    title = remedy.title or f"Remove {', '.join(names)}"
    try:
        lines = taken_out(place, names) if ruler(place) else [*_brought_pip(place), _pip_uninstall(place, names)]
    except NotPrintableError:
        lines = []
    fix = Fix(
        title=title,
        commands=printable(lines, place),
        where="environment",
        verify=verify_with(place),
        note=NAMED_ALONE if ruler(place) else "",
    )
    return fix if remedy.then is None else _followed_by(fix, remedy.then, place)


def _followed_by(fix: Fix, remedy: r.InstallBuild | r.InstallPackages, place: Place) -> Fix:
    """Both steps as one fix; a step without commands leaves the other's out too, for one alone cures nothing."""
    then = install_build(remedy, place) if isinstance(remedy, r.InstallBuild) else install_packages(remedy, place)
    whole = fix.commands and then.commands
    return msgspec.structs.replace(
        fix,
        title=f"{fix.title}, then: {then.title}",
        commands=tuple(dict.fromkeys((*fix.commands, *then.commands))) if whole else (),
        verify=then.verify,
        note=" ".join(dict.fromkeys(text for text in (fix.note, then.note) if text)),
    )


def _pip_uninstall(place: Place, names: tuple[str, ...]) -> tuple[str, ...]:
    return (*_pip(place), "uninstall", *(() if _uses_uv(place) else ("-y",)), *names)


def install_build(remedy: r.InstallBuild, place: Place) -> Fix:
    """The build of a framework that this driver, these GPUs and this Python run."""
    remedy = _with_the_driver(remedy, place)
    if _owned_by_conda(remedy, place):
        return _conda_fix(remedy, place)
    if remedy.framework == "torch":
        return _torch_fix(remedy, place)
    if remedy.framework == "tensorflow":
        return _tensorflow_fix(remedy, place)
    return _jax_fix(remedy, place)


def _with_the_driver(remedy: r.InstallBuild, place: Place) -> r.InstallBuild:
    """The remedy with the driver and the GPUs that are here, where the rule did not look at them."""
    driver = driver_cuda(place.facts)
    return msgspec.structs.replace(
        remedy,
        capabilities=remedy.capabilities or _capabilities(place),
        driver_cuda=remedy.driver_cuda or (None if isinstance(driver, Missing) else driver.version),
    )


def _capabilities(place: Place) -> tuple[str, ...]:
    return capabilities_of(place.facts.gpus if isinstance(place.facts.gpus, Gpus) else None)


def _build_of(framework: str, place: Place) -> Build | None:
    for found in place.facts.installed_frameworks():
        if found.name == framework and isinstance(found.build, Build):
            return found.build
    return None


def _torch_fix(remedy: r.InstallBuild, place: Place) -> Fix:
    build = _torch_build(remedy, place)
    if isinstance(build, Unlisted) and place.side == "jetson":
        return Fix(
            title="Install NVIDIA's build of PyTorch for this JetPack",
            where="environment",
            verify=verify_with(place, "torch"),
            note="The wheels by JetPack version: https://docs.nvidia.com/deeplearning/frameworks/install-pytorch-jetson-"
            "platform/. Or use a container of https://github.com/dusty-nv/jetson-containers.",
        )
    if isinstance(build, Unlisted):
        return Fix(
            title="No build of PyTorch fits this Python, this GPU and this driver together",
            note=f"{build.sentence()} A newer driver or another Python version may open a way.",
        )
    served = tuple(value for value in _all_capabilities(remedy, place) if _serves(build, value))
    left_out = tuple(value for value in _all_capabilities(remedy, place) if value not in served)
    why = f"for CUDA {build.cuda}" + (f", with kernels for {', '.join(served)}" if served else "")
    arguments = _replacing(build.pip_arguments(), place)
    if ruler(place) and build.index_url is None and build.cuda:
        # A project may pin torch to an index of its own; the variant's index settles it.
        arguments = (*arguments, "--index-url", f"https://download.pytorch.org/whl/{build.variant}")
    fix = _pip_fix(place, f"Install PyTorch {build.release} {why}", arguments, "torch")
    if not left_out:
        return fix
    note = f"No build serves all GPUs here: this one has no kernels for {', '.join(left_out)}. "
    return msgspec.structs.replace(fix, note=f"{note}Choose GPUs with CUDA_VISIBLE_DEVICES. {fix.note}".strip())


def _all_capabilities(remedy: r.InstallBuild, place: Place) -> tuple[str, ...]:
    """Those that the rule speaks of, then those of the other GPUs here."""
    return tuple(dict.fromkeys((*remedy.capabilities, *_capabilities(place))))


def _serves(build: TorchBuild, capability: str) -> bool:
    return build.targets is None or coverage(build.targets, Capability.parse(capability)) is Coverage.NATIVE


def _torch_build(remedy: r.InstallBuild, place: Place) -> TorchBuild | Unlisted:
    """Another variant of the installed release where one fits: the least change. Else the newest build that fits.

    One that serves every GPU here comes first, then one for the GPU that the rule speaks of.
    """
    gpus: list[Capability | None] = [*map(Capability.parse, _all_capabilities(remedy, place))]
    first, *others = gpus or [None]

    def ask(release: str | None, also: tuple[Capability | None, ...]) -> TorchBuild | Unlisted:
        return place.matrix.newest_torch(
            platform=place.wheel_platform,
            python=place.python,
            capability=first,
            driver_cuda=CudaVersion.parse(remedy.driver_cuda) if remedy.driver_cuda else None,
            release=release,
            glibc=place.glibc,
            also=also,
        )

    installed = _build_of("torch", place)
    own = installed.version if installed and remedy.release is None else None
    releases = (own, None) if own else (remedy.release,)
    answers = [ask(release, also) for also in dict.fromkeys((tuple(others), ())) for release in releases]
    return next((answer for answer in answers if isinstance(answer, TorchBuild)), answers[-1])


def _replacing(arguments: tuple[str, ...], place: Place) -> tuple[str, ...]:
    """Name the variant where the same release is installed: pip would take 2.13.0+cpu for 2.13.0 and do nothing."""
    installed = _build_of("torch", place)
    wanted = next((word.removeprefix("torch==") for word in arguments if word.startswith("torch==")), "")
    variant = arguments[-1].rpartition("/")[2]
    if installed is None or Version(wanted).public != _public(installed.version) or not re.fullmatch(r"cu\d+", variant):
        return arguments
    pinned = re.compile(r"torch(vision|audio)?==[\d.]+")
    return tuple(f"{word}+{variant}" if pinned.fullmatch(word) else word for word in arguments)


def _public(version: str) -> str:
    try:
        return Version(version).public
    except InvalidVersion:
        return version


def _tensorflow_fix(remedy: r.InstallBuild, place: Place) -> Fix:
    if place.side == "windows":
        return use_wsl(r.UseWsl(framework="tensorflow"), place)
    release = _tensorflow_release(remedy, place)
    if release is None:
        return Fix(
            title="No TensorFlow release has machine code for this GPU and fits this Python and driver",
            note="NVIDIA's TensorFlow container is built for newer GPUs: https://catalog.ngc.nvidia.com/",
        )
    fix = _pip_fix(
        place,
        f"Install TensorFlow {release} with its CUDA libraries",
        (f"tensorflow[and-cuda]=={release}",),
        "tensorflow",
    )
    build = _build_of("tensorflow", place)
    if build and build.distribution in ("tensorflow-cpu", "tensorflow-intel") and fix.commands:
        remove = uninstall_packages(r.UninstallPackages(names=(build.distribution,)), place)
        return Fix(
            title=fix.title,
            commands=(*remove.commands, *fix.commands),
            where=fix.where,
            verify=fix.verify,
            note=fix.note,
        )
    return fix


_FIRST_AND_CUDA = Version("2.14")


def _tensorflow_release(remedy: r.InstallBuild, place: Place) -> str | None:
    """The release asked for, where its and-cuda extra exists, else the newest that fits."""
    if remedy.release:
        known = place.matrix.tensorflow(remedy.release)
        if not isinstance(known, Unlisted) and Version(known.release) >= _FIRST_AND_CUDA:
            return known.release
    capability = Capability.parse(remedy.capabilities[0]) if remedy.capabilities else None
    driver = CudaVersion.parse(remedy.driver_cuda) if remedy.driver_cuda else None

    def newest(wanted: Capability | None) -> TensorFlowRelease | Unlisted:
        return place.matrix.newest_tensorflow(
            platform=place.wheel_platform, python=place.python, capability=wanted, driver_cuda=driver
        )

    found = newest(capability)
    if isinstance(found, Unlisted) and capability:
        found = newest(None)
        if isinstance(found, Unlisted) or not _has_own_ptx(found, capability, place):
            return None
    if isinstance(found, Unlisted) or Version(found.release) < _FIRST_AND_CUDA:
        return None
    return found.release


def _has_own_ptx(release: TensorFlowRelease, capability: Capability, place: Place) -> bool:
    """PTX for the very capability of the GPU, which the driver compiles at the first start: as for 9.0 since 2.12."""
    build = release.build(place.wheel_platform)
    return build is not None and any(
        target.ptx and target.capability == capability for target in parse_targets(build.targets or ())
    )


def _jax_fix(remedy: r.InstallBuild, place: Place) -> Fix:
    wanted = with_extra("jax", remedy.driver_cuda)
    return _pip_fix(place, f"Install {wanted}", ("--upgrade", wanted), "jax")


# ---------------------------------------------------------------------------------- pip, uv, conda, PEP 668


def _uses_uv(place: Place) -> bool:
    return bool(place.interpreter and place.interpreter.tool == "uv")


def _pip(place: Place) -> tuple[str, ...]:
    """pip, or uv where uv made the environment, for the interpreter under test."""
    if place.interpreter is None:
        return ("python", "-m", "pip")
    executable = python_path(place.interpreter.executable)
    if _uses_uv(place):
        return ("uv", "pip")
    return (executable, "-m", "pip")


def _brought_pip(place: Place) -> list[tuple[str, ...]]:
    """A virtual environment that was made without pip takes the one that comes with Python."""
    python = place.interpreter
    if python is None or python.pip is not False or python.environment != "venv" or _uses_uv(place):
        return []
    return [(python_path(python.executable), "-m", "ensurepip")]


def _pip_fix(place: Place, title: str, arguments: tuple[str, ...], framework: str | None = None) -> Fix:
    lines: list[tuple[str, ...]] = []
    note = ""
    try:
        by_project = added(place, arguments) if ruler(place) else None
        if by_project and (by_project.lines or by_project.note):
            lines, note = by_project.lines, by_project.note
        elif _uses_uv(place) and place.interpreter:
            lines = [("uv", "pip", "install", "--python", python_path(place.interpreter.executable), *arguments)]
        elif place.interpreter and place.interpreter.externally_managed and place.interpreter.environment == "system":
            lines = [
                (python_path(place.interpreter.executable), "-m", "venv", ".venv"),
                (".venv/bin/python", "-m", "pip", "install", *arguments),
            ]
            note = "The distribution manages this Python (PEP 668), so a virtual environment comes first."
        else:
            lines = [*_brought_pip(place), (*_pip(place), "install", *arguments)]
    except NotPrintableError:
        lines = []
    return Fix(
        title=title,
        commands=printable(lines, place),
        where="environment",
        verify=verify_with(place, framework),
        note=note,
    )


def _owned_by_conda(remedy: r.InstallBuild, place: Place) -> bool:
    """True where conda installed the framework, or owns the environment that has none."""
    if place.interpreter is None or place.interpreter.environment != "conda":
        return False
    build = _build_of(remedy.framework, place)
    return build is None or build.installer == "conda" or build.channel == "conda"


_CONDA_NAMES = {"torch": ("pytorch-gpu",), "tensorflow": ("tensorflow-gpu",), "jax": ("jax", "jaxlib=*=*cuda*")}


# https://pixi.prefix.dev/latest/python/pytorch/
_PIXI_CUDA = (
    'pixi takes the CPU build unless the workspace says that there is CUDA: [system-requirements] with cuda = "12" in '
    'its manifest, in newer releases of pixi platforms = [{ platform = "linux-64", cuda = "12" }] under [workspace].'
)


def _conda_fix(remedy: r.InstallBuild, place: Place) -> Fix:
    assert place.interpreter is not None  # noqa: S101 - _owned_by_conda asked
    name = name_of(remedy.framework)
    if ruler(place) == "pixi":
        by_pixi = added(place, _CONDA_NAMES[remedy.framework], conda=True)
        return Fix(
            title=f"Install conda-forge's GPU build of {name}",
            commands=printable(by_pixi.lines, place),
            where="environment",
            verify=verify_with(place, remedy.framework),
            note=f"{by_pixi.note} {_PIXI_CUDA}".strip(),
        )
    try:
        prefix = python_path(place.interpreter.prefix)
    except NotPrintableError:
        return Fix(title=f"Install the GPU build of {name} with conda")
    words = ("conda", "install", "--prefix", prefix, "--channel", "conda-forge", *_CONDA_NAMES[remedy.framework])
    return Fix(
        title=f"Install conda-forge's GPU build of {name}",
        commands=printable([words], place),
        where="environment",
        verify=verify_with(place, remedy.framework),
        note="If conda does not see the driver here, set CONDA_OVERRIDE_CUDA to the driver's CUDA version first.",
    )
