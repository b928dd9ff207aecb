"""The operating system, the machine under it, and who lent it."""

from __future__ import annotations

import fnmatch
import os
import platform
import re
from collections.abc import Iterator
from typing import Literal

from gpudoctor.facts import (
    HostedNotebook,
    HostMemory,
    Jetson,
    Libc,
    Processor,
    Scheduler,
    SharedMemory,
    System,
    VirtualMachine,
    Wsl,
)
from gpudoctor.probes.mounts import mounts
from gpudoctor.probes.reading import first_line, need, number, pairs, printable
from gpudoctor.world import World

_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
_OS_RELEASE_KERNEL = "/proc/sys/kernel/osrelease"
_CPUINFO = "/proc/cpuinfo"


def system(world: World) -> System:
    """os-release(5), /proc/sys/kernel/osrelease and the machine's architecture as uname names it."""
    if world.is_real and platform.system() in ("Windows", "Darwin"):
        return _foreign_system()
    path = next((path for path in _OS_RELEASE if world.exists(path)), None)
    fields = _os_release(need(world, path)) if path else {}
    return System(
        source=f"{path or 'no os-release'}, {_OS_RELEASE_KERNEL}",
        os="linux",
        distribution=fields.get("ID"),
        release=fields.get("VERSION_ID"),
        name=fields.get("PRETTY_NAME"),
        like=tuple(fields.get("ID_LIKE", "").split()),
        kernel=first_line(world, _OS_RELEASE_KERNEL),
        architecture=_architecture(world),
    )


def _foreign_system() -> System:
    windows = platform.system() == "Windows"
    release = platform.version() if windows else platform.mac_ver()[0]
    return System(
        source="Python's platform module",
        os="windows" if windows else "macos",
        release=release or None,
        name=f"Windows {platform.release()}" if windows else f"macOS {release}",
        kernel=platform.release() or None,
        architecture=platform.machine() or None,
    )


def _os_release(text: str) -> dict[str, str]:
    """Values without quotes and backslashes, empty ones left out; comments start with #."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    values = ((key, re.sub(r"\\(.)", r"\1", value.strip("\"'"))) for key, value in pairs(lines, "=").items())
    return {key: value for key, value in values if value}


_LOADERS = {
    "/lib64/ld-linux-x86-64.so.2": "x86_64",
    "/lib/ld-linux-aarch64.so.1": "aarch64",
    "/lib64/ld64.so.2": "ppc64le",
    "/lib/ld-musl-x86_64.so.1": "x86_64",
    "/lib/ld-musl-aarch64.so.1": "aarch64",
}


def _architecture(world: World) -> str | None:
    if world.is_real:
        return platform.machine() or None
    # /proc/sys/kernel/arch exists since Linux 6.1.
    told = first_line(world, "/proc/sys/kernel/arch")
    return told or next((name for path, name in _LOADERS.items() if world.exists(path)), None)


# ------------------------------------------------------------------------------------------------ C library

_GLIBC_FOLDERS = (
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
)


def libc(world: World) -> Libc:
    """confstr(3) CS_GNU_LIBC_VERSION where gpudoctor's own Python runs on glibc; else what the library file says."""
    found = (_running_glibc() if world.is_real else None) or _glibc_file(world) or _musl(world)
    if found is None:
        raise FileNotFoundError(2, "no glibc and no musl found", "libc.so.6")
    return found


def _running_glibc() -> Libc | None:
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (AttributeError, ValueError, OSError):  # Windows has no confstr, musl not this name
        return None
    return Libc(source="confstr CS_GNU_LIBC_VERSION", name="glibc", version=version) if name == "glibc" else None


def _glibc_file(world: World) -> Libc | None:
    for folder in _GLIBC_FOLDERS:
        data = world.read_bytes(f"{folder}/libc.so.6") or b""
        # A soname link that Alpine's libc6-compat makes holds no such banner: it is musl.
        found = re.search(rb"GNU C Library [^\n\0]{0,200}?version ([0-9]+\.[0-9]+)", data)
        if found:
            return Libc(source=f"{folder}/libc.so.6", name="glibc", version=found[1].decode())
    return None


