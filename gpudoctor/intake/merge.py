"""Pieces of all formats → Facts: a tool's output before a log line, that before a person's word; nothing is guessed.

Where two places disagree, the more trusted one holds, of two alike the more specific, else the first in the paste.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from gpudoctor.facts import (
    NOT_IN_PASTE,
    Build,
    Container,
    CudaDriver,
    CudnnCopies,
    CudnnCopy,
    DriverFiles,
    Environment,
    Fact,
    Facts,
    Frameworks,
    Gpu,
    GpuCapability,
    Gpus,
    HostedNotebook,
    HostMemory,
    Imported,
    Interpreter,
    Jetson,
    KernelDriver,
    KernelLog,
    Libc,
    LibcudaFiles,
    LibraryFile,
    Message,
    Missing,
    Nvml,
    PciDevice,
    PciDevices,
    Processor,
    Services,
    System,
    Toolkit,
    Toolkits,
    VirtualMachine,
    Wsl,
)
from gpudoctor.intake import words
from gpudoctor.intake.frameworks import PLACE, Surroundings, frameworks_of, packages_of
from gpudoctor.intake.pieces import Piece, Said, SeenGpus, SeenPackage, Trust
from gpudoctor.intake.sources import first_line, joined
from gpudoctor.matrix import Unlisted, load
from gpudoctor.relations import CudaVersion, cuda_fits

MOST_GPUS = 128

# Packages of lists and labels that are no Python packages: what each states.
_DRIVER_PACKAGE = re.compile(
    r"(?:nvidia|windows|host)-driver(?:-\d{3}(?:-(?:open|server))?|-cuda)?|nvidia-(?:utils|dkms|fabricmanager)-\d{3}|nvidia-dkms"
)


class _Gathered:
    """Pieces sorted by what they are, and the few questions that the merge asks of them."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.said: dict[str, list[Said]] = defaultdict(list)
        self.packages: list[SeenPackage] = []
        self.gpus: list[SeenGpus] = []
        self.records: dict[type, list[Fact]] = defaultdict(list)
        for piece in pieces:
            if isinstance(piece, Said):
                self.said[piece.key].append(piece)
            elif isinstance(piece, SeenPackage):
                self._package(piece)
            elif isinstance(piece, SeenGpus):
                self.gpus.append(piece)
            else:
                self.records[type(piece)].append(piece)

    def _package(self, piece: SeenPackage) -> None:
        """Route what only looks like a package: ``nvidia-driver==580.159.03``, ``torch.version.cuda``, ``__glibc``."""
        name, version = piece.name.lower(), piece.version or ""
        if _DRIVER_PACKAGE.fullmatch(name):
            if words.driver(version):
                self.said["driver"].append(Said("driver", words.driver(version) or "", piece.where, Trust.STATED))
            if name.startswith("nvidia-") and name != "nvidia-driver":
                files = DriverFiles(source=piece.where, packages=(f"{name} {version}",))
                self.records[DriverFiles].append(files)
        elif name == "torch.version.cuda":
            key = "none" if words.is_nothing(version) else words.cuda(version)
            self.said["torch.cuda"] += [Said("torch.cuda", key, piece.where)] if key else []
        elif name in ("__glibc", "glibc"):
            self.said["libc"].append(Said("libc", f"glibc {version}", piece.where))
        elif name == "__cuda":
            self.said["driver.cuda"].append(Said("driver.cuda", version, piece.where, Trust.LOGGED))
        elif name == "cuda" and piece.tool != "conda list":
            self.said["toolkit"].append(Said("toolkit", version, piece.where))
        elif name in ("cudnn", "cudnn-loaded") and piece.tool != "conda list":
            self.said["cudnn"].append(Said("cudnn", version, piece.where))
        elif name == "nvidia-jetpack":
            self.said["jetpack"].append(Said("jetpack", version, piece.where))
        elif name == "python" and version:
            self.said["python"].append(Said("python", version, piece.where, Trust.SHOWN))
        else:
            self.packages.append(piece)

    def best(self, key: str) -> Said | None:
        """The most trusted statement; of several alike the first, or one that says the same more exactly."""
        found: Said | None = None
        for said in self.said.get(key, ()):
            if (
                found is None
                or said.trust > found.trust
                or (said.trust == found.trust and said.value.startswith(found.value))
            ):
                found = said
        return found

    def value(self, key: str) -> str | None:
        """The value of the best statement."""
        best = self.best(key)
        return best.value if best else None

    def record(self, kind: type) -> Any:
        """The first finished record of a type, NOT_IN_PASTE if there is none."""
        return next(iter(self.records.get(kind, ())), NOT_IN_PASTE)


