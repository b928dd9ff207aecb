"""The GPUs on the bus and the driver's kernel side: modules, device nodes, kernel log, services. All from files."""

from __future__ import annotations

import errno
import fnmatch
import json
import os
import posixpath
import re
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Literal

from msgspec.structs import replace

from gpudoctor.children import Child, Limits
from gpudoctor.facts import (
    DeviceNode,
    DeviceNodes,
    DriverFiles,
    KernelDriver,
    KernelLog,
    KernelModules,
    ModuleFile,
    PciDevice,
    PciDevices,
    SecureBoot,
    Service,
    Services,
    XidEvent,
)
from gpudoctor.probes.modinfo import module_version
from gpudoctor.probes.reading import first_line, need, need_list, printable, unique
from gpudoctor.world import World

# ------------------------------------------------------------------------------------------------ PCI bus

_BUS = "/sys/bus/pci/devices"
_DISPLAY, _ACCELERATOR = "0x03", "0x12"  # base classes of https://pcisig.com/specifications code and ID assignment
_PCI_IDS = ("/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids")


def pci(world: World) -> PciDevices:
    """Display controllers and processing accelerators in /sys/bus/pci/devices.

    Names come from /proc/driver/nvidia/gpus, else from the distribution's pci.ids. A kernel without PCI has a
    /sys/bus without ``pci``: known absence. An empty /sys/bus (gVisor, a masked sysfs) is not knowing: OSError.
    """
    if "pci" not in need_list(world, "/sys/bus"):
        return PciDevices(source="/sys/bus", devices=())
    found = tuple(filter(None, (_pci_device(world, address) for address in world.list(_BUS))))
    return PciDevices(source=_BUS, devices=_with_names(world, found))


def _pci_device(world: World, address: str) -> PciDevice | None:
    folder = f"{_BUS}/{address}"
    if (first_line(world, f"{folder}/class") or "")[:4] not in (_DISPLAY, _ACCELERATOR):
        return None
    vendor, device = _hexadecimal(world, f"{folder}/vendor", 4), _hexadecimal(world, f"{folder}/device", 4)
    if vendor is None or device is None:
        return None
    driver = world.link(f"{folder}/driver")
    return PciDevice(
        address=printable(address),
        vendor=vendor,
        device=device,
        driver=printable(posixpath.basename(driver)) if driver else None,
        name=_driver_name_of(world, address),
        revision=_hexadecimal(world, f"{folder}/revision", 2),
    )


def _hexadecimal(world: World, path: str, digits: int) -> str | None:
    found = re.fullmatch(rf"(?:0x)?([0-9a-fA-F]{{{digits}}})", first_line(world, path) or "")
    return found[1].lower() if found else None


def _driver_name_of(world: World, address: str) -> str | None:
    text = world.read(f"/proc/driver/nvidia/gpus/{address}/information") or ""
    found = re.search(r"^Model:\s+(\S[^\n]*)$", text, re.MULTILINE)
    return found[1].strip() if found and found[1].strip() != "Unknown" else None


def _with_names(world: World, devices: tuple[PciDevice, ...]) -> tuple[PciDevice, ...]:
    if all(device.name for device in devices):
        return devices
    ids = next((text for text in map(world.read, _PCI_IDS) if text), "")
    return tuple(
        device if device.name else replace(device, name=_name_in_pci_ids(ids, device.vendor, device.device))
        for device in devices
    )


def _name_in_pci_ids(ids: str, vendor: str, device: str) -> str | None:
    """``vendor  name`` starts a block, ``<tab>device  name`` lies in it: https://pci-ids.ucw.cz"""
    start = ids.find(f"\n{vendor}  ")
    if start < 0:
        return None
    end = re.compile(r"\n[0-9a-fC]").search(ids, start + 1)
    block = ids[start : end.start() if end else len(ids)]
    found = re.search(rf"\n\t{device}  ([^\n]+)", block)
    return found[1].strip() if found else None


# ------------------------------------------------------------------------------------------- kernel modules

_MODULES = ("nvidia*", "nouveau", "nova*", "vfio*", "nvgpu", "amdgpu", "radeon", "i915", "xe", "gdrdrv")


