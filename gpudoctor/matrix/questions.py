"""The questions. Every method returns rows of the data, or Unlisted with what is close."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import ParamSpec, TypeVar, cast

import msgspec
from packaging.version import InvalidVersion, Version

from gpudoctor.matrix import records as r
from gpudoctor.matrix.names import GpuNames
from gpudoctor.matrix.records import Unlisted
from gpudoctor.matrix.store import read
from gpudoctor.relations import (
    Capability,
    Coverage,
    CudaVersion,
    Platform,
    coverage,
    cuda_fits,
    driver_version,
)

RecordT = TypeVar("RecordT", bound=r.Record)
_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


def remembered(question: Callable[_Asked, _Answer]) -> Callable[_Asked, _Answer]:
    """The same question, which answers at once what it was asked before: many rules ask about the same things."""
    return cast("Callable[_Asked, _Answer]", lru_cache(maxsize=2048)(question))


_VENDOR_BUILD = re.compile(r"\+[^+]{0,100}\bnv\d|\.nv\d|\+nv", re.IGNORECASE)
_NIGHTLY = re.compile(r"\.dev\d|\bnightly\b", re.IGNORECASE)
_SOURCE_BUILD = re.compile(r"a0\+|\+git|\+unknown", re.IGNORECASE)


def _sortable(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


@lru_cache(maxsize=2048)
def stable_release(kind: str, text: str) -> str | Unlisted:
    """The release inside a version text: "2.5.1+cu124" is 2.5.1. Nightlies and vendor builds are Unlisted.

    NVIDIA's container and Jetson builds (2.6.0a0+ecf3bae40a.nv25.01), nightlies (2.7.0.dev20250201+cu128) and
    source builds (2.4.0a0+gitee1b680) hold other code than the release that their number resembles.
    """
    if _VENDOR_BUILD.search(text):
        return Unlisted(kind=kind, asked=text, why="a build by NVIDIA, not a public release")
    if _NIGHTLY.search(text):
        return Unlisted(kind=kind, asked=text, why="a nightly build")
    if _SOURCE_BUILD.search(text):
        return Unlisted(kind=kind, asked=text, why="built from source")
    try:
        version = Version(text)
    except InvalidVersion:
        return Unlisted(kind=kind, asked=text, why="not a version")
    if version.is_prerelease:
        return Unlisted(kind=kind, asked=text, why="a pre-release")
    return version.public


def _missing(kind: str, asked: str, known: Iterable[str]) -> Unlisted:
    """What is near an unlisted version: the neighbours by number, or all of the same minor."""
    listed = sorted(set(known), key=_sortable)
    wanted = _sortable(asked)
    if not listed or wanted == Version("0"):
        return Unlisted(kind=kind, asked=asked, close=tuple(difflib.get_close_matches(asked, listed)))
    below = [text for text in listed if _sortable(text) < wanted][-2:]
    above = [text for text in listed if _sortable(text) > wanted][:2]
    return Unlisted(kind=kind, asked=asked, close=(*below, *above), newer=not above)


class Matrix:
    """The compatibility matrix of one data folder. Files are read when a question first needs them."""

    def __init__(self, folder: Path, more: Mapping[str, tuple[r.Record, ...]] = MappingProxyType({})) -> None:
        """Read nothing yet; ``folder`` holds the .jsonl files, ``more`` are rows to add to them by file name."""
        self._folder = folder
        self._more = more

    def _read(self, name: str, row: type[RecordT]) -> tuple[RecordT, ...]:
        added = tuple(record for record in self._more.get(name, ()) if isinstance(record, row))
        return (*read(self._folder, name, row), *added)

    def with_rows(self, more: Mapping[str, tuple[r.Record, ...]]) -> Matrix:
        """This matrix and rows of others, by file name, after its own."""
        if not more:
            return self
        return Matrix(self._folder, {name: (*self._more.get(name, ()), *more.get(name, ())) for name in more})

    # --- tables -------------------------------------------------------------------------------------------

    @cached_property
    def sources(self) -> dict[str, r.Source]:
        """Every source by id."""
        return {source.id: source for source in self._read("sources", r.Source)}

    @cached_property
    def toolkits(self) -> tuple[r.Toolkit, ...]:
        """Every CUDA toolkit release, oldest first."""
        return self._read("toolkits", r.Toolkit)

    @cached_property
    def minor_version_floors(self) -> tuple[r.MinorVersionFloor, ...]:
        """The floor of minor-version compatibility of each CUDA major."""
        return self._read("minor_version_floors", r.MinorVersionFloor)

    @cached_property
    def forward_compatibility(self) -> tuple[r.ForwardCompatibility, ...]:
        """The forward-compatibility packages known."""
        return self._read("forward_compatibility", r.ForwardCompatibility)

    @cached_property
    def container_requirements(self) -> tuple[r.RequireCuda, ...]:
        """What NVIDIA's CUDA images require of the host's driver."""
        return self._read("container_require_cuda", r.RequireCuda)

    @cached_property
    def driver_branches(self) -> tuple[r.DriverBranch, ...]:
        """Every driver branch, oldest first."""
        return self._read("driver_branches", r.DriverBranch)

    @cached_property
    def architectures(self) -> tuple[r.Architecture, ...]:
        """Every compute capability, lowest first."""
        return self._read("architectures", r.Architecture)

    @cached_property
    def gpus(self) -> tuple[r.GpuModel, ...]:
        """Every GPU model by its product name."""
        return self._read("gpus", r.GpuModel)

    @cached_property
    def pci_devices(self) -> tuple[r.PciDevice, ...]:
        """NVIDIA's GPUs in the public list of PCI ids."""
        return self._read("pci_devices", r.PciDevice)

    @cached_property
    def vgpus(self) -> tuple[r.VgpuBase, ...]:
        """The short board names inside vGPU names."""
        return self._read("vgpus", r.VgpuBase)

    @cached_property
    def torch_releases(self) -> tuple[r.TorchRelease, ...]:
        """Every PyTorch release with its builds, oldest first."""
        builds: dict[str, list[r.TorchBuild]] = {}
        for build in self._read("torch_builds", r.TorchBuild):
            builds.setdefault(build.release, []).append(build)
        return tuple(
            _with_builds(release, builds.get(release.release, ())) for release in self._read("torch", r.TorchRelease)
        )

    @cached_property
    def torch_pins(self) -> tuple[r.TorchPins, ...]:
        """The exact pins of the wheels that the package index serves by default."""
        return self._read("torch_pins", r.TorchPins)

    @cached_property
    def tensorflow_releases(self) -> tuple[r.TensorFlowRelease, ...]:
        """Every TensorFlow release with its builds, oldest first."""
        builds: dict[str, list[r.TensorFlowBuild]] = {}
        for build in self._read("tensorflow_builds", r.TensorFlowBuild):
            builds.setdefault(build.release, []).append(build)
        return tuple(
            msgspec.structs.replace(release, builds=tuple(builds.get(release.release, ())))
            for release in self._read("tensorflow", r.TensorFlowRelease)
        )

    @cached_property
    def jax_releases(self) -> tuple[r.JaxRelease, ...]:
        """Every JAX release, oldest first."""
        return self._read("jax", r.JaxRelease)

    @cached_property
    def cudnn_families(self) -> tuple[r.CudnnFamily, ...]:
        """Ranges of cuDNN releases with the same support, oldest first."""
        return self._read("cudnn_families", r.CudnnFamily)

    @cached_property
    def cudnn_releases(self) -> tuple[r.CudnnRelease, ...]:
        """Every release of the nvidia-cudnn-cuXX packages."""
        return self._read("cudnn", r.CudnnRelease)

    @cached_property
    def companions(self) -> tuple[r.Companion, ...]:
        """Releases of packages that are built for a framework or a CUDA version."""
        return self._read("companions", r.Companion)

    @cached_property
    def cuda_errors(self) -> tuple[r.CudaError, ...]:
        """CUDA error codes."""
        return self._read("cuda_errors", r.CudaError)

    @cached_property
    def xids(self) -> tuple[r.Xid, ...]:
        """Xid codes of the kernel driver."""
        return self._read("xids", r.Xid)

    @cached_property
    def jetsons(self) -> tuple[r.Jetson, ...]:
        """JetPack ranges, oldest first."""
        return self._read("jetson", r.Jetson)

    @cached_property
    def numpy2_ranges(self) -> tuple[r.Numpy2, ...]:
        """Ranges of package versions that work, or do not, with NumPy 2."""
        return self._read("numpy2", r.Numpy2)

    @cached_property
    def toolkit_component_sets(self) -> tuple[r.ToolkitComponents, ...]:
        """The nvidia-* package versions of each toolkit."""
        return self._read("toolkit_components", r.ToolkitComponents)

    @cached_property
    def facts(self) -> tuple[r.Fact, ...]:
        """Sentences that fit no table."""
        return self._read("facts", r.Fact)

    # --- CUDA and drivers ---------------------------------------------------------------------------------

    def toolkits_of(self, cuda: CudaVersion) -> tuple[r.Toolkit, ...] | Unlisted:
        """All releases of one CUDA minor, oldest first."""
        found = tuple(t for t in self.toolkits if t.cuda == str(cuda))
        return found or _missing("CUDA toolkit", str(cuda), (t.cuda for t in self.toolkits))

    @remembered
    def minimum_driver(self, cuda: CudaVersion, platform: Platform) -> r.MinimumDriver | Unlisted:
        """The oldest driver that knows all of a CUDA version.

        An older one may still run builds of it: see :meth:`minor_version_floor`. Where NVIDIA's table has no
        number, the first of the branch that carries this CUDA stands in, marked as not verified.
        """
        toolkits = self.toolkits_of(cuda)
        if isinstance(toolkits, Unlisted):
            return toolkits
        named = [t for t in toolkits if t.minimum(platform) and not t.preview]
        if named:
            return _minimum(cuda, platform, named)
        branch = next((b for b in self.driver_branches if b.cuda == cuda), None)
        if branch is None:
            return Unlisted(kind="minimum driver for CUDA", asked=str(cuda), why="not published or not read")
        number = branch.number if platform == "linux" else branch.windows_majors[0]
        return r.MinimumDriver(
            cuda=str(cuda),
            platform=platform,
            version=str(number),
            newest=str(number),
            toolkit=toolkits[0].release,
            source=branch.source,
            checked=branch.checked,
            verified=False,
            note=f"NVIDIA's table gives no number; {branch.branch} is the branch that carries CUDA {cuda}.",
        )

    @remembered
    def minor_version_floor(self, major: int, platform: Platform) -> r.MinorVersionFloor | Unlisted:
        """The floor for machine code of any minor of one CUDA major; ``.on(platform)`` is the number."""
        found = next((floor for floor in self.minor_version_floors if floor.cuda_major == major), None)
        known = (str(floor.cuda_major) for floor in self.minor_version_floors)
        return found or _missing(f"minor-version floor ({platform}) of CUDA", str(major), known)

    def branch(self, name: str) -> r.DriverBranch | Unlisted:
        """A branch by its name: "R550"."""
        found = next((b for b in self.driver_branches if b.branch == name.upper()), None)
        if found is not None:
            return found
        near = difflib.get_close_matches(name.upper(), [b.branch for b in self.driver_branches])
        return Unlisted(kind="driver branch", asked=name, close=tuple(near))

    @remembered
    def driver_branch(self, driver: str, platform: Platform) -> r.DriverBranch | Unlisted:
        """The branch of a driver version. Windows numbers run on inside a branch: 537.13 is of R535."""
        try:
            major = driver_version(driver).major
        except ValueError:
            return Unlisted(kind="driver", asked=driver, why="not a driver version")
        fits = [b for b in self.driver_branches if _first_major(b, platform) <= major]
        newest = self.driver_branches[-1]
        if fits and platform == "windows" and major <= newest.windows_majors[1]:
            return fits[-1]
        if fits and fits[-1].number == major and platform == "linux":
            return fits[-1]
        near = [*(b.branch for b in fits[-1:]), *(b.branch for b in self.driver_branches if b.number > major)]
        return Unlisted(kind="driver", asked=driver, close=tuple(near[:2]), newer=major > newest.number)

    @remembered
    def branch_supports(self, branch: r.DriverBranch, capability: Capability) -> bool | Unlisted:
        """Whether a branch drives a GPU of that capability: not dropped, and not newer than the branch."""
        architecture = self.architecture(capability)
        if isinstance(architecture, Unlisted):
            return architecture
        return _in_range(branch, architecture)

    @remembered
    def capabilities_of(self, branch: r.DriverBranch) -> tuple[str, ...]:
        """The compute capabilities that a branch drives, Tegra boards left out."""
        return tuple(a.capability for a in self.architectures if not a.tegra and _in_range(branch, a))

    @remembered
    def newest_driver_branch_for(
        self, capability: Capability, *, cuda: CudaVersion | None = None
    ) -> r.DriverBranch | Unlisted:
        """The newest branch that still drives a GPU, long-term and production branches first.

        With ``cuda``, only branches that know this CUDA version count. Unlisted if there is none: then no driver
        brings that CUDA to that GPU.
        """
        architecture = self.architecture(capability)
        if isinstance(architecture, Unlisted):
            return architecture
        fits = [b for b in self.driver_branches if _in_range(b, architecture) and (not cuda or b.cuda >= cuda)]
        ranked = sorted(fits, key=lambda branch: (branch.recommended, branch.number))
        if ranked:
            return ranked[-1]
        return Unlisted(kind="driver branch for capability", asked=f"{capability} with CUDA {cuda}")

    # --- GPUs ---------------------------------------------------------------------------------------------

    @remembered
    def architecture(self, capability: Capability) -> r.Architecture | Unlisted:
        """What is known of a compute capability."""
        found = next((a for a in self.architectures if a.capability == str(capability)), None)
        known = (a.capability for a in self.architectures)
        return found or _missing("compute capability", str(capability), known)

    @cached_property
    def _names(self) -> GpuNames:
        chips = {chip: a.capability for a in self.architectures for chip in a.chips}
        return GpuNames(self.gpus, self.vgpus, chips, lambda: self.pci_devices)

    def gpu(self, name: str) -> r.GpuModel | Unlisted:
        """The GPU that a name means, as NVML, nvidia-smi, PyTorch or lspci print it."""
        return self._names.find(name)

    def gpu_by_pci_id(self, device_id: str) -> r.GpuModel | Unlisted:
        """The GPU of a PCI device id: "2684", "0x2684" or "10de:2684"."""
        return self._names.by_pci_id(device_id)

    # --- PyTorch ------------------------------------------------------------------------------------------

    @remembered
    def torch(self, version: str) -> r.TorchRelease | Unlisted:
        """A PyTorch release by any version text of it ("2.5.1", "2.5.1+cu124")."""
        release = stable_release("torch", version)
        if isinstance(release, Unlisted):
            return release
        found = next((t for t in self.torch_releases if t.release == release), None)
        return found or _missing("torch release", release, (t.release for t in self.torch_releases))

    @remembered
    def torch_build(self, version: str, platform: str) -> r.TorchBuild | Unlisted:
        """The build that a full version text names; without "+cu124" the package index's default."""
        release = self.torch(version)
        if isinstance(release, Unlisted):
            return release
        local = Version(version).local
        builds = [b for b in release.builds if b.platform == platform]
        found = next((b for b in builds if (b.variant == local if local else b.pypi_default)), None)
        close = tuple(f"{b.release}+{b.variant}" for b in builds)
        return found or Unlisted(kind=f"torch build ({platform})", asked=version, close=close)

    @remembered
    def newest_torch(
        self,
        *,
        platform: str,
        python: str | None = None,
        capability: Capability | None = None,
        driver_cuda: CudaVersion | None = None,
        release: str | None = None,
        glibc: str | None = None,
        also: tuple[Capability | None, ...] = (),
    ) -> r.TorchBuild | Unlisted:
        """The newest stable PyTorch whose machine code covers the GPU and whose CUDA the driver can run.

        Within a release: verified before unverified, stable before experimental, then the highest CUDA. A None
        asks for nothing. With ``release``, the best build of that release. ``also`` are further GPUs for it to cover.
        """
        wanted = (capability, *also)
        listed = [t for t in self.torch_releases if t.on_package_index]
        if release is not None:
            one = self.torch(release)
            if isinstance(one, Unlisted):
                return one
            listed = [one]
        for candidate in reversed(listed):
            fits = [
                b for b in candidate.builds if all(_torch_fits(b, platform, python, c, driver_cuda) for c in wanted)
            ]
            if fits and _glibc_fits(candidate.min_glibc.get(platform), glibc):
                return max(fits, key=_torch_rank)
        gpus = ", ".join(map(str, wanted))
        asked = f"{release or 'any release'} for {platform}, Python {python}, {gpus}, CUDA {driver_cuda}"
        return Unlisted(kind="torch build", asked=asked)

    # --- TensorFlow, JAX ----------------------------------------------------------------------------------

    @remembered
    def tensorflow(self, version: str) -> r.TensorFlowRelease | Unlisted:
        """A TensorFlow release by its version; "2.15" means its newest patch release."""
        release = stable_release("tensorflow", version)
        if isinstance(release, Unlisted):
            return release
        return _release_or_newest_patch("tensorflow release", release, self.tensorflow_releases)

    @remembered
    def newest_tensorflow(
        self,
        *,
        python: str | None = None,
        capability: Capability | None = None,
        driver_cuda: CudaVersion | None = None,
        platform: str = "linux_x86_64",
    ) -> r.TensorFlowRelease | Unlisted:
        """The newest TensorFlow whose wheel has machine code for the GPU and whose CUDA the driver can run."""
        for release in reversed(self.tensorflow_releases):
            pythons = release.pythons.get(platform, ())
            build = release.build(platform)
            if build and (python is None or python in pythons) and _tf_fits(build, capability, driver_cuda):
                return release
        wanted = f"for {platform}, Python {python}, {capability}, CUDA {driver_cuda}"
        return Unlisted(kind="tensorflow release", asked=wanted)

    @remembered
    def jax(self, version: str) -> r.JaxRelease | Unlisted:
        """A JAX release by its version."""
        release = stable_release("jax", version)
        if isinstance(release, Unlisted):
            return release
        return _release_or_newest_patch("jax release", release, self.jax_releases)

    # --- libraries and companions -------------------------------------------------------------------------

    @remembered
    def cudnn(self, version: str) -> r.Cudnn | Unlisted:
        """A cuDNN version ("9.1", "9.1.0.70", or the number 90100 that torch.backends.cudnn reports)."""
        dotted = cudnn_text(version)
        minor = tuple(map(int, re.findall(r"\d+", dotted)[:2]))
        family = next((f for f in self.cudnn_families if len(minor) == 2 and _spans(f, minor)), None)
        if family is None:
            return _missing("cuDNN", dotted, (p.version for p in self.cudnn_releases))
        packages = tuple(p for p in self.cudnn_releases if f"{p.version}.".startswith(f"{dotted}."))
        return r.Cudnn(version=dotted, family=family, packages=packages)

    @remembered
    def companion(self, package: str, version: str) -> r.Companion | Unlisted:
        """A release of a companion package (xformers, bitsandbytes, triton, cupy-cuda12x, …)."""
        name = package.lower().replace("_", "-")
        rows = [c for c in self.companions if c.package == name]
        if not rows:
            near = difflib.get_close_matches(name, {c.package for c in self.companions})
            return Unlisted(kind="companion package", asked=package, close=tuple(near))
        found = next((c for c in rows if c.version == version), None)
        return found or _missing(name, version, (c.version for c in rows))

    @remembered
    def companions_for_torch(self, package: str, torch: str) -> tuple[r.Companion, ...]:
        """The releases of a companion that accept a torch release, oldest first; empty if none is known."""
        release = stable_release("torch", torch)
        if isinstance(release, Unlisted):
            return ()
        rows = (c for c in self.companions if c.package == package and c.torch)
        return tuple(c for c in rows if _accepts(c.torch or "", release))

    @remembered
    def numpy2(self, package: str, version: str, platform: Platform = "linux") -> r.Numpy2 | Unlisted:
        """Whether a package's version works with NumPy 2 on a platform."""
        release = stable_release(package, version)
        if isinstance(release, Unlisted):
            return release
        rows = (n for n in self.numpy2_ranges if n.package == package and n.platform in ("any", platform))
        found = next((n for n in rows if _allows(n.versions, release)), None)
        return found or Unlisted(kind=f"NumPy 2 row of {package}", asked=version)

    @remembered
    def toolkit_components(self, cuda: str) -> r.ToolkitComponents | Unlisted:
        """The nvidia-* package versions of a toolkit ("12.4.1"; "12.4" means its newest update)."""
        known = self.toolkit_component_sets
        found = [t for t in known if t.toolkit == cuda or t.toolkit.startswith(f"{cuda}.")]
        return found[-1] if found else _missing("toolkit components", cuda, (t.toolkit for t in known))

    def jetson(self, l4t: str) -> r.Jetson | Unlisted:
        """The JetPack of an L4T release such as "36.4.3" (R36, revision 4.3 in /etc/nv_tegra_release)."""
        parts = tuple(map(int, re.findall(r"\d+", l4t)))
        found = next((j for j in self.jetsons if _l4t_spans(j, parts)), None)
        return found or _missing("L4T", l4t, (j.l4t_first for j in self.jetsons))

    # --- codes --------------------------------------------------------------------------------------------

    def cuda_error(self, code: int | str) -> r.CudaError | Unlisted:
        """A CUDA error by its number, runtime name or driver name."""
        wanted = str(code).strip().lower()
        for error in self.cuda_errors:
            if wanted in (str(error.code), error.runtime_name.lower(), (error.driver_name or "").lower()):
                return error
        names = [n for e in self.cuda_errors for n in (str(e.code), e.runtime_name, e.driver_name or "")]
        return Unlisted(kind="CUDA error", asked=str(code), close=tuple(difflib.get_close_matches(str(code), names)))

    def xid(self, number: int) -> r.Xid | Unlisted:
        """An Xid code of the kernel log."""
        found = next((x for x in self.xids if x.number == number), None)
        return found or _missing("Xid", str(number), (str(x.number) for x in self.xids))

    def about(self, subject: str) -> tuple[r.Fact, ...]:
        """The sentences on one subject."""
        return tuple(fact for fact in self.facts if fact.subject == subject)


