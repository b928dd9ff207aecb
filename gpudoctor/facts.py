"""Everything gpudoctor can know about a machine and one Python environment, judged by nobody yet.

Every record is frozen, says in ``source`` where it came from (``NVML``, ``/proc/modules``, ``line 14``), and
decodes from and encodes to JSON with :func:`decode` and :func:`encode`. ``None`` inside a record means *known to
be absent*; :class:`Missing` in place of a record means *not known*, with the kind of not knowing.

The shape has four levels, which the engine calls scopes: the machine (fields of :class:`Facts`), each GPU
(:class:`Gpu`), each framework (:class:`Framework`), each smoke job and each message.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

SCHEMA = "gpudoctor.facts/1"
COLLECTED = "gpudoctor.collected/1"  # facts, and what the environment under test answered: the standalone collector's

FrameworkName = Literal["torch", "tensorflow", "jax"]
FRAMEWORKS: tuple[FrameworkName, ...] = ("torch", "tensorflow", "jax")


def _kebab(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """A frozen value without a source of its own: a part of a fact."""


class Fact(Record, frozen=True, kw_only=True, tag_field="fact", tag=_kebab):
    """A group of readings that were taken together, and the place they were taken from."""

    source: str


class Missing(msgspec.Struct, frozen=True, tag_field="fact", tag="missing"):
    """Not knowing. Never means absent and never means healthy.

    ``where`` is the step that was reached (``nvmlDeviceGetHandleByIndex, GPU 3``), ``detail`` what was seen there.
    """

    kind: Literal["unreadable", "timed-out", "crashed", "not-asked", "not-in-paste"]
    detail: str = ""
    where: str = ""

    def __str__(self) -> str:
        words = self.kind.replace("-", " ")
        return ": ".join(part for part in (words, self.where, self.detail) if part)


NOT_ASKED = Missing("not-asked")
NOT_IN_PASTE = Missing("not-in-paste")

_T = TypeVar("_T")
Maybe: TypeAlias = _T | Missing


# ---------------------------------------------------------------------------------------------- the request


class Request(Fact, frozen=True, kw_only=True):
    """What the user asked for, as far as judgement depends on it.

    ``requirements`` are those of a pre-flight (``gpus>=2``); facts that none of them needs may be not-asked.
    """

    required: tuple[FrameworkName, ...] = ()
    allow_cpu: bool = False
    quick: bool = False
    smoke: bool = True
    requirements: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------------------- the host


class System(Fact, frozen=True, kw_only=True):
    """Operating system. ``distribution`` is os-release's ID (``ubuntu``), ``like`` its ID_LIKE."""

    os: Literal["linux", "windows", "macos"]
    distribution: str | None = None
    release: str | None = None
    name: str | None = None
    like: tuple[str, ...] = ()
    kernel: str | None = None
    architecture: str | None = None


class Libc(Fact, frozen=True, kw_only=True):
    """The C library that dynamic programs here use, such as glibc 2.35."""

    name: Literal["glibc", "musl"]
    version: str


class Processor(Fact, frozen=True, kw_only=True):
    """``flags`` are the instruction-set flags of /proc/cpuinfo (``avx``, ``avx2``, ``asimd`` …)."""

    model: str | None
    flags: frozenset[str]
    count: int


class HostMemory(Fact, frozen=True, kw_only=True):
    """Main memory in bytes, and the cgroup's limit where there is one."""

    total: int
    available: int | None = None
    limit: int | None = None


class SharedMemory(Fact, frozen=True, kw_only=True):
    """/dev/shm in bytes."""

    total: int
    free: int


class VirtualMachine(Fact, frozen=True, kw_only=True):
    """The hypervisor that this system runs under (``kvm``, ``vmware``, ``microsoft`` …), None on bare metal."""

    hypervisor: str | None


class Wsl(Fact, frozen=True, kw_only=True):
    """Windows Subsystem for Linux. ``libraries`` are the file names in /usr/lib/wsl/lib; ``dxg`` is /dev/dxg.

    ``release`` is WSL's own version (``2.2.4.0``), ``windows`` the build of Windows around it (``10.0.22631.3880``).
    """

    version: Literal[1, 2] | None
    libraries: tuple[str, ...] = ()
    dxg: bool = False
    release: str | None = None
    windows: str | None = None


class Container(Fact, frozen=True, kw_only=True):
    """The container engine, None outside a container; ``orchestrator`` is ``kubernetes`` inside a pod.

    ``gpu_hooks`` are traces that an NVIDIA runtime left (mounted driver files). ``image`` is what the image says
    of itself (``NVIDIA_PRODUCT_NAME``, CUDA image labels in the environment), when it says anything.
    """

    engine: Literal["docker", "podman", "containerd", "cri-o", "lxc", "apptainer", "enroot", "unknown"] | None
    orchestrator: Literal["kubernetes"] | None = None
    gpu_hooks: tuple[str, ...] = ()
    image: str | None = None


