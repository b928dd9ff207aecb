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
versions; or a program prints NVML's number for it, 18.

## Sources
- https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, CudaDriver, DriverFiles, KernelDriver, LibcudaFiles, Nvml, Wsl
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.remedies import ReloadDriver, Run
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import Printed

RULE = Rule(
    masks=("nccl-failure", "driver-not-loaded", "device-nodes-missing", "driver-too-old-for-cuda", "smoke-ran-on-cpu")
)


@RULE.detector
def versions_differ(
    module: KernelDriver, nvml: Nvml, files: DriverFiles | None, container: Container | None, wsl: Wsl | None
) -> Verdict:
    """NVML refuses the module, or names another version than the module does."""
    if wsl and wsl.version:
        return NotApplicable("the kernel module of WSL is Windows' driver")
    refused = nvml.result == "NVML_ERROR_LIB_RM_VERSION_MISMATCH"
    if module.version is None and not refused:
        return NotApplicable("no NVIDIA kernel module is loaded")
    differs = nvml.driver is not None and nvml.driver != module.version
    if not refused and not differs:
        return None
    # A sandbox may hide the module's version; NVML was answered by a module all the same.
    loaded = module.version or "of another version"
    user = nvml.driver or ", ".join(v for v in (files.libraries if files else ()) if v != module.version)
    return Found(
        title=f"The loaded NVIDIA kernel module is {loaded}, its libraries are {user or 'of another version'}.",
        detail="NVML and libcuda only work with a kernel module of their own version.",
        evidence=(
            cite("kernel module", module.version or "version not shown", module),
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


@RULE.detector
def libcuda_against_module(
    module: KernelDriver, libcuda: LibcudaFiles, cuda: CudaDriver | None, container: Container | None, wsl: Wsl | None
) -> Verdict:
    """The version of the libcuda that is loaded against the module's, as TensorFlow logs them."""
    taken = libcuda.taken
    if module.version is None or taken is None or taken.version is None or (wsl and wsl.version):
        return NotApplicable("module or libcuda are not there, or the driver is Windows'")
    if works(cuda) or taken.kind not in ("driver", "unknown") or not _DRIVER_NUMBER.fullmatch(taken.version):
        return NotApplicable("CUDA works, or this libcuda is not the driver's own")
    if taken.version == module.version:
        return Passed(f"libcuda and module are {module.version}")
    return Found(
        title=f"The loaded NVIDIA kernel module is {module.version}, libcuda is {taken.version}.",
        detail="NVML and libcuda only work with a kernel module of their own version.",
        evidence=(cite("kernel module", module.version, module), cite("libcuda", taken.version, libcuda)),
        remedies=(_in_container() if container and container.engine else ReloadDriver(),),
        confidence=Confidence.LIKELY,
    )


_DRIVER_NUMBER = re.compile(r"\d{3}\.\d{1,3}(?:\.\d{1,3})?")
_TEXTS = (
    r"Driver/library version mismatch",
    r"API mismatch: the client has the version [\d.]{5,12},? but\s{1,4}this kernel module has the version [\d.]{5,12}",
    r"API mismatch: the client has the version [\d.]{5,12}",
    r"kernel version [\d.]{5,12} does not match DSO version [\d.]{5,12}",
    # 18 is NVML_ERROR_LIB_RM_VERSION_MISMATCH, which programs that call NVML themselves print as a number
    r"\bnvmlInit\w{0,10}(?:\(\))?[ :]{0,2}(?:err|error|failed|returned|result|status)?[ :=(]{1,3}18\b",
    r"\bnvml\b[^\n]{0,20}\binit(?:ialization)? (?:failure|error)[ :=]{1,3}18\b",
)
_COMBINATION = (
    r"\bError[ :]{1,2}803\b",
    r"unsupported display driver / cuda driver combination",
    r"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH|cudaErrorSystemDriverMismatch",
)


@RULE.detector
def a_program_says_so(
    printed: Printed, cuda: CudaDriver | None, container: Container | None, wsl: Wsl | None
) -> Verdict:
    """nvidia-smi, NVML, TensorFlow or the kernel complain of the mismatch; CUDA has error 803 for it."""
    if works(cuda) or (wsl and wsl.version):
        return NotApplicable("CUDA works, or the driver is Windows'")
    sure = heard(printed, *_TEXTS)
    hit = sure or heard(printed, *_COMBINATION)
    if hit is None:
        return NotApplicable(SILENT)
    inside = container is not None and container.engine is not None
    return Found(
        title="The NVIDIA kernel module and the driver's libraries are of different versions.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(_in_container() if inside else ReloadDriver(),),
        confidence=Confidence.CERTAIN if sure else Confidence.LIKELY,
    )