def merge(pieces: Iterable[Piece]) -> Facts:
    """The facts that the pieces make together; what none of them shows is not in the paste."""
    g = _Gathered(pieces)
    system, wsl = _system(g), _wsl(g)
    windows_numbers = not isinstance(wsl, Missing) or (isinstance(system, System) and system.os == "windows")
    jetson = _jetson(g)
    gpus, pci = _gpus(g), _pci(g)
    says = {key: tuple(values) for key, values in g.said.items()}
    around = Surroundings(_platform(system, gpus), _conda_owns(g), says)
    packages = tuple(g.packages)
    frameworks = frameworks_of(packages, around)
    fields: dict[str, Any] = {
        "system": system,
        "libc": _libc(g),
        "processor": _processor(g),
        "memory": _memory(g),
        "virtual_machine": _virtual_machine(g),
        "wsl": wsl,
        "container": _container(g),
        "jetson": jetson,
        "hosted": _hosted(g),
        "pci": pci,
        "kernel_driver": _kernel_driver(g, isinstance(wsl, Missing)),
        "driver_files": _driver_files(g),
        "kernel_log": _kernel_log(g),
        "services": _services(g),
        "environment": _environment(g),
        "nvml": _nvml(g, _derived_cuda(g, frameworks, windows_numbers, jetson)),
        "gpus": gpus,
        "libcuda": _libcuda(g),
        "cuda": _cuda(g),
        "toolkits": _toolkits(g),
        "cudnn": _cudnn(g),
        "interpreter": _interpreter(g, system),
        "packages": packages_of(packages) or NOT_IN_PASTE,
        "frameworks": frameworks or NOT_IN_PASTE,
        "messages": _messages(g),
    }
    for name, kind in _WHOLE.items():
        fields[name] = g.record(kind)
    return Facts(origin="paste", **{**dict.fromkeys(_ALL, NOT_IN_PASTE), **fields})


def _messages(g: _Gathered) -> tuple[Message, ...]:
    """All messages in the order of the paste, each text once."""
    found = (record for record in (*g.records.get(Message, ()), *_processor_name(g)) if isinstance(record, Message))
    once: dict[str, Message] = {}
    for message in found:
        once.setdefault(message.text, message)
    return tuple(sorted(once.values(), key=lambda message: first_line(message.source)))


_MISSABLE = {name: hint for name, hint in Facts.__annotations__.items() if str(hint).startswith("Maybe[")}
_ALL = tuple(_MISSABLE)


def _whole() -> dict[str, type]:
    """Fields whose record one format hands over whole, by the record's type."""
    from gpudoctor import facts

    names = (
        "kernel_modules",
        "secure_boot",
        "device_nodes",
        "container_start",
        "shared_memory",
        "scheduler",
        "shadows",
    )
    kinds = {name: str(_MISSABLE[name])[6:-1] for name in names}
    return {name: getattr(facts, kind) for name, kind in kinds.items()}


_WHOLE = _whole()


# ------------------------------------------------------------------------------------------------- the host


def _system(g: _Gathered) -> System | Missing:
    named = [(said, found) for said in g.said.get("os", ()) if (found := words.system(said.value))]
    kernel, arch = g.best("kernel"), g.best("architecture")
    if not named and kernel is None and not g.said.get("wsl"):
        return NOT_IN_PASTE
    if not named:
        where = joined([said.where for said in (kernel, arch) if said] or [g.said["wsl"][0].where])
        return System(source=where, os="linux", kernel=kernel.value if kernel else None, architecture=_value(arch))
    # The first of the most telling: a distribution before "Linux", a tool before a person.
    said, found = max(named, key=lambda pair: (not pair[1].vague, pair[0].trust))
    windows = next((pair for pair in named if pair[1].os == "windows" and pair[0].trust is Trust.LOGGED), None)
    if windows and found.os == "linux" and found.vague and not found.wsl:
        said, found = windows
    release = found.release
    return System(
        source=joined([said.where, *(s.where for s in (kernel, arch) if s)]),
        os=found.os,
        distribution=found.distribution,
        release=release,
        name=said.value.strip(),
        like=words.like(found.distribution),
        kernel=kernel.value if kernel else None,
        architecture=arch.value if arch else next((f.architecture for _, f in named if f.architecture), None),
    )


