"""Two copies of one framework are installed and shadow each other.

## What it means
Python imports the copy that comes first on sys.path, or a mixture where two packages wrote into one folder. The
version that a list shows is then not the one that runs: "module 'torch._C' has no attribute …" is Python code of one
release on top of the compiled part of another.

## Why it happens
`pip install --user` beside an environment; a virtual environment with the system's packages; pip over conda;
tensorflow beside tensorflow-gpu, tensorflow-cpu or tf-nightly, which all install the same folder, so that the last
one installed wins.

## How to fix
Remove all of them, then install one. A copy on PYTHONPATH is no longer found once the variable is unset.

## How it is detected
By distributions of the same name in several folders of sys.path or in two versions in one folder, and by distributions
that install the same import package in different versions, CuPy and onnxruntime included. Meta packages that belong
together (tensorflow and tensorflow-intel, conda's tensorflow-base) are no duplicates.

## Sources
- https://docs.python.org/3/library/site.html
- https://github.com/tensorflow/tensorflow/issues/22472
"""

from __future__ import annotations

import re

from packaging.version import InvalidVersion, Version

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Environment, Framework, Imported, Message, Package, Packages
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.remedies import InstallBuild, SetVariable, UninstallPackages
from gpudoctor.rules._texts import first_match, search

RULE = Rule(
    without_gpu="none",
    masks=("framework-import-failed", "tf-cpu-build", "keras-mismatch", "protobuf-mismatch", "companion-mismatch"),
)

# Distributions that write the same import package, by framework. Those of one tuple are whole in themselves.
_RIVALS: dict[str, tuple[str, ...]] = {
    "torch": ("torch",),
    "tensorflow": ("tensorflow", "tensorflow-gpu", "tensorflow-cpu", "tf-nightly", "tf-nightly-gpu", "tf-nightly-cpu"),
    "jax": ("jaxlib",),
}
# From 2.1 on both names hold the same GPU build; before, tensorflow is the CPU's.
_FIRST_ALIKE = Version("2.1")


@RULE.detector
def copies_on_the_path(
    framework: Framework, packages: Packages, imported: Imported | None, environment: Environment | None
) -> Verdict:
    """One distribution in several folders, or several that write the same folder."""
    if not framework.installed:
        return NotApplicable(f"{framework.name} is not installed")
    copies = [package for name in _RIVALS[framework.name] for package in packages.copies(name)]
    rivals = _rivals(copies)
    if len(rivals) < 2:
        return _recorded_twice(copies, packages, imported) or Passed("one copy")
    broken = imported is not None and not imported.ok
    shown = "; ".join(f"{package.name} {package.version or '?'} in {package.location}" for package in rivals)
    one_folder = len({package.location for package in rivals}) == 1
    return Found(
        title=f"{len(rivals)} copies of {framework.name} are installed: "
        + ", ".join(f"{package.name} {package.version or '?'}" for package in rivals)
        + ".",
        detail=f"{shown}. " + ("The last one installed wins." if one_folder else "The first of them is imported."),
        evidence=tuple(cite(package.name, f"{package.version} in {package.location}", packages) for package in rivals),
        remedies=(
            SetVariable(name="PYTHONPATH")
            if _is_on_pythonpath(rivals[0], environment) and not one_folder
            else UninstallPackages(
                names=tuple(dict.fromkeys(package.name for package in rivals)),
                title="Remove all copies",
                then=InstallBuild(framework=framework.name),
            ),
        ),
        severity=Severity.ERROR if broken or (one_folder and _differ(rivals)) else Severity.WARNING,
        confidence=Confidence.CERTAIN if broken else Confidence.LIKELY,
    )


def _is_on_pythonpath(package: Package, environment: Environment | None) -> bool:
    """Whether a copy lies outside the environment, where its pip removes nothing."""
    value = environment.variables.get("PYTHONPATH", "") if environment else ""
    folders = re.split(r"[:;]", value)
    return package.location in (folder.rstrip("/") for folder in folders if folder)


def _recorded_twice(copies: list[Package], packages: Packages, imported: Imported | None) -> Found | None:
    """Two releases of one distribution recorded in one folder: an upgrade that ended half-way."""
    twice = [p for p in copies if p.metadata and (p.name, p.location) == (copies[0].name, copies[0].location)]
    if len({package.version for package in twice}) < 2:
        return None
    versions = " and ".join(package.version or "?" for package in twice)
    broken = imported is not None and not imported.ok
    return Found(
        title=f"{twice[0].name} is recorded twice in one folder, as {versions}.",
        detail=f"{twice[0].location} holds the files of one of them, or of both.",
        evidence=tuple(cite(package.name, f"{package.version} in {package.location}", packages) for package in twice),
        remedies=(
            UninstallPackages(names=(twice[0].name,), title="Remove it, as often as it is listed, then install one"),
        ),
        severity=Severity.ERROR if broken else Severity.WARNING,
        confidence=Confidence.LIKELY,
    )


