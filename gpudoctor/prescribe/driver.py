"""Fixes of the driver and its device nodes, which are the host's business inside a container and Windows' in WSL."""

from __future__ import annotations

import re

import msgspec

from gpudoctor import remedies as r
from gpudoctor.findings import Fix
from gpudoctor.matrix import Unlisted
from gpudoctor.prescribe.place import Place
from gpudoctor.prescribe.shell import (
    machine_wide,
    printable,
    python_path,
    verify_with,
)
from gpudoctor.relations import Capability, driver_version

DRIVERS_PAGE = "https://www.nvidia.com/en-us/drivers/"
DRIVER_GUIDE = "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/"


def install_driver(remedy: r.InstallDriver, place: Place) -> Fix:
    """A driver that cures and still drives the GPU, by the distribution's own package manager."""
    branch = _branch(remedy, place)
    wanted = f"driver {remedy.minimum} or newer" if remedy.minimum else "driver"
    last = (
        f", at most the {branch.branch} branch: newer ones dropped this GPU" if branch and branch.dropped_after else ""
    )
    if branch is None and remedy.capability:
        return Fix(
            title=f"No NVIDIA driver both is {remedy.minimum or 'new'} or newer and supports compute capability "
            f"{remedy.capability}",
            where=machine_wide(place),
            note="Use a build for an older CUDA on this GPU instead.",
        )
    outside = _driver_outside(place, f"{wanted}{last}")
    if outside is not None:
        return outside
    lines = _driver_commands(place, branch, remedy)
    return Fix(
        title=f"Install NVIDIA {wanted}{last}",
        commands=printable(lines, place),
        where="machine",
        risk="Replaces the driver; the machine reboots." if lines else "",
        verify=verify_with(place),
        note="" if lines else f"Choose it at {DRIVERS_PAGE}; how to install: {DRIVER_GUIDE}",
    )


class _Branch(msgspec.Struct, frozen=True):
    branch: str
    number: int
    dropped_after: bool
    open_modules: bool | None


def _branch(remedy: r.InstallDriver, place: Place) -> _Branch | None:
    """The long-term branch, else the newest recommended one, that cures and still drives the GPU."""
    capability = Capability.parse(remedy.capability) if remedy.capability else None
    minimum = driver_version(remedy.minimum).major if remedy.minimum else 0
    fits = [
        branch
        for branch in place.matrix.driver_branches
        if branch.number >= minimum
        and (capability is None or place.matrix.branch_supports(branch, capability) is not False)
    ]
    if not fits:
        return None
    best = max(fits, key=lambda branch: (branch.kind == "LTSB", branch.recommended, branch.number))
    architecture = place.matrix.architecture(capability) if capability else None
    if architecture is None or isinstance(architecture, Unlisted):
        return _Branch(best.branch, best.number, False, remedy.open_kernel)
    opens = remedy.open_kernel if remedy.open_kernel is not None else architecture.open_kernel != "unsupported"
    return _Branch(best.branch, best.number, architecture.last_branch is not None, opens)


def _driver_outside(place: Place, wanted: str) -> Fix | None:
    """The fix where the driver is not this system's to change."""
    if place.side == "container":
        return Fix(
            title=f"On the host, install NVIDIA {wanted}",
            where="host",
            risk="The host reboots.",
            verify=verify_with(place),
            note=f"The container uses the host's driver; nothing is to be installed in here. {DRIVER_GUIDE}",
        )
    if place.side == "wsl":
        return Fix(
            title=f"In Windows, install NVIDIA {wanted}",
            where="host",
            verify=verify_with(place),
            note=f"Download it at {DRIVERS_PAGE}, install it in Windows, then, in a Windows terminal: wsl --shutdown. "
            "Never install a Linux driver inside WSL.",
        )
    if place.side == "jetson":
        return Fix(
            title="Update JetPack",
            where="machine",
            note="The driver of a Jetson comes with JetPack: https://developer.nvidia.com/embedded/jetpack",
        )
    if place.side == "hosted":
        return Fix(
            title="Use a build for the service's driver",
            where="environment",
            note="The driver of a hosted notebook cannot be changed.",
        )
    return None


