"""The rows of ``compat_matrix/``: one frozen record for each file's lines, and the answer "not listed".

Field names are the data's own schema, so a row that has an unknown or misspelt field does not load.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from gpudoctor.relations import Capability, CodeTarget, CudaVersion, Platform, parse_targets

WheelPlatform = Literal["linux_x86_64", "linux_aarch64", "win_amd64", "macos_arm64", "macos_x86_64"]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A value of the matrix."""


class Row(Record, frozen=True, kw_only=True):
    """One line of a data file. ``source`` holds ids of ``sources.jsonl``; ``checked`` is an ISO date.

    ``verified`` is False where the row rests on memory or inference: a verdict built on it is not certain.
    ``hand_checked`` protects the row from the refresh, which then only reports that upstream differs.
    """

    source: tuple[str, ...]
    checked: str
    verified: bool = True
    hand_checked: bool = False
    note: str = ""


class Unlisted(Record, frozen=True, kw_only=True):
    """The matrix has no answer. ``close`` names what it does know that is near the thing asked.

    ``newer`` is true when the thing asked is newer than everything listed: judge it from the package's own
    metadata, or not at all.
    """

    kind: str
    asked: str
    close: tuple[str, ...] = ()
    newer: bool = False
    why: str = ""

    def sentence(self) -> str:
        """One line for a person: what is not listed, why, and what is close."""
        reason = self.why or ("newer than everything it lists" if self.newer else "")
        why = f": {reason}" if reason else ""
        near = f" Close to it: {', '.join(self.close)}." if self.close else ""
        return f"The matrix lists no {self.kind} {self.asked!r}{why}.{near}"


class Source(Record, frozen=True, kw_only=True):
    """Where rows come from. ``date`` says of when the material is, not when it was read."""

    id: str
    title: str
    place: str
    date: str


class Toolkit(Row, frozen=True, kw_only=True):
    """One CUDA toolkit release. A minimum driver of None was not published or not read; it never means "any"."""

    release: str
    cuda: str
    label: str
    month: str
    min_driver_linux: str | None = None
    min_driver_windows: str | None = None
    preview: bool = False

    def minimum(self, platform: Platform) -> str | None:
        """The driver NVIDIA's table names for this release on that platform."""
        return self.min_driver_linux if platform == "linux" else self.min_driver_windows


class MinorVersionFloor(Row, frozen=True, kw_only=True):
    """The oldest driver on which every build of one CUDA major runs (machine code only, not PTX)."""

    cuda_major: int
    applies_to: str
    linux: str
    windows: str

    def on(self, platform: Platform) -> str:
        """The floor on that platform."""
        return self.linux if platform == "linux" else self.windows


class MinimumDriver(Record, frozen=True, kw_only=True):
    """The oldest driver with which a CUDA version is complete (PTX and new features included).

    ``version`` is that of the first release of the minor; ``newest`` that of its last update known. Where
    NVIDIA's table gives none, it is the first number of the branch that carries this CUDA, and not verified.
    """

    cuda: str
    platform: Platform
    version: str
    newest: str
    toolkit: str
    source: tuple[str, ...]
    checked: str
    verified: bool = True
    note: str = ""


class ForwardCompatibility(Row, frozen=True, kw_only=True):
    """What is known of the forward-compatibility package (cuda-compat-X-Y) of one CUDA version."""

    cuda: str
    driver: str | None = None


class RequireCuda(Row, frozen=True, kw_only=True):
    """The NVIDIA_REQUIRE_CUDA of NVIDIA's CUDA container images."""

    cuda: str
    older_branches: tuple[str, ...]
    brands: str = ""


class DriverBranch(Row, frozen=True, kw_only=True):
    """One driver branch. ``kind``: LTSB (long-term support), PB (production), NFB (new feature), developer, other.

    Dates are ISO; ``windows_majors`` are the first and last major number of its Windows builds.
    """

    branch: str
    number: int
    max_cuda: str
    kind: str
    windows_majors: tuple[int, int]
    smi_prints_cuda: bool = True
    first_linux: str | None = None
    latest_linux: str | None = None
    latest_linux_date: str | None = None
    eol_linux: str | None = None
    first_windows: str | None = None
    latest_windows: str | None = None
    latest_windows_date: str | None = None
    eol_windows: str | None = None
    gpu_change: str = ""

    @property
    def cuda(self) -> CudaVersion:
        """The newest CUDA this branch knows: what nvidia-smi shows and ``cuDriverGetVersion`` returns."""
        return CudaVersion.parse(self.max_cuda)

    @property
    def recommended(self) -> bool:
        """A long-term or production branch, fit to be named in advice."""
        return self.kind in ("LTSB", "PB")

    @property
    def open_modules(self) -> Literal["none", "available", "default"]:
        """Whether the branch has open kernel modules, and whether its installer prefers them (Turing on)."""
        return "none" if self.number < 515 else "available" if self.number < 560 else "default"

    def end_of_life(self, platform: Platform) -> str | None:
        """The day after which the branch gets no more releases."""
        return self.eol_linux if platform == "linux" else self.eol_windows

    def latest(self, platform: Platform) -> str | None:
        """The newest release of the branch known to the matrix."""
        return self.latest_linux if platform == "linux" else self.latest_windows


