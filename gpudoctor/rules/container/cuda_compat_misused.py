"""A forward-compatibility library of CUDA is loaded where it cannot work.

## What it means
The cuda-compat package brings a libcuda that is newer than the kernel module. It works on data-centre GPUs only, and
with certain driver branches only. Elsewhere CUDA fails: error 804, "forward compatibility was attempted on non
supported HW", or 803 for a pair that does not fit.

## Why it happens
An image (NVIDIA's CUDA and NGC images among them) has cuda-compat first on the loader's path, and the host has a
GeForce or workstation GPU, or a driver that the package does not pair with.

## How to fix
Take the compat folder off LD_LIBRARY_PATH and the loader's cache, update the host's driver, or take an image for a CUDA
that the driver runs.

## How it is detected
cuInit returns 804, or 803 while the libcuda that the loader takes is cuda-compat's; or a program says so.

## Sources
- https://docs.nvidia.com/deploy/cuda-compatibility/forward-compatibility.html
- https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TYPES.html
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, CudaDriver, Environment, Gpus, LibcudaFiles, Packages
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.remedies import InstallDriver, Remedy, Run
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import Printed, capabilities_of

RULE = Rule(masks=("driver-library-mismatch", "driver-too-old-for-cuda", "driver-broken-state", "smoke-ran-on-cpu"))


def _remedies(gpus: Gpus | None) -> tuple[Remedy, ...]:
    capabilities = capabilities_of(gpus)
    return (
        InstallDriver(capability=capabilities[0] if capabilities else None),
        Run(
            title="Or keep cuda-compat from being loaded",
            where="environment",
            argvs=(("ldconfig", "-p"),),
            note="In the listing, libcuda.so.1 must not come from a folder compat: take it off LD_LIBRARY_PATH, "
            "remove /etc/ld.so.conf.d/*compat* and the package cuda-compat-…, then run ldconfig. Or take an image for "
            "an older CUDA.",
        ),
    )


def _path_of_compat(environment: Environment | None) -> str | None:
    paths = (environment.variables.get("LD_LIBRARY_PATH", "") if environment else "").split(":")
    return next((path for path in paths if re.search(r"/compat/?$", path)), None)


@RULE.detector
def cuda_refuses(
    cuda: CudaDriver, libcuda: LibcudaFiles | None, environment: Environment | None, gpus: Gpus | None
) -> Verdict:
    """cuInit returns 804, or 803 with cuda-compat loaded."""
    if cuda.code not in (803, 804):
        return Passed(f"cuInit: {cuda.result}")
    taken = libcuda.taken if libcuda else None
    compat = taken.path if taken and taken.kind == "compat" else _path_of_compat(environment)
    if cuda.code == 803 and compat is None:
        return NotApplicable("no cuda-compat is known to be loaded")
    name = next((gpu.name for gpu in (gpus.gpus if gpus else ()) if gpu.name), None)
    evidence: list[Evidence] = [cite("cuInit", f"{cuda.result} ({cuda.code})", cuda)]
    evidence += [cite("libcuda.so.1", compat, libcuda)] if compat and libcuda else []
    why = f"{name} is not among the GPUs that it serves." if name and cuda.code == 804 else ""
    return Found(
        title="CUDA's forward-compatibility library is loaded and cannot work here"
        + (f" ({compat})." if compat else "."),
        detail=why,
        evidence=tuple(evidence),
        remedies=_remedies(gpus),
    )


_NOT_SUPPORTED = (
    r"forward compatibility was attempted on non supported HW",
    r"\bError[ :]{1,2}804\b",
    r"CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE|cudaErrorCompatNotSupportedOnDevice",
)
_COMBINATION = (
    r"\bError[ :]{1,2}803\b",
    r"unsupported display driver / cuda driver combination",
    r"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH|cudaErrorSystemDriverMismatch",
    r"kernel version [\d.]{5,12} does not match DSO version [\d.]{5,12}",
)
_COMPAT = r"\bcuda-compat\b|/cuda[\w.-]{0,8}/compat\b"


@RULE.detector
def a_program_says_so(
    printed: Printed,
    cuda: CudaDriver | None,
    environment: Environment | None,
    packages: Packages | None,
    container: Container | None,
    gpus: Gpus | None,
) -> Verdict:
    """CUDA error 804; or 803 where cuda-compat is there."""
    unsupported = heard(printed, *_NOT_SUPPORTED)
    hit = unsupported or heard(printed, *_COMBINATION)
    if hit is None or works(cuda) or (cuda and cuda.code == 804):
        return NotApplicable(SILENT)
    package = next((p.name for p in (packages.packages if packages else ()) if p.name.startswith("cuda-compat")), None)
    compat = package or _path_of_compat(environment) or ((found := heard(printed, _COMPAT)) and found.text)
    inside = container is not None and container.engine is not None
    if not unsupported and not compat and not inside:
        return NotApplicable("no cuda-compat and no container is known")
    if not unsupported and not compat and "match DSO" in hit.text:
        return NotApplicable("no cuda-compat is known")
    return Found(
        title="CUDA's forward-compatibility library is loaded and cannot work here"
        + (f" ({compat})." if compat else "."),
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=_remedies(gpus),
        confidence=Confidence.CERTAIN if unsupported or compat else Confidence.LIKELY,
    )