class ContainerStart(Fact, frozen=True, kw_only=True):
    """How a container was started, as a pasted command, compose file or pod shows it. Not known on a machine.

    ``gpus`` is what was asked for (``all``, ``2``, ``device=0``), None when the command asks for none; ``runtime``
    that of ``--runtime``. ``shm`` is ``--shm-size`` as written, or ``host`` for ``--ipc=host``.
    """

    engine: str
    text: str = ""
    image: str | None = None
    gpus: str | None = None
    runtime: str | None = None
    devices: tuple[str, ...] = ()
    capabilities: str | None = None
    shm: str | None = None
    privileged: bool = False
    variables: dict[str, str] = {}


class Jetson(Fact, frozen=True, kw_only=True):
    """NVIDIA Tegra board: L4T release (``36.4.0``) and model; both None elsewhere."""

    l4t: str | None
    model: str | None = None


class HostedNotebook(Fact, frozen=True, kw_only=True):
    """A hosted notebook service whose driver the user cannot change."""

    service: Literal["colab", "kaggle"] | None


class Scheduler(Fact, frozen=True, kw_only=True):
    """A batch scheduler's job, and the GPUs that it gave to this job (None: it does not say)."""

    name: Literal["slurm", "pbs", "lsf", "sge"] | None
    job: str | None = None
    gpus: str | None = None


class PciDevice(Record, frozen=True, kw_only=True):
    """A display or 3D controller on the PCI bus. Ids are four lower-case hexadecimal digits."""

    address: str
    vendor: str
    device: str
    driver: str | None
    name: str | None = None
    revision: str | None = None


class PciDevices(Fact, frozen=True, kw_only=True):
    """All display, 3D and accelerator controllers on the PCI bus, of any vendor."""

    devices: tuple[PciDevice, ...]


class KernelModules(Fact, frozen=True, kw_only=True):
    """Names of loaded kernel modules that concern GPUs (nvidia, nvidia_uvm, nouveau, nova_core, vfio_pci …)."""

    loaded: tuple[str, ...]


class KernelDriver(Fact, frozen=True, kw_only=True):
    """The loaded NVIDIA kernel module; both None when no NVIDIA module is loaded."""

    version: str | None
    flavour: Literal["open", "proprietary"] | None = None


class ModuleFile(Record, frozen=True, kw_only=True):
    """An NVIDIA kernel module on disk, built for one kernel. ``how`` is dkms, or the folder's own name."""

    kernel: str
    version: str | None = None
    how: str | None = None


class DriverFiles(Fact, frozen=True, kw_only=True):
    """The driver as installed on disk: kernel modules per kernel, DKMS states, user-mode library versions.

    ``libraries`` are the versions in the names of libnvidia-ml.so.* and libcuda.so.* in the loader's folders.
    ``packages`` are the distribution's own driver packages (``name version``) where its database is readable.
    ``flavour`` is that of the installed kernel module by its licence (modinfo), whether it is loaded or not.
    """

    modules: tuple[ModuleFile, ...] = ()
    dkms: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    flavour: Literal["open", "proprietary"] | None = None


class SecureBoot(Fact, frozen=True, kw_only=True):
    """UEFI secure boot; None on a machine without UEFI."""

    enabled: bool | None


class DeviceNode(Record, frozen=True, kw_only=True):
    """One /dev/nvidia* node. ``mode`` is octal text such as ``0666``; access is what this process may do."""

    path: str
    mode: str | None = None
    owner: int | None = None
    group: int | None = None
    readable: bool | None = None
    writable: bool | None = None
    opens: str | None = None


class DeviceNodes(Fact, frozen=True, kw_only=True):
    """The NVIDIA device nodes that exist.

    ``opens`` of a node is None when opening it works or was not tried, else the errno's name, or how the child
    process ended that tried to open it (``timed out``).
    """

    nodes: tuple[DeviceNode, ...]

    def node(self, path: str) -> DeviceNode | None:
        """The node of that path, None if it does not exist."""
        return next((node for node in self.nodes if node.path == path), None)


class XidEvent(Record, frozen=True, kw_only=True):
    """One ``NVRM: Xid`` line of the kernel log. https://docs.nvidia.com/deploy/xid-errors/"""

    xid: int
    pci: str | None
    text: str