class Architecture(Row, frozen=True, kw_only=True):
    """One compute capability. A last toolkit or branch of None means: still supported.

    A first branch of None means: before the oldest branch listed (or a Tegra, whose driver comes with JetPack).
    """

    capability: str
    name: str
    chips: tuple[str, ...]
    first_toolkit: str
    last_toolkit: str | None = None
    first_branch: str | None = None
    last_branch: str | None = None
    open_kernel: Literal["required", "supported", "unsupported"]
    features: tuple[str, ...] = ()
    tegra: bool = False

    @property
    def cc(self) -> Capability:
        """The capability as a comparable value."""
        return Capability.parse(self.capability)


GpuKind = Literal["datacenter", "workstation", "geforce", "jetson", "nvs", "mining"]


class GpuModel(Row, frozen=True, kw_only=True):
    """One GPU by its product name. Memory in GB, bandwidth in GB/s, peaks in TFLOP/s, tensor peaks dense.

    ``found_by`` says how the name asked led here. Anything but "name" and "pci-id" means that the name was
    read (a MIG slice, a vGPU, an lspci line, a cut-off name): the capability holds, figures only if present.
    ``other_capabilities`` are those of other chips sold under the same name: believe the driver, not the name.
    """

    name: str
    capability: str
    kind: GpuKind
    pci_ids: tuple[str, ...] = ()
    other_capabilities: tuple[str, ...] = ()
    memory_gb: float | None = None
    bandwidth_gb_s: float | None = None
    fp32_tflops: float | None = None
    tf32_tflops: float | None = None
    bf16_tflops: float | None = None
    fp16_tflops: float | None = None
    nvlink: bool | None = None
    pcie_generation: int | None = None
    gpus_on_board: int = 1
    figures_source: tuple[str, ...] = ()
    figures_verified: bool = False
    figures_note: str = ""
    found_by: Literal["name", "pci-id", "chip", "mig", "vgpu", "truncated", "family"] = "name"

    @property
    def cc(self) -> Capability:
        """The capability as a comparable value."""
        return Capability.parse(self.capability)


class PciDevice(Row, frozen=True, kw_only=True):
    """One NVIDIA PCI device id: chip and product as lspci names them."""

    device_id: str
    chip: str
    name: str
    capability: str
    kind: GpuKind


class VgpuBase(Row, frozen=True, kw_only=True):
    """The short name of a board inside a vGPU's name: A100D in "GRID A100D-40C"."""

    base: str
    board: str
    capability: str
    kind: GpuKind = "datacenter"


class TorchRelease(Row, frozen=True, kw_only=True):
    """One stable PyTorch release. ``pythons`` and ``min_glibc`` by platform; ``numpy2``: yes, no or partly."""

    release: str
    date: str
    requires_python: str | None = None
    pythons: dict[str, tuple[str, ...]]
    min_glibc: dict[str, str] = {}
    torchvision: tuple[str, ...] = ()
    torchaudio: tuple[str, ...] = ()
    cxx11_abi: bool | None = None
    numpy2: str = ""
    on_package_index: bool = True
    builds: tuple[TorchBuild, ...] = ()

    def variants(self, platform: str) -> tuple[str, ...]:
        """The CUDA variants that exist for a platform, oldest CUDA first."""
        found = {b.variant: b.cuda_version for b in self.builds if b.platform == platform and b.cuda_version}
        return tuple(sorted(found, key=lambda variant: found[variant]))


