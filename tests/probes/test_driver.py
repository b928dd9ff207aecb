from __future__ import annotations

import io
import os
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from gpudoctor.facts import (
    DeviceNode,
    DeviceNodes,
    DriverFiles,
    KernelDriver,
    KernelLog,
    KernelModules,
    Missing,
    ModuleFile,
    PciDevice,
    PciDevices,
    SecureBoot,
    Service,
    Services,
    XidEvent,
)
from gpudoctor.probes.at_host import look
from gpudoctor.probes.driver import (
    device_nodes,
    driver_files,
    kernel_driver,
    kernel_log,
    kernel_modules,
    opened,
    pci,
    secure_boot,
    services,
    try_to_open,
)
from gpudoctor.probes.modinfo import module_version
from gpudoctor.world import World
from tests.probes.roots import FOLDER, GOOD, GPU, KERNEL, UNREADABLE, Content, Link, changed, write_root


def machine(tmp_path: Path, *changes: Mapping[str, Content | None]) -> World:
    return write_root(tmp_path, changed(GOOD, *changes))


LOOP = "Too many levels of symbolic links"

# ------------------------------------------------------------------------------------------------ PCI bus

BUS = "/sys/bus/pci/devices"
INTEL = PciDevice(
    address="0000:00:02.0",
    vendor="8086",
    device="a780",
    driver="i915",
    name="Raptor Lake-S GT1 [UHD Graphics 770]",
    revision="04",
)


def geforce(driver: str | None = "nvidia", name: str | None = "AD102 [GeForce RTX 4090]") -> PciDevice:
    return PciDevice(address="0000:01:00.0", vendor="10de", device="2684", driver=driver, name=name, revision="a1")


INFORMATION = "/proc/driver/nvidia/gpus/0000:01:00.0/information"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, geforce(name="NVIDIA GeForce RTX 4090")),
        ({f"{GPU}/driver": Link("../../drivers/nouveau"), "/proc/driver/nvidia": None}, geforce("nouveau")),
        ({f"{GPU}/driver": Link("../../drivers/vfio-pci"), "/proc/driver/nvidia": None}, geforce("vfio-pci")),
        ({f"{GPU}/driver": None, "/proc/driver/nvidia": None}, geforce(None)),
        ({INFORMATION: "Model: \t\t Unknown\n"}, geforce()),
        ({INFORMATION: None, "/usr/share/misc/pci.ids": None}, geforce(name=None)),
        (
            {INFORMATION: None, "/usr/share/misc/pci.ids": "\n10de  NVIDIA\n\t0001  x\n8086  I\n\t2684  y\n"},
            geforce(name=None),
        ),
    ],
    ids=["nvidia", "nouveau", "vfio-pci", "no driver", "asleep", "no names", "unknown to pci.ids"],
)
def test_the_gpu_and_the_driver_bound_to_it(
    tmp_path: Path, changes: Mapping[str, Content | None], expected: PciDevice
) -> None:
    found = look(pci, machine(tmp_path, changes))
    assert isinstance(found, PciDevices)
    assert found.devices[1:] == (expected,)


def test_all_vendors_and_accelerators_are_listed_and_nothing_else(tmp_path: Path) -> None:
    gaudi = {
        f"{BUS}/0000:9a:00.0/{k}": v for k, v in {"class": "0x120000", "vendor": "0x1da3", "device": "0x1020"}.items()
    }
    accelerator = PciDevice(address="0000:9a:00.0", vendor="1da3", device="1020", driver=None)
    assert look(pci, machine(tmp_path, gaudi)) == PciDevices(
        source=BUS, devices=(INTEL, geforce(name="NVIDIA GeForce RTX 4090"), accelerator)
    )


def test_a_kernel_without_pci_is_known_absence(tmp_path: Path) -> None:
    assert look(pci, machine(tmp_path, {"/sys/bus/pci": None})) == PciDevices(source="/sys/bus", devices=())


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"/sys/bus": None}, Missing("unreadable", "absent or empty", "/sys/bus")),
        (
            {"/sys/bus/pci": None, "/sys/bus/platform": None, "/sys/bus": FOLDER},
            Missing("unreadable", "absent or empty", "/sys/bus"),
        ),
        ({"/sys/bus": None, "/sys/bus/pci/devices": UNREADABLE}, Missing("unreadable", LOOP, BUS)),
    ],
    ids=["no sysfs", "empty sysfs of a sandbox", "unreadable"],
)
def test_a_hidden_bus_is_missing_and_not_absence(
    tmp_path: Path, changes: Mapping[str, Content | None], missing: Missing
) -> None:
    assert look(pci, machine(tmp_path, changes)) == missing