def _value(said: Said | None) -> str | None:
    return said.value if said else None


def _wsl(g: _Gathered) -> Wsl | Missing:
    stated = g.best("wsl")
    named = [(said, found.wsl) for said in g.said.get("os", ()) if (found := words.system(said.value)) and found.wsl]
    if stated is None and not named:
        return NOT_IN_PASTE
    where, number = (stated.where, stated.value) if stated else (named[0][0].where, str(named[0][1]))
    release, windows = g.best("wsl.version"), g.best("windows.build")
    return Wsl(
        source=joined([where, *(said.where for said in (release, windows) if said)]),
        version=1 if number == "1" else 2,
        release=release.value if release else None,
        windows=windows.value if windows else _windows_build(named),
    )


def _windows_build(named: Iterable[tuple[Said, object]]) -> str | None:
    """``Windows 10.0.22631.3880 / Arch (WSL2)``."""
    found = (
        re.search(r"[Ww]indows\D{0,20}(?:1[01]\s{1,3})?(10\.0\.\d{5}(?:\.\d{1,5})?)", said.value) for said, _ in named
    )
    return next((match[1] for match in found if match), None)


def _libc(g: _Gathered) -> Libc | Missing:
    said = g.best("libc")
    if said is None:
        return NOT_IN_PASTE
    name, _, version = said.value.partition(" ")
    return Libc(source=said.where, name="musl" if name == "musl" else "glibc", version=version)


def _processor(g: _Gathered) -> Processor | Missing:
    model, flags, count = g.best("cpu.model"), g.best("cpu.flags"), g.best("cpu.count")
    if flags is None:  # a name alone does not say what the processor can do; it is a message
        return NOT_IN_PASTE
    return Processor(
        source=joined([said.where for said in (model, flags) if said]),
        model=model.value if model else None,
        flags=frozenset(flags.value.lower().split()),
        count=_int(count) or 1,
    )


def _processor_name(g: _Gathered) -> tuple[Message, ...]:
    """The processor's name as a message where its flags are not shown."""
    model = g.best("cpu.model")
    if model is None or g.best("cpu.flags") is not None or words.is_nothing(model.value):
        return ()
    return (Message(source=model.where, text=f"CPU model: {model.value}"),)


def _int(said: Said | None) -> int | None:
    return (
        int(said.value) if said and said.value.isascii() and said.value.isdecimal() and len(said.value) < 16 else None
    )


def _memory(g: _Gathered) -> HostMemory | Missing:
    said = g.best("memory")
    total = _int(said)
    return HostMemory(source=said.where, total=total) if said and total else NOT_IN_PASTE


def _virtual_machine(g: _Gathered) -> VirtualMachine | Missing:
    said = g.best("vm")
    return VirtualMachine(source=said.where, hypervisor=said.value) if said else NOT_IN_PASTE


_ENGINES: tuple[tuple[str, str], ...] = (
    ("podman", "podman"), ("distrobox", "podman"), ("enroot", "enroot"), ("apptainer", "apptainer"),
    ("singularity", "apptainer"), ("containerd", "containerd"), ("nerdctl", "containerd"), ("cri-o", "cri-o"),
    ("lxc", "lxc"), ("lxd", "lxc"), ("docker", "docker"),
)  # fmt: skip


def _container(g: _Gathered) -> Container | Missing:
    said = g.best("container")
    named = next((s for s in g.said.get("os", ()) if (found := words.system(s.value)) and found.container), None)
    said = said or named
    if said is None:
        return NOT_IN_PASTE
    low = said.value.lower()
    if low.startswith(("colab", "kaggle", "hosted")):
        return NOT_IN_PASTE
    engine = next((name for mark, name in _ENGINES if mark in low), "unknown")
    orchestrator = "kubernetes" if "kubernetes" in low or "k8s" in low or low == "pod" else None
    image = g.best("image") or g.best("jetson.image") or named
    return Container(
        source=said.where,
        engine=engine,  # type: ignore[arg-type]
        orchestrator=orchestrator,  # type: ignore[arg-type]
        image=image.value if image else None,
    )