_REBOOT = ("sudo", "reboot")


def _driver_commands(place: Place, branch: _Branch | None, remedy: r.InstallDriver) -> list[tuple[str, ...]]:
    """The distribution's own driver packages, where they are known to hold the branch."""
    if branch is None or place.side != "machine":
        return []
    if place.family == "ubuntu":
        flavour = "-open" if branch.open_modules else ""
        package = ("apt", "install", f"nvidia-driver-{branch.number}{flavour}")
        choose = ("ubuntu-drivers", "install") if remedy.capability is None and branch.open_modules is None else package
        return [("sudo", "apt", "update"), ("sudo", *choose), _REBOOT]
    repository = _repository(place)
    if repository is None:
        return []
    metapackage = "nvidia-open" if branch.open_modules else "cuda-drivers"
    return [*repository, *_from_repository(place, metapackage, branch), _REBOOT]


# The folders of NVIDIA's repository, by distribution and release.
# https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/
_REPOSITORIES = {
    "debian": ("debian12", "debian13"),
    "rhel": ("rhel8", "rhel9", "rhel10"),
    "fedora": ("fedora41", "fedora42", "fedora43"),
}


def _repository(place: Place) -> list[tuple[str, ...]] | None:
    """Commands that add NVIDIA's own package repository, where it serves this release."""
    if place.system is None or place.system.release is None or place.system.architecture != "x86_64":
        return None
    folder = f"{place.family}{place.system.release.partition('.')[0]}"
    if folder not in _REPOSITORIES.get(place.family, ()):
        return None
    base = f"https://developer.download.nvidia.com/compute/cuda/repos/{folder}/x86_64"
    if place.family == "debian":
        keyring = "cuda-keyring_1.1-1_all.deb"
        return [("wget", f"{base}/{keyring}"), ("sudo", "dpkg", "-i", keyring), ("sudo", "apt", "update")]
    if place.family == "fedora":
        return [("sudo", "dnf", "config-manager", "addrepo", f"--from-repofile={base}/cuda-{folder}.repo")]
    return [("sudo", "dnf", "config-manager", "--add-repo", f"{base}/cuda-{folder}.repo")]


def _from_repository(place: Place, package: str, branch: _Branch) -> list[tuple[str, ...]]:
    tool = "apt" if place.family == "debian" else "dnf"
    pin = f"nvidia-driver-pinning-{branch.number}"
    return [("sudo", tool, "install", pin), ("sudo", tool, "install", package)]


def reload_driver(remedy: r.ReloadDriver, place: Place) -> Fix:
    """A reboot, or what comes to the same where this kernel is not the driver's."""
    if place.side in ("wsl", "container", "hosted"):
        where = "wsl --shutdown in a Windows terminal" if place.side == "wsl" else "a reboot of the host"
        return Fix(
            title="Restart what carries the driver", where="host", note=f"Needed is {where}.", verify=verify_with(place)
        )
    if place.side == "windows":
        return Fix(title="Reboot Windows", where="machine", verify=verify_with(place))
    return Fix(
        title=remedy.title or "Reboot, so that the kernel loads the module of the installed driver",
        commands=printable([_REBOOT], place),
        where="machine",
        risk="The machine reboots.",
        verify=verify_with(place),
        note=""
        if remedy.title
        else "Without a reboot: stop every program that uses the GPU (the desktop too), then "
        "sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia && sudo modprobe nvidia",
    )


def load_module(remedy: r.LoadModule, place: Place) -> Fix:
    """The module built for this kernel, its key enrolled, or just loaded: what was seen to lack."""
    if place.side != "machine":
        return Fix(title="Load the NVIDIA kernel module on the host", where="host", verify=verify_with(place))
    if remedy.secure_boot:
        return _enrol_key(place)
    if remedy.kernel:
        return _build_module(remedy.kernel, place)
    return Fix(
        title="Load the kernel module",
        commands=printable([("sudo", "modprobe", "nvidia")], place),
        where="machine",
        verify=verify_with(place),
        note="If modprobe fails, its message names the reason.",
    )


