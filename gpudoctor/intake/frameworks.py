"""Packages and what programs said of a framework → Packages, Pins and Frameworks.

What an installed build contains is taken from the version's own suffix, from conda's build string, or from what
collect_env printed. The compatibility matrix adds the GPU code and libraries of public builds, and the source says so.
A plain version says which build it is only where one package index serves one build: pip's list on a known platform.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from gpudoctor.facts import (
    NOT_IN_PASTE,
    Build,
    CondaPackage,
    Framework,
    FrameworkName,
    Frameworks,
    Imported,
    Maybe,
    Package,
    Packages,
)
from gpudoctor.intake.pieces import Said, SeenPackage, Trust
from gpudoctor.intake.sources import joined
from gpudoctor.matrix import TorchBuild, Unlisted, load
from gpudoctor.relations import CudaVersion

PLACE = "the pasted environment"

Accelerator = Literal["cuda", "cpu", "rocm", "xpu", "metal", "unknown"]
Channel = Literal["release", "nightly", "ngc", "conda", "source", "unknown"]

_MATRIX = "compatibility matrix"
_TORCH_NAMES = ("torch", "pytorch", "pytorch-gpu", "pytorch-cpu")
_TENSORFLOW_NAMES = (
    "tensorflow", "tensorflow-gpu", "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos", "tf-nightly",
    "tf-nightly-gpu",    "tf-nightly-cpu", "tf-nightly-intel", "tensorflow-base", "tensorflow-rocm", "intel-tensorflow",
)  # fmt: skip
_MOST_COPIES = 50
_LISTS = ("pip list", "pip freeze", "pip show", "poetry show", "conda list")


@dataclass(frozen=True)
class Surroundings:
    """What else the paste shows that says which build a plain version is."""

    platform: str | None  # as the matrix names it: linux_x86_64
    conda: bool
    says: Mapping[str, tuple[Said, ...]]

    def said(self, key: str) -> Said | None:
        """The most trusted statement under a key."""
        return max(self.says.get(key, ()), key=lambda said: said.trust, default=None)


# ------------------------------------------------------------------------------------------------- packages


@lru_cache(maxsize=8192)
def normal_name(name: str) -> str:
    """A distribution's name by PEP 503."""
    return canonicalize_name(name)


def packages_of(seen: Iterable[SeenPackage]) -> Packages | None:
    """All packages listed, each name and version once; conda's also under conda's own names."""
    kept: dict[tuple[str, str | None, str | None], Package] = {}
    conda: dict[str, CondaPackage] = {}
    wheres: list[str] = []
    listed = 0
    names: set[str] = set()
    for one in seen:
        name = normal_name(one.name)
        wheres.append(one.where)
        listed += one.tool in _LISTS
        names.add(name)
        if one.tool == "conda list" and one.version:
            conda.setdefault(
                one.name, CondaPackage(name=one.name, version=one.version, build=one.build, channel=one.channel or None)
            )
        key = (name, one.version, one.location)
        if key not in kept:
            location, installer = one.location or PLACE, one.installer
            kept[key] = Package(name=name, version=one.version, location=location, installer=installer)
    if not kept:
        return None
    complete = listed >= 30 or (listed >= 3 and bool(names & {"pip", "setuptools"}))
    return Packages(
        source=joined(wheres),
        packages=tuple(_without_echoes(list(kept.values()))),
        conda=tuple(conda.values()),
        complete=complete,
    )


def _without_echoes(packages: list[Package]) -> Iterable[Package]:
    """A copy that several tools list is one: 2.1.0 of pip list is 2.1.0+cu121 of torch.__version__."""
    by_name: dict[str, list[Package]] = {}
    for package in packages:
        by_name.setdefault(package.name, []).append(package)
    for package in packages:
        others = [p for p in by_name[package.name][:_MOST_COPIES] if p is not package and p.version]
        if package.version is None and others:
            continue
        echo = any(
            (p.version or "").startswith(f"{package.version}+") and p.location in (PLACE, package.location)
            for p in others
        )
        echo = echo or any(
            p.version == package.version and p.location != PLACE and package.location == PLACE for p in others
        )
        if not echo:
            yield package