# ------------------------------------------------------------------------------------------ kernel modules


def test_only_modules_that_concern_gpus_are_named(tmp_path: Path) -> None:
    assert look(kernel_modules, machine(tmp_path)) == KernelModules(
        source="/proc/modules", loaded=("i915", "nvidia", "nvidia_drm", "nvidia_modeset", "nvidia_uvm")
    )


def test_an_empty_module_list_is_known_absence(tmp_path: Path) -> None:
    assert look(kernel_modules, machine(tmp_path, {"/proc/modules": ""})) == KernelModules(
        source="/proc/modules", loaded=()
    )


def test_modules_are_read_from_sysfs_where_proc_hides_them(tmp_path: Path) -> None:
    changes = {"/proc/modules": None, "/sys/module/nouveau/refcnt": "1", "/sys/module/kernel/x": ""}
    assert look(kernel_modules, machine(tmp_path, changes)) == KernelModules(
        source="/sys/module", loaded=("nouveau", "nvidia")
    )


def test_modules_are_missing_where_nothing_tells(tmp_path: Path) -> None:
    changes: dict[str, Content | None] = {"/proc/modules": None, "/sys/module": None}
    assert look(kernel_modules, machine(tmp_path, changes)) == Missing("unreadable", "absent or empty", "/sys/module")


NVRM = "/proc/driver/nvidia/version"
SYSFS = "/sys/module/nvidia/version"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, KernelDriver(source=NVRM, version="535.129.03", flavour="proprietary")),
        (
            {
                NVRM: "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  560.35.03  Release Build  "
                "(dvs-builder@U16-I3-B03-4-3)  Fri Aug 16 21:42:42 UTC 2024\n"
            },
            KernelDriver(source=NVRM, version="560.35.03", flavour="open"),
        ),
        (
            {NVRM: "NVRM version: NVIDIA UNIX x86_64 Kernel Module  384.81  Wed Aug 17 22:24:07 PDT 2016\n"},
            KernelDriver(source=NVRM, version="384.81", flavour="proprietary"),
        ),
        (
            {NVRM: "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build  (x)\n"},
            KernelDriver(source=NVRM, version="540.4.0", flavour="open"),
        ),
        (
            {
                NVRM: "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  TempVersion  Release Build\n",
                SYSFS: None,
            },
            KernelDriver(source=NVRM, version=None, flavour="open"),
        ),
        ({NVRM: None}, KernelDriver(source=SYSFS, version="535.129.03")),
    ],
    ids=["proprietary", "open", "two parts", "Tegra", "Tegra without a number", "sysfs only"],
)
def test_the_loaded_module_and_its_flavour(
    tmp_path: Path, changes: Mapping[str, Content | None], expected: KernelDriver
) -> None:
    assert look(kernel_driver, machine(tmp_path, changes)) == expected


def test_no_module_loaded_is_known_absence(tmp_path: Path) -> None:
    changes = {NVRM: None, "/sys/module/nvidia": None, "/sys/module/kernel/x": ""}
    assert look(kernel_driver, machine(tmp_path, changes)) == KernelDriver(source=f"{NVRM}, {SYSFS}", version=None)


def test_no_module_in_a_hidden_sysfs_is_missing(tmp_path: Path) -> None:
    changes: dict[str, Content | None] = {NVRM: None, "/sys/module": None}
    assert look(kernel_driver, machine(tmp_path, changes)) == Missing("unreadable", "absent or empty", "/sys/module")


# ------------------------------------------------------------------------------------------- files on disk

DISK = "/lib/modules, /var/lib/dkms, library folders, package database"
NOTHING: dict[str, Content | None] = {
    "/lib/modules": None,
    "/var/lib": None,
    "/usr/lib/x86_64-linux-gnu": None,
}


def test_ubuntus_driver_by_dkms(tmp_path: Path) -> None:
    assert look(driver_files, machine(tmp_path)) == DriverFiles(
        source=DISK,
        modules=(ModuleFile(kernel=KERNEL, version="535.129.03", how="dkms"),),
        dkms=(f"nvidia/535.129.03, {KERNEL}, x86_64: installed",),
        libraries=("535.129.03",),
        packages=(
            "nvidia-driver-535 535.129.03-0ubuntu0.22.04.1",
            "libnvidia-compute-535 535.129.03-0ubuntu0.22.04.1",
        ),
    )