class TorchBuild(Row, frozen=True, kw_only=True):
    """One build of a PyTorch release. A field of None is not known; a CPU build has cuda None, variant "cpu".

    ``capabilities`` have machine code in the build, ``ptx`` as PTX. torchvision, torchaudio and pythons are
    the release's, joined when the matrix is read.
    """

    release: str
    variant: str
    platform: WheelPlatform
    cuda: str | None = None
    toolkit: str | None = None
    cudnn: str | None = None
    nccl: str | None = None
    triton: str | None = None
    capabilities: tuple[str, ...] | None = None
    ptx: tuple[str, ...] = ()
    pypi_default: bool = False
    status: Literal["stable", "experimental", "unannounced", "planned"] = "stable"
    wheel: str | None = None
    torchvision: str | None = None
    torchaudio: str | None = None
    pythons: tuple[str, ...] = ()

    @property
    def cuda_version(self) -> CudaVersion | None:
        """The CUDA of the build; None for a CPU build."""
        return CudaVersion.parse(self.cuda) if self.cuda else None

    @property
    def targets(self) -> tuple[CodeTarget, ...] | None:
        """The GPU code inside the build, for :func:`gpudoctor.relations.coverage`; None if not known."""
        if self.capabilities is None:
            return None
        native = parse_targets(self.capabilities)
        return native + tuple(target._replace(ptx=True) for target in parse_targets(self.ptx))

    @property
    def _flat_page(self) -> bool:
        """Before 1.11 the install page names one flat list of wheels, for pip's --find-links."""
        major, minor = self.release.split(".")[:2]
        return (int(major), int(minor)) < (1, 11)

    @property
    def index_url(self) -> str | None:
        """The public address that serves this build; None for macOS, whose only build is the package index's."""
        if self.platform.startswith("macos"):
            return None
        if self._flat_page:
            return "https://download.pytorch.org/whl/torch_stable.html"
        return f"https://download.pytorch.org/whl/{self.variant}"

    def pip_arguments(self, *, companions: bool = True) -> tuple[str, ...]:
        """What follows ``pip install`` to get exactly this build, with torchvision and torchaudio if known."""
        local = f"+{self.variant}" if self._flat_page and not self.pypi_default else ""
        wanted = [("torch", self.release)]
        if companions:
            wanted += [
                (name, version)
                for name, version in (("torchvision", self.torchvision), ("torchaudio", self.torchaudio))
                if version
            ]
        requirements = tuple(
            f"{name}=={version}{'' if name == 'torchaudio' and self._flat_page else local}" for name, version in wanted
        )
        if self.index_url is None:
            return requirements
        return (*requirements, "--find-links" if self._flat_page else "--index-url", self.index_url)


class TorchPins(Row, frozen=True, kw_only=True):
    """The Requires-Dist pins of one wheel of the package index, without markers."""

    release: str
    platform: WheelPlatform
    wheel: str
    pins: dict[str, str]
    toolkit_components: dict[str, str] = {}


class TensorFlowBuild(Row, frozen=True, kw_only=True):
    """What one TensorFlow wheel says of itself in build_info.py. ``cuda_build`` None: the wheel does not say.

    ``targets`` are sm_ (machine code) and compute_ (PTX) names; None: the wheel does not say.
    """

    release: str
    package: str
    platform: WheelPlatform
    cuda_build: bool | None = None
    cuda: str | None = None
    cudnn: str | None = None
    targets: tuple[str, ...] | None = None
    wheel: str | None = None
    delegates_to: str | None = None

    @property
    def code_targets(self) -> tuple[CodeTarget, ...] | None:
        """The GPU code inside the build, for :func:`gpudoctor.relations.coverage`; None if not known."""
        return None if self.targets is None else parse_targets(self.targets)


class TensorFlowRelease(Row, frozen=True, kw_only=True):
    """One stable TensorFlow release. ``cuda`` and ``cudnn`` are the tested build's (Linux), ``windows_*`` Windows'.

    A value of None: no GPU there. ``and_cuda`` holds the pins of the extra; ``numpy``, ``keras_requires`` and
    ``protobuf`` are requirement texts.
    """

    release: str
    date: str
    requires_python: str | None = None
    pythons: dict[str, tuple[str, ...]]
    cuda: str | None = None
    cudnn: str | None = None
    windows_cuda: str | None = None
    windows_cudnn: str | None = None
    and_cuda: dict[str, str] = {}
    and_cuda_exact: bool = False
    keras: str = ""
    keras_requires: tuple[str, ...] = ()
    numpy: tuple[str, ...] = ()
    numpy2: str = ""
    protobuf: tuple[str, ...] = ()
    min_glibc: str | None = None
    tensorflow_gpu_date: str | None = None
    builds: tuple[TensorFlowBuild, ...] = ()

    def build(self, platform: str, package: str = "tensorflow") -> TensorFlowBuild | None:
        """The wheel of that package on that platform."""
        fits = (b for b in self.builds if b.platform == platform and b.package == package)
        return next(fits, None)

    @property
    def gpu_on_native_windows(self) -> bool:
        """Whether a Windows wheel of this release uses the GPU (never after 2.10)."""
        return any(b.platform == "win_amd64" and b.cuda_build for b in self.builds)


