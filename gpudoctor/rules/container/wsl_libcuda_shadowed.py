"""A Linux driver, or a stub of it, hides the CUDA library that Windows gives to WSL.

## What it means
In WSL the driver is Windows'. Its Linux side is in /usr/lib/wsl/lib. A libcuda of another origin that the loader finds
first talks to a kernel module that WSL does not have, and every CUDA program fails.

## Why it happens
`apt install` of a driver package (nvidia-driver-…, nvidia-utils-…, libnvidia-compute-…, also as a dependency of
"cuda"), or a stubs folder of the toolkit in LD_LIBRARY_PATH.

## How to fix
Remove the driver packages inside WSL, take stub folders out of LD_LIBRARY_PATH, and restart WSL. CUDA toolkits for
WSL come without a driver.

## How it is detected
The libcuda.so.1 that the loader takes is not in /usr/lib/wsl, or Linux driver packages are installed inside WSL,
while the driver does not answer.

## Sources
- https://docs.nvidia.com/cuda/wsl-user-guide/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, CudaDriver, DriverFiles, LibcudaFiles, Nvml, Wsl
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.remedies import Run, SetVariable
from gpudoctor.rules._printed import SILENT, heard, in_wsl, nvml_fails, works
from gpudoctor.views import Printed

RULE = Rule(
    masks=(
        "driver-library-mismatch",
        "driver-not-loaded",
        "no-nvidia-gpu",
        "driver-not-installed",
        "smoke-ran-on-cpu",
    )
)

_REMOVE = Run(
    title="Remove the Linux driver inside WSL, and restart WSL",
    argvs=(("sudo", "apt", "purge", "^nvidia-(driver|utils|dkms|kernel).*", "^libnvidia-.*"), ("sudo", "ldconfig")),
    where="environment",
    note="Then, in a Windows terminal: wsl --shutdown. The driver stays in Windows; of CUDA, only cuda-toolkit-….",
)


@RULE.detector
def library_of_another_origin(wsl: Wsl, libcuda: LibcudaFiles, cuda: CudaDriver) -> Verdict:
    """The libcuda that the loader takes against the one of Windows."""
    if wsl.version is None:
        return NotApplicable("not in WSL")
    taken = libcuda.taken
    if taken is None or taken.kind in ("wsl", "compat", "unknown"):
        return Passed(taken.path if taken else "the loader finds no libcuda")
    return Found(
        title=f"The loader takes {taken.path} in place of Windows' CUDA library in /usr/lib/wsl/lib.",
        detail="It is a stub, which only serves to link programs." if taken.kind == "stub" else "",
        evidence=(cite("libcuda.so.1", f"{taken.path} ({taken.kind})", libcuda), cite("cuInit", cuda.result, cuda)),
        remedies=(SetVariable(name="LD_LIBRARY_PATH"),) if taken.kind == "stub" else (_REMOVE,),
        severity=Severity.WARNING if works(cuda) else None,
    )


# Debian's and Ubuntu's driver packages; toolkit packages do not match.
_PACKAGES = (
    r"\b(?:nvidia-(?:utils|driver|dkms|kernel-common|kernel-source|compute-utils)|libnvidia-(?:compute|gl|cfg1|decode))"
    r"-\d{3}\b"
)


@RULE.detector
def linux_driver_inside(
    printed: Printed | None,
    wsl: Wsl | None,
    nvml: Nvml | None,
    files: DriverFiles | None,
    cuda: CudaDriver | None,
    container: Container | None,
) -> Verdict:
    """Linux driver packages inside WSL, and a driver that does not answer."""
    if not in_wsl(wsl, printed) or works(cuda):
        return NotApplicable("not in WSL, or CUDA works")
    if container and container.engine:
        return NotApplicable("in a container on WSL the packages may be the image's")
    hit = heard(printed, _PACKAGES)
    packages = [name for name in (files.packages if files else ()) if name.startswith(("nvidia-", "libnvidia-"))]
    trouble = nvml_fails(nvml) or heard(printed, r"GPU access blocked|couldn't communicate|Segmentation fault|cuInit")
    if not trouble or not (hit or packages):
        return NotApplicable(SILENT)
    evidence = (hit.evidence,) if hit else (cite("driver packages", ", ".join(packages), files),) if files else ()
    return Found(
        title=f"A Linux driver is installed inside WSL ({hit.text if hit else packages[0]}); it hides Windows'.",
        evidence=evidence,
        remedies=(_REMOVE,),
        confidence=Confidence.LIKELY,
    )
