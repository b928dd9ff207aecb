"""The driver is too old for the CUDA version that the framework was built with.

## What it means
Every driver runs programs built with its own CUDA version and older ones. Within one major version, from CUDA 11
on, it also runs newer minor versions (minor-version compatibility). This build needs more than that: CUDA error 35,
"CUDA driver version is insufficient for CUDA runtime version", or error 222 where code must be compiled from PTX.

## Why it happens
`pip install` takes the newest build, made with the newest CUDA, and the driver stayed as it was.

## How to fix
Either install a newer driver that still supports this GPU, or keep the driver and install a build for an older
CUDA.

## How it is detected
The CUDA version of the libcuda that the loader takes (cuDriverGetVersion, cuda-compat included) against the CUDA
version that the build states. CUDA 11.0 and everything before CUDA 11 have a minimum driver of their own; in WSL
the driver's number is Windows'.

## Sources
- https://docs.nvidia.com/deploy/cuda-compatibility/
- https://docs.nvidia.com/cuda/cuda-toolkit-release-notes/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import (
    Build,
    Container,
    CudaDriver,
    Fact,
    Framework,
    Frameworks,
    Gpu,
    GpuCapability,
    Gpus,
    Message,
    Nvml,
    Toolkits,
    Wsl,
)
from gpudoctor.findings import Confidence, Found, NotApplicable, NotJudged, Passed, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.relations import (
    Capability,
    Coverage,
    CudaVersion,
    DriverFit,
    Platform,
    coverage,
    cuda_fits,
    driver_version,
    parse_targets,
    ptx_fits,
)
from gpudoctor.remedies import InstallBuild, InstallDriver, Remedy
from gpudoctor.rules._printed import heard, nvml_fails, works
from gpudoctor.rules._texts import first_match, search
from gpudoctor.views import DriverCuda, DriverSide, Printed, UserDriver, capabilities_of
from gpudoctor.words import CUDA_BUILD_ONLY, name_of

RULE = Rule(masks=("smoke-ran-on-cpu", "tf-arch-unsupported", "torch-arch-unsupported"))


@RULE.detector
def cuda_version_of_the_build(
    framework: Framework,
    build: Build,
    driver: DriverCuda,
    user: UserDriver | None,
    side: DriverSide | None,
    gpus: Gpus | None,
    matrix: Matrix,
) -> Verdict:
    """The driver's CUDA against the build's, by the compatibility rules."""
    if build.accelerator != "cuda" or build.cuda is None:
        return NotApplicable(CUDA_BUILD_ONLY)
    have, need = CudaVersion.parse(driver.version), CudaVersion.parse(build.cuda)
    platform: Platform = "windows" if side and side.windows_numbers else "linux"
    fit = cuda_fits(have, need)
    if fit is DriverFit.MINOR_VERSION_COMPATIBILITY and _below_floor(need, user, platform, matrix):
        fit = DriverFit.TOO_OLD
    if fit.fits:
        return Passed(f"{name_of(framework)} {build.version}: CUDA {need} on a driver for CUDA {have} ({fit.value})")
    return _too_old(framework, build, driver, user, gpus, _minimum(need, platform, matrix))


def _below_floor(need: CudaVersion, user: UserDriver | None, platform: Platform, matrix: Matrix) -> bool:
    """CUDA 11.1 and newer need 450.80.02, though older drivers of the R450 branch also say CUDA 11.0."""
    floor = matrix.minor_version_floor(need.major, platform)
    if isinstance(floor, Unlisted) or user is None:
        return False
    return driver_version(user.version) < driver_version(floor.on(platform))


def _minimum(need: CudaVersion, platform: Platform, matrix: Matrix) -> str | None:
    """The lowest driver that runs a build of this CUDA: the major's floor from CUDA 11 on, else the toolkit's own."""
    floor = matrix.minor_version_floor(need.major, platform)
    if not isinstance(floor, Unlisted) and need != CudaVersion(11, 0):
        return floor.on(platform)
    own = matrix.minimum_driver(need, platform)
    return None if isinstance(own, Unlisted) else own.version


def _too_old(
    framework: Framework,
    build: Build,
    driver: DriverCuda,
    user: UserDriver | None,
    gpus: Gpus | None,
    minimum: str | None,
) -> Found:
    version = f"{user.version} " if user else ""
    name = f"{name_of(framework)} {build.version}"
    have = f"The NVIDIA driver {version}(CUDA {driver.version})"
    return Found(
        title=f"{have} is too old for {name}, built with CUDA {build.cuda}.",
        detail=f"{name} needs driver {minimum} or newer." if minimum else "",
        evidence=(
            cite("driver CUDA", driver.version, driver),
            *((cite("driver", user.version, user),) if user else ()),
            cite(f"CUDA of {build.distribution}", build.cuda, build),
        ),
        remedies=_remedies(framework, driver, gpus, minimum),
    )


def _remedies(framework: Framework, driver: DriverCuda, gpus: Gpus | None, minimum: str | None) -> tuple[Remedy, ...]:
    capabilities = capabilities_of(gpus)
    return (
        InstallDriver(minimum=minimum, capability=capabilities[0] if capabilities else None),
        InstallBuild(framework=framework.name, capabilities=capabilities, driver_cuda=driver.version),
    )


@RULE.detector
def ptx_newer_than_the_driver(
    framework: Framework, build: Build, gpu: Gpu, capability: GpuCapability, driver: DriverCuda
) -> Verdict:
    """A GPU that the build reaches only by PTX needs a driver of the build's own CUDA version or newer."""
    if build.accelerator != "cuda" or build.cuda is None:
        return NotApplicable(CUDA_BUILD_ONLY)
    if not build.targets:
        return NotJudged(f"{build.distribution} does not say for which GPUs it was compiled")
    if coverage(parse_targets(build.targets), Capability.parse(capability.value)) is not Coverage.JIT:
        return None
    have, need = CudaVersion.parse(driver.version), CudaVersion.parse(build.cuda)
    if ptx_fits(have, need) or not cuda_fits(have, need).fits:
        return None
    return Found(
        title=f"The driver's CUDA {have} cannot compile the PTX that {name_of(framework)} {build.version} has for "
        f"{gpu.name or 'this GPU'}, made with CUDA {need}.",
        detail="Minor-version compatibility covers machine code, not PTX (CUDA error 222).",
        evidence=(
            cite("driver CUDA", driver.version, driver),
            cite("compute capability", capability.value, capability),
            cite("compiled for", " ".join(build.targets), build),
        ),
        remedies=(
            InstallDriver(capability=capability.value),
            InstallBuild(framework=framework.name, capabilities=(capability.value,), driver_cuda=driver.version),
        ),
    )


