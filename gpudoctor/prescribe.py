"""Remedies become fixes: the exact commands for this machine, where they run, their risk, how to verify.

Everything that depends on the place is decided here and nowhere else: no driver is installed from inside a container
or WSL, no driver is named that dropped the GPU, a Python that its distribution manages gets a virtual environment
first, and a conda environment is changed with conda. A value enters a command only if it parses as what it claims.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from gpudoctor import remedies as r
from gpudoctor.facts import Build, Container, Facts, HostedNotebook, Interpreter, Jetson, System, Wsl
from gpudoctor.findings import Fix, Where
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.matrix.records import TensorFlowRelease
from gpudoctor.relations import Capability, CudaVersion, driver_version, parse_targets
from gpudoctor.rules._words import name_of

DRIVERS_PAGE = "https://www.nvidia.com/en-us/drivers/"
DRIVER_GUIDE = "https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/"
TOOLKIT_GUIDE = "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"

Side = Literal["machine", "container", "wsl", "windows", "jetson", "hosted"]
Family = Literal["ubuntu", "debian", "fedora", "rhel", "arch", "suse", "other"]
_FAMILIES: tuple[Family, ...] = ("ubuntu", "debian", "rhel", "fedora", "arch", "suse")


class NotPrintableError(ValueError):
    """A value that does not parse as what a command needs; the command is then not printed."""


@dataclass(frozen=True)
class Place:
    """What prescriptions need to know of this machine, and the matrix to ask."""

    facts: Facts
    matrix: Matrix

    @property
    def system(self) -> System | None:
        """The operating system, if known."""
        return self.facts.system if isinstance(self.facts.system, System) else None

    @property
    def interpreter(self) -> Interpreter | None:
        """The interpreter under test, if known."""
        return self.facts.interpreter if isinstance(self.facts.interpreter, Interpreter) else None

    @property
    def engine(self) -> str | None:
        """The container engine this runs in, None outside."""
        return self.facts.container.engine if isinstance(self.facts.container, Container) else None

    @property
    def side(self) -> Side:
        """Who can change the driver here."""
        if isinstance(self.facts.hosted, HostedNotebook) and self.facts.hosted.service:
            return "hosted"
        if self.engine:
            return "container"
        if isinstance(self.facts.wsl, Wsl) and self.facts.wsl.version:
            return "wsl"
        if isinstance(self.facts.jetson, Jetson) and self.facts.jetson.l4t:
            return "jetson"
        return "windows" if self.system and self.system.os == "windows" else "machine"

    @property
    def family(self) -> Family:
        """Whose package manager this distribution has."""
        if self.system is None:
            return "other"
        names = (self.system.distribution or "", *self.system.like)
        # ID before ID_LIKE: Ubuntu calls itself like Debian, RHEL like Fedora.
        return next((family for name in names for family in _FAMILIES if family in name), "other")

    @property
    def wheel_platform(self) -> str:
        """The platform as the matrix names it, such as linux_x86_64."""
        machine = (self.system.architecture if self.system else None) or "x86_64"
        if self.system and self.system.os == "windows":
            return "win_amd64"
        return "linux_aarch64" if machine in ("aarch64", "arm64") else "linux_x86_64"

    @property
    def python(self) -> str | None:
        """The Python of the environment as the matrix names it: 3.12, 3.14t."""
        if self.interpreter is None:
            return None
        match = re.match(r"(\d+\.\d+)", self.interpreter.version)
        return match[1] + ("t" if self.interpreter.free_threaded else "") if match else None


def prescribe(remedy: r.Remedy, facts: Facts, matrix: Matrix) -> Fix:
    """The fix for this machine. A command that cannot be complete is left out, and the note says what to do."""
    return _prescribe(remedy, Place(facts, matrix))


@singledispatch
def _prescribe(remedy: object, place: Place) -> Fix:  # noqa: ARG001
    raise TypeError(f"no prescription for {type(remedy).__name__}")


# ------------------------------------------------------------------------------------------------- quoting

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def _requirement(text: str) -> str:
    """A requirement such as ``numpy<2``. Raises NotPrintableError for anything else, and for direct references."""
    try:
        parsed = Requirement(text)
    except InvalidRequirement as error:
        raise NotPrintableError(text) from error
    if parsed.url or parsed.marker:
        raise NotPrintableError(text)
    return str(parsed)


def _version(text: str) -> str:
    try:
        return str(Version(text))
    except InvalidVersion as error:
        raise NotPrintableError(text) from error


def _path(text: str) -> str:
    """An absolute path without control characters, or a paste's plain ``python``. Else raises NotPrintableError."""
    absolute = text == "python" or text.startswith("/") or re.match(r"[A-Za-z]:[\\/]", text)
    if not absolute or _CONTROL.search(text):
        raise NotPrintableError(text)
    return text