def _musl(world: World) -> Libc | None:
    loader = next((name for name in world.list("/lib") if fnmatch.fnmatchcase(name, "ld-musl-*.so.1")), None)
    if loader is None:
        return None
    package = re.search(r"^P:musl\nV:([0-9.]+)", world.read("/lib/apk/db/installed") or "", re.MULTILINE)
    if package:
        return Libc(source="/lib/apk/db/installed", name="musl", version=package[1])
    inside = re.search(rb"\0(1\.[0-9]+\.[0-9]+)\0", world.read_bytes(f"/lib/{loader}") or b"")
    return Libc(source=f"/lib/{loader}", name="musl", version=inside[1].decode()) if inside else None


# --------------------------------------------------------------------------------------- processor and memory


def processor(world: World) -> Processor:
    """/proc/cpuinfo: ``flags`` on x86, ``Features`` on Arm."""
    text = need(world, _CPUINFO)
    fields = pairs(text, ":")
    flags = fields.get("flags") or fields.get("Features") or fields.get("features") or ""
    return Processor(
        source=_CPUINFO,
        model=fields.get("model name") or fields.get("cpu") or fields.get("Model") or fields.get("Hardware") or None,
        flags=frozenset(flags.split()),
        count=len(re.findall(r"^processor\s{0,9}[0-9]{0,6}\s{0,9}:", text, re.MULTILINE)),
    )


def memory(world: World) -> HostMemory:
    """/proc/meminfo, and the lowest memory limit of this process's cgroup and those above it (version 1 and 2)."""
    fields = pairs(need(world, "/proc/meminfo"), ":")
    total, available = number(fields.get("MemTotal")), number(fields.get("MemAvailable"))
    if total is None:
        raise OSError(5, "no MemTotal", "/proc/meminfo")
    limits = [limit for limit in _memory_limits(world) if limit < total * 1024]
    return HostMemory(
        source="/proc/meminfo" + (", cgroup" if limits else ""),
        total=total * 1024,
        available=None if available is None else available * 1024,
        limit=min(limits, default=None),
    )