def _jetson(g: _Gathered) -> Jetson | Missing:
    number, model, pack = g.best("jetson.l4t"), g.best("jetson.model"), g.best("jetpack")
    named = [
        (said, found.jetson)
        for said in g.said.get("os", ())
        if (found := words.system(said.value)) and found.jetson is not None
    ]
    wheres = [said.where for said in (number, model, pack) if said] + [said.where for said, _ in named]
    if not wheres:
        return NOT_IN_PASTE
    l4t = number.value if number else next((release for _, release in named if release), None)
    board = next((said.value for said, _ in named if "jetson" in said.value.lower()), None)
    return Jetson(source=joined(wheres), l4t=l4t, model=model.value if model else board)


def _hosted(g: _Gathered) -> HostedNotebook | Missing:
    for said in (*g.said.get("os", ()), *g.said.get("container", ())):
        low = said.value.lower()
        if "colab" in low or "kaggle" in low:
            return HostedNotebook(source=said.where, service="colab" if "colab" in low else "kaggle")
    return NOT_IN_PASTE


def _platform(system: System | Missing, gpus: Gpus | Missing) -> str | None:
    """The platform as the matrix names it, None unless it is certain: a GeForce sits in an x86 machine."""
    if isinstance(system, Missing):
        return None
    arch = system.architecture
    if arch is None and isinstance(gpus, Gpus):
        models = [words.gpu_model(gpu.name) for gpu in gpus.gpus if gpu.name]
        arch = "x86_64" if any(model and model.kind in ("geforce", "mining") for model in models) else None
    if system.os == "windows":
        return "win_amd64"
    if system.os == "macos":
        return "macos_arm64" if arch == "aarch64" else "macos_x86_64" if arch == "x86_64" else None
    return {"x86_64": "linux_x86_64", "aarch64": "linux_aarch64"}.get(arch or "")


def _conda_owns(g: _Gathered) -> bool:
    """Whether conda installed the packages, as far as the paste tells."""
    return bool(g.said.get("conda.prefix")) or any(one.tool == "conda list" for one in g.packages)


# ----------------------------------------------------------------------------------------------- the driver


def _derived_cuda(
    g: _Gathered, frameworks: Frameworks | None, windows_numbers: bool, jetson: Jetson | Missing
) -> str | None:
    """The newest CUDA of the driver's branch, where only the driver's number is shown.

    Not on a Jetson, whose numbers are others; and not where a framework uses the GPU with a newer CUDA than that:
    then a cuda-compat libcuda is loaded, and what it knows the paste does not show.
    """
    driver = g.best("driver")
    if driver is None or g.best("driver.cuda") is not None or not isinstance(jetson, Missing):
        return None
    derived = words.cuda_of_driver(driver.value, "windows" if windows_numbers else "linux")
    if derived is None:
        return None
    for framework in frameworks.frameworks if frameworks else ():
        built = framework.build.cuda if isinstance(framework.build, Build) else None
        works = isinstance(framework.imported, Imported) and framework.imported.available
        if works and built and not cuda_fits(CudaVersion.parse(derived), CudaVersion.parse(built)).fits:
            return None
    return derived


def _nvml(g: _Gathered, derived: str | None) -> Nvml | Missing:
    results = g.said.get("driver.result", [])
    failed = next((said for said in results if said.value != "NVML_SUCCESS"), None)
    result = failed or (results[0] if results else None)
    driver, cuda, shown = g.best("driver"), g.best("driver.cuda"), g.best("driver.cuda.shown")
    if result is None and driver is None and cuda is None:
        return NOT_IN_PASTE
    wheres = [said.where for said in (result, driver, cuda) if said]
    return Nvml(
        source=joined(wheres, "compatibility matrix" if derived else None),
        result=result.value if result else "not-shown",
        driver=driver.value if driver else None,
        cuda=cuda.value if cuda else derived,
        detail=f"CUDA Version: {shown.value}" if shown else None,
    )