class KernelLog(Fact, frozen=True, kw_only=True):
    """GPU lines of the kernel log: Xid events, and other lines of NVRM, nouveau and the module loader."""

    xids: tuple[XidEvent, ...] = ()
    lines: tuple[str, ...] = ()


class Service(Record, frozen=True, kw_only=True):
    """A system service and its systemd state (``active``, ``failed``, ``inactive``, ``not-found``)."""

    name: str
    state: str
    version: str | None = None


class Services(Fact, frozen=True, kw_only=True):
    """The state of the services that GPUs need (nvidia-fabricmanager, nvidia-persistenced, nvidia-imex …)."""

    services: tuple[Service, ...]


# ------------------------------------------------------------------------------------- the driver's user side


class Nvml(Fact, frozen=True, kw_only=True):
    """NVML's own state. ``result`` is the name of what nvmlInit returned, ``NVML_SUCCESS`` when it worked.

    ``NVML_ERROR_LIBRARY_NOT_FOUND`` is a result, not a Missing: it was looked for and is not there.
    ``cuda`` is nvmlSystemGetCudaDriverVersion (``12.4``), which NVML reads from the libcuda that the loader gives it:
    cuda-compat's where that comes first. ``library`` is the file that was mapped, ``detail`` the loader's own words
    or what else went wrong on the way.
    """

    result: str
    driver: str | None = None
    cuda: str | None = None
    library: str | None = None
    detail: str | None = None


class LibraryFile(Record, frozen=True, kw_only=True):
    """One file of a shared library, in the loader's order. ``found_by`` is LD_LIBRARY_PATH, cache, default …"""

    path: str
    real: str | None = None
    version: str | None = None
    kind: Literal["driver", "stub", "compat", "wsl", "image", "tegra", "unknown"] = "unknown"
    found_by: str | None = None
    owner: str | None = None


class LibcudaFiles(Fact, frozen=True, kw_only=True):
    """Every libcuda.so.1 that the loader could take, and the one it does take (None: it finds none)."""

    taken: LibraryFile | None
    others: tuple[LibraryFile, ...] = ()


class CudaDriver(Fact, frozen=True, kw_only=True):
    """What the CUDA driver API says in a child process.

    ``result``/``code`` are cuInit's, ``CUDA_SUCCESS``/0 when it worked; ``not-found`` when there is no libcuda,
    ``not-loadable`` when the loader refuses the file it finds (``detail`` has its words: file too short).
    ``version`` is cuDriverGetVersion as ``12.4``: that of the libcuda which the loader takes, cuda-compat
    included. ``count`` is cuDeviceGetCount. ``names`` are cuDeviceGetName in CUDA's own order.
    """

    result: str
    code: int | None = None
    version: str | None = None
    count: int | None = None
    library: str | None = None
    names: tuple[str, ...] = ()
    detail: str | None = None


# ----------------------------------------------------------------------------------------------- each GPU


class GpuCapability(Fact, frozen=True, kw_only=True):
    """Compute capability as ``8.9``."""

    value: str


class GpuMemory(Fact, frozen=True, kw_only=True):
    """Device memory in bytes (nvmlDeviceGetMemoryInfo)."""

    total: int
    used: int | None = None
    free: int | None = None


class GpuModes(Fact, frozen=True, kw_only=True):
    """Modes that an administrator sets. None: not supported by this GPU.

    ``compute`` is default, exclusive-thread, prohibited or exclusive-process; ``model`` is the Windows driver
    model (WDDM, TCC, MCDM); ``virtualization`` is NVML's (none, passthrough, vgpu, host-vgpu, host-vsga);
    ``vgpu_license`` is licensed or unlicensed; ``confidential`` is confidential computing: off, on, devtools, or
    not-ready until an administrator allows work.
    """

    compute: str | None = None
    persistence: bool | None = None
    mig: bool | None = None
    mig_pending: bool | None = None
    display: bool | None = None
    model: str | None = None
    virtualization: str | None = None
    vgpu_license: str | None = None
    confidential: str | None = None


class GpuEcc(Fact, frozen=True, kw_only=True):
    """ECC mode and error counts; row remapping (Ampere and newer) and page retirement (before Ampere)."""

    enabled: bool | None = None
    corrected: int | None = None
    uncorrected: int | None = None
    uncorrected_lifetime: int | None = None
    remapped_corrected: int | None = None
    remapped_uncorrected: int | None = None
    remap_pending: bool | None = None
    remap_failure: bool | None = None
    retired_pages: int | None = None
    retired_pending: bool | None = None