def test_no_driver_on_disk_is_known_absence(tmp_path: Path) -> None:
    assert look(driver_files, machine(tmp_path, NOTHING)) == DriverFiles(source=DISK)


def test_a_new_kernel_without_a_module_shows_none_for_it(tmp_path: Path) -> None:
    new = {"/lib/modules/5.15.0-99-generic/modules.dep": "kernel/fs/xfs/xfs.ko:\n"}
    found = look(driver_files, machine(tmp_path, new))
    assert isinstance(found, DriverFiles)
    assert found.modules == (ModuleFile(kernel=KERNEL, version="535.129.03", how="dkms"),)


def test_a_listed_module_that_is_gone_from_disk_does_not_count(tmp_path: Path) -> None:
    found = look(driver_files, machine(tmp_path, {f"/lib/modules/{KERNEL}/updates": None}))
    assert isinstance(found, DriverFiles)
    assert found.modules == ()


@pytest.mark.parametrize(
    ("changes", "dkms"),
    [
        (
            {"/var/lib/dkms/nvidia/560.35.03/source": FOLDER},
            ("nvidia/560.35.03: added",),
        ),
        (
            {"/var/lib/dkms/nvidia/560.35.03/build/make.log": "error"},
            ("nvidia/560.35.03: added, build failed (build/make.log)",),
        ),
        (
            {"/var/lib/dkms/nvidia/560.35.03/6.8.0-40-generic/x86_64/module/nvidia.ko.zst": ""},
            ("nvidia/560.35.03, 6.8.0-40-generic, x86_64: built",),
        ),
        ({"/var/lib/dkms/zfs/2.2.2/source": FOLDER}, ()),
    ],
    ids=["added", "failed", "built", "other modules"],
)
def test_dkms_states_read_like_dkms_status(
    tmp_path: Path, changes: Mapping[str, Content | None], dkms: tuple[str, ...]
) -> None:
    assert look(driver_files, machine(tmp_path, NOTHING, changes)) == DriverFiles(source=DISK, dkms=dkms)


def elf(version: str) -> bytes:
    """A kernel module that holds nothing but .modinfo."""
    info = f"license=NVIDIA\0version={version}\0srcversion=ABC\0".encode()
    names = b"\0.modinfo\0.shstrtab\0"
    table = 64 + len(info) + len(names)
    header = (
        b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, table, 0, 64, 0, 0, 64, 3, 2)
    )

    def section(name: int, kind: int, offset: int, size: int) -> bytes:
        return struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, offset, size, 0, 0, 1, 0)

    sections = section(0, 0, 0, 0) + section(1, 1, 64, len(info)) + section(10, 3, 64 + len(info), len(names))
    return header + info + names + sections


@pytest.mark.parametrize(
    ("path", "content", "expected"),
    [
        (
            "kernel/nvidia-535/nvidia.ko",
            elf("535.261.03"),
            ModuleFile(kernel="k", version="535.261.03", how="kernel/nvidia-535"),
        ),
        (
            "kernel/drivers/video/nvidia.ko",
            elf("550.54.14"),
            ModuleFile(kernel="k", version="550.54.14", how="kernel/drivers/video"),
        ),
        ("extra/drivers/video/nvidia/nvidia.ko.xz", b"", ModuleFile(kernel="k", how="extra/drivers/video/nvidia")),
        ("extramodules/nvidia.ko.zst", b"", ModuleFile(kernel="k", how="extramodules")),
        (
            "updates/dkms/nvidia-current-open.ko",
            elf("550.163.01"),
            ModuleFile(kernel="k", version="550.163.01", how="dkms"),
        ),
        ("updates/dkms/nvidia-current-uvm.ko", b"", None),
        ("updates/nvidia-peermem.ko", b"", None),
        ("kernel/drivers/video/fbdev/nvidia/nvidiafb.ko", b"", None),
    ],
)
def test_the_main_module_is_found_in_each_distributions_folder(
    tmp_path: Path, path: str, content: bytes, expected: ModuleFile | None
) -> None:
    found = look(driver_files, machine(tmp_path, NOTHING, {f"/lib/modules/k/{path}": content}))
    assert found == DriverFiles(source=DISK, modules=(expected,) if expected else ())


