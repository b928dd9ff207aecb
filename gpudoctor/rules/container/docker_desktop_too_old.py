"""Docker Desktop, or the container toolkit in WSL, is older than the Windows driver.

## What it means
Windows drivers from 555 on brought a library (libnvdxgdmal.so.1) that must be mounted into containers on WSL. An older
Docker Desktop or NVIDIA Container Toolkit does not know it: CUDA fails at the start with error 500, "named symbol not
found", while nvidia-smi works.

## Why it happens
The Windows driver was updated and Docker was not.

## How to fix
Update Docker Desktop to 4.31 or newer, or nvidia-container-toolkit in WSL to 1.14.4 or newer.

## How it is detected
cuInit or cudaGetDeviceCount returns 500 in a container on WSL, or a program says so there.

## Sources
- https://github.com/NVIDIA/nvidia-container-toolkit/issues/520
- https://docs.docker.com/desktop/release-notes/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, CudaDriver, System, Wsl
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.relations import driver_version
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import Printed, UserDriver

RULE = Rule(masks=("driver-broken-state", "container-no-gpu-access", "wsl-libcuda-shadowed", "smoke-ran-on-cpu"))

_FIRST_DRIVER = "555.0"
_UPDATE = Run(
    title="Update Docker Desktop to 4.31 or newer",
    where="host",
    note="With Docker inside WSL: update nvidia-container-toolkit to 1.14.4 or newer there. An older Windows driver "
    "(552) works too.",
)


@RULE.detector
def error_500_in_a_container(cuda: CudaDriver, wsl: Wsl | None, container: Container | None) -> Verdict:
    """cuInit returns 500 in a container on WSL."""
    if cuda.code != 500:
        return Passed(f"cuInit: {cuda.result}")
    if wsl is None or not wsl.version:
        return NotApplicable("not in WSL, or not known")
    sure = container is not None and container.engine is not None
    return Found(
        title="CUDA fails with error 500: the container toolkit is older than the Windows driver.",
        evidence=(cite("cuInit", f"{cuda.result} (500)", cuda), cite("WSL", wsl.version, wsl)),
        remedies=(_UPDATE,),
        confidence=Confidence.CERTAIN if sure else Confidence.LIKELY,
    )


_TEXTS = (
    r"\bError 500: named symbol not found",
    r"CUDA_ERROR_NOT_FOUND: named symbol not found",
    r"CUDA failure 500: named symbol not found",
    (
        r"\b(?:cuInit|cudaGetDeviceCount|initiali[sz]e CUDA|cuda driver library init failure)\b[^\n]{0,80}"
        r"(?:named symbol not found|: 500\b)"
    ),
)
_WINDOWS = r"Docker Desktop|\bWSL ?2?\b|docker[ -]for[ -]windows|\bWindows 1[01]\b"


@RULE.detector
def a_program_says_so(
    printed: Printed,
    cuda: CudaDriver | None,
    wsl: Wsl | None,
    system: System | None,
    container: Container | None,
    user: UserDriver | None,
) -> Verdict:
    """Error 500 at the start of CUDA, on Windows with a new driver."""
    hit = heard(printed, *_TEXTS)
    if hit is None or works(cuda) or (wsl and wsl.version and cuda and cuda.code == 500):
        return NotApplicable(SILENT)
    if user and driver_version(user.version) < driver_version(_FIRST_DRIVER):
        return NotApplicable("the driver is older than the library that is missed")
    windows = (wsl and wsl.version) or (system and system.os == "windows") or heard(printed, _WINDOWS)
    inside = container is not None and container.engine is not None
    if not windows and not inside:
        return NotApplicable("neither WSL nor a container")
    return Found(
        title="CUDA fails with error 500 (named symbol not found): Docker is older than the Windows driver.",
        detail=hit.text,
        evidence=(hit.evidence, *((cite("driver", user.version, user),) if user else ())),
        remedies=(_UPDATE,),
        confidence=Confidence.LIKELY,
    )