_TEXTS = (
    r"CUDA driver version is insufficient for CUDA runtime version",
    r"The NVIDIA driver on your system is too old \(found version \d+\)",
    r"cudaErrorInsufficientDriver|CUDA_ERROR_INSUFFICIENT_DRIVER",
    r"the provided PTX was compiled with an unsupported toolchain",
    r"CUDA_ERROR_UNSUPPORTED_PTX_VERSION|cudaErrorUnsupportedPtxVersion",
)


# The container runtime compares the image's NVIDIA_REQUIRE_CUDA with the host's driver before it starts anything.
# https://github.com/NVIDIA/libnvidia-container/blob/main/src/cli/dsl.c
_REQUIRED = (
    r"requirement error: unsatisfied condition: cuda ?>= ?(\d{1,2}\.\d{1,2})",
    r"unsupported CUDA version: driver \d{1,2}\.\d{1,2} < image (\d{1,2}\.\d{1,2})",
)


@RULE.detector
def the_image_requires_more(printed: Printed, cuda: CudaDriver | None, nvml: Nvml | None) -> Verdict:
    """The container runtime refused to start an image that asks for a newer CUDA than the driver's."""
    hit = heard(printed, *_REQUIRED)
    if hit is None:
        return NotApplicable("no container runtime says so")
    driver = nvml.driver if nvml else None
    return Found(
        title=f"The NVIDIA driver is too old for this image, which requires CUDA {hit.match[1]}.",
        detail="Take an image for an older CUDA, or update the driver on the host.",
        evidence=(hit.evidence, *((cite("driver", driver, nvml),) if nvml and driver else ())),
        remedies=(InstallDriver(),),
        confidence=Confidence.LIKELY if works(cuda) else Confidence.CERTAIN,
    )


