"""There is no build of the framework for this Python.

## What it means
A wheel is made for one Python version and one platform. Where no wheel fits, pip says "Could not find a version that
satisfies the requirement … (from versions: none)" or lists only other versions; uv names the ABI tags that exist.

## Why it happens
The Python is newer than the framework's release, or has been dropped by it; a release is pinned that is older than
the Python; the Python is a 32-bit one; the platform has no wheels (any more), such as Macs with Intel processors.

## How to fix
Make an environment with a Python that has a build, or take a release of the framework that has one for this Python.

## How it is detected
By the words of pip, uv and conda, against the matrix of the Python versions that each release has wheels for, and by
the interpreter's own version and word size. A framework that is installed and works is never called unsupported,
however new its Python.

## Sources
- https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/
- https://www.tensorflow.org/install/pip
- https://github.com/pytorch/pytorch/blob/main/RELEASE.md
"""

from __future__ import annotations

import re

from packaging.requirements import InvalidRequirement, Requirement

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Fact, Framework, FrameworkName, Interpreter, Message, Request, System
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, NotJudged, Passed, Verdict
from gpudoctor.matrix import Matrix
from gpudoctor.relations import CudaVersion
from gpudoctor.remedies import Remedy, Run
from gpudoctor.rules._texts import first_match, search
from gpudoctor.words import name_of

RULE = Rule(
    without_gpu="none",
    masks=("torch-not-installed", "tf-not-installed", "jax-not-installed", "no-framework-installed"),
)

_PACKAGES: dict[str, FrameworkName] = {
    "torch": "torch",
    "torchvision": "torch",
    "torchaudio": "torch",
    "tensorflow": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    "tensorflow-cpu": "tensorflow",
    "tf-nightly": "tensorflow",
    "jax": "jax",
    "jaxlib": "jax",
}
_NO_MATCH = (
    r"(?:Could not find a version that satisfies the requirement|No matching distribution found for) "
    r"([\w.\[\]-]{2,60}(?: ?[=<>~!]=? ?[\w.+*]{1,40}(?:,[=<>~!]{1,2}[\w.+*]{1,40})?)?)"
)
_NONE = r"\(from versions: (none)?\)"
_NAMES_THE_PYTHON = (
    r"has no wheels with a matching Python (?:ABI|implementation|version)",
    r"no wheels are available .{0,60}with a matching Python ABI",
    r"only has wheels (?:for|with) the following Python (?:ABI|implementation|version)? ?tags?",
    r"Distribution `(?:torch|tensorflow|jax|nvidia-)\S{0,60} .{0,120}doesn't have a source distribution or wheel",
    r"only found wheels for .{1,60} with the following Python ABI tags?",
    r"requires a different Python: \d[\w.+]{0,12} not in '[^']{1,40}'",
    r"requires Python '[^']{1,40}' but the running Python is \d[\w.+]{0,12}",
    (
        r"The current project's (?:supported )?Python (?:requirement|range) .{1,40} is not compatible with some "
        r"of the required"
    ),
    r"Requires-Python [<>=!~][^;\n]{1,40}; (?:torch|tensorflow|jax)",
    r"(?:torch|tensorflow|jax\w{0,3})\S{0,40} .{0,80}-> python\[version='[^']{1,80}'\]",
    r"Your python: python[=<>]",
    r"\b(?:install|find|found|wheels?)\b.{0,60}\b32[- ]?bit\b.{0,20}\bPython\b",
)
_WHEEL_NAME = (
    r"(torch|torchvision|torchaudio|tensorflow\w{0,5}|jaxlib|jax)-[\w.+]{1,40}-[\w.-]{1,60}\.whl is not a "
    r"supported wheel on this platform"
)
_NETWORK = (
    r"Failed to establish a new connection|Name or service not known|ProxyError|SSLError|ConnectTimeout|Read timed out"
)


@RULE.detector
def an_installer_says_so(
    message: Message, interpreter: Interpreter | None, system: System | None, matrix: Matrix
) -> Verdict:
    """pip, uv or poetry finds no wheel of a framework for this Python."""
    text = first_match((*_NAMES_THE_PYTHON, _WHEEL_NAME), message.text)
    if text:
        return _found(f"{text}.", message, text, interpreter, Confidence.CERTAIN)
    match = search(_NO_MATCH, message.text)
    wanted = _requirement(match[1]) if match else None
    if match is None or wanted is None or search(_NETWORK, message.text):
        return None
    framework = _PACKAGES[_name(wanted)]
    python, platform = _python(interpreter), _platform(system)
    if interpreter and interpreter.bits == 32:
        return _found("This Python is a 32-bit one; there are 64-bit builds only.", message, match[0], interpreter)
    release = _pinned(wanted)
    if release and python:
        return _pinned_release(framework, release, python, platform, message, match[0], interpreter, matrix)
    # Without a version in the requirement pip found none at all, whatever its list was.
    if search(_NONE, message.text) is None and (wanted.specifier or "No matching" not in match[0]):
        if release and _offered_others(message.text, release, framework, platform, matrix):
            detail = f"pip saw other releases than {release}, which has wheels for other Pythons."
            return _found(detail, message, match[0], interpreter, Confidence.LIKELY)
        return NotJudged("which Python asked for which release is not known")
    if python is None:
        return _found(
            "No release at all fits this Python and platform.", message, match[0], interpreter, Confidence.LIKELY
        )
    listed = _pythons(framework, platform, matrix)
    served = [release for release, pythons in listed if python in pythons]
    since = f" {name_of(framework)} {served[0]} and newer have one; pip saw none of them." if served else ""
    return _found(
        f"pip found no release with a build for Python {python} on {platform}.{since}",
        message,
        match[0],
        interpreter,
        Confidence.LIKELY if served or not listed else Confidence.CERTAIN,
    )