class GpuClocks(Fact, frozen=True, kw_only=True):
    """Temperature in °C, power in W, clocks in MHz, and the names of the active throttle reasons.

    Names as in nvml.h: gpu-idle, applications-clocks-setting, sw-power-cap, hw-slowdown, sync-boost,
    sw-thermal-slowdown, hw-thermal-slowdown, hw-power-brake-slowdown, display-clock-setting, board-limit,
    reliability; another bit is given as ``0x800``. ``temperature_limit`` is where the GPU slows down.
    """

    throttle: tuple[str, ...] = ()
    temperature: int | None = None
    temperature_limit: int | None = None
    power: float | None = None
    power_limit: float | None = None
    power_default_limit: float | None = None
    sm_clock: int | None = None
    sm_clock_max: int | None = None


class GpuLink(Fact, frozen=True, kw_only=True):
    """PCIe link: generation and lanes, now and at most. NVML reads them low while the GPU idles."""

    generation: int | None = None
    generation_max: int | None = None
    width: int | None = None
    width_max: int | None = None
    replays: int | None = None


class NvLink(Fact, frozen=True, kw_only=True):
    """NVLink: how many links the GPU has and how many are active."""

    links: int
    active: int


class GpuFabric(Fact, frozen=True, kw_only=True):
    """Fabric state of an NVSwitch GPU (not-supported, not-started, in-progress, completed) and its result."""

    state: str
    status: str | None = None


class GpuProcess(Record, frozen=True, kw_only=True):
    """A process that holds memory (bytes, None when the driver does not tell) on a GPU."""

    pid: int
    used: int | None = None
    name: str | None = None
    kind: Literal["compute", "graphics"] = "compute"


class GpuProcesses(Fact, frozen=True, kw_only=True):
    """Processes on a GPU as the driver lists them. Inside a container the driver's PIDs are not ours."""

    processes: tuple[GpuProcess, ...]


class MigInstance(Record, frozen=True, kw_only=True):
    """One MIG compute instance."""

    uuid: str
    name: str | None = None
    memory: int | None = None


class MigInstances(Fact, frozen=True, kw_only=True):
    """The MIG instances of a GPU on which MIG is enabled."""

    instances: tuple[MigInstance, ...]


class Gpu(Fact, frozen=True, kw_only=True):
    """One GPU in NVML's order.

    ``error`` is the NVML error that its handle, name or addresses gave, or NVML_ERROR_GPU_IS_LOST or
    NVML_ERROR_RESET_REQUIRED from any other reading. ``pci`` is spelled as in sysfs (``0000:65:00.0``); ``pci_device``
    is four hexadecimal digits.
    """

    index: int
    name: str | None = None
    uuid: str | None = None
    pci: str | None = None
    pci_device: str | None = None
    error: str | None = None
    capability: Maybe[GpuCapability] = NOT_ASKED
    memory: Maybe[GpuMemory] = NOT_ASKED
    modes: Maybe[GpuModes] = NOT_ASKED
    ecc: Maybe[GpuEcc] = NOT_ASKED
    clocks: Maybe[GpuClocks] = NOT_ASKED
    link: Maybe[GpuLink] = NOT_ASKED
    nvlink: Maybe[NvLink] = NOT_ASKED
    fabric: Maybe[GpuFabric] = NOT_ASKED
    processes: Maybe[GpuProcesses] = NOT_ASKED
    mig: Maybe[MigInstances] = NOT_ASKED
    vbios: str | None = None


class Gpus(Fact, frozen=True, kw_only=True):
    """The list of NVIDIA GPUs that the driver shows here. Empty is known absence."""

    gpus: tuple[Gpu, ...]


# ----------------------------------------------------------------------------------- CUDA libraries on disk


class Toolkit(Record, frozen=True, kw_only=True):
    """A CUDA toolkit on disk. ``found_by``: /usr/local, CUDA_HOME, PATH, conda; joined by ``, `` if several."""

    path: str
    version: str | None
    nvcc: str | None = None
    found_by: str = ""


class Toolkits(Fact, frozen=True, kw_only=True):
    """All CUDA toolkits seen, none being a healthy state: wheels carry their own runtime."""

    toolkits: tuple[Toolkit, ...]


class CudnnCopy(Record, frozen=True, kw_only=True):
    """One cuDNN on disk and who brought it (system, toolkit, wheel, conda)."""

    path: str
    version: str | None
    brought_by: str


class CudnnCopies(Fact, frozen=True, kw_only=True):
    """All cuDNN copies seen, in no order."""

    copies: tuple[CudnnCopy, ...]


class Environment(Fact, frozen=True, kw_only=True):
    """The environment variables that matter to GPU computing, and only those."""

    variables: dict[str, str]


# --------------------------------------------------------------------------------- the Python under test