def test_a_module_in_an_unlisted_folder_is_found_through_modules_dep(tmp_path: Path) -> None:
    changes: dict[str, Content | None] = {
        "/lib/modules/k/modules.dep": "misc/odd/nvidia.ko:\n",
        "/lib/modules/k/misc/odd/nvidia.ko": elf("470.1"),
    }
    expected = ModuleFile(kernel="k", version="470.1", how="misc/odd")
    assert look(driver_files, machine(tmp_path, NOTHING, changes)) == DriverFiles(source=DISK, modules=(expected,))


@pytest.mark.parametrize("cut", [0, 4, 40, 63, 64, 100, 150])
def test_a_truncated_module_tells_no_version(cut: int) -> None:
    assert module_version(io.BytesIO(elf("535.129.03")[:cut])) is None


def test_two_library_versions_are_both_named(tmp_path: Path) -> None:
    changes = {"/usr/lib64/libcuda.so.550.54.14": "", "/usr/lib64/libcuda.so.1.1": ""}
    found = look(driver_files, machine(tmp_path, changes))
    assert isinstance(found, DriverFiles)
    assert found.libraries == ("535.129.03", "550.54.14")


@pytest.mark.parametrize(
    ("changes", "packages"),
    [
        (
            {
                "/var/lib/pacman/local/nvidia-open-560.35.03-12/desc": "",
                "/var/lib/pacman/local/nvidia-utils-560.35.03-1/desc": "",
                "/var/lib/pacman/local/linux-6.10.arch1-1/desc": "",
            },
            ("nvidia-open 560.35.03-12", "nvidia-utils 560.35.03-1"),
        ),
        ({"/var/lib/pacman/local/nvidia-560.35.03-12/desc": ""}, ("nvidia 560.35.03-12",)),
        ({"/var/db/pkg/x11-drivers/nvidia-drivers-550.107.02-r1/CATEGORY": ""}, ("nvidia-drivers 550.107.02-r1",)),
        (
            {"/var/lib/dpkg/status": "Package: cuda-drivers-550\nStatus: hold ok half-installed\nVersion: 550.1\n"},
            ("cuda-drivers-550 550.1",),
        ),
        ({"/var/lib/rpm/rpmdb.sqlite": "SQLite format 3"}, ()),
    ],
    ids=["Arch", "Arch proprietary", "Gentoo", "half installed", "RPM"],
)
def test_packages_of_each_database(
    tmp_path: Path, changes: Mapping[str, Content | None], packages: tuple[str, ...]
) -> None:
    assert look(driver_files, machine(tmp_path, NOTHING, changes)) == DriverFiles(source=DISK, packages=packages)


# --------------------------------------------------------------------------------------------- secure boot

VARIABLE = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
EFIVARS = "/sys/firmware/efi/efivars"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, SecureBoot(source=VARIABLE, enabled=False)),
        ({VARIABLE: b"\x06\0\0\0\x01"}, SecureBoot(source=VARIABLE, enabled=True)),
        ({VARIABLE: None, f"{EFIVARS}/BootOrder-x": b""}, SecureBoot(source=VARIABLE, enabled=False)),
        ({"/sys/firmware/efi": None}, SecureBoot(source="/sys/firmware", enabled=None)),
        ({VARIABLE: b"\x06"}, Missing("unreadable", "1 bytes in place of 5", VARIABLE)),
        ({VARIABLE: None, EFIVARS: FOLDER}, Missing("unreadable", "absent or empty", EFIVARS)),
        (
            {"/sys/firmware/efi": None, "/sys/firmware/acpi": None, "/sys/firmware": FOLDER},
            Missing("unreadable", "absent or empty", "/sys/firmware"),
        ),
    ],
    ids=["off", "on", "firmware without it", "no UEFI", "damaged", "efivars not mounted", "masked by a container"],
)
def test_secure_boot(tmp_path: Path, changes: Mapping[str, Content | None], expected: SecureBoot | Missing) -> None:
    assert look(secure_boot, machine(tmp_path, changes)) == expected


# -------------------------------------------------------------------------------------------- device nodes


def node(path: str, mode: str = "0666") -> DeviceNode:
    return DeviceNode(path=path, mode=mode, owner=os.getuid(), group=os.getgid(), readable=True, writable=True)


def with_modes(world: World) -> World:
    for path in GOOD:
        if path.startswith("/dev/nvidia"):
            world.at(path).chmod(0o666)
    return world


