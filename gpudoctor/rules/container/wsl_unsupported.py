"""This Windows, WSL or Windows driver is too old for GPUs in WSL.

## What it means
CUDA in WSL needs WSL 2, a Windows that offers its GPU to it (Windows 11, or Windows 10 21H2), a WSL kernel of that
time, and a Windows driver from 470 on. One of them is missing here, so Linux programs cannot see the GPU.

## Why it happens
The distribution still runs under WSL 1; Windows or WSL were not updated; an old driver is installed in Windows.

## How to fix
Update Windows, WSL and NVIDIA's driver, all of them in Windows, and convert the distribution to WSL 2.

## How it is detected
The WSL version, the build of Windows, the version of WSL's kernel, the device /dev/dxg, and the number of the Windows
driver.

## Sources
- https://docs.nvidia.com/cuda/wsl-user-guide/
- https://learn.microsoft.com/en-us/windows/wsl/tutorials/gpu-compute
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, Nvml, System, Wsl
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.relations import driver_version
from gpudoctor.remedies import InstallDriver, Run
from gpudoctor.rules._printed import SILENT, heard, in_wsl, works
from gpudoctor.views import Presence, Printed, UserDriver

RULE = Rule(
    masks=(
        "driver-not-installed",
        "driver-not-loaded",
        "driver-too-old-for-cuda",
        "no-nvidia-gpu",
        "device-nodes-missing",
        "smoke-ran-on-cpu",
    )
)

_FIRST_DRIVER = "470.14"
_FIRST_BUILD = 19044  # Windows 10 21H2; https://learn.microsoft.com/en-us/windows/wsl/tutorials/gpu-compute
_INSIDER_BUILDS = frozenset(range(20145, 22000)) - {20348}  # previews; 20348 is Windows Server 2022
_FIRST_KERNEL = (5, 10)

_UPDATE = Run(
    title="In Windows, update WSL and Windows",
    where="host",
    argvs=(("wsl", "--update"), ("wsl", "--shutdown")),
    note="Windows 10 must be 21H2 (build 19044) or newer: Settings, Windows Update. Then install NVIDIA's newest "
    "Windows driver.",
)


@RULE.detector
def first_generation(wsl: Wsl) -> Verdict:
    """WSL 1 has no Linux kernel and no GPU."""
    if wsl.version is None:
        return NotApplicable("not in WSL")
    if wsl.version != 1:
        return Passed("WSL 2")
    return Found(
        title="This is WSL 1, which has no GPU.",
        evidence=(cite("WSL", 1, wsl),),
        remedies=(
            Run(
                title="In Windows, convert this distribution to WSL 2",
                where="host",
                argvs=(("wsl", "--list", "--verbose"), ("wsl", "--set-default-version", "2")),
                note="Then wsl --set-version NAME 2, with the name that the list shows.",
            ),
            _UPDATE,
        ),
    )


def _build(text: str | None) -> int | None:
    found = re.search(r"10\.0\.(\d{5})", text or "")
    return int(found[1]) if found else None


@RULE.detector
def build_of_windows(
    printed: Printed | None, wsl: Wsl | None, system: System | None, cuda: CudaDriver | None
) -> Verdict:
    """The build of Windows against the first one that offers GPUs to WSL."""
    if not in_wsl(wsl, printed) or works(cuda):
        return NotApplicable("not in WSL, or CUDA works")
    said = heard(printed, r"\bWindows\b[^\n]{0,40}?\b(?:10\.0\.)?(1[789]\d{3}|2\d{4})\.\d")
    build = _build(wsl.windows if wsl else None) or _build(system.name if system else None)
    build = build or (int(said.match[1]) if said else None)
    fact = wsl or system or printed
    if build is None or fact is None:
        return NotApplicable("the build of Windows is not known")
    if build >= _FIRST_BUILD and build not in _INSIDER_BUILDS:
        return Passed(f"Windows build {build}")
    preview = build in _INSIDER_BUILDS
    return Found(
        title=f"Windows build {build} "
        + ("is a preview in which" if preview else "is too old:")
        + " GPUs in WSL "
        + ("do not work reliably." if preview else f"need {_FIRST_BUILD} or newer."),
        evidence=(said.evidence if said else cite("Windows build", build, fact),),
        remedies=(_UPDATE,),
        confidence=Confidence.POSSIBLE if preview else Confidence.LIKELY,
        settled_by=("winver",) if preview else (),
    )


def _kernel(text: str | None) -> tuple[int, int] | None:
    found = re.match(r"(\d{1,2})\.(\d{1,3})\.", text or "")
    return (int(found[1]), int(found[2])) if found else None


@RULE.detector
def kernel_of_wsl(wsl: Wsl, system: System, cuda: CudaDriver | None) -> Verdict:
    """WSL's own kernel; one built by the user may be of any version."""
    if wsl.version != 2 or works(cuda):
        return NotApplicable("not WSL 2, or CUDA works")
    kernel = _kernel(system.kernel)
    if kernel is None or "microsoft" not in (system.kernel or "").lower():
        return NotApplicable("the kernel is not known to be Microsoft's")
    if kernel >= _FIRST_KERNEL:
        return Passed(f"kernel {system.kernel}")
    return Found(
        title=f"WSL's kernel {system.kernel} is too old for CUDA, which needs 5.10.43 or newer.",
        evidence=(cite("kernel", system.kernel, system),),
        remedies=(_UPDATE,),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def no_gpu_device(wsl: Wsl, nvml: Nvml, cuda: CudaDriver) -> Verdict:
    """Windows offers a GPU as /dev/dxg. Only looked at on a machine: a text rarely shows it."""
    if wsl.version != 2:
        return NotApplicable("not in WSL 2")
    if wsl.dxg or works(cuda) or nvml.result in ("NVML_SUCCESS", "not-shown") or not wsl.libraries:
        return Passed("/dev/dxg exists, or the driver answers")
    return Found(
        title="Windows offers no GPU to WSL: /dev/dxg does not exist.",
        evidence=(cite("/dev/dxg", "absent", wsl), cite("NVML", nvml.result, nvml)),
        remedies=(_UPDATE,),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def driver_of_windows(wsl: Wsl, user: UserDriver, cuda: CudaDriver | None) -> Verdict:
    """The number of the Windows driver."""
    if wsl.version is None or works(cuda):
        return NotApplicable("not in WSL, or CUDA works")
    if driver_version(user.version) >= driver_version(_FIRST_DRIVER):
        return Passed(f"Windows driver {user.version}")
    return Found(
        title=f"The Windows driver {user.version} is too old for WSL, which needs {_FIRST_DRIVER} or newer.",
        evidence=(cite("Windows driver", user.version, user),),
        remedies=(InstallDriver(minimum=_FIRST_DRIVER),),
    )


_NO_ADAPTER = r"WSL environment detected but no adapters were found"


@RULE.detector
def windows_offers_no_adapter(printed: Printed, cuda: CudaDriver | None, presence: Presence | None) -> Verdict:
    """The container runtime asked Windows for its GPUs and was told of none."""
    hit = heard(printed, _NO_ADAPTER)
    if hit is None or works(cuda) or (presence and not presence.present):
        return NotApplicable(SILENT)
    return Found(
        title="Windows offers WSL no NVIDIA GPU.",
        detail="Windows has no NVIDIA driver, or one or a WSL that is too old for this, or no NVIDIA GPU.",
        evidence=(hit.evidence,),
        remedies=(_UPDATE, InstallDriver(minimum=_FIRST_DRIVER)),
        confidence=Confidence.LIKELY,
        settled_by=("nvidia-smi.exe", "wsl.exe --list --verbose"),
    )


_BLOCKED = r"GPU access blocked by the operating system"


@RULE.detector
def access_is_blocked(printed: Printed | None, wsl: Wsl | None, nvml: Nvml | None, cuda: CudaDriver | None) -> Verdict:
    """NVML says that Windows blocks the GPU; an old Windows is one of the reasons."""
    hit = heard(printed, _BLOCKED)
    blocked = nvml is not None and nvml.result == "NVML_ERROR_OPERATING_SYSTEM"
    if not in_wsl(wsl, printed) or works(cuda) or not (hit or blocked):
        return NotApplicable(SILENT)
    return Found(
        title="Windows blocks the access to its GPU from WSL.",
        detail=hit.text if hit else "",
        evidence=(hit.evidence,) if hit else (cite("NVML", nvml.result, nvml),) if nvml else (),
        remedies=(_UPDATE,),
        confidence=Confidence.POSSIBLE,
        settled_by=("nvidia-smi.exe", "dpkg -l | grep -E 'nvidia-(utils|driver)|libnvidia-compute'"),
    )