class Interpreter(Fact, frozen=True, kw_only=True):
    """The interpreter under test.

    ``environment`` says what it lives in; ``tool`` what made or manages that (``uv``, ``conda``, ``poetry``,
    ``pixi``, ``pip`` …). ``project`` is the folder whose lock file (uv.lock, poetry.lock, pixi.lock) rules over the
    environment: what is installed past the lock is taken back by the next sync. ``tags`` are the platform tags that its
    pip would accept first. ``externally_managed`` is PEP 668. ``pip`` is False where pip is not installed for it.
    """

    executable: str
    version: str
    implementation: str = "cpython"
    prefix: str
    base_prefix: str | None = None
    environment: Literal["venv", "conda", "system", "unknown"] = "unknown"
    environment_path: str | None = None
    tool: str | None = None
    project: str | None = None
    free_threaded: bool = False
    externally_managed: bool = False
    pip: bool | None = None
    bits: int = 64
    architecture: str | None = None
    platform: str | None = None
    libc: str | None = None
    store: bool = False
    user_site: str | None = None
    path: tuple[str, ...] = ()


class Package(Record, frozen=True, kw_only=True):
    """One copy of a distribution on sys.path, in sys.path order.

    ``name`` is normalised (PEP 503); ``metadata`` is False for a package folder without dist-info.
    ``requires`` are the Requires-Dist lines that concern GPU computing; ``missing_files`` counts files of its RECORD
    that are gone (None: not looked at); ``damaged`` names some of those and of the libraries that are shorter than it
    says, as paths in ``location``, files of tests left out.
    """

    name: str
    version: str | None
    location: str
    installer: str | None = None
    requires: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: bool = True
    requires_python: str | None = None
    editable: bool = False
    missing_files: int | None = None
    damaged: tuple[str, ...] = ()


class CondaPackage(Record, frozen=True, kw_only=True):
    """A package of a conda environment under conda's own name. ``channel`` is its last part (``conda-forge``)."""

    name: str
    version: str
    build: str
    channel: str | None = None


class Packages(Fact, frozen=True, kw_only=True):
    """All copies of the packages that concern GPU computing, first on sys.path first; ``total`` counts all.

    ``conda`` are the conda packages of the same environment; conda's Python packages are in both.
    ``complete`` False: a text showed only some of them, so that a name not listed may be installed all the same.
    """

    packages: tuple[Package, ...]
    total: int | None = None
    conda: tuple[CondaPackage, ...] = ()
    complete: bool = True

    def copies(self, name: str) -> tuple[Package, ...]:
        """All copies of a distribution by normalised name, the one that imports first."""
        return tuple(package for package in self.packages if package.name == name)

    def version(self, name: str) -> str | None:
        """The version of the copy that imports, None if the package is not installed."""
        return next((package.version for package in self.copies(name)), None)


class UnmetPin(Record, frozen=True, kw_only=True):
    """A Requires-Dist line that the environment does not satisfy. ``found`` None: not installed."""

    package: str
    requirement: str
    found: str | None


class Pins(Fact, frozen=True, kw_only=True):
    """Requirements of the framework packages that the installed packages do not satisfy."""

    unmet: tuple[UnmetPin, ...]


class Shadows(Fact, frozen=True, kw_only=True):
    """Local files or folders that would be imported in place of a framework (``./torch.py``).

    ``standard`` are those in place of a module of the standard library (``./json.py``).
    """

    files: tuple[str, ...]
    standard: tuple[str, ...] = ()


class OtherEnvironment(Record, frozen=True, kw_only=True):
    """Another Python environment nearby, and the frameworks in it by name and version."""

    path: str
    frameworks: dict[str, str]


class OtherEnvironments(Fact, frozen=True, kw_only=True):
    """Environments near the working directory and home that hold frameworks."""

    environments: tuple[OtherEnvironment, ...]


# ------------------------------------------------------------------------------------------ each framework


class Build(Fact, frozen=True, kw_only=True):
    """What an installed framework package says of itself, read as text, without importing it.

    ``accelerator`` is cuda, cpu, rocm, xpu or metal; ``cuda`` the toolkit it was built with. ``cudnn`` and ``nccl``
    are the versions it was built for. ``targets`` are its GPU code targets as written (``sm_90``, ``8.6``,
    ``9.0+PTX``); empty when the package does not say. ``channel`` is release, nightly, ngc or source.
    """

    distribution: str
    version: str
    location: str
    accelerator: Literal["cuda", "cpu", "rocm", "xpu", "metal", "unknown"]
    cuda: str | None = None
    cudnn: str | None = None
    nccl: str | None = None
    targets: tuple[str, ...] = ()
    channel: Literal["release", "nightly", "ngc", "conda", "source", "unknown"] = "unknown"
    installer: str | None = None
    requires_python: str | None = None
    debug: bool | None = None


