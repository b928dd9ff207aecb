"""TensorFlow has had no GPU support on native Windows since 2.11.

## What it means
The Windows wheels from TensorFlow 2.11 on (tensorflow-intel) are CPU builds. No driver, CUDA or cuDNN installation
changes that.

## Why it happens
2.10 was the last release with a GPU build for Windows; guides written for it are still in use.

## How to fix
Run TensorFlow in WSL 2, where the Linux build uses the Windows driver. TensorFlow 2.10 with CUDA 11.2 and Python
3.10 or older is the other way.

## How it is detected
The operating system of the interpreter under test, and the installed TensorFlow version.

## Sources
- https://www.tensorflow.org/install/pip#windows-native
"""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, System
from gpudoctor.findings import Found, NotApplicable, NotJudged, Severity, Verdict
from gpudoctor.remedies import UseWsl
from gpudoctor.views import Presence

RULE = Rule(
    frameworks=("tensorflow",),
    masks=("tf-cpu-build", "tf-cuda-libs-missing", "smoke-ran-on-cpu"),
    without_gpu="absent",
)

_FIRST_WITHOUT = Version("2.11")


@RULE.detector
def release_on_windows(system: System, build: Build, presence: Presence | None) -> Verdict:
    """TensorFlow 2.11 or newer under Windows itself."""
    if system.os != "windows":
        return NotApplicable(f"{system.name or system.os} is not Windows")
    try:
        version = Version(build.version)
    except InvalidVersion:
        return NotJudged(f"TensorFlow {build.version}: not a version")
    if version < _FIRST_WITHOUT:
        return None
    severity = Severity.INFO if presence is not None and not presence.present else None
    return Found(
        title=f"TensorFlow {build.version} has no GPU support on native Windows.",
        detail="2.10 was the last release with a GPU build for Windows.",
        evidence=(cite("system", system.name or "Windows", system), cite("tensorflow", build.version, build)),
        remedies=(UseWsl(framework="tensorflow"),),
        severity=severity,
    )
