"""The NVIDIA driver is installed, but its kernel module is not loaded.

## What it means
The user-mode driver is on disk and the running kernel has no NVIDIA module, so NVML and CUDA have nobody to talk
to. `nvidia-smi` says that it "couldn't communicate with the NVIDIA driver".

## Why it happens
The kernel was upgraded and the module was not built for it (headers or DKMS missing); secure boot refuses a module
that is not signed with an enrolled key; the machine was not rebooted since the installation; another driver
(vfio-pci, nouveau) was bound first.

## How to fix
Build the module for the running kernel, or enrol its signing key, then load it. The commands shown depend on which
of these was seen.

## How it is detected
No `nvidia` in `/proc/modules` and no `/proc/driver/nvidia/version`, while libraries or module files of the driver
are on disk or NVML returns NVML_ERROR_DRIVER_NOT_LOADED.

## Sources
- https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html
- https://wiki.debian.org/SecureBoot
- https://manpages.debian.org/dkms
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import (
    Container,
    CudaDriver,
    DriverFiles,
    Jetson,
    KernelDriver,
    Nvml,
    PciDevice,
    PciDevices,
    SecureBoot,
    System,
    Wsl,
)
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, Verdict
from gpudoctor.remedies import LoadModule, Run
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import NVIDIA_VENDOR, Presence, Printed

RULE = Rule(masks=("device-nodes-missing", "smoke-ran-on-cpu"))


@RULE.detector
def installed_but_not_in_the_kernel(
    presence: Presence,
    module: KernelDriver,
    nvml: Nvml,
    files: DriverFiles | None,
    system: System | None,
    secure: SecureBoot | None,
    pci: PciDevices | None,
    container: Container | None,
    wsl: Wsl | None,
    jetson: Jetson | None,
) -> Verdict:
    """Driver files on disk, nothing in the kernel."""
    if not presence.present or (wsl and wsl.version) or (jetson and jetson.l4t):
        return NotApplicable("no NVIDIA GPU whose module this kernel would load")
    if module.version or nvml.result == "NVML_SUCCESS":
        return None
    if container and container.engine:
        return NotApplicable("inside a container; the module is the host's")
    on_disk = bool(files and (files.modules or files.libraries))
    if not on_disk and nvml.result != "NVML_ERROR_DRIVER_NOT_LOADED" and not _reserved(pci):
        return None
    reason, remedy = _reason(files, system, secure, pci)
    return Found(
        title="The GPU is reserved for a virtual machine, so the NVIDIA driver cannot use it."
        if _reserved(pci)
        else "The NVIDIA driver is installed, but its kernel module is not loaded.",
        detail=reason,
        evidence=(
            cite("kernel module", "not loaded", module),
            cite("NVML", nvml.result, nvml),
            *_evidence(files),
        ),
        remedies=(remedy,),
    )


def _evidence(files: DriverFiles | None) -> tuple[Evidence, ...]:
    if files is None:
        return ()
    built = ", ".join(f"{module.kernel} ({module.version or 'version unknown'})" for module in files.modules) or "none"
    return (cite("modules on disk, by kernel", built, files),)


def _reserved(pci: PciDevices | None) -> list[PciDevice]:
    """The NVIDIA devices that vfio-pci holds for a virtual machine."""
    return [d for d in (pci.devices if pci else ()) if d.vendor == NVIDIA_VENDOR and d.driver == "vfio-pci"]


def _reason(
    files: DriverFiles | None, system: System | None, secure: SecureBoot | None, pci: PciDevices | None
) -> tuple[str, LoadModule | Run]:
    bound = _reserved(pci)
    if bound:
        text = f"The GPU at {bound[0].address} is bound to vfio-pci, which reserves it for a virtual machine."
        return text, Run(
            title="Release the GPU from vfio-pci",
            note="Remove its id from the vfio-pci options (kernel command line vfio-pci.ids, /etc/modprobe.d), rebuild "
            "the initial RAM disk and reboot.",
        )
    kernel = system.kernel if system else None
    version = next((module.version for module in files.modules if module.version), None) if files else None
    if files and kernel and all(module.kernel != kernel for module in files.modules):
        text = f"No NVIDIA module is built for the running kernel {kernel}."
        return text, LoadModule(kernel=kernel, module_version=version)
    if secure and secure.enabled:
        text = "The module is on disk for this kernel and secure boot is on: an unsigned module is refused."
        return text, LoadModule(secure_boot=True)
    return "The module is on disk for this kernel; it has not been loaded since the start.", LoadModule()


_UNSIGNED = (
    r"could not insert '?nvidia[\w-]{0,12}'?: (?:Key was rejected by service|Required key not available)",
    r"Loading of (?:unsigned )?module[^\n]{0,20} is rejected",
    r"Lockdown: [^\n]{0,40}unsigned module[^\n]{0,30} is restricted",
)
_NOT_BUILT = (
    r"\bmod(?:probe: FATAL|info: ERROR): Module nvidia[\w-]{0,12} not found",
    r"Bad return status for module build on kernel: [\w.+~-]{3,60}",
    r"Could not locate dkms\.conf file",
    # dkms (Arch, Void), akmods (Fedora): the module's name, then that its build or installation failed
    r"\b(?:Build|Install)ing (?:and installing )?(?:DKMS module:? )?'?nvidia[\w.-]{0,40}'?[^\n]{0,80}?\bFAILED\b",
    r"'dkms install [^'\n]{0,40}nvidia[^'\n]{0,60}' exited [1-9]",
    r"NVIDIA kernel module (?:missing|not found)",
    r"could not insert '?nvidia[\w-]{0,12}'?: (?:Exec format|Invalid argument|Unknown symbol|Invalid module format)",
)
_NOT_THERE = (
    r"couldn't communicate with the NVIDIA driver",
    r"Unable to load the (?:kernel module 'nvidia\.ko'|'nvidia[\w-]{0,8}' kernel module)",
    r"nvml error: driver not loaded",
    r"Failed to initialize NVML: Driver Not Loaded",
    r"could not insert '?nvidia[\w-]{0,12}'?: (?:No such device|Operation not permitted)",
    r"kernel driver does not appear to be running on this host",
)


# TensorFlow logs the former line on every machine without a driver.
_LIBRARY_THERE = r"Successfully opened dynamic library libcuda"


@RULE.detector
def the_loader_says_so(
    printed: Printed,
    module: KernelDriver | None,
    cuda: CudaDriver | None,
    secure: SecureBoot | None,
    container: Container | None,
    wsl: Wsl | None,
) -> Verdict:
    """modprobe, DKMS, the installer or nvidia-smi say that the module is not there."""
    if (module and module.version) or works(cuda) or (wsl and wsl.version):
        return NotApplicable("the module is loaded, CUDA works, or the driver is Windows'")
    unsigned, built = heard(printed, *_UNSIGNED), heard(printed, *_NOT_BUILT)
    hit = unsigned or built or heard(printed, *_NOT_THERE)
    if hit is None:
        return NotApplicable(SILENT)
    if "does not appear to be running" in hit.text and (
        (container and container.engine) or heard(printed, _LIBRARY_THERE) is None
    ):
        return NotApplicable(
            "without a driver library this says nothing of the module; in a container, of the container"
        )
    refused = bool(unsigned) or bool(secure and secure.enabled)
    return Found(
        title="The NVIDIA driver is installed, but its kernel module is not loaded.",
        detail=hit.text + (". Secure boot is on: an unsigned module is refused." if refused and not unsigned else ""),
        evidence=(hit.evidence, *((cite("secure boot", "on", secure),) if secure and secure.enabled else ())),
        remedies=(LoadModule(secure_boot=refused),),
        confidence=Confidence.CERTAIN if unsigned or built else Confidence.LIKELY,
    )