def _line(place: Place, *words: str) -> str:
    """One shell line, every word quoted for this system's shell. Raises NotPrintableError for control characters."""
    if any(_CONTROL.search(word) for word in words):
        raise NotPrintableError(" ".join(words))
    if place.side != "windows":
        return shlex.join(words)
    if any(set(word) & set('"%!^`$') for word in words):
        raise NotPrintableError(" ".join(words))
    return " ".join(f'"{word}"' if re.search(r"[^\w.:/\\=+-]", word) else word for word in words)


def _printable(lines: Sequence[tuple[str, ...]], place: Place) -> tuple[str, ...]:
    """All lines, or none where one cannot be printed: half of a procedure is worse than none."""
    try:
        return tuple(_line(place, *words) for words in lines)
    except NotPrintableError:
        return ()


def _machine_wide(place: Place) -> Where:
    return "machine" if place.side in ("machine", "windows", "jetson") else "host"


_VERIFY = "gpudoctor diagnose"


def _verify(place: Place, framework: str | None = None) -> str:
    words = ["gpudoctor", "diagnose"]
    if framework:
        words += ["--framework", framework]
    if place.interpreter:
        words += ["--python", place.interpreter.executable]
    return next(iter(_printable([tuple(words)], place)), _VERIFY)


# ------------------------------------------------------------------------------------------------- the driver


@_prescribe.register
def _install_driver(remedy: r.InstallDriver, place: Place) -> Fix:
    branch = _branch(remedy, place)
    wanted = f"driver {remedy.minimum} or newer" if remedy.minimum else "driver"
    last = (
        f", at most the {branch.branch} branch: newer ones dropped this GPU" if branch and branch.dropped_after else ""
    )
    if branch is None and remedy.capability:
        return Fix(
            title=f"No NVIDIA driver both is {remedy.minimum or 'new'} or newer and supports compute capability "
            f"{remedy.capability}",
            where=_machine_wide(place),
            note="Use a build for an older CUDA on this GPU instead.",
        )
    outside = _driver_outside(place, f"{wanted}{last}")
    if outside is not None:
        return outside
    lines = _driver_commands(place, branch, remedy)
    return Fix(
        title=f"Install NVIDIA {wanted}{last}",
        commands=_printable(lines, place),
        where="machine",
        risk="Replaces the driver; the machine reboots." if lines else "",
        verify=_VERIFY,
        note="" if lines else f"Choose it at {DRIVERS_PAGE}; how to install: {DRIVER_GUIDE}",
    )