def kernel_modules(world: World) -> KernelModules:
    """/proc/modules, or the folders of /sys/module where the kernel hides it. Names as the kernel writes them (_)."""
    text = world.read("/proc/modules")
    if text is None:
        names, source = need_list(world, "/sys/module"), "/sys/module"
    else:
        names, source = tuple(line.partition(" ")[0] for line in text.splitlines()), "/proc/modules"
    kept = (name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in _MODULES))
    return KernelModules(source=source, loaded=tuple(sorted(map(printable, set(kept)))))


_NVRM = "/proc/driver/nvidia/version"
_SYSFS_VERSION = "/sys/module/nvidia/version"


def kernel_driver(world: World) -> KernelDriver:
    """The line ``NVRM version: NVIDIA UNIX [Open] Kernel Module …``, else /sys/module/nvidia/version.

    Both absent is known absence only where /proc and /sys themselves answer.
    """
    text = world.read(_NVRM)
    line = next((line for line in (text or "").splitlines() if line.startswith("NVRM version:")), None)
    # Two digits or more and a dot; a Tegra build may write TempVersion in its place.
    found = re.search(r"\s([0-9]{2,4}\.[0-9]+(?:\.[0-9]+)*)(?:\s|$)", line or "")
    version = found[1] if found else first_line(world, _SYSFS_VERSION)
    if line:
        source = _NVRM if found or version is None else f"{_NVRM}, {_SYSFS_VERSION}"
        return KernelDriver(source=source, version=version, flavour=_flavour(line))
    if version is None:
        need(world, "/proc/version")
        need_list(world, "/sys/module")
    return KernelDriver(source=f"{_NVRM}, {_SYSFS_VERSION}" if version is None else _SYSFS_VERSION, version=version)


def _flavour(line: str) -> Literal["open", "proprietary"]:
    return "open" if "Open Kernel Module" in line else "proprietary"


# ------------------------------------------------------------------------------------------- files on disk

_MOST_KERNELS = 20
_MODULE_FOLDERS = (
    "updates/dkms",
    "updates",
    "extra",
    "extra/nvidia",
    "extra/drivers/video/nvidia",
    "extramodules",
    "kernel/drivers/video",
    "kernel/drivers/video/nvidia",
    "weak-updates",
    "weak-updates/nvidia",
    "weak-updates/updates",
)
# The main module alone; Debian names it nvidia-current.ko, nvidia-current-open.ko, nvidia-tesla-470.ko.
_MAIN_MODULE = re.compile(r"nvidia(?:-(?:current|tesla|legacy))?(?:-[0-9][0-9a-z]*)?(?:-open)?\.ko(?:\.(?:xz|zst|gz))?")


def driver_files(world: World) -> DriverFiles:
    """Module files per kernel (modules.dep and the known folders), DKMS's tree, library names, package databases.

    ``dkms`` reads like ``dkms status``; ``packages`` are ``name version``. Package databases that need a program to
    read (RPM) give none.
    """
    dkms = tuple(_dkms(world))
    return DriverFiles(
        source="/lib/modules, /var/lib/dkms, library folders, package database",
        modules=tuple(_module_files(world, dkms)),
        dkms=dkms,
        libraries=_libraries(world),
        packages=(*_dpkg(world), *_pacman(world), *_portage(world)),
    )


def _module_files(world: World, dkms: tuple[str, ...]) -> Iterator[ModuleFile]:
    for kernel in world.list("/lib/modules")[-_MOST_KERNELS:]:
        for folder, name in unique(_module_paths(world, f"/lib/modules/{kernel}")):
            built = _dkms_version(dkms, kernel)
            path = f"/lib/modules/{kernel}/{folder}/{name}"
            by_dkms = folder == "updates/dkms" or (built is not None and folder.startswith("extra"))
            yield ModuleFile(
                kernel=printable(kernel),
                version=_version_of_file(world, path) or (built if by_dkms else None),
                how="dkms" if by_dkms else printable(folder),
            )