# ---------------------------------------------------------------------------------------------- frameworks


def frameworks_of(seen: tuple[SeenPackage, ...], around: Surroundings) -> Frameworks | None:
    """The frameworks that the paste shows to be installed, or to be absent."""
    found = tuple(one for one in (_torch(seen, around), _tensorflow(seen, around), _jax(seen, around)) if one)
    if not found:
        return None
    return Frameworks(source=joined([one.source for one in found]), frameworks=found)


def _named(seen: Iterable[SeenPackage], names: tuple[str, ...]) -> list[SeenPackage]:
    return [one for one in seen if normal_name(one.name) in names]


def _rank(one: SeenPackage) -> tuple[bool, bool, bool]:
    """torch.__version__ and a suffix say more than a list, a list more than a person."""
    return ("+" in (one.version or ""), one.tool == "torch.__version__" and one.version is not None, one.tool in _LISTS)


def _torch(seen: tuple[SeenPackage, ...], around: Surroundings) -> Framework | None:
    copies = [one for one in _named(seen, _TORCH_NAMES) if one.version]
    imported = _imported("torch", around)
    if not copies:
        return _without_package("torch", around, imported)
    best = max(copies, key=_rank)
    version = best.version or ""
    conda = next((one for one in copies if one.tool == "conda list" and one.build), None)
    stated = around.said("torch.cuda")
    rocm = around.said("torch.rocm")
    accelerator, cuda, wheres = _torch_accelerator(version, stated, rocm, conda, seen)
    channel = _channel(
        version, conda is not None or best.installer == "conda" or (around.conda and best.installer != "pip")
    )
    row = _torch_row(version, cuda, accelerator, best, channel, around)
    if accelerator == "unknown" and row is not None:
        accelerator, cuda = ("cuda", row.cuda) if row.cuda else ("cpu", None)
    targets = _torch_targets(row) if row is not None and accelerator == "cuda" else ()
    stated_targets = around.said("torch.targets")
    if stated_targets:
        targets = tuple(stated_targets.value.split())
    build = Build(
        source=joined([best.where, *wheres], _MATRIX if row is not None and accelerator == "cuda" else None),
        distribution="torch",
        version=version,
        location=best.location or PLACE,
        accelerator=accelerator,
        cuda=cuda,
        cudnn=(row.cudnn if row and accelerator == "cuda" else None) or _from_build("cudnn", conda),
        nccl=row.nccl if row and accelerator == "cuda" else None,
        targets=targets,
        channel=channel,
        installer=conda.installer if conda else best.installer,
        debug=_flag(around.said("torch.debug")),
    )
    return _present("torch", best.where, build, imported)


_CUDA_SUFFIX = re.compile(r"cu(\d{1,2})(\d)\b")


def _torch_accelerator(
    version: str, stated: Said | None, rocm: Said | None, conda: SeenPackage | None, seen: tuple[SeenPackage, ...]
) -> tuple[Accelerator, str | None, list[str]]:
    """What a torch was built for, its CUDA, and the further lines that say so."""
    local = version.partition("+")[2]
    by_suffix = _CUDA_SUFFIX.match(local)
    if stated and stated.value != "none":
        return "cuda", stated.value, [stated.where]
    if by_suffix:
        return "cuda", f"{by_suffix[1]}.{by_suffix[2]}", []
    if local.startswith("rocm") or (rocm and re.match(r"\d", rocm.value)):
        return "rocm", None, [rocm.where] if rocm else []
    if local.startswith("xpu"):
        return "xpu", None, []
    if local.startswith("cpu") or (stated and stated.value == "none"):
        return "cpu", None, [stated.where] if stated else []
    if conda:
        kind, cuda = _conda_build(conda.build)
        if kind != "unknown":
            return kind, cuda, [conda.where]
    if any(normal_name(one.name) == "cpuonly" for one in seen):
        return "cpu", None, []
    return "unknown", None, []