def test_the_nodes_of_the_good_machine(tmp_path: Path) -> None:
    assert look(device_nodes, with_modes(machine(tmp_path))) == DeviceNodes(
        source="/dev",
        nodes=(
            node("/dev/nvidia-uvm"),
            node("/dev/nvidia-uvm-tools"),
            node("/dev/nvidia0"),
            node("/dev/nvidiactl"),
            node("/dev/nvidia-caps/nvidia-cap1"),
        ),
    )


def test_no_node_is_known_absence(tmp_path: Path) -> None:
    changes = dict.fromkeys((path for path in GOOD if path.startswith("/dev/nvidia")), None)
    assert look(device_nodes, machine(tmp_path, changes)) == DeviceNodes(source="/dev", nodes=())


def test_permissions_are_octal_text(tmp_path: Path) -> None:
    world = with_modes(machine(tmp_path))
    world.at("/dev/nvidia0").chmod(0o640)
    found = look(device_nodes, world)
    assert isinstance(found, DeviceNodes)
    assert found.node("/dev/nvidia0") == node("/dev/nvidia0", "0640")


def test_an_unreadable_dev_is_missing(tmp_path: Path) -> None:
    assert look(device_nodes, machine(tmp_path, {"/dev": None})) == Missing("unreadable", "absent or empty", "/dev")


def test_opening_tells_the_errno_of_each_node(tmp_path: Path) -> None:
    (tmp_path / "fine").write_text("")
    paths = [str(tmp_path / name) for name in ("fine", "gone")] + [str(tmp_path)]
    found = try_to_open(paths, dict(os.environ), 20)
    assert found == dict(zip(paths, (None, "ENOENT", "EISDIR"), strict=True))


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], {"/dev/a": "timed out"}),
        ([{"opened": "/dev/a", "error": None}], {"/dev/a": None, "/dev/b": "timed out"}),
        (
            [{"opened": "/dev/a", "error": None}, {"opened": "/dev/b", "error": "EPERM"}],
            {"/dev/a": None, "/dev/b": "EPERM"},
        ),
    ],
)
def test_the_node_at_which_the_child_ended_is_not_called_working(
    messages: list[dict[str, str | None]], expected: dict[str, str | None]
) -> None:
    assert opened(["/dev/a", "/dev/b"], messages, "timed out") == expected


def test_a_child_that_cannot_start_is_not_called_working(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    found = try_to_open(["/dev/null"], dict(os.environ), 5)
    assert found == {"/dev/null": "not started: No such file or directory"}


# ---------------------------------------------------------------------------------------------- kernel log

XID = "NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
EVENT = XidEvent(xid=79, pci="0000:01:00.0", text=XID)
TAINT = "nvidia: loading out-of-tree module taints kernel."


def test_only_gpu_lines_of_the_kernels_records_are_kept(tmp_path: Path) -> None:
    assert look(kernel_log, machine(tmp_path)) == KernelLog(source="/dev/kmsg", lines=(TAINT,))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/dev/kmsg", f"4,1042,8462102,-;{XID}\n SUBSYSTEM=pci\n"),
        ("/var/log/kern.log", f"Oct  6 17:59:27 balrog kernel: [  812.123456] {XID}\n"),
        ("/var/log/kern.log", f"2026-10-06T17:59:27.123456+02:00 balrog kernel: {XID}\n"),
        ("/var/log/dmesg", f"[  812.123456] {XID}\n"),
        (
            "/var/log/messages",
            f"Oct  6 17:59:27 balrog kernel: {XID}\nOct  6 17:59:28 balrog nvidia-persistenced: NVRM: no\n",
        ),
    ],
    ids=["kmsg", "kern.log", "kern.log with ISO time", "dmesg", "messages"],
)
def test_an_xid_is_read_from_every_log(tmp_path: Path, path: str, text: str) -> None:
    changes: dict[str, Content | None] = {"/dev/kmsg": None}
    assert look(kernel_log, machine(tmp_path, changes, {path: text})) == KernelLog(source=path, xids=(EVENT,))


@pytest.mark.parametrize(
    ("line", "xid", "pci"),
    [
        ("NVRM: Xid (0000:02:00): 13, Graphics Exception", 13, "0000:02:00.0"),
        ("NVRM: Xid (PCI:0000:C1:00.0): 119, pid=1, Timeout waiting for RPC from GSP!", 119, "0000:c1:00.0"),
    ],
)
def test_other_spellings_of_an_xid(tmp_path: Path, line: str, xid: int, pci: str) -> None:
    found = look(kernel_log, machine(tmp_path, {"/dev/kmsg": f"4,1,1,-;{line}\n"}))
    assert found == KernelLog(source="/dev/kmsg", xids=(XidEvent(xid=xid, pci=pci, text=line),))