class MappedLibrary(Record, frozen=True, kw_only=True):
    """A CUDA library that the framework's process really mapped. ``owner`` is a distribution, or None."""

    name: str
    path: str
    version: str | None = None
    owner: str | None = None


class FrameworkDevice(Record, frozen=True, kw_only=True):
    """A device as the framework lists it."""

    name: str
    capability: str | None = None
    memory: int | None = None


class Imported(Fact, frozen=True, kw_only=True):
    """What happened when the framework was imported in a child process, and what it then said of itself.

    ``ok`` False with ``error`` (``ImportError: libcudnn.so.9: …``) is a fact; a hang or a crash by signal is one too
    (``ended``: exception, signal SIGSEGV, hung, exit code 3). ``available`` is the framework's own word that a GPU
    is usable, which proves nothing.
    """

    ok: bool
    ended: str | None = None
    error: str | None = None
    seconds: float | None = None
    version: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    cudnn_built: str | None = None
    nccl: str | None = None
    available: bool | None = None
    devices: tuple[FrameworkDevice, ...] = ()
    targets: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    libraries: tuple[MappedLibrary, ...] = ()


class Framework(Fact, frozen=True, kw_only=True):
    """One framework in the environment under test. ``installed`` False is known absence."""

    name: FrameworkName
    installed: bool
    build: Maybe[Build] = NOT_ASKED
    imported: Maybe[Imported] = NOT_ASKED


class Frameworks(Fact, frozen=True, kw_only=True):
    """The frameworks looked for, installed or not."""

    frameworks: tuple[Framework, ...]


# ---------------------------------------------------------------------------------------- what was run


SmokeStage = Literal["start", "import", "init", "copy", "compute", "train", "verify", "parts", "done"]
Precision = Literal["fp32", "tf32", "fp16", "bf16"]
SmokeResult = Literal["proved", "ran-on-cpu", "failed", "hung", "not-run"]


class Proof(Record, frozen=True, kw_only=True):
    """One item of evidence about a smoke job. ``holds`` None: could not be looked at (``detail`` says why)."""

    name: str
    holds: bool | None
    detail: str = ""
    required: bool = False


class Training(Record, frozen=True, kw_only=True):
    """How one more network learnt in a smoke job. Scores are of held-out images; ``loss`` is the curve."""

    network: str
    images: str
    loss: tuple[float | None, ...] = ()
    accuracy: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    examples_per_second: float | None = None


class Part(Record, frozen=True, kw_only=True):
    """One operation that was checked against the CPU and timed (``matrix-product-bf16``, ``copy-to-gpu-pinned`` …).

    ``holds`` False: the numbers are wrong. None: not compared, because it failed (``error`` is its meaningful line, or
    how the child ended in it), or because it was not tried (``detail``: not supported here, no time left). ``rate`` is
    in ``unit``: TFLOP/s, GB/s (10^9 bytes, read and write both counted for a copy inside the GPU) or million numbers a
    second. ``seconds`` is the whole part, with its first, slower run.
    """

    name: str
    holds: bool | None
    detail: str = ""
    error: str | None = None
    rate: float | None = None
    unit: Literal["TFLOP/s", "GB/s", "M/s"] | None = None
    seconds: float | None = None


class Sample(Record, frozen=True, kw_only=True):
    """What NVML told of the job's GPU at one moment, ``at`` seconds after the job began; units as in GpuClocks."""

    at: float
    temperature: int | None = None
    power: float | None = None
    sm_clock: int | None = None
    throttle: tuple[str, ...] = ()
    used: int | None = None


class Smoke(Fact, frozen=True, kw_only=True):
    """One smoke-training job: how far it came, what it measured, and the evidence about where it computed.

    ``loss`` and the scores are those of the convolutional network, ``perceptron`` those of the second one. ``loss``
    holds None where the loss was no finite number. ``mig`` is the UUID of the MIG instance that the job was given.
    ``cpu_examples_per_second`` is the same training step on the CPU, timed over a few steps after a job on a GPU.
    ``result`` says what is proved, not what is wrong. ``stage`` is the last stage that began; ``device`` is the
    framework's name for the device (``cuda:0``), ``gpu`` NVML's index of it, None on the CPU. ``error`` is the last
    meaningful line of a failure, ``ended`` how the child ended (exception, signal SIGSEGV, hung, exit code 3).
    """

    framework: FrameworkName
    device: str
    gpu: int | None
    mig: str | None = None
    precision_mode: Precision = "fp32"
    stage: SmokeStage
    result: SmokeResult
    error: str | None = None
    ended: str | None = None
    pid: int | None = None
    wait_channel: str | None = None
    loss: tuple[float | None, ...] = ()
    accuracy: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    examples_per_second: float | None = None
    cpu_examples_per_second: float | None = None
    seconds: float | None = None
    perceptron: Training | None = None
    proofs: tuple[Proof, ...] = ()
    parts: tuple[Part, ...] = ()
    timeline: tuple[Sample, ...] = ()

    def proof(self, name: str) -> Proof | None:
        """The item of evidence with that name, None if it was not recorded."""
        return next((proof for proof in self.proofs if proof.name == name), None)