def _module_paths(world: World, base: str) -> Iterator[tuple[str, str]]:
    """Folder below ``base`` and file name. modules.dep is what modprobe goes by, and may be stale."""
    for line in (world.read(f"{base}/modules.dep") or "").splitlines():
        folder, _, name = line.partition(":")[0].rpartition("/")
        if _MAIN_MODULE.fullmatch(name) and world.exists(f"{base}/{folder}/{name}"):
            yield folder, name
    packaged = tuple(f"kernel/{name}" for name in world.list(f"{base}/kernel") if name.startswith("nvidia-"))
    for folder in _MODULE_FOLDERS + packaged:
        for name in world.list(f"{base}/{folder}"):
            if _MAIN_MODULE.fullmatch(name):
                yield folder, name


def _version_of_file(world: World, path: str) -> str | None:
    """A compressed module does not tell without unpacking some 100 MB."""
    if not path.endswith(".ko"):
        return None
    with world.at(path).open("rb") as file:
        return module_version(file)


def _dkms(world: World) -> Iterator[str]:
    base = "/var/lib/dkms"
    for module in world.list(base):
        if not module.startswith("nvidia"):
            continue
        for version in world.list(f"{base}/{module}"):
            if version[:1].isdecimal():
                yield from _dkms_states(world, base, printable(module), printable(version))


def _dkms_states(world: World, base: str, module: str, version: str) -> Iterator[str]:
    """``build/make.log`` stays only after a build that failed; the link kernel-… exists only while installed."""
    folder = f"{base}/{module}/{version}"
    names = [name for name in world.list(folder) if name not in ("build", "source", "tarball")]
    for kernel in names:
        for machine in world.list(f"{folder}/{kernel}"):
            link = world.link(f"{base}/{module}/kernel-{kernel}-{machine}") or ""
            state = "installed" if f"{version}/" in link else "built"
            yield f"{module}/{version}, {printable(kernel)}, {printable(machine)}: {state}"
    failed = world.exists(f"{folder}/build/make.log")
    if failed or not names:
        yield f"{module}/{version}: added" + (", build failed (build/make.log)" if failed else "")


def _dkms_version(dkms: tuple[str, ...], kernel: str) -> str | None:
    states = (re.match(r"nvidia[^/]*/([^,:]+), ([^,]+), [^:]+: installed$", state) for state in dkms)
    return next((found[1] for found in states if found and found[2] == kernel), None)


_LIBRARY_FOLDERS = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu/nvidia",
    "/usr/lib/aarch64-linux-gnu/tegra",
    "/usr/lib64",
    "/usr/lib64/nvidia",
    "/usr/lib",
    "/lib64",
    "/usr/local/lib",
    "/usr/local/nvidia/lib64",
    "/run/opengl-driver/lib",
)


def _libraries(world: World) -> tuple[str, ...]:
    names = (name for folder in _LIBRARY_FOLDERS for name in world.list(folder))
    found = (re.fullmatch(r"lib(?:nvidia-ml|cuda)\.so\.([0-9]{2,4}\.[0-9]+(?:\.[0-9]+)*)", name) for name in names)
    return tuple(sorted({match[1] for match in found if match}))


_DPKG = "/var/lib/dpkg/status"
_DPKG_LIMIT = 32 << 20  # bytes; a full desktop has some 4 MB
_PACKAGE = (
    r"(?:nvidia-(?:driver|headless|dkms|kernel|open|utils|compute|fabricmanager|imex|container-toolkit|persistenced"
    r"|l4t-core|l4t-cuda|jetpack|linux-grid|lts|[0-9]+xx)|linux-(?:modules|objects|signatures)-nvidia|cuda-drivers"
    r"|cuda-compat|libnvidia-(?:compute|container|ml)|libcuda1|nvidia(?=-[0-9]))"
)
_DPKG_START = re.compile(rb"\s*Package: (" + _PACKAGE.encode() + rb"[^\n]*)(?:\n|$)")


def _dpkg(world: World) -> Iterator[str]:
    """Packages that are on disk in any state; ``config-files`` are removed ones."""
    for name, fields in _dpkg_paragraphs(world):
        state = fields.get("Status", "").split()[-1:]
        if state and state != ["config-files"] and state != ["not-installed"]:
            yield f"{name} {fields.get('Version', '?')}"