_KERNEL_RELEASE = re.compile(r"[\w.+~-]{3,100}")


def _build_module(kernel: str, place: Place) -> Fix:
    headers = {"ubuntu": f"linux-headers-{kernel}", "debian": f"linux-headers-{kernel}"}
    headers |= {"fedora": f"kernel-devel-{kernel}", "rhel": f"kernel-devel-{kernel}"}
    lines: list[tuple[str, ...]] = []
    if place.family in headers and _KERNEL_RELEASE.fullmatch(kernel):
        tool = "apt" if place.family in ("ubuntu", "debian") else "dnf"
        build = ("akmods", "--force") if place.family == "fedora" else ("dkms", "autoinstall")
        lines = [("sudo", tool, "install", headers[place.family]), ("sudo", *build), ("sudo", "modprobe", "nvidia")]
    return Fix(
        title=f"Build the NVIDIA module for the running kernel {kernel}",
        commands=printable(lines, place),
        where="machine",
        verify=verify_with(place),
        note=""
        if lines
        else "Install this kernel's headers, then reinstall the NVIDIA driver package so that it is built.",
    )


def _enrol_key(place: Place) -> Fix:
    keys = {"ubuntu": "/var/lib/shim-signed/mok/MOK.der", "debian": "/var/lib/dkms/mok.pub"}
    key = keys.get(place.family)
    lines = [("sudo", "mokutil", "--import", key), _REBOOT] if key else []
    return Fix(
        title="Enrol the key that the module is signed with, or switch secure boot off in the firmware",
        commands=printable(lines, place),
        where="machine",
        risk="The machine reboots.",
        verify=verify_with(place),
        note="mokutil asks for a password; at the next start choose Enroll MOK and enter it once more.",
    )


def replace_nouveau(remedy: r.ReplaceNouveau, place: Place) -> Fix:
    """nouveau (or nova) blocked, the initial RAM disk made anew."""
    rebuild = {
        "ubuntu": ("sudo", "update-initramfs", "-u"),
        "debian": ("sudo", "update-initramfs", "-u"),
        "fedora": ("sudo", "dracut", "--force"),
        "rhel": ("sudo", "dracut", "--force"),
        "suse": ("sudo", "dracut", "--force"),
        "arch": ("sudo", "mkinitcpio", "-P"),
    }.get(place.family)
    title = f"Block {remedy.module} and reboot"
    if place.side != "machine":
        return Fix(title=f"On the host: {title.lower()}", where="host", verify=verify_with(place))
    file = f"/etc/modprobe.d/blacklist-{remedy.module.replace('_', '-')}.conf"
    block = f"echo 'blacklist {remedy.module}' | sudo tee {file}"
    commands = (block, *printable([rebuild, _REBOOT], place)) if rebuild else ()
    return Fix(
        title=title,
        commands=commands,
        where="machine",
        risk="Until NVIDIA's driver is loaded, the screen may fall back to a basic mode.",
        verify=verify_with(place),
        note="" if rebuild else f"Write 'blacklist {remedy.module}' to {file}, rebuild the initial RAM disk, reboot.",
    )


def create_nodes(remedy: r.CreateDeviceNodes, place: Place) -> Fix:
    """The missing device nodes made, or the right to open them given."""
    if remedy.permission:
        return Fix(
            title="Give this user access to the NVIDIA device nodes",
            commands=printable([("ls", "-l", *map(python_path, remedy.paths))], place),
            where=machine_wide(place),
            note="The listing shows the owning group: add the user to it (usermod -aG) and log in again. In a "
            "container or a batch job, the nodes must be allowed by its device rules.",
        )
    inside = place.side != "machine"
    return Fix(
        title=("On the host: load" if inside else "Load") + " nvidia-uvm and create the device nodes",
        commands=printable([("sudo", "nvidia-modprobe", "-u", "-c=0")], place),
        where=machine_wide(place),
        verify=verify_with(place),
        note="Then start the container again." if inside else "",
    )
