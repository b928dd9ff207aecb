"""The driver's user-mode libraries and its loaded kernel module are of different versions.

## What it means
NVML and libcuda only talk to a kernel module of exactly their own version. Now they differ, so every GPU program
fails, although a driver is installed and loaded: "Driver/library version mismatch".

## Why it happens
The driver packages were updated (often by unattended upgrades) while the old module stays loaded until the next
reboot; two installations (the .run installer and packages) are mixed; a container image holds driver files of its
own.

## How to fix
Reboot, or stop everything that uses the GPU and reload the modules. In a container, restart it so that the host's
new libraries are mounted. If the versions still differ after a reboot, remove the second installation.

## How it is detected
nvmlInit returns NVML_ERROR_LIB_RM_VERSION_MISMATCH, or `/proc/driver/nvidia/version` and NVML name different
versions.

## Sources
- https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, DriverFiles, KernelDriver, Message, Nvml, Wsl
from gpudoctor.findings import Evidence, Found, NotApplicable, Verdict
from gpudoctor.remedies import ReloadDriver, Run
from gpudoctor.rules._texts import first_match

RULE = Rule(masks=("driver-not-loaded", "device-nodes-missing", "driver-too-old-for-cuda", "smoke-ran-on-cpu"))


@RULE.detector
def versions_differ(
    module: KernelDriver, nvml: Nvml, files: DriverFiles | None, container: Container | None, wsl: Wsl | None
) -> Verdict:
    """NVML refuses the module, or names another version than the module does."""
    if wsl and wsl.version:
        return NotApplicable("the kernel module of WSL is Windows' driver")
    if module.version is None:
        return NotApplicable("no NVIDIA kernel module is loaded")
    differs = nvml.driver is not None and nvml.driver != module.version
    if nvml.result != "NVML_ERROR_LIB_RM_VERSION_MISMATCH" and not differs:
        return None
    user = nvml.driver or ", ".join(v for v in (files.libraries if files else ()) if v != module.version)
    return Found(
        title=f"The loaded NVIDIA kernel module is {module.version}, its libraries are {user or 'of another version'}.",
        detail="NVML and libcuda only work with a kernel module of their own version.",
        evidence=(
            cite("kernel module", module.version, module),
            cite("NVML", nvml.driver or nvml.result, nvml),
            *_on_disk(files),
        ),
        remedies=(_in_container() if container and container.engine else ReloadDriver(),),
    )


def _on_disk(files: DriverFiles | None) -> tuple[Evidence, ...]:
    return (cite("libraries on disk", ", ".join(files.libraries), files),) if files and files.libraries else ()


def _in_container() -> Run:
    return Run(
        title="Restart the container, so that the host's present driver libraries are mounted",
        where="host",
        note="If they still differ, the image holds driver files (libcuda.so.*, libnvidia-ml.so.*): remove them.",
    )


_TEXTS = (
    r"Driver/library version mismatch",
    r"NVML: .{0,40}Driver/library version mismatch",
    r"API mismatch: the client has the version [\d.]+,? but\s?this kernel module has the version [\d.]+",
)


@RULE.detector
def a_program_says_so(message: Message, nvml: Nvml | None) -> Verdict:
    """nvidia-smi, NVML or the kernel module complain of the mismatch."""
    text = first_match(_TEXTS, message.text)
    if text is None or (nvml and nvml.result == "NVML_SUCCESS"):
        return None
    return Found(
        title="The NVIDIA kernel module and the driver's libraries are of different versions.",
        detail=text,
        evidence=(cite("message", text, message),),
        remedies=(ReloadDriver(),),
    )