class JaxRelease(Row, frozen=True, kw_only=True):
    """One JAX release. Floors of the CUDA plugins by major ("12", "13"); drivers are Linux versions."""

    release: str
    date: str
    requires_python: str
    jaxlib: tuple[str, ...] = ()
    numpy: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    plugins: dict[str, dict[str, str]] = {}
    cudnn_floor: dict[str, str] = {}
    driver_floor: dict[str, str] = {}
    capability_floor: dict[str, str] = {}


class CudnnFamily(Row, frozen=True, kw_only=True):
    """A range of cuDNN releases with the same support. Versions are major.minor, both ends included."""

    first: str
    last: str
    cuda_majors: tuple[str, ...]
    first_capability: str
    last_capability: str | None = None
    min_driver_linux: dict[str, str] = {}
    min_driver_windows: dict[str, str] = {}
    soname: str

    def supports(self, capability: Capability) -> bool:
        """Whether the libraries of this range have kernels for a GPU (an open end counts as supported)."""
        last = Capability.parse(self.last_capability) if self.last_capability else capability
        return Capability.parse(self.first_capability) <= capability <= last


class CudnnRelease(Row, frozen=True, kw_only=True):
    """One release of a nvidia-cudnn-cuXX package."""

    package: str
    version: str
    date: str
    cuda_major: int
    platforms: tuple[str, ...]
    yanked: bool = False
    needs: tuple[str, ...] = ()


class Cudnn(Record, frozen=True, kw_only=True):
    """The answer for a cuDNN version: its family and the packages of that version."""

    version: str
    family: CudnnFamily
    packages: tuple[CudnnRelease, ...]


class Companion(Row, frozen=True, kw_only=True):
    """One release of a package that is built for a framework or a CUDA version.

    ``torch`` is a requirement ("==2.4.1", ">=2.4,<3"); ``cuda`` the CUDA versions or majors ("12.x") it is
    built for; empty or None: its metadata does not tell.
    """

    package: str
    version: str
    date: str | None = None
    torch: str | None = None
    cuda: tuple[str, ...] = ()
    cudnn: str | None = None
    requires_python: str | None = None
    numpy: str | None = None
    min_capability: str | None = None


class CudaError(Row, frozen=True, kw_only=True):
    """One CUDA error code; ``rules`` are the root causes it points at, likeliest first."""

    code: int
    runtime_name: str
    driver_name: str | None = None
    meaning: str
    rules: tuple[str, ...] = ()


class Xid(Row, frozen=True, kw_only=True):
    """One Xid code of the NVIDIA kernel driver; ``severity`` says whether hardware is in doubt."""

    number: int
    name: str
    meaning: str
    severity: Literal["hardware", "driver", "application", "information"]
    rules: tuple[str, ...] = ()


class Jetson(Row, frozen=True, kw_only=True):
    """One JetPack range and its L4T, CUDA and boards. ``sbsa``: generic aarch64 wheels run on it."""

    jetpack: str
    l4t_first: str
    l4t_last: str
    cuda: str
    cudnn: str
    capabilities: tuple[str, ...]
    python: str
    sbsa_capabilities: tuple[str, ...] = ()


class Numpy2(Row, frozen=True, kw_only=True):
    """Whether a range of a package's versions works with NumPy 2."""

    package: str
    versions: str
    platform: Literal["any", "linux", "windows"] = "any"
    numpy2: Literal["no", "yes", "required"]
    numpy: str = ""
    symptom: str = ""
    fix: str = ""


class ToolkitComponents(Row, frozen=True, kw_only=True):
    """The nvidia-* package versions of one CUDA toolkit release."""

    toolkit: str
    uploaded: str | None = None
    components: dict[str, str]


class Fact(Row, frozen=True, kw_only=True):
    """A sentence about one subject that fits no table."""

    subject: str
    fact: str


def to_json(value: Any) -> dict[str, Any]:
    """A record as plain JSON values, with every field present, defaults too."""
    plain = {name: getattr(value, name) for name in value.__struct_fields__}
    return {name: msgspec.to_builtins(item) for name, item in plain.items()}