def _rivals(copies: list[Package]) -> list[Package]:
    """The copies that shadow one another: of one name in several folders, or of several names that differ."""
    kept = [p for p in copies if p.metadata]
    locations = {package.location for package in kept}
    names = {package.name for package in kept}
    if len(names) > 1 and (len(locations) > 1 or _differ(kept)):
        return kept
    return kept if len(locations) > 1 else kept[:1]


def _differ(copies: list[Package]) -> bool:
    """Whether it matters which one wins: other versions, a CPU build among them, or TensorFlow before 2.1."""
    names = {package.name for package in copies}
    if len(names) < 2:
        return False
    cpu = any(name.endswith("-cpu") for name in names)
    return cpu or len({package.version for package in copies}) > 1 or any(map(_before_2_1, copies))


def _before_2_1(package: Package) -> bool:
    try:
        return Version(package.version or "0") < _FIRST_ALIKE
    except InvalidVersion:
        return False


# Distributions beside the frameworks that write one import package: the last one installed wins, in part.
_FAMILIES = (
    ("cupy", re.compile(r"cupy(?:-cuda\d{2,3}x?|-rocm[\w-]{2,8})?")),
    ("onnxruntime", re.compile(r"onnxruntime(?:-gpu|-directml)?")),
)


@RULE.detector
def several_of_another_package(packages: Packages) -> Verdict:
    """CuPy for two CUDAs, or onnxruntime for CPU and GPU, in one folder."""
    for module, form in _FAMILIES:
        listed = [p for p in packages.packages if form.fullmatch(p.name) and p.metadata]
        if len({p.name for p in listed}) < 2 or len({p.location for p in listed}) > 1:
            continue
        return Found(
            title=f"{len(listed)} distributions of {module} are installed over one another: "
            + ", ".join(f"{p.name} {p.version or '?'}" for p in listed)
            + ".",
            detail="They write the same files. The last one installed wins.",
            evidence=tuple(cite(p.name, p.version, packages) for p in listed),
            remedies=(UninstallPackages(names=tuple(p.name for p in listed), title="Remove all copies"),),
            severity=Severity.WARNING,
            confidence=Confidence.LIKELY,
        )
    return Passed("one distribution of each package")


_DISTRIBUTION = (
    r"(?<![\w.-])(?:tensorflow-gpu|tensorflow-cpu|tensorflow|tf-nightly-gpu|tf-nightly-cpu|tf-nightly|torch"
    r"|pytorch|jaxlib)(?![\w.-])"
)
_BOTH = (
    rf"{_DISTRIBUTION} and {_DISTRIBUTION} (?:are|were) both installed",
    rf"\bboth {_DISTRIBUTION} .{{0,30}}and {_DISTRIBUTION} .{{0,30}}(?:are|were)? ?installed",
    # pip looks at "multiple versions of torch to determine which" one to take.
    rf"(?:two|several|multiple|different) (?:copies|versions|installations) of (?:the )?{_DISTRIBUTION}(?! to determ)",
    r"multiple CuPy packages are installed",
    r"(?<![\w.-])cupy(?:-cuda\d{2,3}x?)?, cupy-(?:cuda|rocm)[\w-]{2,6}(?![\w.-])",
)
# Python code of one release on the compiled part of another. A CPU build lacks the _cuda names.
_MIXED = (
    r"module 'torch\._C' has no attribute '(?!_?cuda)\w{1,80}'",
    r"cannot import name '\w{1,80}' from 'torch\._C'",
    r"module 'torch\._C' has no attribute '_(?!cuda)\w{1,80}'",
)


@RULE.detector
def a_text_says_so(message: Message, packages: Packages | None) -> Verdict:
    """Parts of two releases meet, or a person names both."""
    stated = first_match(_BOTH, message.text)
    text = stated or first_match(_MIXED, message.text)
    if text is None or search(r"_cuda", text):
        return None
    version = packages.version("torch") if packages else None
    if not stated and version and ("git" in version or "a0" in version):
        return NotApplicable(f"torch {version} is a source build")
    names = ("torch",) if not stated else ()
    return Found(
        title="Parts of two copies of the framework are imported together."
        if not stated
        else "Two copies of the framework are installed.",
        detail=text,
        evidence=(cite("message", text, message),),
        remedies=(UninstallPackages(names=names, title="Remove all copies, then install one"),) if names else (),
        confidence=Confidence.LIKELY,
    )
