"""The installed NumPy and a package compiled against another NumPy do not fit together.

## What it means
Compiled code made for NumPy 1 does not load into NumPy 2. PyTorch up to 2.2 then says "Failed to initialize NumPy:
_ARRAY_API not found" and every exchange with NumPy fails; older TensorFlow does not import at all. The reverse
exists too: code made for a newer NumPy than the one installed.

## Why it happens
`pip install` of an old framework without an upper bound on NumPy, or another package that upgraded NumPy.

## How to fix
Install a NumPy of the major version that the framework was made for, or a newer framework.

## How it is detected
The words of NumPy and of the framework at import, and the matrix's list of the releases that were made for NumPy 1.

## Sources
- https://numpy.org/doc/stable/numpy_2_0_migration_guide.html
- https://github.com/pytorch/pytorch/issues/131668
"""

from __future__ import annotations

import re

from packaging.version import InvalidVersion, Version

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Framework, Imported, Message, Packages, Pins, System, UnmetPin
from gpudoctor.findings import Confidence, Found, NotApplicable, NotJudged, Passed, Severity, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.relations import Platform
from gpudoctor.remedies import InstallPackages
from gpudoctor.rules._texts import first_match
from gpudoctor.words import name_of

RULE = Rule(without_gpu="none")

_OLDER = InstallPackages(requirements=("numpy<2",), title="Install NumPy 1")
_NEWER = InstallPackages(requirements=("numpy>=2",), title="Install NumPy 2")
_ANY = InstallPackages(requirements=("numpy",), title="Install NumPy")


@RULE.detector
def release_against_numpy(
    framework: Framework,
    build: Build,
    packages: Packages,
    imported: Imported | None,
    system: System | None,
    matrix: Matrix,
) -> Verdict:
    """A framework release that was made for NumPy 1, beside NumPy 2."""
    numpy = packages.version("numpy")
    if numpy is None:
        return NotApplicable("NumPy is not installed")
    if _major(numpy) < 2:
        return Passed(f"NumPy {numpy}")
    platform: Platform = "windows" if system and system.os == "windows" else "linux"
    row = matrix.numpy2(framework.name, build.version, platform)
    if isinstance(row, Unlisted):
        return NotJudged(row.sentence())
    if row.numpy2 != "no":
        return None
    if imported and imported.ok and not any("NumPy" in text or "numpy" in text for text in imported.warnings):
        return Passed(f"{name_of(framework)} {build.version} imports without complaint beside NumPy {numpy}")
    name = f"{name_of(framework)} {build.version}"
    return Found(
        title=f"{name} was made for NumPy 1; NumPy {numpy} is installed.",
        detail=row.symptom,
        evidence=(cite("numpy", numpy, packages), cite(build.distribution, build.version, build)),
        remedies=(_OLDER,),
        severity=Severity.ERROR if imported and not imported.ok else Severity.WARNING,
        confidence=Confidence.CERTAIN if imported else Confidence.LIKELY,
    )


def _major(version: str) -> int:
    try:
        return Version(version).major
    except InvalidVersion:
        return 0


_MADE_FOR_OLDER = (
    r"A module that was compiled using NumPy 1\.x cannot be run in(?: NumPy [\d.]+)?",
    r"_ARRAY_API not found",
    r"Failed to initialize NumPy",
    r"RuntimeError: Numpy is not available",
    r"numpy\.core\.multiarray failed to import",
    r"`np\.\w+` was removed in the NumPy 2\.0 release",
    r"ABI version 0x1000009.{0,60}but this version of numpy is 0x2000000",
    r"requires numpy<[12][^,]{0,12}(?:,[<>=!~]{1,2}[\d.]{1,8})?, but you have numpy 2\.[\d.]{1,6} which",
)
_MADE_FOR_NEWER = (
    r"module compiled against ABI version 0x\w+ but this version of numpy is 0x\w+",
    # NumPy before 1.7 wrote the numbers without 0x
    r"module compiled against API version (?:0x)?[0-9a-f]{1,8} but this version of numpy is (?:0x)?[0-9a-f]{1,8}\b",
    r"numpy\.(?:dtype|ufunc|ndarray) size changed, may indicate binary incompatibility",
    r"No module named 'numpy\._core'",
)


@RULE.detector
def numpy_says_so(message: Message, packages: Packages | None, pins: Pins | None) -> Verdict:
    """NumPy or a package refuses the other's binary interface."""
    numpy = packages.version("numpy") if packages else None
    older = first_match(_MADE_FOR_OLDER, message.text)
    newer = first_match(_MADE_FOR_NEWER, message.text)
    text = older or newer
    if text is None:
        return None
    # With NumPy 1 installed, "failed to import" comes from a package that was made for NumPy 2.
    wants_older = older is not None and (numpy is None or _major(numpy) >= 2)
    absent = packages is not None and numpy is None
    return Found(
        title=f"A compiled package does not fit the installed NumPy{' ' + numpy if numpy else ''}."
        if not absent
        else "NumPy is not installed, and a package needs it.",
        detail=text,
        evidence=(
            cite("message", text, message),
            *((cite("numpy", numpy, packages),) if packages and numpy else ()),
        ),
        remedies=(_ANY if absent else _remedy(wants_older, pins),),
        confidence=Confidence.POSSIBLE if absent else Confidence.CERTAIN,
    )


def _remedy(wants_older: bool, pins: Pins | None) -> InstallPackages:
    """A compiled package that is older than the framework asks for is itself what does not fit."""
    outdated = [pin for pin in (pins.unmet if pins else ()) if pin.found and pin.requirement.startswith(_COMPILED)]
    if wants_older and outdated and not any(_is_numpy(pin) for pin in (pins.unmet if pins else ())):
        return InstallPackages(
            requirements=tuple(dict.fromkeys(pin.requirement for pin in outdated)),
            title="Install the release that the framework asks for",
        )
    return _OLDER if wants_older else _NEWER


_COMPILED = ("ml-dtypes", "scipy", "numba", "jaxlib")


def _is_numpy(pin: UnmetPin) -> bool:
    return re.match(r"numpy(?![\w-])", pin.requirement) is not None