def _kernel_driver(g: _Gathered, not_wsl: bool) -> KernelDriver | Missing:
    version, flavour, absent = g.best("kernel.driver"), g.best("driver.flavour"), g.best("kernel.driver.absent")
    if version is None and flavour is not None and not_wsl:
        version = g.best("driver")
    if version is None and absent is not None:
        return KernelDriver(source=absent.where, version=None)
    if version is None:
        return NOT_IN_PASTE
    return KernelDriver(
        source=joined([said.where for said in (version, flavour) if said]),
        version=version.value,
        flavour=flavour.value if flavour else None,  # type: ignore[arg-type]
    )


def _driver_files(g: _Gathered) -> DriverFiles | Missing:
    """What modinfo, DKMS and the distribution's packages show of the driver on disk, together."""
    found = [record for record in g.records.get(DriverFiles, ()) if isinstance(record, DriverFiles)]
    if not found:
        return NOT_IN_PASTE
    return DriverFiles(
        source=joined([record.source for record in found]),
        modules=tuple(dict.fromkeys(module for record in found for module in record.modules)),
        dkms=tuple(state for record in found for state in record.dkms),
        libraries=tuple(dict.fromkeys(version for record in found for version in record.libraries)),
        packages=tuple(dict.fromkeys(package for record in found for package in record.packages)),
        flavour=next((record.flavour for record in found if record.flavour), None),
    )


def _libcuda(g: _Gathered) -> LibcudaFiles | Missing:
    said = g.best("libcuda")
    if said is None:
        return NOT_IN_PASTE
    return LibcudaFiles(source=said.where, taken=LibraryFile(path="libcuda.so.1", version=said.value))


def _cuda(g: _Gathered) -> CudaDriver | Missing:
    result, version = g.best("cuda.result"), g.best("cuda.version")
    if result is None and version is None:
        return NOT_IN_PASTE
    found = load().cuda_error(result.value) if result else None
    known = None if found is None or isinstance(found, Unlisted) else found
    name = (known.driver_name or known.runtime_name) if known else result.value if result else "not-shown"
    return CudaDriver(
        source=joined([said.where for said in (result, version) if said]),
        result=name,
        code=known.code if known else None,
        version=version.value if version else None,
    )


def _kernel_log(g: _Gathered) -> KernelLog | Missing:
    logs = [record for record in g.records.get(KernelLog, ()) if isinstance(record, KernelLog)]
    if not logs:
        return NOT_IN_PASTE
    return KernelLog(
        source=joined([log.source for log in logs]),
        xids=tuple(xid for log in logs for xid in log.xids),
        lines=tuple(line for log in logs for line in log.lines),
    )


def _services(g: _Gathered) -> Services | Missing:
    found = [record for record in g.records.get(Services, ()) if isinstance(record, Services)]
    services = {service.name: service for record in reversed(found) for service in record.services}
    return (
        Services(source=joined([r.source for r in found]), services=tuple(services.values())) if found else NOT_IN_PASTE
    )


# ------------------------------------------------------------------------------------------------- the GPUs


def _gpus(g: _Gathered) -> Gpus | Missing:
    """One list: the most trusted place's GPUs by index, each completed by what other places show of the same GPU."""
    places = sorted(g.gpus, key=lambda seen: (-seen.trust, not seen.whole))
    if not places:
        return NOT_IN_PASTE
    named = [seen for seen in places if any(gpu.name or gpu.uuid for gpu in seen.gpus)]
    if not named:
        empty = next((seen for seen in places if seen.whole and not seen.gpus), None)
        if empty:
            return Gpus(source=empty.where, gpus=())
        return NOT_IN_PASTE if not g.said.get("driver") else _anonymous(places)
    whole = next((seen for seen in named if seen.whole), None)
    merged: dict[int, Gpu] = {}
    for seen in named:
        if seen.trust is Trust.MENTIONED and merged:
            continue
        for gpu in seen.gpus:
            _add(merged, gpu, whole if whole is not seen else None)
    for seen in places:
        for gpu in seen.gpus:
            if not gpu.name and not gpu.uuid and gpu.index in merged:
                merged[gpu.index] = _completed(merged[gpu.index], gpu)
    listed = [_with_capability(merged[index]) for index in sorted(merged)][:MOST_GPUS]
    return Gpus(source=joined([seen.where for seen in named]), gpus=tuple(listed))