def test_events_of_an_earlier_boot_do_not_count(tmp_path: Path) -> None:
    text = (
        f"Oct  6 h kernel: [ 1.0] {XID}\nOct  7 h kernel: [ 0.0] Linux version 5.15\nOct  7 h kernel: [ 2.0] {TAINT}\n"
    )
    changes = {"/dev/kmsg": None, "/var/log/kern.log": text}
    assert look(kernel_log, machine(tmp_path, changes)) == KernelLog(source="/var/log/kern.log", lines=(TAINT,))


def test_a_refused_module_is_kept(tmp_path: Path) -> None:
    line = "Loading of unsigned module is rejected"
    found = look(kernel_log, machine(tmp_path, {"/dev/kmsg": f"3,1,1,-;{line}\n"}))
    assert found == KernelLog(source="/dev/kmsg", lines=(line,))


def test_a_log_nobody_may_read_is_missing(tmp_path: Path) -> None:
    assert look(kernel_log, machine(tmp_path, {"/dev/kmsg": UNREADABLE})) == Missing("unreadable", LOOP, "/dev/kmsg")


def test_no_log_at_all_is_missing(tmp_path: Path) -> None:
    assert look(kernel_log, machine(tmp_path, {"/dev/kmsg": None})) == Missing(
        "unreadable", "no kernel log", "/dev/kmsg"
    )


# ------------------------------------------------------------------------------------------------ services

UNITS = "/usr/lib/systemd/system"
SYSTEMD = "/sys/fs/cgroup/system.slice, systemd unit files"


def states(found: object) -> dict[str, str]:
    assert isinstance(found, Services)
    return {service.name.removeprefix("nvidia-"): service.state for service in found.services}


def test_the_services_of_the_good_machine(tmp_path: Path) -> None:
    assert look(services, machine(tmp_path)) == Services(
        source=SYSTEMD,
        services=(
            Service(name="nvidia-fabricmanager", state="not-found"),
            Service(name="nvidia-persistenced", state="active"),
            Service(name="nvidia-imex", state="not-found"),
            Service(name="nvidia-gridd", state="not-found"),
        ),
    )


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({f"{UNITS}/nvidia-fabricmanager.service": ""}, "inactive"),
        (
            {
                f"{UNITS}/nvidia-fabricmanager.service": "",
                "/sys/fs/cgroup/system.slice/nvidia-fabricmanager.service": FOLDER,
            },
            "active",
        ),
        ({"/sys/fs/cgroup/systemd/system.slice/nvidia-fabricmanager.service": FOLDER}, "active"),
        (
            {
                f"{UNITS}/nvidia-fabricmanager.service": "",
                "/etc/systemd/system/nvidia-fabricmanager.service": Link("/dev/null", literal=True),
            },
            "masked",
        ),
        ({"/run/systemd/system": None}, "unknown"),
        (
            {
                "/run/systemd/system": None,
                "/run/nvidia-fabricmanager/nv-fabricmanager.pid": "977\n",
                "/proc/977/stat": "",
            },
            "active",
        ),
        ({"/run/systemd/system": None, "/run/nvidia-fabricmanager/nv-fabricmanager.pid": "977\n"}, "unknown"),
    ],
    ids=["installed", "running", "running, cgroup 1", "masked", "no systemd", "pid lives", "pid is gone"],
)
def test_the_state_of_the_fabric_manager(tmp_path: Path, changes: Mapping[str, Content | None], state: str) -> None:
    assert states(look(services, machine(tmp_path, changes)))["fabricmanager"] == state


def test_the_version_of_a_services_package_is_comparable_with_the_drivers(tmp_path: Path) -> None:
    status = (
        "Package: nvidia-fabricmanager-dev-535\nStatus: install ok installed\nVersion: 1\n\n"
        "Package: nvidia-fabricmanager-535\nStatus: install ok installed\nVersion: 535.129.03-0ubuntu1\n"
    )
    found = look(services, machine(tmp_path, {"/var/lib/dpkg/status": status}))
    assert isinstance(found, Services)
    assert found.services[0] == Service(name="nvidia-fabricmanager", state="not-found", version="535.129.03")
