"""Another CUDA version is installed than the one that TensorFlow was built with.

## What it means
TensorFlow opens CUDA's libraries by names that hold their version. libcudart.so.10.1 exists in CUDA 10.1 only, and
libcusolver.so.10 in CUDA 10.1 to 11.0, so a newer toolkit does not serve: "Could not load dynamic library
'libcusolver.so.10'", "ImportError: libcublas.so.9.0: cannot open shared object file". TensorFlow then runs on the CPU
or does not import.

## Why it happens
The newest CUDA was installed for a release that was built with an older one, or an old guide's CUDA for a newer
release. A link under the wanted name makes the error go away and the results wrong.

## How to fix
Install the CUDA and cuDNN of the release's tested build beside the present one (several toolkits can stay), or a
release that was built with the CUDA that is here. From 2.14 on, `tensorflow[and-cuda]` brings its own.

## How it is detected
By the file name that TensorFlow could not open and the toolkits that have no such file; and by the tested CUDA of the
release against the toolkits that are installed, where TensorFlow lists no GPU.

## Sources
- https://www.tensorflow.org/install/source#gpu
- https://www.tensorflow.org/install/pip
"""

from __future__ import annotations

import msgspec

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Frameworks, Imported, Interpreter, Message, Packages, System, Toolkits
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, NotJudged, Passed, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.relations import CudaVersion
from gpudoctor.remedies import InstallBuild, Remedy, Run
from gpudoctor.rules._complaints import shows_no_gpu, speaks_of_torch_alone
from gpudoctor.rules._conda import conda_install
from gpudoctor.rules._libraries import Library, SeenCuda, brings, installed_cudas, serves, toolkits_with
from gpudoctor.rules._texts import search
from gpudoctor.views import Printed

RULE = Rule(frameworks=("tensorflow",), masks=("tf-cuda-libs-missing", "nvidia-wheels-mismatch", "smoke-ran-on-cpu"))

_NAMED = (
    r"Could not load dynamic library '([^']{1,80})'",
    r"ImportError: (lib\w{2,30}\.so\.\d[\d.]{0,10}): cannot open shared object file",
    r"Could not find '(\w{2,30}64_\d{1,3}\.dll)'",
    r"\b(\w{2,30}64_\d{1,3}\.dll)'?;? (?:is |was )?(?:missing|not found|could not be found)",
    r"(?:missing|not find|not load|looks? for|needs?|wants?) (lib\w{2,30}\.so\.\d[\d.]{0,10}|\w{2,30}64_\d{1,3}\.dll)",
)
_TOLD = (
    r"\b(cudart|cublas|cufft|curand|cusolver|cusparse)\b[^.]{0,60}\bversion (\d{1,2}(?:\.\d)?)\b[^.]{0,20}"
    r"(?:search|look|want|need|expect|not found|missing)"
)


def missing_library(message: Message, build: Build | None, printed: Printed) -> Library | None:
    """The CUDA library that TensorFlow could not open; of another program's import error only one of TensorFlow's time.

    ``ImportError: libcublas.so.11`` is PyTorch's as well; names with the toolkit's full number are older than that,
    and PyTorch's only where the text speaks of PyTorch alone.
    """
    if message.framework is None and build is None and speaks_of_torch_alone(printed):
        return None
    match = next((found for pattern in _NAMED if (found := search(pattern, message.text))), None)
    library = Library.parse(match[1]) if match else None
    if match is None and (told := search(_TOLD, message.text)):
        return Library(told[1].lower(), told[2], f"lib{told[1].lower()}.so.{told[2]}")
    if match is None or library is None or library.stem in ("cudnn", "cuda", "nvinfer", "nvinfer_plugin"):
        return None
    foreign = match[0].lower().startswith("importerror") and message.framework != "tensorflow" and build is None
    return None if foreign and ("." not in library.version or library.version == "11.0") else library


@RULE.detector
def the_name_it_wants(
    message: Message,
    build: Build | None,
    toolkits: Toolkits | None,
    packages: Packages | None,
    imported: Imported | None,
    interpreter: Interpreter | None,
    system: System | None,
    frameworks: Frameworks | None,
    printed: Printed,
    matrix: Matrix,
) -> Verdict:
    """A library was not opened, and the CUDA that is installed has none of that name."""
    library = missing_library(message, build, printed)
    if library is None:
        return None
    listed = [one.name for one in (frameworks.frameworks if frameworks else ()) if one.installed]
    if build is None and listed and message.framework != "tensorflow" and "dynamic library" not in message.text:
        return NotApplicable(f"TensorFlow is not installed; {', '.join(listed)} is")
    if imported and imported.devices:
        return Passed("TensorFlow lists a GPU all the same")
    seen = installed_cudas(toolkits, packages)
    if not seen:
        return NotJudged("which CUDA is installed is not known")
    known = [one for one in seen if brings(one.version, library) is not None]
    if not known or any(brings(one.version, library) for one in known):
        return Passed(f"a toolkit here has {library.name}")
    return _found(
        f"TensorFlow opens {library.name}, which CUDA {toolkits_with(library, matrix) or '?'} has and "
        f"CUDA {_shown(known)} has not.",
        (cite("message", message.text[:200], message), *(one.evidence for one in known)),
        tested(build, system, matrix) if build else None,
        interpreter,
        Confidence.CERTAIN,
    )