def _anonymous(places: list[SeenGpus]) -> Gpus:
    """GPUs of which a tool shows settings and no name."""
    merged: dict[int, Gpu] = {}
    for seen in places:
        for gpu in seen.gpus:
            merged[gpu.index] = _completed(merged[gpu.index], gpu) if gpu.index in merged else gpu
    return Gpus(source=joined([seen.where for seen in places]), gpus=tuple(merged[i] for i in sorted(merged)))


def _add(merged: dict[int, Gpu], gpu: Gpu, whole: SeenGpus | None) -> None:
    """Put a GPU where it belongs: its index, or that of the same model; a stranger beside a whole list is left out."""
    present = merged.get(gpu.index)
    if present is not None and _same(present, gpu):
        merged[gpu.index] = _completed(present, gpu)
        return
    twin = next((known for known in merged.values() if _same(known, gpu)), None)
    if twin is not None:
        if gpu.uuid is None and gpu.pci is None:
            merged[twin.index] = _completed(twin, gpu)
            if present is None and whole is None:
                merged[gpu.index] = gpu
            return
    elif whole is None and present is None and len(merged) < MOST_GPUS:
        merged[gpu.index] = gpu
        return
    if whole is None and present is None and len(merged) < MOST_GPUS:
        merged[gpu.index] = gpu


def _same(one: Gpu, other: Gpu) -> bool:
    if one.uuid and other.uuid:
        return one.uuid == other.uuid
    if not one.name or not other.name:
        return one.index == other.index
    if one.name == other.name:
        return True
    first, second = _plain(one.name), _plain(other.name)
    if first.endswith("...") or second.endswith("..."):
        first, second = first.rstrip(". "), second.rstrip(". ")
        return first.startswith(second) or second.startswith(first)
    return first == second


def _plain(name: str) -> str:
    return re.sub(r"\b(?:nvidia|geforce|tesla|corporation)\b\s*", "", name.lower()).replace("-", " ").strip()


def _completed(known: Gpu, other: Gpu) -> Gpu:
    """The known GPU with what only the other line shows."""
    changes: dict[str, Any] = {}
    for field in ("uuid", "pci", "pci_device", "error", "vbios"):
        if getattr(known, field) is None and getattr(other, field) is not None:
            changes[field] = getattr(other, field)
    for field in ("capability", "memory", "modes", "ecc", "clocks", "link", "nvlink", "fabric", "processes", "mig"):
        mine, theirs = getattr(known, field), getattr(other, field)
        if isinstance(theirs, Missing):
            continue
        changes[field] = theirs if isinstance(mine, Missing) else _filled(mine, theirs)
    if other.name and (known.name is None or (known.name.endswith("...") and not other.name.endswith("..."))):
        changes["name"] = other.name
    return msgspec.structs.replace(known, **changes) if changes else known


def _filled(mine: Any, theirs: Any) -> Any:
    """A record with the other's values where its own are not known."""
    gaps = {
        name: getattr(theirs, name)
        for name in mine.__struct_fields__
        if name != "source" and getattr(mine, name) in (None, ()) and getattr(theirs, name) not in (None, ())
    }
    return msgspec.structs.replace(mine, **gaps) if gaps else mine


def _with_capability(gpu: Gpu) -> Gpu:
    if not isinstance(gpu.capability, Missing) or not gpu.name:
        return gpu
    model = words.gpu_model(gpu.name) or (words.gpu_model_of_pci(gpu.pci_device) if gpu.pci_device else None)
    if model is None:
        return gpu
    found = GpuCapability(source=f"{gpu.source}, compatibility matrix", value=model.capability)
    return msgspec.structs.replace(gpu, capability=found)