@dataclass(frozen=True)
class _Branch:
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
            verify=_VERIFY,
            note=f"The container uses the host's driver; nothing is to be installed in here. {DRIVER_GUIDE}",
        )
    if place.side == "wsl":
        return Fix(
            title=f"In Windows, install NVIDIA {wanted}",
            where="host",
            verify=_VERIFY,
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


@_prescribe.register
def _reload_driver(remedy: r.ReloadDriver, place: Place) -> Fix:  # noqa: ARG001 - it has no values
    if place.side in ("wsl", "container", "hosted"):
        where = "wsl --shutdown in a Windows terminal" if place.side == "wsl" else "a reboot of the host"
        return Fix(title="Restart what carries the driver", where="host", note=f"Needed is {where}.", verify=_VERIFY)
    if place.side == "windows":
        return Fix(title="Reboot Windows", where="machine", verify=_VERIFY)
    return Fix(
        title="Reboot, so that the kernel loads the module of the installed driver",
        commands=_printable([_REBOOT], place),
        where="machine",
        risk="The machine reboots.",
        verify=_VERIFY,
        note="Without a reboot: stop every program that uses the GPU (the desktop too), then "
        "sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia && sudo modprobe nvidia",
    )


@_prescribe.register
def _load_module(remedy: r.LoadModule, place: Place) -> Fix:
    if place.side != "machine":
        return Fix(title="Load the NVIDIA kernel module on the host", where="host", verify=_VERIFY)
    if remedy.secure_boot:
        return _enrol_key(place)
    if remedy.kernel:
        return _build_module(remedy.kernel, place)
    return Fix(
        title="Load the kernel module",
        commands=_printable([("sudo", "modprobe", "nvidia")], place),
        where="machine",
        verify=_VERIFY,
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
        commands=_printable(lines, place),
        where="machine",
        verify=_VERIFY,
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
        commands=_printable(lines, place),
        where="machine",
        risk="The machine reboots.",
        verify=_VERIFY,
        note="mokutil asks for a password; at the next start choose Enroll MOK and enter it once more.",
    )


@_prescribe.register
def _replace_nouveau(remedy: r.ReplaceNouveau, place: Place) -> Fix:
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
        return Fix(title=f"On the host: {title.lower()}", where="host", verify=_VERIFY)
    file = f"/etc/modprobe.d/blacklist-{remedy.module.replace('_', '-')}.conf"
    block = f"echo 'blacklist {remedy.module}' | sudo tee {file}"
    commands = (block, *_printable([rebuild, _REBOOT], place)) if rebuild else ()
    return Fix(
        title=title,
        commands=commands,
        where="machine",
        risk="Until NVIDIA's driver is loaded, the screen may fall back to a basic mode.",
        verify=_VERIFY,
        note="" if rebuild else f"Write 'blacklist {remedy.module}' to {file}, rebuild the initial RAM disk, reboot.",
    )


@_prescribe.register
def _create_nodes(remedy: r.CreateDeviceNodes, place: Place) -> Fix:
    if remedy.permission:
        return Fix(
            title="Give this user access to the NVIDIA device nodes",
            commands=_printable([("ls", "-l", *map(_path, remedy.paths))], place),
            where=_machine_wide(place),
            note="The listing shows the owning group: add the user to it (usermod -aG) and log in again. In a "
            "container or a batch job, the nodes must be allowed by its device rules.",
        )
    inside = place.side != "machine"
    return Fix(
        title=("On the host: load" if inside else "Load") + " nvidia-uvm and create the device nodes",
        commands=_printable([("sudo", "nvidia-modprobe", "-u", "-c=0")], place),
        where=_machine_wide(place),
        verify=_VERIFY,
        note="Then start the container again." if inside else "",
    )


# -------------------------------------------------------------------------------------------- the container

_STARTS = {
    "docker": ("docker run --gpus all", "docker run --rm --gpus all ubuntu nvidia-smi"),
    "podman": (
        "podman run --device nvidia.com/gpu=all",
        "podman run --rm --device nvidia.com/gpu=all ubuntu nvidia-smi",
    ),
    "apptainer": ("apptainer exec --nv", "apptainer exec --nv docker://ubuntu nvidia-smi"),
}


@_prescribe.register
def _give_container_gpu(remedy: r.GiveContainerGpu, place: Place) -> Fix:
    container = place.facts.container
    if isinstance(container, Container) and container.orchestrator == "kubernetes":
        return Fix(
            title="Request a GPU for this pod",
            where="host",
            note="In the container's resources: limits: nvidia.com/gpu: 1. The node needs NVIDIA's device plugin.",
        )
    start, verify = _STARTS.get(place.engine or "docker", _STARTS["docker"])
    extra = f" -e NVIDIA_DRIVER_CAPABILITIES={','.join(remedy.capabilities)}" if remedy.capabilities else ""
    runtime = place.engine if place.engine in ("docker", "podman", "containerd") else "docker"
    prepare = f"sudo nvidia-ctk runtime configure --runtime={runtime}, then restart the engine"
    if runtime == "podman":
        prepare = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
    return Fix(
        title=f"Start the container with GPU access: {start}{extra} …",
        where="host",
        verify=verify,
        note="In a compose file: deploy.resources.reservations.devices with capabilities [gpu]. If the engine knows no "
        f"GPU driver, install the NVIDIA Container Toolkit on the host ({TOOLKIT_GUIDE}) and run: {prepare}.",
    )


# ------------------------------------------------------------------------------------------- the environment


@_prescribe.register
def _set_variable(remedy: r.SetVariable, place: Place) -> Fix:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", remedy.name):
        raise NotPrintableError(remedy.name)
    note = (
        "This is for the present shell; remove it also where it is set (profile, launcher, job script, compose file)."
    )
    if remedy.value is None:
        words = ("set", f"{remedy.name}=") if place.side == "windows" else ("unset", remedy.name)
        return Fix(title=f"Unset {remedy.name}", commands=_printable([words], place), verify=_verify(place), note=note)
    tool = "set" if place.side == "windows" else "export"
    lines = [(tool, f"{remedy.name}={remedy.value}")]
    return Fix(title=f"Set {remedy.name}", commands=_printable(lines, place), verify=_verify(place), note=note)


@_prescribe.register
def _use_wsl(remedy: r.UseWsl, place: Place) -> Fix:
    name = name_of(remedy.framework)
    return Fix(
        title=f"Run {name} in WSL 2, with the driver of Windows",
        commands=_printable([("wsl", "--install")], place) if place.side == "windows" else (),
        where="machine",
        risk="Windows asks for a restart.",
        note=f'Then, in WSL, in a virtual environment: python -m pip install "{_with_extra(remedy.framework, None)}"',
    )


@_prescribe.register
def _run(remedy: r.Run, place: Place) -> Fix:
    where: Where = _machine_wide(place) if remedy.where == "machine" else remedy.where
    # What an administrator of Linux types is none of Windows', nor of a hosted notebook's user.
    foreign = remedy.where == "machine" and place.side in ("wsl", "windows", "hosted")
    lines = () if foreign and any(argv[:1] == ("sudo",) for argv in remedy.argvs) else remedy.argvs
    return Fix(
        title=remedy.title,
        commands=_printable(list(lines), place),
        where=where,
        risk=remedy.risk,
        verify=next(iter(_printable([remedy.verify], place)), "") if remedy.verify else "",
        note=remedy.note,
    )


# ------------------------------------------------------------------------------------------------- packages


@_prescribe.register
def _install_packages(remedy: r.InstallPackages, place: Place) -> Fix:
    title = remedy.title or "Install the versions that fit"
    try:
        requirements = tuple(map(_requirement, remedy.requirements))
    except NotPrintableError:
        return Fix(title=title, verify=_verify(place))
    options = (*(("--force-reinstall",) if remedy.reinstall else ()), *(("--no-deps",) if remedy.no_deps else ()))
    return _pip_fix(place, title, (*options, *requirements))


@_prescribe.register
def _uninstall_packages(remedy: r.UninstallPackages, place: Place) -> Fix:
    names = tuple(map(_requirement, remedy.names))
    lines = [(*_pip(place), "uninstall", *(() if _uses_uv(place) else ("-y",)), *names)]
    title = remedy.title or f"Remove {', '.join(names)}"
    return Fix(title=title, commands=_printable(lines, place), where="environment", verify=_verify(place))


@_prescribe.register
def _install_build(remedy: r.InstallBuild, place: Place) -> Fix:
    if _owned_by_conda(remedy, place):
        return _conda_fix(remedy, place)
    if remedy.framework == "torch":
        return _torch_fix(remedy, place)
    if remedy.framework == "tensorflow":
        return _tensorflow_fix(remedy, place)
    return _jax_fix(remedy, place)


def _build_of(framework: str, place: Place) -> Build | None:
    for found in place.facts.installed_frameworks():
        if found.name == framework and isinstance(found.build, Build):
            return found.build
    return None


def _torch_fix(remedy: r.InstallBuild, place: Place) -> Fix:
    lowest = Capability.parse(remedy.capabilities[0]) if remedy.capabilities else None
    build = place.matrix.newest_torch(
        platform=place.wheel_platform,
        python=place.python,
        capability=lowest,
        driver_cuda=CudaVersion.parse(remedy.driver_cuda) if remedy.driver_cuda else None,
        release=remedy.release,
    )
    if isinstance(build, Unlisted):
        return Fix(
            title="No build of PyTorch fits this Python, this GPU and this driver together",
            note=f"{build.sentence()} A newer driver or another Python version may open a way.",
        )
    why = f"for CUDA {build.cuda}" + (f", with kernels for {', '.join(remedy.capabilities)}" if lowest else "")
    return _pip_fix(place, f"Install PyTorch {build.release} {why}", _replacing(build.pip_arguments(), place), "torch")


def _replacing(arguments: tuple[str, ...], place: Place) -> tuple[str, ...]:
    """Name the variant where the same release is installed: pip would take 2.13.0+cpu for 2.13.0 and do nothing."""
    installed = _build_of("torch", place)
    wanted = next((word.removeprefix("torch==") for word in arguments if word.startswith("torch==")), "")
    variant = arguments[-1].rpartition("/")[2]
    if installed is None or Version(wanted).public != _public(installed.version) or not re.fullmatch(r"cu\d+", variant):
        return arguments
    return tuple(f"{word}+{variant}" if re.fullmatch(r"torch==[\d.]+", word) else word for word in arguments)


def _public(version: str) -> str:
    try:
        return Version(version).public
    except InvalidVersion:
        return version


def _with_extra(framework: str, driver_cuda: str | None) -> str:
    if framework == "tensorflow":
        return "tensorflow[and-cuda]"
    newer = driver_cuda is None or CudaVersion.parse(driver_cuda).major >= 13
    return "jax[cuda13]" if newer else "jax[cuda12]"


def _tensorflow_fix(remedy: r.InstallBuild, place: Place) -> Fix:
    if place.side == "windows":
        return _use_wsl(r.UseWsl(framework="tensorflow"), place)
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
        remove = _uninstall_packages(r.UninstallPackages(names=(build.distribution,)), place)
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
    wanted = _with_extra("jax", remedy.driver_cuda)
    return _pip_fix(place, f"Install {wanted}", ("--upgrade", wanted), "jax")


# ---------------------------------------------------------------------------------- pip, uv, conda, PEP 668


def _uses_uv(place: Place) -> bool:
    return bool(place.interpreter and place.interpreter.tool == "uv")


def _pip(place: Place) -> tuple[str, ...]:
    """pip, or uv where uv made the environment, for the interpreter under test."""
    if place.interpreter is None:
        return ("python", "-m", "pip")
    executable = _path(place.interpreter.executable)
    if _uses_uv(place):
        return ("uv", "pip")
    return (executable, "-m", "pip")


def _pip_fix(place: Place, title: str, arguments: tuple[str, ...], framework: str | None = None) -> Fix:
    lines: list[tuple[str, ...]] = []
    note = ""
    try:
        if _uses_uv(place) and place.interpreter:
            lines = [("uv", "pip", "install", "--python", _path(place.interpreter.executable), *arguments)]
        elif place.interpreter and place.interpreter.externally_managed and place.interpreter.environment == "system":
            lines = [
                (_path(place.interpreter.executable), "-m", "venv", ".venv"),
                (".venv/bin/python", "-m", "pip", "install", *arguments),
            ]
            note = "The distribution manages this Python (PEP 668), so a virtual environment comes first."
        else:
            lines = [(*_pip(place), "install", *arguments)]
    except NotPrintableError:
        lines = []
    return Fix(
        title=title,
        commands=_printable(lines, place),
        where="environment",
        verify=_verify(place, framework),
        note=note,
    )


def _owned_by_conda(remedy: r.InstallBuild, place: Place) -> bool:
    """True where conda installed the framework, or owns the environment that has none."""
    if place.interpreter is None or place.interpreter.environment != "conda":
        return False
    build = _build_of(remedy.framework, place)
    return build is None or build.installer == "conda" or build.channel == "conda"


_CONDA_NAMES = {"torch": ("pytorch-gpu",), "tensorflow": ("tensorflow-gpu",), "jax": ("jax", "jaxlib=*=*cuda*")}


def _conda_fix(remedy: r.InstallBuild, place: Place) -> Fix:
    assert place.interpreter is not None  # noqa: S101 - _owned_by_conda asked
    name = name_of(remedy.framework)
    try:
        prefix = _path(place.interpreter.prefix)
    except NotPrintableError:
        return Fix(title=f"Install the GPU build of {name} with conda")
    words = ("conda", "install", "--prefix", prefix, "--channel", "conda-forge", *_CONDA_NAMES[remedy.framework])
    return Fix(
        title=f"Install conda-forge's GPU build of {name}",
        commands=_printable([words], place),
        where="environment",
        verify=_verify(place, remedy.framework),
        note="If conda does not see the driver here, set CONDA_OVERRIDE_CUDA to the driver's CUDA version first.",
    )