class MemoryFault(Record, frozen=True, kw_only=True):
    """Bytes ``first`` to ``last`` of the tested memory, counted from its start, that came back otherwise."""

    first: int
    last: int
    wrote: str
    read: str


class MemoryTest(Record, frozen=True, kw_only=True):
    """A pattern written to and read back from a GPU's memory; sizes in bytes. ``error``: why it ended early."""

    gpu: int | None
    free: int
    tested: int
    faults: tuple[MemoryFault, ...] = ()
    error: str | None = None
    mig: str | None = None


class MemoryTests(Fact, frozen=True, kw_only=True):
    """The memory tests of a deep smoke run, through the CUDA driver."""

    tests: tuple[MemoryTest, ...]


class PeerCopy(Record, frozen=True, kw_only=True):
    """A copy from one GPU's memory to another's (NVML's indices, else CUDA's), compared byte for byte.

    ``direct``: cuDeviceCanAccessPeer allows it without a detour over main memory. ``holds`` None: ``error`` says why
    it was not compared; False: it tells the first difference. ``hung``: the copy did not return. ``rate`` in GB/s.
    """

    source_gpu: int
    target_gpu: int
    direct: bool | None
    holds: bool | None
    rate: float | None = None
    error: str | None = None
    hung: bool = False


class PeerCopies(Fact, frozen=True, kw_only=True):
    """Copies between every pair of GPUs in both directions, through the CUDA driver."""

    copies: tuple[PeerCopy, ...]


class Collective(Record, frozen=True, kw_only=True):
    """One collective operation (``all-reduce``, ``all-gather``, ``broadcast``), compared with its exact result.

    ``holds`` None: it was not reached. ``rank`` is the first process that saw a wrong result. ``seconds`` are those
    of the largest tensor in the slowest process.
    """

    name: str
    holds: bool | None
    detail: str = ""
    rank: int | None = None
    seconds: float | None = None


CollectiveStage = Literal["start", "import", "init", "connect", "all-reduce", "all-gather", "broadcast", "end", "done"]


class Collectives(Fact, frozen=True, kw_only=True):
    """Collective operations between ``processes`` processes on ``nodes`` machines, started by torchrun.

    Told by the processes of this machine. ``ended`` is how the one ended that failed first, ``rank``, when not all
    ended well (exception, signal SIGSEGV, hung, timed out, exit code 3), ``error`` its last meaningful line, ``stage``
    where it was: at ``init`` the processes find one another, at ``connect`` the backend first exchanges data.
    ``waited``: it only lost the connection to another process, and none here is known to have failed by itself.
    """

    backend: Literal["nccl", "gloo"]
    processes: int
    nodes: int = 1
    nccl: str | None = None
    collectives: tuple[Collective, ...] = ()
    stage: CollectiveStage = "done"
    ended: str | None = None
    error: str | None = None
    rank: int | None = None
    waited: bool = False
    seconds: float | None = None

    @property
    def ending(self) -> str | None:
        """How it ended and where, such as ``hung at all-gather``; None where it ended well."""
        return f"{self.ended} at {self.stage}" if self.ended else None


class Message(Fact, frozen=True, kw_only=True):
    """One line that a program printed: an error, a warning, a log line. Text, never to be trusted as markup."""

    text: str
    framework: FrameworkName | None = None


# ------------------------------------------------------------------------------------------------- plug-ins


class Extra(Record, frozen=True, kw_only=True):
    """What the probe of a plug-in saw, under the probe's name. ``source`` is where it looked."""

    name: str
    source: str
    values: dict[str, str | int | float | bool | None]


class Extras(Fact, frozen=True, kw_only=True):
    """What the probes of all plug-ins saw."""

    extras: tuple[Extra, ...]

    def of(self, name: str) -> Extra | None:
        """What the probe of that name saw, None where there is none or it failed."""
        return next((extra for extra in self.extras if extra.name == name), None)


# ---------------------------------------------------------------------------------------------- all of it