def _dpkg_paragraphs(world: World) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with world.at(_DPKG).open("rb") as file:
            data = file.read(_DPKG_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        return
    for paragraph in data.split(b"\n\n"):
        found = _DPKG_START.match(paragraph)
        if found is None:
            continue
        lines = paragraph[found.end() :].decode("utf-8", "replace").splitlines()
        yield found[1].decode("utf-8", "replace"), dict(line.split(": ", 1) for line in lines if ": " in line)


def _pacman(world: World) -> Iterator[str]:
    """Folders ``name-version-release`` of Arch's database."""
    for entry in world.list("/var/lib/pacman/local"):
        found = re.fullmatch(r"([a-z][a-z0-9-]*?)-([0-9][^-]*-[0-9.]+)", entry)
        if found and re.match(_PACKAGE + r"|nvidia$", found[1]):
            yield f"{found[1]} {found[2]}"


def _portage(world: World) -> Iterator[str]:
    for entry in world.list("/var/db/pkg/x11-drivers"):
        found = re.fullmatch(r"(nvidia-drivers)-([0-9][\w.-]*)", entry, re.ASCII)
        if found:
            yield f"{found[1]} {found[2]}"


# --------------------------------------------------------------------------------------------- secure boot

_EFI = "/sys/firmware/efi"
_SECURE_BOOT = f"{_EFI}/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def secure_boot(world: World) -> SecureBoot:
    """The UEFI variable SecureBoot: four bytes of attributes, then 0 or 1.

    Containers mask /sys/firmware with an empty folder and hide efivars; both raise OSError. UEFI firmware without
    that variable has no secure boot.
    """
    if "efi" not in need_list(world, "/sys/firmware"):
        return SecureBoot(source="/sys/firmware", enabled=None)
    need_list(world, f"{_EFI}/efivars")
    data = world.read_bytes(_SECURE_BOOT)
    if data is not None and len(data) != 5:
        raise OSError(errno.EIO, f"{len(data)} bytes in place of 5", _SECURE_BOOT)
    return SecureBoot(source=_SECURE_BOOT, enabled=bool(data and data[4] == 1))


# -------------------------------------------------------------------------------------------- device nodes

_NODE = re.compile(r"nvidia[0-9]{1,3}|nvidiactl|nvidia-uvm(?:-tools)?|nvidia-modeset|nvidia-nvswitch(?:ctl|[0-9]{1,2})")
_TEGRA_NODES = ("nvmap", "nvgpu", "nvhost-gpu", "nvhost-ctrl-gpu", "nvhost-ctrl")
_NODE_FOLDERS = ("/dev/nvidia-caps", "/dev/nvidia-caps-imex-channels", "/dev/nvgpu/igpu0")
_OPENED = re.compile(r"/dev/nvidia(?:[0-9]{1,3}|ctl|-uvm)")
_OPEN_SECONDS = 10.0

# CUDA opens the same nodes for reading and writing. O_NONBLOCK makes the driver put off waking an idle GPU.
_OPEN_NODES = r"""
import errno, json, os, sys
def say(message):
    sys.stdout.write("@gpudoctor " + json.dumps(message) + "\n")
    sys.stdout.flush()
def main(paths):
    for path in paths:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
            say({"opened": path, "error": None})
        except OSError as error:
            say({"opened": path, "error": errno.errorcode.get(error.errno, str(error.errno))})
"""


def device_nodes(world: World) -> DeviceNodes:
    """NVIDIA's nodes below /dev with their permissions.

    On the running machine /dev/nvidiactl, /dev/nvidia-uvm and /dev/nvidia0 … are opened, in a child process because
    a sick driver may not return: a cgroup's refusal (``EPERM``) shows in no permission bits. The node at which the
    child ended has that ending as ``opens``.
    """
    present = [node for path in _node_paths(world) if (node := _node(world, path))]
    trouble = _try_to_open(world, [node.path for node in present]) if world.is_real else {}
    nodes = (replace(node, opens=trouble.get(node.path)) for node in present)
    return DeviceNodes(source="/dev", nodes=tuple(nodes))


def _node_paths(world: World) -> Iterator[str]:
    names = need_list(world, "/dev")
    yield from (f"/dev/{name}" for name in names if _NODE.fullmatch(name) or name in _TEGRA_NODES)
    for folder in _NODE_FOLDERS:
        yield from (f"{folder}/{printable(name)}" for name in world.list(folder))


def _node(world: World, path: str) -> DeviceNode | None:
    """None for a folder, or a node that went away."""
    status = world.status(path)
    if status is None or stat.S_ISDIR(status.mode):
        return None
    return DeviceNode(
        path=path,
        mode=status.permissions,
        owner=status.owner,
        group=status.group,
        readable=status.readable,
        writable=status.writable,
    )


def _try_to_open(world: World, paths: list[str]) -> dict[str, str | None]:
    """The errno of each node that was tried, None where it opened."""
    wanted = [path for path in paths if _OPENED.fullmatch(path)]
    if not wanted:
        return {}
    return try_to_open(wanted, dict(world.environ), _OPEN_SECONDS + 2 * len(wanted))


def try_to_open(paths: list[str], environ: dict[str, str], seconds: float) -> dict[str, str | None]:
    """Open the nodes one after the other in a child process; the errno of each, or how the child ended there."""
    program = f"{_OPEN_NODES}main({json.dumps(paths)})\n"
    limits = Limits.within(seconds)
    with Child.python(sys.executable, program, environ=environ, limits=limits, options=("-I", "-S")) as child:
        messages = list(child.messages())
        return opened(paths, messages, child.ending().words)


def opened(paths: list[str], messages: Iterable[Mapping[str, Any]], ended: str) -> dict[str, str | None]:
    """The answers in ``messages``; the first node without one is where the child ended, later ones were not tried."""
    answers = {str(message.get("opened")): message.get("error") for message in messages}
    stopped_at = next((path for path in paths if path not in answers), None)
    return answers if stopped_at is None else {**answers, stopped_at: ended}


# ---------------------------------------------------------------------------------------------- kernel log

_KMSG = "/dev/kmsg"
_LOG_FILES = ("/var/log/kern.log", "/var/log/dmesg", "/var/log/messages", "/var/log/syslog")
_LOG_TAIL = 2 << 20  # bytes
_LOG_SECONDS = 2.0
_MOST_LINES = 200
_XID = re.compile(r"NVRM: (?:GPU at [^:]+: )?Xid \((?:PCI:)?([0-9a-fA-F:.]+)\): ([0-9]{1,4})\b")
_OF_GPUS = re.compile(
    r"NVRM|nvidia|nouveau|nova[-_ ]core|SXid|amdgpu.{0,200}(?:error|fail|fatal)|module verification failed"
    r"|Loading of (?:unsigned )?module.{0,200}rejected|Lockdown: .{0,200}unsigned module|fallen off the bus"
)


def kernel_log(world: World) -> KernelLog:
    """/dev/kmsg of this boot, else the tail of a log file. Raises OSError where this user may read neither.

    ``pci`` of an Xid is the full address with function, as on the PCI bus (``0000:01:00.0``).
    """
    source, text = _log_text(world)
    lines = [line.strip()[:1000] for line in text if _OF_GPUS.search(line)]
    xids = [event for event in map(_xid, lines) if event]
    others = unique(line for line in lines if not _XID.search(line))
    return KernelLog(source=source, xids=tuple(xids[-_MOST_LINES:]), lines=others[-_MOST_LINES:])


def _xid(line: str) -> XidEvent | None:
    found = _XID.search(line)
    if found is None:
        return None
    address = found[1].lower()
    pci = address if "." in address else f"{address}.0"
    return XidEvent(xid=int(found[2]), pci=pci, text=line[found.start() :])


def _log_text(world: World) -> tuple[str, list[str]]:
    refused: OSError | None = None
    for path in (_KMSG, *_LOG_FILES):
        try:
            lines = _kmsg(world) if path == _KMSG else _log_file(world, path)
        except OSError as error:
            refused = refused or error
            continue
        if lines is not None:
            return path, lines
    raise refused or FileNotFoundError(errno.ENOENT, "no kernel log", _KMSG)


def _kmsg(world: World) -> list[str] | None:
    """Records ``priority,sequence,microseconds,flags;text`` of
    https://www.kernel.org/doc/Documentation/ABI/testing/dev-kmsg ; lines that start with a blank belong to them."""
    text = _read_kmsg(world) if world.is_real else world.read(_KMSG)
    if text is None:
        return None
    records = (line.partition(";") for line in text.splitlines() if line[:1] not in (" ", ""))
    return [found[2] if found[1] else found[0] for found in records]


def _read_kmsg(world: World) -> str | None:
    """Each read gives one record; EPIPE says that older ones were overwritten meanwhile."""
    try:
        device = os.open(world.at(_KMSG), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    parts: list[bytes] = []
    end = time.monotonic() + _LOG_SECONDS
    try:
        while time.monotonic() < end:
            try:
                record = os.read(device, 1 << 14)
            except BrokenPipeError:
                continue
            except BlockingIOError:
                break
            if not record:
                break
            parts.append(record)
    finally:
        os.close(device)
    return b"".join(parts).decode("utf-8", "replace")


def _log_file(world: World, path: str) -> list[str] | None:
    """The last lines since the newest boot; the time and host before the kernel's own words cut off."""
    try:
        with world.at(path).open("rb") as file:
            text = _tail(file).decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    boot = text.rfind("Linux version ")
    kernel_lines = text[max(boot, 0) :].splitlines()
    if path.endswith(("messages", "syslog")):
        kernel_lines = [line for line in kernel_lines if " kernel: " in line]
    return [re.sub(r"^.*? kernel: |^(?:kern\s+:\w+\s*: )?", "", line) for line in map(_without_clock, kernel_lines)]


def _without_clock(line: str) -> str:
    return re.sub(r"\[ *[0-9]+\.[0-9]+\] ?", "", line, count=1)


def _tail(file: BinaryIO) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LOG_TAIL))
    return file.read(_LOG_TAIL)