def _conda_build(build: str) -> tuple[Accelerator, str | None]:
    """``py3.8_cuda11.3_cudnn8.2.0_0``, ``py3.8_cpu_0``, conda-forge's ``cuda112py39h…`` and ``cpu_generic_py312h…``."""
    dotted = re.search(r"cuda(\d{1,2}\.\d{1,2})", build)
    if dotted:
        return "cuda", dotted[1]
    short = re.match(r"(?:gpu_)?cuda_?(\d{2})(\d)", build)
    if short:
        return "cuda", f"{short[1]}.{short[2]}"
    if re.search(r"(?:^|_)(?:cpu|mkl|eigen)(?:_|$)|^cpu|^mkl|^eigen", build):
        return "cpu", None
    return ("cuda", None) if re.search(r"(?:^|_)gpu(?:_|$)|^gpu", build) else ("unknown", None)


def _from_build(what: str, conda: SeenPackage | None) -> str | None:
    match = re.search(rf"(?:^|_){what}(\d[\d.]{{0,12}})", conda.build) if conda else None
    return match[1] if match else None


def _torch_row(
    version: str, cuda: str | None, accelerator: Accelerator, best: SeenPackage, channel: Channel, around: Surroundings
) -> TorchBuild | None:
    """The matrix' row of exactly this public build, None where it is not certain which it is."""
    if channel not in ("release", "unknown", "conda") or (channel == "conda" and best.channel not in ("", "pytorch")):
        return None
    platform = around.platform
    if accelerator == "cuda" and cuda:
        wanted = version if "+" in version else f"{version}+cu{_digits(cuda)}"
        return _row(wanted, platform or "linux_x86_64") if platform is not None or "+" in version else None
    if (
        accelerator != "unknown"
        or around.conda
        or best.installer != "pip"
        or best.tool not in _LISTS
        or platform is None
    ):
        return None
    return _row(version, platform)


def _digits(cuda: str) -> str:
    parts = cuda.split(".")
    return f"{parts[0]}{parts[1] if len(parts) > 1 else '0'}"


@lru_cache(maxsize=2048)
def _row(version: str, platform: str) -> TorchBuild | None:
    try:
        found = load().torch_build(version, platform)
    except InvalidVersion:
        return None
    return None if isinstance(found, Unlisted) else found


def _torch_targets(row: TorchBuild) -> tuple[str, ...]:
    if row.capabilities is None:
        return ()
    return (
        *(f"sm_{value.replace('.', '')}" for value in row.capabilities),
        *(f"compute_{v.replace('.', '')}" for v in row.ptx),
    )


@lru_cache(maxsize=4096)
def _channel_of(version: str) -> Channel:
    try:
        parsed = Version(version)
    except InvalidVersion:
        return "unknown"
    local = parsed.local or ""
    if re.search(r"nv\d\d\.\d", local) or re.search(r"nv\d", local):
        return "ngc"
    if local and not re.fullmatch(
        r"cpu|cu\d+|rocm[\d.]+|xpu|cpu\.cxx11\.abi|cxx11\.abi|cu\d+\.with\.pypi\.cudnn|cuda\d+\.cudnn\d+|cuda\d+", local
    ):
        return "source"
    if parsed.is_devrelease:
        return "nightly"
    if parsed.pre and parsed.pre[0] == "a":
        return "source"
    return "release" if local else "unknown"


def _channel(version: str, conda: bool) -> Channel:
    found = _channel_of(version)
    return "conda" if conda and found in ("unknown", "release") and "+" not in version else found


# ---------------------------------------------------------------------------------------------- TensorFlow