class Facts(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """All that is known. Saved as facts.json it is a bug report, a test fixture and a corpus case at once."""

    gpudoctor: str = ""
    created: str = ""
    origin: Literal["machine", "paste"] = "machine"
    request: Request = Request(source="command line")

    system: Maybe[System] = NOT_ASKED
    libc: Maybe[Libc] = NOT_ASKED
    processor: Maybe[Processor] = NOT_ASKED
    memory: Maybe[HostMemory] = NOT_ASKED
    shared_memory: Maybe[SharedMemory] = NOT_ASKED
    virtual_machine: Maybe[VirtualMachine] = NOT_ASKED
    wsl: Maybe[Wsl] = NOT_ASKED
    container: Maybe[Container] = NOT_ASKED
    container_start: Maybe[ContainerStart] = NOT_ASKED
    jetson: Maybe[Jetson] = NOT_ASKED
    hosted: Maybe[HostedNotebook] = NOT_ASKED
    scheduler: Maybe[Scheduler] = NOT_ASKED
    pci: Maybe[PciDevices] = NOT_ASKED
    kernel_modules: Maybe[KernelModules] = NOT_ASKED
    kernel_driver: Maybe[KernelDriver] = NOT_ASKED
    driver_files: Maybe[DriverFiles] = NOT_ASKED
    secure_boot: Maybe[SecureBoot] = NOT_ASKED
    device_nodes: Maybe[DeviceNodes] = NOT_ASKED
    kernel_log: Maybe[KernelLog] = NOT_ASKED
    services: Maybe[Services] = NOT_ASKED
    environment: Maybe[Environment] = NOT_ASKED

    nvml: Maybe[Nvml] = NOT_ASKED
    gpus: Maybe[Gpus] = NOT_ASKED
    libcuda: Maybe[LibcudaFiles] = NOT_ASKED
    cuda: Maybe[CudaDriver] = NOT_ASKED
    toolkits: Maybe[Toolkits] = NOT_ASKED
    cudnn: Maybe[CudnnCopies] = NOT_ASKED

    interpreter: Maybe[Interpreter] = NOT_ASKED
    packages: Maybe[Packages] = NOT_ASKED
    pins: Maybe[Pins] = NOT_ASKED
    shadows: Maybe[Shadows] = NOT_ASKED
    other_environments: Maybe[OtherEnvironments] = NOT_ASKED
    frameworks: Maybe[Frameworks] = NOT_ASKED
    extras: Maybe[Extras] = NOT_ASKED

    smokes: tuple[Smoke, ...] = ()
    memory_tests: Maybe[MemoryTests] = NOT_ASKED
    peer_copies: Maybe[PeerCopies] = NOT_ASKED
    collectives: Maybe[Collectives] = NOT_ASKED
    messages: tuple[Message, ...] = ()

    def framework(self, name: FrameworkName) -> Framework | None:
        """The framework of that name, None when it was not looked for."""
        listed = self.frameworks.frameworks if isinstance(self.frameworks, Frameworks) else ()
        return next((framework for framework in listed if framework.name == name), None)

    def known_gpus(self) -> tuple[Gpu, ...]:
        """The GPUs that NVML listed; empty also when the list is not known."""
        return self.gpus.gpus if isinstance(self.gpus, Gpus) else ()

    def installed_frameworks(self) -> tuple[Framework, ...]:
        """The frameworks known to be installed."""
        listed = self.frameworks.frameworks if isinstance(self.frameworks, Frameworks) else ()
        return tuple(framework for framework in listed if framework.installed)


@cache
def _decoder() -> msgspec.json.Decoder[Facts]:
    """Made when it is first needed: it takes longer than to define all records."""
    return msgspec.json.Decoder(Facts)


def encode(facts: Facts) -> bytes:
    """Facts as indented JSON with a final newline. Text that is no Unicode (a lone surrogate) is written escaped."""
    try:
        data = msgspec.json.encode(facts, order="deterministic")
    except UnicodeEncodeError:
        data = msgspec.json.encode(_unicode(msgspec.to_builtins(facts)))
    return msgspec.json.format(data, indent=1) + b"\n"


def _unicode(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_unicode(key): _unicode(one) for key, one in value.items()}
    return [_unicode(one) for one in value] if isinstance(value, list | tuple) else value


def decode(data: bytes | str) -> Facts:
    """Facts from JSON. Raises ``msgspec.ValidationError`` or ``msgspec.DecodeError``, both ``ValueError``."""
    return _decoder().decode(data)


def to_builtins(facts: Facts) -> dict[str, Any]:
    """Facts as plain dictionaries and lists, for a report."""
    result = msgspec.to_builtins(facts)
    assert isinstance(result, dict)  # noqa: S101 - a Struct always becomes a dict
    return result