def _memory_limits(world: World) -> Iterator[int]:
    for line in (world.read("/proc/self/cgroup") or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            base, file = "/sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            base, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        for folder in _with_parents(path):
            limit = number(world.read(f"{base}{folder}/{file}"))
            if limit is not None:
                yield limit


def _with_parents(path: str) -> Iterator[str]:
    """``/a/b``, ``/a`` and the empty root, ``..`` (a cgroup outside the namespace) and deep paths cut off."""
    parts = [part for part in path.split("/") if part][:32]
    if ".." in parts or "\0" in path:
        parts = []
    for length in range(len(parts), -1, -1):
        yield "".join(f"/{part}" for part in parts[:length])


def shared_memory(world: World) -> SharedMemory:
    """statvfs of /dev/shm; for a recorded machine the size option of its mount and the files recorded there."""
    if not world.is_real:
        return _recorded_shared_memory(world)
    found = os.statvfs(world.at("/dev/shm"))
    return SharedMemory(
        source="statvfs /dev/shm", total=found.f_blocks * found.f_frsize, free=found.f_bavail * found.f_frsize
    )


def _recorded_shared_memory(world: World) -> SharedMemory:
    mount = next((mount for mount in reversed(mounts(world)) if mount.point == "/dev/shm"), None)
    size = re.search(r"(?:^|,)size=([0-9]{1,12})(k?)(?:,|$)", mount.options) if mount else None
    if size is None:
        raise FileNotFoundError(2, "no mount with a size", "/dev/shm")
    total = int(size[1]) * (1024 if size[2] else 1)
    statuses = [world.status(f"/dev/shm/{name}") for name in world.list("/dev/shm")]
    used = sum(status.size for status in statuses if status)
    return SharedMemory(source="/proc/self/mountinfo", total=total, free=max(0, total - used))


# ------------------------------------------------------------------------------------- what lies underneath

_DMI = "/sys/class/dmi/id"

# What firmware says of itself: start of any of product_name, sys_vendor, board_vendor, bios_vendor -> name. The same
# table as systemd's src/basic/virt.c, with clouds added whose guests name the cloud and not the hypervisor.
_VENDORS = (
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("RHEV", "kvm"),
    ("oVirt", "kvm"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "virtualbox"),
    ("VirtualBox", "virtualbox"),
    ("Xen", "xen"),
    ("HVM domU", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Apple Virtualization", "apple"),
    ("AHV", "nutanix"),
    ("Droplet", "kvm"),
)
_CLOUDS = (
    ("Amazon EC2", "amazon"),
    ("Google Compute Engine", "google"),
    ("Alibaba Cloud ECS", "alibaba"),
    ("Tencent Cloud", "tencent"),
    ("Virtual Machine", "microsoft"),
)


def virtual_machine(world: World) -> VirtualMachine:
    """DMI names, the ``hypervisor`` flag of /proc/cpuinfo, /sys/hypervisor, the device tree; gVisor as one too.

    A cloud's DMI names are also on its bare-metal machines: there, the processor's flag decides.
    """
    cpuinfo = need(world, _CPUINFO)
    flags = pairs(cpuinfo, ":").get("flags")
    flagged = None if flags is None else "hypervisor" in flags.split()
    named = _gvisor(world) or _xen(world) or _firmware_name(world, flagged) or _device_tree_hypervisor(world)
    found = named or (_firecracker(world) if flagged else None)
    if found:
        return found
    if flagged is None and not world.list(_DMI) and not world.list("/proc/device-tree"):
        raise FileNotFoundError(2, "no word about the machine", _DMI)
    return VirtualMachine(source=f"{_DMI}, {_CPUINFO}", hypervisor=_nameless(world) if flagged else None)


def _nameless(world: World) -> str:
    return "microsoft" if "microsoft" in (first_line(world, _OS_RELEASE_KERNEL) or "").lower() else "unknown"


def is_gvisor(world: World) -> bool:
    """Whether gVisor's own kernel answers here. It names a fixed version and build date in /proc/version.

    https://github.com/google/gvisor/blob/master/pkg/sentry/syscalls/linux/linux64.go
    """
    version = world.read("/proc/version") or ""
    return "gvisor" in version.lower() or "4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016" in version


def _gvisor(world: World) -> VirtualMachine | None:
    return VirtualMachine(source="/proc/version", hypervisor="gvisor") if is_gvisor(world) else None


def _xen(world: World) -> VirtualMachine | None:
    kind = first_line(world, "/sys/hypervisor/type")
    return VirtualMachine(source="/sys/hypervisor/type", hypervisor=kind) if kind else None


def _firmware_name(world: World, flagged: bool | None) -> VirtualMachine | None:
    fields = ("product_name", "sys_vendor", "board_vendor", "bios_vendor")
    values = [(f"{_DMI}/{field}", first_line(world, f"{_DMI}/{field}") or "") for field in fields]
    metal = flagged is False or any(".metal" in value for _, value in values)
    table = _VENDORS if metal else _VENDORS + _CLOUDS
    for path, value in values:
        for start, name in table:
            if value.startswith(start):
                return VirtualMachine(source=path, hypervisor=name)
    return None


def _device_tree_hypervisor(world: World) -> VirtualMachine | None:
    path = "/proc/device-tree/hypervisor/compatible"
    name = (world.read(path) or "").split("\0")[0].rpartition(",")[2].strip()
    return VirtualMachine(source=path, hypervisor=name) if name else None


def _firecracker(world: World) -> VirtualMachine | None:
    """Firecracker has no DMI; its ACPI tables name it, which only root may read."""
    path = "/sys/firmware/acpi/tables/DSDT"
    try:
        table = world.read_bytes(path) or b""
    except PermissionError:
        return None
    return VirtualMachine(source=path, hypervisor="firecracker") if table[10:16] == b"FIRECK" else None


_WSL_LIBRARIES = "/usr/lib/wsl/lib"


def wsl(world: World) -> Wsl:
    """The kernel's name says which WSL; one with a kernel of its own is known by the interoperability handler."""
    kernel = first_line(world, _OS_RELEASE_KERNEL) or ""
    return Wsl(
        source=f"{_OS_RELEASE_KERNEL}, {_WSL_LIBRARIES}, /dev/dxg",
        version=_wsl_version(world, kernel),
        libraries=tuple(map(printable, world.list(_WSL_LIBRARIES))),
        dxg=world.exists("/dev/dxg"),
    )


def _wsl_version(world: World, kernel: str) -> Literal[1, 2] | None:
    if "microsoft" in kernel.lower():
        # WSL 1 emulates a kernel and names it 4.4.0-19041-Microsoft; WSL 2 runs 5.15.x-microsoft-standard-WSL2.
        return 1 if re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+-[0-9]+-Microsoft", kernel) else 2
    handlers = ("/proc/sys/fs/binfmt_misc/WSLInterop", "/proc/sys/fs/binfmt_misc/WSLInterop-late")
    return 2 if world.exists("/dev/dxg") and any(map(world.exists, handlers)) else None


_L4T_FILE = "/etc/nv_tegra_release"


def jetson(world: World) -> Jetson:
    """/etc/nv_tegra_release (``# R36 (release), REVISION: 4.0, …`` is L4T 36.4.0) and the device tree's model."""
    text = world.read(_L4T_FILE) or ""
    found = re.search(r"R([0-9]{1,3}) \(release\), REVISION: ([0-9]+(?:\.[0-9]+)*)", text)
    compatible = world.read("/proc/device-tree/compatible") or ""
    model = first_line(world, "/proc/device-tree/model")
    tegra = bool(found) or "nvidia,tegra" in compatible
    return Jetson(
        source=f"{_L4T_FILE}, /proc/device-tree/model",
        l4t=f"{found[1]}.{found[2]}" if found else None,
        model=model if tegra else None,
    )


# ------------------------------------------------------------------------------------------- who lent it


_SERVICES: tuple[tuple[Literal["colab", "kaggle"], tuple[str, ...]], ...] = (
    ("kaggle", ("KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_DATA_PROXY_URL")),
    ("colab", ("COLAB_RELEASE_TAG", "COLAB_BACKEND_VERSION", "COLAB_GPU")),
)


def hosted(world: World) -> HostedNotebook:
    """Colab and Kaggle by the variables of their kernels; Colab also by its own package and folder."""
    for service, variables in _SERVICES:
        seen = next((name for name in variables if name in world.environ), None)
        if seen:
            return HostedNotebook(source=f"environment variable {seen}", service=service)
    package = _colab_package(world)
    if package and world.exists("/content"):
        return HostedNotebook(source=package, service="colab")
    return HostedNotebook(source="environment variables, /content", service=None)


def _colab_package(world: World) -> str | None:
    for name in world.list("/usr/local/lib"):
        path = f"/usr/local/lib/{name}/dist-packages/google/colab"
        if name.startswith("python3") and world.exists(path):
            return path
    return None


_GPU_LISTS = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "GPU_DEVICE_ORDINAL")
_GPU_COUNTS = ("SLURM_GPUS_ON_NODE", "SLURM_GPUS")


def scheduler(world: World) -> Scheduler:
    """The job that this process runs in, by the variables that the scheduler sets.

    ``gpus`` are indices as the scheduler wrote them (``0,1``), or where it tells only how many, ``2 on this node``.
    Slurm: https://slurm.schedmd.com/sbatch.html#SECTION_OUTPUT-ENVIRONMENT-VARIABLES
    """
    environ = world.environ
    if environ.get("SLURM_JOB_ID"):
        return _job("slurm", world, "SLURM_JOB_ID", _slurm_gpus(world))
    if environ.get("PBS_JOBID"):
        return _job("pbs", world, "PBS_JOBID", _pbs_gpus(world))
    if environ.get("LSB_JOBID"):
        return _job("lsf", world, "LSB_JOBID", None)
    if environ.get("JOB_ID") and environ.get("SGE_ROOT"):
        return _job("sge", world, "JOB_ID", environ.get("SGE_HGR_gpu") or environ.get("SGE_HGR_cuda") or None)
    return Scheduler(source="environment variables", name=None)


def _job(name: Literal["slurm", "pbs", "lsf", "sge"], world: World, variable: str, gpus: str | None) -> Scheduler:
    return Scheduler(
        source=f"environment variable {variable}",
        name=name,
        job=printable(world.environ[variable]),
        gpus=None if gpus is None else printable(gpus),
    )


def _slurm_gpus(world: World) -> str | None:
    listed = next((world.environ[name] for name in _GPU_LISTS if world.environ.get(name)), None)
    counted = next((world.environ[name] for name in _GPU_COUNTS if world.environ.get(name)), None)
    return listed or (f"{counted} on this node" if counted else None)


def _pbs_gpus(world: World) -> str | None:
    """$PBS_GPUFILE of Torque: one ``host-gpu0`` a line."""
    path = world.environ.get("PBS_GPUFILE")
    text = world.read(path) if path and "\0" not in path else None
    return ",".join(re.findall(r"-gpu([0-9]+)\s*$", text, re.MULTILINE)) or None if text else None
