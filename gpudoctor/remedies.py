"""What must change, as values. A rule names remedies; :mod:`gpudoctor.prescribe` knows this machine and turns each
into a fix with exact commands, so that no rule can advise what cannot be done where it runs."""

from __future__ import annotations

from typing import Literal

from gpudoctor.facts import FrameworkName, Record


class _Remedy(Record, frozen=True, kw_only=True, tag_field="remedy"):
    pass


class InstallDriver(_Remedy, frozen=True, kw_only=True):
    """Install or update the NVIDIA driver.

    ``minimum`` is the lowest driver version that cures, ``capability`` the compute capability of the GPU that the
    driver must still support, ``open_kernel`` whether the open kernel modules are needed (None: either).
    """

    minimum: str | None = None
    capability: str | None = None
    open_kernel: bool | None = None


class ReloadDriver(_Remedy, frozen=True, kw_only=True):
    """Make the running kernel use the driver that is installed: reload the modules, or reboot.

    ``title`` where it is the reboot that helps, and not another module.
    """

    title: str = ""


class LoadModule(_Remedy, frozen=True, kw_only=True):
    """Load the installed kernel module; ``kernel`` when it must first be built for the running kernel."""

    kernel: str | None = None
    module_version: str | None = None
    secure_boot: bool = False


class ReplaceNouveau(_Remedy, frozen=True, kw_only=True):
    """Keep nouveau (or nova) from taking the GPU."""

    module: Literal["nouveau", "nova_core"] = "nouveau"


class CreateDeviceNodes(_Remedy, frozen=True, kw_only=True):
    """Create missing /dev/nvidia* nodes, or permit them. ``paths`` are the ones that fail."""

    paths: tuple[str, ...] = ()
    permission: bool = False


class GiveContainerGpu(_Remedy, frozen=True, kw_only=True):
    """Start the container with GPU access; ``capabilities`` for NVIDIA_DRIVER_CAPABILITIES if they lack."""

    capabilities: tuple[str, ...] = ()


class SetVariable(_Remedy, frozen=True, kw_only=True):
    """Set an environment variable, or unset it (``value`` None)."""

    name: str
    value: str | None = None


class InstallBuild(_Remedy, frozen=True, kw_only=True):
    """Install a build of a framework that this driver and these GPUs can run.

    ``release`` keeps to one release (another build variant of it); None takes the newest that fits.
    ``capabilities`` are those of the GPUs it must serve, ``driver_cuda`` the newest CUDA that the driver runs.
    """

    framework: FrameworkName
    release: str | None = None
    capabilities: tuple[str, ...] = ()
    driver_cuda: str | None = None


class InstallPackages(_Remedy, frozen=True, kw_only=True):
    """Install exact requirements into the environment under test, with the tool that manages it.

    ``index``: the address of the index that alone has them, where that is not the usual one.
    """

    requirements: tuple[str, ...]
    title: str = ""
    reinstall: bool = False
    no_deps: bool = False
    index: str = ""


class UninstallPackages(_Remedy, frozen=True, kw_only=True):
    """Remove distributions from the environment under test, and ``then`` put in what is to be there in their place."""

    names: tuple[str, ...]
    title: str = ""
    then: InstallBuild | InstallPackages | None = None


class InstallCompiler(_Remedy, frozen=True, kw_only=True):
    """Install a C and C++ compiler, and the headers of Python too where they are what lacks."""

    headers: bool = False


class UseWsl(_Remedy, frozen=True, kw_only=True):
    """Run the framework in WSL 2, since it has no GPU build for native Windows."""

    framework: FrameworkName


class Run(_Remedy, frozen=True, kw_only=True):
    """Commands that are the same wherever they can be run. Each is a list of words; the shell's quoting is added.

    ``where`` is the place; a machine-wide command becomes the host's business inside a container.
    """

    title: str
    argvs: tuple[tuple[str, ...], ...] = ()
    where: Literal["environment", "machine", "host"] = "machine"
    risk: str = ""
    verify: tuple[str, ...] = ()
    note: str = ""


Remedy = (
    InstallDriver
    | ReloadDriver
    | LoadModule
    | ReplaceNouveau
    | CreateDeviceNodes
    | GiveContainerGpu
    | SetVariable
    | InstallBuild
    | InstallPackages
    | UninstallPackages
    | InstallCompiler
    | UseWsl
    | Run
)