def _pinned_release(
    framework: FrameworkName,
    release: str,
    python: str,
    platform: str,
    message: Message,
    text: str,
    interpreter: Interpreter | None,
    matrix: Matrix,
) -> Verdict:
    listed = dict(_pythons(framework, platform, matrix))
    pythons = next((p for name, p in listed.items() if name == release or name.startswith(f"{release}.")), None)
    if pythons is None:
        return NotJudged(f"{name_of(framework)} {release} is not in the matrix for {platform}")
    if python in pythons:
        return Passed(f"{name_of(framework)} {release} has a build for Python {python} on {platform}")
    shown = ", ".join(pythons) or "none"
    return _found(
        f"{name_of(framework)} {release} has builds for Python {shown} on {platform}; this is Python {python}.",
        message,
        text,
        interpreter,
    )


def _offered_others(text: str, release: str, framework: FrameworkName, platform: str, matrix: Matrix) -> bool:
    """Whether pip lists releases without the wanted one, although that one has wheels for this platform."""
    listed = search(r"\(from versions: (.{3,3000})", text)
    versions = re.findall(r"\d{1,4}\.\d{1,4}(?:\.\d{1,4})?", listed[1]) if listed else []
    known = any(
        pythons
        for name, pythons in _pythons(framework, platform, matrix)
        if name == release or name.startswith(f"{release}.")
    )
    return bool(versions) and known and release not in versions


def _requirement(text: str) -> Requirement | None:
    try:
        parsed = Requirement(text.strip().replace(" ", ""))
    except InvalidRequirement:
        return None
    return parsed if _name(parsed) in _PACKAGES else None


def _name(requirement: Requirement) -> str:
    return re.sub(r"[-_.]+", "-", requirement.name).lower()


def _pinned(requirement: Requirement) -> str | None:
    """The release of ``torch==1.13.1+cu117``; only of the framework itself, whose versions the matrix lists."""
    if _name(requirement) in ("torchvision", "torchaudio"):
        return None
    exact = [part.version for part in requirement.specifier if part.operator in ("==", "===")]
    return exact[0].partition("+")[0].removesuffix(".*") if exact else None


def _python(interpreter: Interpreter | None) -> str | None:
    match = re.match(r"\d+\.\d+", interpreter.version) if interpreter else None
    if match is None or interpreter is None:
        return None
    return match[0] + ("t" if interpreter.free_threaded else "")


def _platform(system: System | None) -> str:
    if system is None:
        return "linux_x86_64"
    arm = system.architecture in ("aarch64", "arm64")
    if system.os == "windows":
        return "win_amd64"
    if system.os == "macos":
        return "macos_arm64" if arm else "macos_x86_64"
    return "linux_aarch64" if arm else "linux_x86_64"


def _pythons(framework: FrameworkName, platform: str, matrix: Matrix) -> list[tuple[str, tuple[str, ...]]]:
    """Every release with the Pythons that it has wheels for on a platform, oldest first."""
    if framework == "torch":
        return [(r.release, r.pythons.get(platform, ())) for r in matrix.torch_releases]
    if framework == "tensorflow":
        return [(r.release, r.pythons.get(platform, ())) for r in matrix.tensorflow_releases]
    return []


def _found(
    detail: str,
    message: Message,
    text: str,
    interpreter: Interpreter | None,
    confidence: Confidence = Confidence.CERTAIN,
) -> Found:
    own: tuple[Evidence, ...] = ()
    if interpreter:
        own = (cite("Python", f"{interpreter.version} ({interpreter.bits}-bit)", interpreter),)
    return Found(
        title="There is no build of the framework for this Python.",
        detail=detail,
        evidence=(cite("message", text, message), *own),
        remedies=(_REMEDY,),
        confidence=confidence,
    )


_REMEDY: Remedy = Run(
    title="Make an environment with a Python that the framework has builds for",
    where="environment",
    note="gpudoctor matrix torch 2.13.0 (or: tensorflow 2.21.0) prints the Python versions of a release. With uv: "
    "uv venv --python 3.12; with conda: conda create -n ml python=3.12. The Python must be a 64-bit one.",
)


@RULE.detector
def required_framework_without_a_build(
    framework: Framework, request: Request, interpreter: Interpreter, system: System, matrix: Matrix
) -> Verdict:
    """A framework that was asked for is absent, and no release has a build for this interpreter."""
    if framework.installed or framework.name not in request.required:
        return NotApplicable(f"{name_of(framework)} is installed, or was not asked for")
    if interpreter.bits == 32:
        return _absent("This Python is a 32-bit one; there are 64-bit builds only.", framework, interpreter)
    python, platform = _python(interpreter), _platform(system)
    listed = _pythons(framework.name, platform, matrix)
    known = {python for _, pythons in listed for python in pythons}
    if not known or python is None:
        return NotJudged(f"no wheels of {name_of(framework)} for {platform} are known")
    if python in known:
        return Passed(f"{name_of(framework)} has builds for Python {python} on {platform}")
    if python.endswith("t") or _number(python) > max(map(_number, known)):
        return NotJudged(f"Python {python} is newer than the matrix")
    return _absent(f"No release has a build for Python {python} on {platform}.", framework, interpreter)


def _number(python: str) -> CudaVersion:
    return CudaVersion.parse(python.removesuffix("t"))


def _absent(detail: str, framework: Framework, interpreter: Fact) -> Found:
    return Found(
        title=f"There is no build of {name_of(framework)} for this Python.",
        detail=detail,
        evidence=(cite("Python", detail, interpreter),),
        remedies=(_REMEDY,),
    )