# TensorFlow asks the CUDA runtime only after the driver has listed a GPU, so there is a driver.
_AFTER_THE_DRIVER = r"cudaGetDevice\(\) failed\. Status: CUDA driver version is insufficient"


@RULE.detector
def a_program_says_so(
    message: Message,
    nvml: Nvml | None,
    cuda: CudaDriver | None,
    gpus: Gpus | None,
    side: DriverSide | None,
    container: Container | None,
    wsl: Wsl | None,
) -> Verdict:
    """The CUDA runtime says that the driver is too old. Without any driver it says the same, so one should be seen."""
    text = first_match(_TEXTS, message.text)
    if text is None:
        return None
    working: Fact | None = next((f for f in (nvml, cuda) if f and f.result.endswith("SUCCESS")), None)
    found = search(r"found version (\d{4,5})", message.text)
    seen = working or found or (nvml and nvml.driver) or search(_AFTER_THE_DRIVER, message.text)
    if nvml_fails(nvml) or (container and container.engine and not seen) or (wsl and wsl.version == 1):
        return NotJudged("the CUDA runtime says this too where there is no driver at all")
    capabilities = capabilities_of(gpus)
    where = cite("message", text, message)
    have = str(CudaVersion.from_driver(int(found[1]))) if found else None
    sure = seen and (side is None or side.place == "machine")
    return Found(
        title="The NVIDIA driver is too old for the CUDA version of the program.",
        detail=f"{text}." + (f" The driver is for CUDA {have}." if have else ""),
        evidence=(where, *((cite("driver", nvml.driver, nvml),) if nvml and nvml.driver else ())),
        remedies=(InstallDriver(capability=capabilities[0] if capabilities else None),),
        confidence=Confidence.CERTAIN if sure else Confidence.LIKELY,
        settled_by=() if seen else ("nvidia-smi",),
    )


@RULE.detector
def toolkit_newer_than_the_driver(
    toolkits: Toolkits, driver: DriverCuda, printed: Printed, frameworks: Frameworks | None, cuda: CudaDriver | None
) -> Verdict:
    """JAX compiles with the toolkit's ptxas: code of a newer minor version than the driver's is no kernel for it."""
    hit = heard(
        printed, r"no kernel image is available(?: for execution on the device)?", r"CUDA_ERROR_NO_BINARY_FOR_GPU"
    )
    if hit is None or works(cuda):
        return NotApplicable("no program lacks a kernel, or CUDA works")
    installed = {one.name for one in (frameworks.frameworks if frameworks else ()) if one.installed}
    if installed & {"torch", "tensorflow"}:
        return NotApplicable("PyTorch and TensorFlow bring their own kernels")
    have = CudaVersion.parse(driver.version)
    newer = [t.version for t in toolkits.toolkits if t.version and CudaVersion.parse(t.version) > have]
    if not newer or len(newer) < len(toolkits.toolkits):
        return Passed("a toolkit is not newer than the driver")
    return Found(
        title=f"The toolkit is CUDA {newer[0]} and the driver CUDA {have}: code that it compiles does not run here.",
        detail=hit.text,
        evidence=(cite("toolkit", newer[0], toolkits), cite("driver CUDA", driver.version, driver), hit.evidence),
        remedies=(InstallDriver(),),
        confidence=Confidence.LIKELY,
    )