# ------------------------------------------------------------------------------------------------ services

_SERVICES = ("nvidia-fabricmanager", "nvidia-persistenced", "nvidia-imex", "nvidia-gridd")
_PID_FILES = {
    "nvidia-fabricmanager": "/run/nvidia-fabricmanager/nv-fabricmanager.pid",
    "nvidia-persistenced": "/run/nvidia-persistenced/nvidia-persistenced.pid",
    "nvidia-imex": "/run/nvidia-imex/nvidia-imex.pid",
    "nvidia-gridd": "/run/nvidia-gridd/nvidia-gridd.pid",
}
_UNIT_FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_CGROUPS = ("/sys/fs/cgroup/system.slice", "/sys/fs/cgroup/systemd/system.slice")


def services(world: World) -> Services:
    """Without asking systemd: a service with a cgroup is active, one with only a unit file is not.

    ``inactive`` includes failed: files do not tell them apart. Without systemd as init (a container, another init)
    the state is ``unknown`` unless the daemon's pid file names a living process.
    """
    systemd = world.exists("/run/systemd/system")
    versions = {name: fields.get("Version") for name, fields in _dpkg_paragraphs(world)}
    return Services(
        source="/sys/fs/cgroup/system.slice, systemd unit files" if systemd else "pid files in /run",
        services=tuple(
            Service(name=name, state=_state(world, name, systemd), version=_service_version(versions, name))
            for name in _SERVICES
        ),
    )


def _state(world: World, name: str, systemd: bool) -> str:
    if any(world.exists(f"{folder}/{name}.service") for folder in _CGROUPS) or _lives(world, name):
        return "active"
    if not systemd:
        return "unknown"
    units = [f"{folder}/{name}.service" for folder in _UNIT_FOLDERS]
    if any(world.link(unit) == "/dev/null" for unit in units):
        return "masked"
    return "inactive" if any(world.exists(unit) or world.link(unit) for unit in units) else "not-found"


def _lives(world: World, name: str) -> bool:
    pid = first_line(world, _PID_FILES[name]) or ""
    return bool(re.fullmatch(r"[0-9]{1,10}", pid)) and world.exists(f"/proc/{pid}")


def _service_version(versions: dict[str, str | None], name: str) -> str | None:
    """The package's version without Debian's revision: fabric manager must equal the driver's."""
    found = next(
        (text for package, text in versions.items() if package.startswith(name) and "-dev" not in package), None
    )
    return re.split(r"[-~+]", found)[0] if found else None
