"""The installed PyTorch is a CPU-only build.

## What it means
`torch.version.cuda` is None: this build has no CUDA code at all, so `torch.cuda.is_available()` is False whatever
the driver does ("Torch not compiled with CUDA enabled").

## Why it happens
On Windows, and on ARM up to PyTorch 2.10, the package index serves CPU builds and the CUDA builds come from
PyTorch's own index; `--index-url …/cpu`; a resolver or lock file that took the CPU variant; a conda solve without
the GPU variant.

## How to fix
Install the CUDA build that this driver and GPU can run, from PyTorch's index.

## How it is detected
`cuda = None` in `torch/version.py`, or a `+cpu` version, read as text without importing the package.

## Sources
- https://pytorch.org/get-started/locally/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Framework, Gpus, Imported, Message, Nvml, System
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, NotJudged, Passed, Verdict
from gpudoctor.matrix import Matrix
from gpudoctor.remedies import InstallBuild, Remedy
from gpudoctor.rules._complaints import shows_no_gpu
from gpudoctor.rules._cpu_build import cpu_build_beside_gpu
from gpudoctor.rules._printed import heard
from gpudoctor.rules._texts import first_match
from gpudoctor.views import DriverCuda, Presence, Printed, capabilities_of

RULE = Rule(frameworks=("torch",), masks=("smoke-ran-on-cpu",), without_gpu="absent")
RULE.detector(cpu_build_beside_gpu)

_TEXTS = (
    r"Torch not compiled with CUDA enabled",
    r"module 'torch\._C' has no attribute '_cuda_\w{1,40}'",
    r"PyTorch (?:is|was) not compiled with CUDA",
    r"Found no NVIDIA driver.{0,200}\+cpu\b",
    r"^torch\.version\.cuda(?:| ?=|:| ->) None$",
)


@RULE.detector
def torch_says_so(
    message: Message, build: Build | None, driver: DriverCuda | None, gpus: Gpus | None, system: System | None
) -> Verdict:
    """PyTorch itself says that it has no CUDA."""
    text = first_match(_TEXTS, message.text)
    if text is None:
        return None
    if build and build.accelerator in ("cuda", "rocm"):
        return Passed(f"{build.distribution} {build.version} is a {build.accelerator} build")
    if system and system.os == "macos":
        return NotApplicable("macOS has no CUDA")
    return Found(
        title="The installed PyTorch is a CPU-only build.",
        detail=text,
        evidence=(cite("message", text, message),),
        remedies=_remedies(driver, gpus),
    )


def _remedies(driver: DriverCuda | None, gpus: Gpus | None) -> tuple[Remedy, ...]:
    version = driver.version if driver else None
    return (InstallBuild(framework="torch", capabilities=capabilities_of(gpus), driver_cuda=version),)


@RULE.detector
def cpu_build_where_a_gpu_is_missed(
    build: Build, printed: Printed | None, presence: Presence | None, system: System | None, driver: DriverCuda | None
) -> Verdict:
    """A CPU build, and somebody who misses the GPU: the GPU itself need not be shown."""
    if build.accelerator != "cpu" or presence is not None:
        return NotApplicable("no CPU build, or the GPU is known")
    if system and system.os == "macos":
        return NotApplicable("macOS has no CUDA")
    said = shows_no_gpu(printed, "torch")
    if said is None:
        return NotJudged("whether a GPU is there or wanted is not known")
    return Found(
        title=f"PyTorch {build.version} is a CPU build: it cannot use any GPU.",
        detail=said.value,
        evidence=(cite(f"{build.distribution} built for", "CPU", build), said),
        remedies=_remedies(driver, None),
        confidence=Confidence.LIKELY,
    )


# What shows that the CUDA build was not what was installed.
_NO_LIBRARIES = r"\bno nvidia-\S{0,20} (?:wheels|packages) (?:were|are|was|is|got) (?:ever )?installed"
_INDEX = r"download\.pytorch\.org/whl/(?:nightly/)?(cu\d{2,3})\b"


@RULE.detector
def an_unknown_build_that_sees_no_gpu(
    framework: Framework,
    imported: Imported,
    presence: Presence,
    nvml: Nvml | None,
    printed: Printed | None,
    system: System | None,
    driver: DriverCuda | None,
    gpus: Gpus | None,
    matrix: Matrix,
) -> Verdict:
    """PyTorch of unknown build lists no GPU that is there, and something speaks for the index's CPU build."""
    if isinstance(framework.build, Build) and framework.build.accelerator != "unknown":
        return NotApplicable("the build is known")
    if not presence.present or not imported.ok or imported.available is not False:
        return NotApplicable("no GPU here that PyTorch does not list")
    reason = _why_cpu(printed, system, matrix)
    if reason is None:
        return NotJudged("which build of PyTorch is installed is not known")
    works = nvml is not None and nvml.result == "NVML_SUCCESS"
    return Found(
        title=f"PyTorch lists no GPU beside {presence.names[0]}: probably a CPU build.",
        detail=reason.value,
        evidence=(reason, cite("torch.cuda.is_available()", "False", imported)),
        remedies=_remedies(driver, gpus),
        confidence=Confidence.LIKELY if works or reason.fact != "system" else Confidence.POSSIBLE,
        settled_by=('python -c "import torch; print(torch.version.cuda)"',),
    )


def _why_cpu(printed: Printed | None, system: System | None, matrix: Matrix) -> Evidence | None:
    """No libraries came along, an index was named that does not exist, or this platform's default wheel has no CUDA."""
    found = heard(printed, _NO_LIBRARIES)
    if found:
        return found.evidence
    known = {build.variant for release in matrix.torch_releases for build in release.builds}
    index = heard(printed, _INDEX)
    if index and index.match[1].lower() not in known:
        return Evidence(fact="index", value=f"{index.text} serves no wheels", source=index.evidence.source)
    if system and (system.os == "windows" or system.architecture in ("aarch64", "arm64")):
        return cite(
            "system", f"the default wheel for {system.name or system.os} is the CPU's, or was up to 2.10", system
        )
    return None