def _pci(g: _Gathered) -> PciDevices | Missing:
    """lspci's devices; a GPU of another maker that a tool names is one too."""
    found = [record for record in g.records.get(PciDevices, ()) if isinstance(record, PciDevices)]
    others = g.said.get("other.gpu", [])
    if not found and not others:
        return NOT_IN_PASTE
    devices = {(d.address, d.name): d for record in found for d in record.devices}
    for said in others:
        if not any(said.value in (device.name or "") for device in devices.values()):
            vendor = words.vendor_id(said.value) or ""
            devices[("", said.value)] = PciDevice(address="", vendor=vendor, device="", driver=None, name=said.value)
    if not found and any(seen.gpus for seen in g.gpus):
        return NOT_IN_PASTE
    wheres = [record.source for record in found] + [said.where for said in others]
    return PciDevices(source=joined(wheres), devices=tuple(devices.values()))


# ------------------------------------------------------------------------------- libraries and environment


def _toolkits(g: _Gathered) -> Toolkits | Missing:
    found: dict[str, Toolkit] = {}
    wheres: list[str] = []
    for said in sorted((*g.said.get("toolkit.nvcc", ()), *g.said.get("toolkit", ())), key=lambda s: -s.trust):
        nvcc = said.key == "toolkit.nvcc"
        if any(known == said.value or known.startswith(f"{said.value}.") for known in found):
            continue
        wheres.append(said.where)
        found[said.value] = Toolkit(
            path=PLACE, version=said.value, nvcc=said.value if nvcc else None, found_by="nvcc" if nvcc else "stated"
        )
    for said in g.said.get("toolkit.path", ()):
        number = re.search(r"cuda-(\d{1,2}\.\d{1,2})", said.value)
        version = number[1] if number else None
        key = next(
            (known for known in found if version and known.startswith(version) and found[known].path == PLACE), None
        )
        if key:
            found[key] = msgspec.structs.replace(found[key], path=said.value)
        else:
            found.setdefault(said.value, Toolkit(path=said.value, version=version, found_by="stated"))
        wheres.append(said.where)
    return Toolkits(source=joined(wheres), toolkits=tuple(found.values())) if found else NOT_IN_PASTE


_CUDNN_FILE = re.compile(r"[._](\d{1,2}(?:\.\d{1,3}){0,3})(?:\.dll)?$")


def _cudnn(g: _Gathered) -> CudnnCopies | Missing:
    copies: dict[str, CudnnCopy] = {}
    wheres: list[str] = []
    for said in g.said.get("cudnn.file", ()):
        number = _CUDNN_FILE.search(said.value)
        brought = "wheel" if "site-packages" in said.value else "conda" if "conda" in said.value else "system"
        copies[said.value] = CudnnCopy(path=said.value, version=number[1] if number else None, brought_by=brought)
        wheres.append(said.where)
    for said in g.said.get("cudnn", ()):
        if not any((copy.version or "").startswith(said.value) for copy in copies.values()):
            copies[said.value] = CudnnCopy(path=PLACE, version=said.value, brought_by="stated")
            wheres.append(said.where)
    return CudnnCopies(source=joined(wheres), copies=tuple(copies.values())) if copies else NOT_IN_PASTE


def _environment(g: _Gathered) -> Environment | Missing:
    found = [record for record in g.records.get(Environment, ()) if isinstance(record, Environment)]
    if not found:
        return NOT_IN_PASTE
    variables: dict[str, str] = {}
    for record in found:
        for name, value in record.variables.items():
            variables.setdefault(name, value)
    return Environment(source=joined([record.source for record in found]), variables=dict(sorted(variables.items())))


def _interpreter(g: _Gathered, system: System | Missing) -> Interpreter | Missing:
    version = g.best("python")
    if version is None:
        return NOT_IN_PASTE
    prefix, tool, executable = g.best("conda.prefix"), g.best("python.tool"), g.best("python.executable")
    wheres = [said.where for said in (version, prefix) if said]
    return Interpreter(
        source=joined(wheres),
        executable=executable.value if executable else "python",
        version=version.value,
        prefix=prefix.value if prefix else PLACE,
        environment="conda" if prefix or (tool and tool.value == "pixi") else "unknown",
        environment_path=prefix.value if prefix else None,
        tool=tool.value if tool else "conda" if prefix else None,
        free_threaded=version.value.endswith("t"),
        bits=32 if g.value("python.bits") == "32" else 64,
        architecture=None if isinstance(system, Missing) else system.architecture,
        store=g.value("python.store") == "true",
    )