ReleaseT = TypeVar("ReleaseT", r.TensorFlowRelease, r.JaxRelease)


def _release_or_newest_patch(kind: str, wanted: str, releases: Sequence[ReleaseT]) -> ReleaseT | Unlisted:
    exact = [x for x in releases if x.release == wanted]
    if not exact and wanted.count(".") == 1:
        exact = [x for x in releases if x.release.startswith(f"{wanted}.")]
    return exact[-1] if exact else _missing(kind, wanted, (x.release for x in releases))


def _with_builds(release: r.TorchRelease, builds: Iterable[r.TorchBuild]) -> r.TorchRelease:
    vision, audio = (versions[-1] if versions else None for versions in (release.torchvision, release.torchaudio))
    joined = (
        msgspec.structs.replace(
            build,
            torchvision=vision,
            torchaudio=audio,
            pythons=release.pythons.get(build.platform) or release.pythons.get("linux_x86_64", ()),
        )
        for build in builds
    )
    return msgspec.structs.replace(release, builds=tuple(joined))


def _minimum(cuda: CudaVersion, platform: Platform, named: Sequence[r.Toolkit]) -> r.MinimumDriver:
    first, last = named[0], named[-1]
    return r.MinimumDriver(
        cuda=str(cuda),
        platform=platform,
        version=first.minimum(platform) or "",
        newest=last.minimum(platform) or "",
        toolkit=first.release,
        source=first.source,
        checked=first.checked,
        verified=first.verified,
        note=first.note,
    )


