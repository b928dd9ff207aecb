"""The cuDNN that is loaded is older than, or of another major version than, the one it was compiled against.

## What it means
TensorFlow and JAX check cuDNN at the first convolution: "Loaded runtime CuDNN library: 7.3.1 but source was compiled
with: 7.5.0". The major version must be the same and the minor not lower; then "DNN library initialization failed". A
cuDNN of another major has another file name and is not found at all.

## Why it happens
A newer framework on a machine with an older cuDNN; another framework in the same environment that pins an older
nvidia-cudnn package; a cuDNN made for another CUDA major; a newer major, taken for an upgrade.

## How to fix
Install a cuDNN of the same major and at least the same minor. In an environment with two frameworks, take releases
whose cuDNN is the same, or two environments.

## How it is detected
By the framework's own comparison; and by the file name that it could not open, against the cuDNN copies that are seen.

## Sources
- https://www.tensorflow.org/install/source#gpu
- https://docs.nvidia.com/deeplearning/cudnn/backend/latest/api/overview.html#api-compatibility
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, CudnnCopies, Fact, Framework, Imported, Interpreter, Message, Packages, System
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, NotJudged, Passed, Verdict
from gpudoctor.matrix import Matrix
from gpudoctor.remedies import InstallPackages, Remedy
from gpudoctor.rules._complaints import shows_no_gpu
from gpudoctor.rules._libraries import Library
from gpudoctor.rules._texts import search
from gpudoctor.rules.tensorflow.tf_cuda_version_mismatch import remedies as libraries_for
from gpudoctor.rules.tensorflow.tf_cuda_version_mismatch import tested
from gpudoctor.views import Printed
from gpudoctor.words import name_of

RULE = Rule(frameworks=("tensorflow", "jax"), masks=("tf-cuda-libs-missing", "smoke-ran-on-cpu", "gpu-memory-held"))

_COMPARED = (
    r"Loaded (?:runtime )?CuDNN library: (\d+\.\d+(?:\.\d+)?) but source was compiled with:? ?(\d+\.\d+(?:\.\d+)?)"
)
_OLDER_FORM = (
    r"Loaded (?:runtime )?CuDNN library: (\d{4,6}) \(compatibility version \d{4,6}\) but source was compiled with "
    r"(\d{4,6})"
)
_BY_JAX = r"Found cuDNN version (\d{4,6}), but JAX was built against version (\d{4,6})"
_OUTDATED = r"Outdated cuDNN installation found"
# cuDNN 8 opens cuBLAS by name: one made for CUDA 12, in a process of CUDA 11, asks for a library that nobody brought.
_OTHER_CUDA = (
    r"Could not load library (libcublas(?:Lt)?\.so\.\d{2})\. Error: (?:libcublas(?:Lt)?\.so\.\d{2}): cannot open"
)


@RULE.detector
def compared_by_the_framework(message: Message, packages: Packages | None) -> Verdict:
    """The framework prints the version loaded and the version it was compiled with."""
    forms = (_COMPARED, _OLDER_FORM, _BY_JAX)
    match = next((found for form in forms if (found := search(form, message.text))), None)
    text = match[0] if match else None
    title = "The loaded cuDNN is older than, or of another major than, the framework was compiled with."
    if match:
        title = f"cuDNN {_dotted(match[1])} is loaded; the framework was compiled with {_dotted(match[2])}."
    elif outdated := search(_OUTDATED, message.text):
        text = outdated[0]
    elif other := search(_OTHER_CUDA, message.text):
        text, title = other[0], f"The loaded cuDNN was made for another CUDA: it asks for {other[1]}."
    if text is None:
        return None
    return Found(
        title=title,
        detail=text,
        evidence=(cite("message", text, message), *_packaged(packages)),
        remedies=_remedies(_dotted(match[2]) if match else None, packages),
        confidence=Confidence.CERTAIN if match else Confidence.LIKELY,
    )


def _dotted(text: str) -> str:
    """7103 is 7.1.3, 90100 is 9.1.0; other text unchanged."""
    if not text.isdecimal():
        return text
    number = int(text)
    big = 1000 if number < 10_000 else 10_000
    return f"{number // big}.{number % big // 100}.{number % 100}"


def _packaged(packages: Packages | None) -> tuple[Evidence, ...]:
    return tuple(
        cite(package.name, package.version, packages)
        for package in (packages.packages if packages else ())
        if packages and package.name.startswith(("nvidia-cudnn-cu", "cudnn"))
    )


def _remedies(wanted: str | None, packages: Packages | None) -> tuple[Remedy, ...]:
    wheel = next(
        (p.name for p in (packages.packages if packages else ()) if p.name.startswith("nvidia-cudnn-cu")), None
    )
    if wanted is None or wheel is None:
        return ()
    major, minor = wanted.split(".")[:2]
    requirement = f"{wheel}>={major}.{minor},<{int(major) + 1}"
    return (InstallPackages(requirements=(requirement,), title=f"Install a cuDNN {major} from {major}.{minor} on"),)


_NAMED = (
    r"Could not load dynamic library '(libcudnn\.so\.\d|cudnn64_\d\.dll)'",
    r"(libcudnn\.so\.\d): cannot open shared object file",
    r"(cudnn64_\d\.dll)'?;? (?:is |was )?(?:missing|not found)",
    r"Could not find '(cudnn64_\d\.dll)'",
)


@RULE.detector
def of_another_major(
    message: Message,
    build: Build | None,
    copies: CudnnCopies | None,
    packages: Packages | None,
    interpreter: Interpreter | None,
) -> Verdict:
    """cuDNN was not found under the name of one major version, and another major is installed."""
    match = next((found for pattern in _NAMED if (found := search(pattern, message.text))), None)
    library = Library.parse(match[1]) if match else None
    if library is None or match is None:
        return None
    if message.framework is None and build is None:
        return NotJudged("which framework asked is not known")
    seen = _copies(copies, packages)
    if not seen:
        return NotApplicable("no cuDNN is seen")
    others = [(version, source) for version, source in seen if version.split(".")[0] != library.version]
    if len(others) < len(seen):
        return Passed(f"a cuDNN {library.version} is here")
    return Found(
        title=f"cuDNN {library.version} is needed ({library.name}); cuDNN {others[0][0]} is installed.",
        detail=match[0],
        evidence=(
            cite("message", match[0], message),
            *(cite("cuDNN", version, source) for version, source in others),
        ),
        remedies=libraries_for(build, interpreter),
    )


def _copies(copies: CudnnCopies | None, packages: Packages | None) -> list[tuple[str, Fact]]:
    found: list[tuple[str, Fact]] = [
        (c.version, copies) for c in (copies.copies if copies else ()) if copies and c.version
    ]
    for package in packages.packages if packages else ():
        if packages and package.version and package.name.startswith(("nvidia-cudnn-cu", "cudnn")):
            found.append((package.version, packages))
    return found


@RULE.detector
def older_than_tested(
    build: Build,
    copies: CudnnCopies,
    imported: Imported | None,
    printed: Printed,
    system: System | None,
    interpreter: Interpreter | None,
    framework: Framework,
    matrix: Matrix,
) -> Verdict:
    """No GPU is shown, and the only cuDNN here is of another major, or older than the tested one."""
    if framework.name != "tensorflow":
        return NotApplicable("JAX compares cuDNN itself")
    said = shows_no_gpu(printed, "tensorflow")
    if said is None:
        return NotApplicable("nothing says that no GPU is shown")
    if imported and imported.devices:
        return Passed("the framework lists a GPU")
    build = tested(build, system, matrix)
    if build.accelerator != "cuda" or not build.cudnn:
        return NotApplicable("no CUDA build whose cuDNN is known")
    seen = [copy.version for copy in copies.copies if copy.version and copy.brought_by != "wheel"]
    if not seen:
        return NotApplicable("no cuDNN is seen")
    if any(_fits(version, build.cudnn) for version in seen):
        return Passed(f"a cuDNN that fits {build.cudnn} is here")
    return Found(
        title=f"{name_of('tensorflow')} {build.version} was built with cuDNN {build.cudnn}; {', '.join(seen)} is here.",
        detail=said.value,
        evidence=(
            said,
            cite("built with cuDNN", build.cudnn, build),
            *(cite("cuDNN", version, copies) for version in seen),
        ),
        remedies=libraries_for(build, interpreter),
        confidence=Confidence.LIKELY,
    )


def _fits(have: str, wanted: str) -> bool:
    one, other = (tuple(map(int, re.findall(r"\d+", text)[:2])) for text in (have, wanted))
    return one[:1] == other[:1] and (len(one) < 2 or len(other) < 2 or one >= other)