def _tensorflow(seen: tuple[SeenPackage, ...], around: Surroundings) -> Framework | None:
    copies = [one for one in _named(seen, _TENSORFLOW_NAMES) if one.version]
    imported = _imported("tensorflow", around)
    if not copies:
        return _without_package("tensorflow", around, imported)
    best = _tensorflow_best(copies)
    version, name = best.version or "", normal_name(best.name)
    package = around.said("tensorflow.package")
    if package and name == "tensorflow" and best.tool not in _LISTS:
        name = package.value
    conda = next((one for one in copies if one.tool == "conda list" and one.build), None)
    by_conda = conda is not None or (best.installer == "conda" if best.tool in _LISTS else around.conda)
    channel = "nightly" if name.startswith("tf-nightly") else _channel(version, by_conda)
    accelerator, cuda, cudnn, targets, from_matrix = _tensorflow_build(name, version, conda, by_conda, around)
    stated = around.said("tensorflow.cuda")
    built = around.said("tensorflow.cuda_build")
    if stated:
        accelerator, cuda = "cuda", stated.value
    elif built and built.value == "false":
        accelerator, cuda, cudnn, targets = "cpu", None, None, ()
    elif built and accelerator == "unknown":
        accelerator = "cuda"
    stated_cudnn = around.said("tensorflow.cudnn")
    build = Build(
        source=joined(
            [best.where, *(s.where for s in (stated, built, stated_cudnn) if s)], _MATRIX if from_matrix else None
        ),
        distribution=name,
        version=version,
        location=best.location or PLACE,
        accelerator=accelerator,
        cuda=cuda,
        cudnn=stated_cudnn.value if stated_cudnn else cudnn,
        targets=targets,
        channel=channel,
        installer=conda.installer if conda else best.installer,
    )
    return _present("tensorflow", best.where, build, imported)


def _tensorflow_best(copies: list[SeenPackage]) -> SeenPackage:
    """The package whose name says most of the build, among those that carry one."""

    def rank(one: SeenPackage) -> tuple[bool, bool, bool, bool]:
        name = normal_name(one.name)
        return (
            one.tool in _LISTS,
            name.endswith(("-cpu", "-intel", "-gpu", "-macos", "-rocm")),
            bool(one.build),
            "+" in (one.version or ""),
        )

    return max(copies, key=rank)


def _tensorflow_build(
    name: str, version: str, conda: SeenPackage | None, by_conda: bool, around: Surroundings
) -> tuple[Accelerator, str | None, str | None, tuple[str, ...], bool]:
    """Accelerator, CUDA, cuDNN, targets, and whether they are the matrix'."""
    if conda:
        kind, cuda = _conda_build(conda.build)
        if kind != "unknown":
            return kind, cuda, None, (), False
    if name.endswith(("-cpu", "-intel")) or name == "intel-tensorflow":
        return "cpu", None, None, (), False
    if name.endswith("-rocm"):
        return "rocm", None, None, (), False
    if name == "tensorflow-macos":
        return "cpu", None, None, (), False
    gpu_name = name.endswith("-gpu")
    if by_conda or around.platform is None:
        return ("cuda" if gpu_name else "unknown"), None, None, (), False
    release = load().tensorflow(version)
    if isinstance(release, Unlisted):
        return ("cuda" if gpu_name else "unknown"), None, None, (), False
    row = release.build(around.platform, name) or (release.build(around.platform) if not gpu_name else None)
    windows = around.platform == "win_amd64"
    tested = (release.windows_cuda, release.windows_cudnn) if windows else (release.cuda, release.cudnn)
    if row is None:
        return ("cuda", *tested, (), True) if gpu_name and tested[0] else ("unknown", None, None, (), False)
    if row.cuda_build is None:
        cuda_build = (
            gpu_name
            or (_at_least(version, 2, 1) and not windows)
            or (windows and _at_least(version, 2, 1) and not _at_least(version, 2, 11))
        )
        if not gpu_name and version.startswith("1.15"):
            cuda_build = True
        return ("cuda", *tested, (), True) if cuda_build else ("cpu", None, None, (), True)
    if not row.cuda_build:
        return "cpu", None, None, (), True
    return "cuda", row.cuda or tested[0], row.cudnn or tested[1], row.targets or (), True