def _first_major(branch: r.DriverBranch, platform: Platform) -> int:
    return branch.number if platform == "linux" else branch.windows_majors[0]


def _number(branch: str | None, missing: int) -> int:
    return int(branch.removeprefix("R")) if branch else missing


def _in_range(branch: r.DriverBranch, architecture: r.Architecture) -> bool:
    first, last = _number(architecture.first_branch, 0), _number(architecture.last_branch, 10_000)
    return first <= branch.number <= last


def _torch_fits(
    build: r.TorchBuild,
    platform: str,
    python: str | None,
    capability: Capability | None,
    driver: CudaVersion | None,
) -> bool:
    if build.platform != platform or build.cuda_version is None or (python and python not in build.pythons):
        return False
    if driver is not None and not cuda_fits(driver, build.cuda_version).fits:
        return False
    if capability is None:
        return True
    return build.targets is not None and coverage(build.targets, capability) is Coverage.NATIVE


def _torch_rank(build: r.TorchBuild) -> tuple[bool, bool, CudaVersion]:
    return build.verified, build.status == "stable", build.cuda_version or CudaVersion(0, 0)


def _glibc_fits(floor: str | None, have: str | None) -> bool:
    return floor is None or have is None or Version(have) >= Version(floor)


def _tf_fits(build: r.TensorFlowBuild, capability: Capability | None, driver: CudaVersion | None) -> bool:
    if not build.cuda_build:
        return False
    if driver is not None and (not build.cuda or not cuda_fits(driver, CudaVersion.parse(build.cuda)).fits):
        return False
    if capability is None:
        return True
    return build.code_targets is not None and coverage(build.code_targets, capability) is Coverage.NATIVE


def cudnn_text(version: str) -> str:
    """A cuDNN number as text: 8902 is 8.9.2, 90100 is 9.1.0; other text unchanged."""
    if not re.fullmatch(r"\d{4,6}", version):
        return version
    number = int(version)
    big, small = (1000, 100) if number < 10_000 else (10_000, 100)
    return f"{number // big}.{number % big // small}.{number % small}"


def _pair(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def _spans(family: r.CudnnFamily, minor: tuple[int, ...]) -> bool:
    return _pair(family.first) <= minor <= _pair(family.last)


def _accepts(requirement: str, release: str) -> bool:
    return any(_allows(part.strip(), release) for part in requirement.split("||"))


def _allows(specifier: str, release: Version | str) -> bool:
    from packaging.specifiers import SpecifierSet  # slow to import, and rarely asked

    return release in SpecifierSet(specifier)


def _l4t_spans(jetson: r.Jetson, parts: tuple[int, ...]) -> bool:
    first, last = _pair(jetson.l4t_first), _pair(jetson.l4t_last)
    return bool(parts) and first <= parts[: max(len(first), 1)] and parts[: len(last)] <= last