def _shown(seen: list[SeenCuda]) -> str:
    return ", ".join(dict.fromkeys(str(one.version) for one in seen))


@RULE.detector
def the_release_against_the_toolkits(
    build: Build,
    toolkits: Toolkits,
    packages: Packages | None,
    imported: Imported | None,
    printed: Printed | None,
    system: System | None,
    interpreter: Interpreter | None,
    matrix: Matrix,
) -> Verdict:
    """TensorFlow shows no GPU, and no CUDA here has the libraries of its build."""
    if imported and (imported.devices or imported.available):
        return Passed("TensorFlow lists a GPU")
    if system and system.os == "macos":
        return NotApplicable("no CUDA on macOS")
    said = shows_no_gpu(printed, "tensorflow")
    listed = imported is not None and imported.ok and imported.available is False
    if said is None and not listed:
        return NotJudged("whether TensorFlow lists a GPU is not known")
    return _release(tested(build, system, matrix), toolkits, packages, interpreter, (said,) if said else ())


def tested(build: Build, system: System | None, matrix: Matrix) -> Build:
    """The build with the CUDA and cuDNN that its release was tested with: older wheels name the major alone."""
    row = matrix.tensorflow(build.version)
    if isinstance(row, Unlisted) or build.channel in ("ngc", "source", "nightly", "conda"):
        return build
    windows = system is not None and system.os == "windows"
    cuda, cudnn = (row.windows_cuda, row.windows_cudnn) if windows else (row.cuda, row.cudnn)
    return msgspec.structs.replace(build, cuda=_fuller(build.cuda, cuda), cudnn=_fuller(build.cudnn, cudnn))


def _fuller(own: str | None, listed: str | None) -> str | None:
    """The longer of two versions of one major; a wheel's own where they disagree."""
    if own is None or listed is None:
        return own or listed
    return listed if own.split(".")[0] == listed.split(".")[0] and len(listed) > len(own) else own


def _release(
    build: Build,
    toolkits: Toolkits,
    packages: Packages | None,
    interpreter: Interpreter | None,
    evidence: tuple[Evidence, ...],
) -> Verdict:
    if build.accelerator != "cuda" or build.cuda is None or build.channel in ("ngc", "source"):
        return NotApplicable("no CUDA build whose CUDA is known")
    try:
        built = CudaVersion.parse(build.cuda)
    except ValueError:
        return NotJudged(f"built with CUDA {build.cuda}: not a version")
    seen = list(installed_cudas(toolkits, packages))
    if not seen:
        return NotApplicable("no CUDA is installed")
    # A bare major such as 9 says nothing of the minor.
    if any(serves(one.version, built) or ("." not in build.cuda and one.version.major == built.major) for one in seen):
        return Passed(f"a CUDA here has the libraries of CUDA {build.cuda}")
    return _found(
        f"TensorFlow {build.version} was built with CUDA {build.cuda}; CUDA {_shown(seen)} is installed.",
        (*evidence, cite("built with CUDA", build.cuda, build), *(one.evidence for one in seen)),
        build,
        interpreter,
        Confidence.LIKELY,
    )


def _found(
    title: str,
    evidence: tuple[Evidence, ...],
    build: Build | None,
    interpreter: Interpreter | None,
    confidence: Confidence,
) -> Found:
    return Found(title=title, evidence=evidence, remedies=remedies(build, interpreter), confidence=confidence)


def remedies(build: Build | None, interpreter: Interpreter | None) -> tuple[Remedy, ...]:
    """Libraries for the installed release, or a release that brings its own."""
    newer = InstallBuild(framework="tensorflow", release=build.version if build else None)
    if build is None or build.cuda is None or _brings_its_own(build):
        return (newer,)
    words = (f"cudatoolkit={build.cuda}", *((f"cudnn={build.cudnn}",) if build.cudnn else ()))
    conda = interpreter if interpreter and interpreter.environment == "conda" else None
    note = (
        "Several toolkits can stay side by side; LD_LIBRARY_PATH (PATH on Windows) chooses. No links under other names."
    )
    own = Run(
        title=f"Install CUDA {build.cuda}" + (f" and cuDNN {build.cudnn}" if build.cudnn else "") + " for it",
        argvs=(conda_install(conda, *words),) if conda else (),
        where="environment" if conda else "machine",
        note=note if conda else f"https://developer.nvidia.com/cuda-toolkit-archive. {note}",
    )
    return (own, newer)


def _brings_its_own(build: Build) -> bool:
    """Whether ``tensorflow[and-cuda]`` exists for the release (from 2.14 on)."""
    parts = build.version.split(".")
    return len(parts) > 1 and all(part.isdecimal() for part in parts[:2]) and (int(parts[0]), int(parts[1])) >= (2, 14)