def _at_least(version: str, major: int, minor: int) -> bool:
    try:
        return Version(version).release[:2] >= (major, minor)
    except InvalidVersion:
        return False


# ------------------------------------------------------------------------------------------------------ JAX


def _jax(seen: tuple[SeenPackage, ...], around: Surroundings) -> Framework | None:
    named = {normal_name(one.name): one for one in reversed(seen) if one.version}
    jax, jaxlib = named.get("jax"), named.get("jaxlib")
    imported = _imported("jax", around)
    best = jax or jaxlib
    if best is None:
        return _without_package("jax", around, imported)
    plugins = sorted(name for name in named if re.fullmatch(r"jax-cuda\d{2}-(?:plugin|pjrt)", name))
    local = re.search(r"\+cuda(\d{2})(?:\.?cudnn(\d)(\d{1,2})?)?", (jaxlib.version or "") if jaxlib else "")
    accelerator: Accelerator = "unknown"
    cuda = cudnn = None
    wheres = [best.where]
    if plugins:
        accelerator, cuda = "cuda", plugins[-1][8:10]
        wheres.append(named[plugins[-1]].where)
    elif local:
        accelerator, cuda = "cuda", local[1]
        cudnn = f"{local[2]}.{local[3]}" if local[3] else local[2]
    elif jaxlib and jaxlib.build:
        accelerator, cuda = _conda_build(jaxlib.build)
    elif any(re.fullmatch(r"jax-rocm\d*-plugin", name) for name in named):
        accelerator = "rocm"
    elif "jax-metal" in named:
        accelerator = "metal"
    elif jaxlib and jaxlib.tool in _LISTS and (len(seen) >= 30 or {"pip", "setuptools"} & set(named)):
        accelerator = "cpu"  # a whole list, and no plug-in in it
    build = Build(
        source=joined(wheres),
        distribution="jax",
        version=(jax or best).version or "",
        location=best.location or PLACE,
        accelerator=accelerator,
        cuda=cuda,
        cudnn=cudnn,
        channel=_channel(best.version or "", best.installer == "conda"),
        installer=best.installer,
    )
    return _present("jax", best.where, build, imported)


# --------------------------------------------------------------------------------------------- shared steps


def _present(name: FrameworkName, where: str, build: Maybe[Build], imported: Imported | None) -> Framework:
    return Framework(
        source=where, name=name, installed=True, build=build, imported=NOT_IN_PASTE if imported is None else imported
    )


def _without_package(name: FrameworkName, around: Surroundings, imported: Imported | None) -> Framework | None:
    """A framework that spoke without its version being shown, or that is said to be absent."""
    absent = around.said(f"{name}.absent")
    if imported is not None and imported.ok:
        return _present(name, imported.source, NOT_IN_PASTE, imported)
    if absent is not None and absent.trust >= Trust.LOGGED:
        return Framework(source=absent.where, name=name, installed=False, build=NOT_IN_PASTE, imported=NOT_IN_PASTE)
    return None


def _imported(name: FrameworkName, around: Surroundings) -> Imported | None:
    """What the framework said of itself when it ran; None if the paste does not show it running."""
    available = around.said(f"{name}.available")
    targets = around.said("torch.targets") if name == "torch" else None
    if available is None and targets is None and not (name == "torch" and around.said("torch.cudnn")):
        return None
    stated = around.said(f"{name}.cuda")
    cudnn = around.said("torch.cudnn") if name == "torch" else None
    return Imported(
        source=joined([s.where for s in (available, targets, cudnn) if s]),
        ok=True,
        available=_flag(available),
        cuda=stated.value if stated and stated.value != "none" and _is_cuda(stated.value) else None,
        cudnn=cudnn.value if cudnn else None,
        targets=tuple(targets.value.split()) if targets else (),
    )


def _is_cuda(text: str) -> bool:
    try:
        CudaVersion.parse(text)
    except ValueError:
        return False
    return True


def _flag(said: Said | None) -> bool | None:
    return None if said is None else said.value == "true"
