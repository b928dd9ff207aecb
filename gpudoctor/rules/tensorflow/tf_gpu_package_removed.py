"""The package tensorflow-gpu no longer exists: its last release is an error message.

## What it means
Since December 2022 `pip install tensorflow-gpu` takes 2.12.0, a package without content whose build fails on purpose:
'The "tensorflow-gpu" package has been removed!'. The GPU build is the package tensorflow itself, since 2.1.

## Why it happens
An old guide, a requirements file or another package that still names tensorflow-gpu.

## How to fix
Install `tensorflow[and-cuda]` on Linux or in WSL 2, and replace the name in the requirements. For releases up to
2.10 on native Windows, name the exact version.

## How it is detected
By the package's own message in pip's output, and by an installed tensorflow-gpu 2.12.

## Sources
- https://www.tensorflow.org/install/pip
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Message, Packages
from gpudoctor.findings import Confidence, Evidence, Found, Verdict
from gpudoctor.remedies import InstallBuild
from gpudoctor.rules._texts import first_match

RULE = Rule(
    frameworks=("tensorflow",),
    without_gpu="none",
    masks=("tf-not-installed", "no-framework-installed", "python-unsupported", "tf-windows-native"),
)

_CERTAIN = (
    r"\"tensorflow-gpu\" package has been removed",
    r"tensorflow[-_]gpu\W{1,3}2\.12\.0(?:\.tar\.gz)?",
    r"Please install \"tensorflow\" instead",
)
_LIKELY = (
    r"(?:Failed to build|Could not build wheels for|Failed building wheel for) tensorflow-gpu",
    r"Building wheel for tensorflow-gpu \(setup\.py\)",
)


@RULE.detector
def pip_says_so(message: Message) -> Verdict:
    """The stub's message, or its file name in pip's output."""
    certain = first_match(_CERTAIN, message.text)
    text = certain or first_match(_LIKELY, message.text)
    if text is None:
        return None
    return _found(text, cite("message", text, message), Confidence.CERTAIN if certain else Confidence.LIKELY)


@RULE.detector
def the_stub_is_installed(packages: Packages) -> Verdict:
    """tensorflow-gpu 2.12.0 among the packages."""
    version = packages.version("tensorflow-gpu")
    if version is None or not version.startswith("2.12"):
        return None
    return _found(
        f"tensorflow-gpu {version} has no content.", cite("tensorflow-gpu", version, packages), Confidence.CERTAIN
    )


def _found(detail: str, evidence: Evidence, confidence: Confidence) -> Found:
    return Found(
        title="tensorflow-gpu has been removed from the package index; the GPU build is tensorflow itself.",
        detail=detail,
        evidence=(evidence,),
        remedies=(InstallBuild(framework="tensorflow"),),
        confidence=confidence,
    )
