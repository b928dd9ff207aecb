"""Files of the framework, or a package that it needs, are gone or cut off.

## What it means
The list of packages shows the framework, but what it lists is not whole on disk: Python does not find a module, the
loader says "file too short", or the import ends by SIGBUS, which is what reading beyond the end of a library is.

## Why it happens
An installation or a copy that was interrupted; a full disk; `pip uninstall` of one of two packages that share a folder
(tensorflow and tensorflow-cpu); a cache of Docker layers or a network file system that lost files; `--no-deps`.

## How to fix
Install the package again, over what is there. Look at the free space first: `df -h`.

## How it is detected
Each package's RECORD names its files with their sizes: they are compared with the disk where the import fails, or a
job does over a library that it opens later; those of tests are left out. A requirement that the import does not find
and the package list lacks; the loader's words.

## Sources
- https://packaging.python.org/en/latest/specifications/recording-installed-packages/
- https://man7.org/linux/man-pages/man2/mmap.2.html
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import (
    Build,
    Framework,
    FrameworkName,
    Imported,
    Message,
    Package,
    Packages,
    Pins,
    Smoke,
    UnmetPin,
)
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.remedies import InstallPackages, Remedy, Run
from gpudoctor.rules._printed import heard
from gpudoctor.rules._texts import search
from gpudoctor.views import Printed
from gpudoctor.words import name_of

RULE = Rule(
    without_gpu="none",
    masks=(
        "companion-mismatch",
        "keras-mismatch",
        "local-file-shadows",
        "numpy-abi-mismatch",
        "protobuf-mismatch",
        "smoke-ran-on-cpu",
        "tf-cuda-libs-missing",
        "wrong-interpreter",
    ),
)

# What each framework imports at once, beside the distribution that it comes from.
_IMPORTED_WITH: dict[FrameworkName, re.Pattern[str]] = {
    "torch": re.compile(r"numpy|triton|nvidia-.+"),
    "tensorflow": re.compile(r"keras|numpy|protobuf|ml-dtypes|nvidia-.+"),
    "jax": re.compile(r"jaxlib|jax-cuda.+|numpy|scipy|ml-dtypes|nvidia-.+"),
}


@RULE.detector
def files_of_the_record(framework: Framework, build: Build, packages: Packages, imported: Imported | None) -> Verdict:
    """Files that a RECORD names are gone, or shorter than it says."""
    damaged = _damaged(framework.name, build, packages)
    if not damaged:
        return Passed("the files that the packages list are there")
    if imported and imported.ok:
        return Passed("the framework imports, whatever its packages list")
    package = damaged[0]
    error = (cite("import", imported.error or imported.ended, imported),) if imported else ()
    return Found(
        title=f"{package.name} {package.version or ''} is not whole: {_shown(package)}.",
        detail=" ".join(f"In {one.location}: {', '.join(one.damaged)}." for one in damaged),
        evidence=(*(_evidence(one, packages) for one in damaged), *error),
        remedies=(_again(package),),
        severity=Severity.ERROR if imported else Severity.WARNING,
        confidence=Confidence.CERTAIN if imported and _told_by(imported, package) else Confidence.LIKELY,
    )


def _damaged(framework: FrameworkName, build: Build, packages: Packages) -> list[Package]:
    """The packages that are not whole, the framework's own first."""
    own = [one for one in packages.copies(build.distribution)[:1] if one.damaged]
    needed = _IMPORTED_WITH[framework]
    seen = {build.distribution}
    for one in packages.packages:
        if one.name not in seen and needed.fullmatch(one.name):
            seen.add(one.name)
            own += [one] if one.damaged else []
    return own


def _shown(package: Package) -> str:
    """``torch/_C.so and 11 more files are gone or cut off``."""
    more = max((package.missing_files or 0) - 1, len(package.damaged) - 1)
    if not more:
        return f"{package.damaged[0]} is gone or cut off"
    return f"{package.damaged[0]} and {more} more file{'s' if more > 1 else ''} are gone or cut off"


def _evidence(package: Package, packages: Packages) -> Evidence:
    return cite(f"{package.name} {package.version or ''}".strip(), _shown(package), packages)


def _told_by(imported: Imported, package: Package) -> bool:
    """Whether the failure is of the kind that lost or shortened files make."""
    text = imported.error or ""
    names = [path.rpartition("/")[2].split(".")[0] for path in package.damaged]
    return (
        search(r"SIGBUS|file too short|cannot read file data", f"{imported.ended} {text}") is not None
        or (search(r"No module named|cannot open shared object", text) is not None and _names_one(names, text))
        or search(rf"No module named '{re.escape(package.name)}'", text) is not None
    )


def _names_one(names: list[str], text: str) -> bool:
    return any(name in text for name in names if name != "__init__")


def _again(package: Package) -> Remedy:
    """The same release once more. A version like 2.7.1+cu126 is in no index but its own."""
    version = package.version or ""
    local = version.partition("+")[2]
    if local and (package.name not in _OF_PYTORCH or not re.fullmatch(r"cpu|xpu|cu\d{2,3}|rocm[\d.]{1,6}", local)):
        return Run(title="Install it again from where it came", where="environment")
    return InstallPackages(
        requirements=(f"{package.name}=={version}" if version else package.name,),
        title="Install it again",
        reinstall=True,
        no_deps=True,
        index=f"https://download.pytorch.org/whl/{local}" if local else "",
    )


_OF_PYTORCH = ("torch", "torchvision", "torchaudio")

_ABSENT = r"(?:No module named '?(\w{1,40})'?(?![\w.'])|requires (\w{1,40}) to be installed)"


@RULE.detector
def a_requirement_is_absent(framework: Framework, build: Build, imported: Imported, pins: Pins) -> Verdict:
    """The import misses a module, and the package that brings it is required and not installed."""
    match = search(_ABSENT, imported.error or "") if not imported.ok else None
    if match is None:
        return NotApplicable("no module was missed")
    module = next(name for name in match.groups() if name)
    pin = _pin_of(module, pins)
    if pin is None:
        return NotApplicable(f"{module} is no requirement that lacks")
    return Found(
        title=f"{name_of(framework)} {build.version} needs {pin.requirement}, which is not installed.",
        evidence=(
            cite("import", imported.error, imported),
            cite(f"{pin.package} requires {pin.requirement}", "not installed", pins),
        ),
        remedies=(InstallPackages(requirements=(pin.requirement,), title="Install what it needs"),),
        confidence=Confidence.CERTAIN,
    )


def _pin_of(module: str, pins: Pins) -> UnmetPin | None:
    name = module.lower().replace("_", "-")
    wanted = re.compile(rf"{re.escape(name)}(?![\w-])")
    return next((pin for pin in pins.unmet if pin.found is None and wanted.match(pin.requirement)), None)


_UNLOADABLE = (
    r"([\w.+-]{4,120}): (?:cannot open shared object file|file too short|cannot read file data|invalid ELF header"
    r"|undefined symbol)"
)


@RULE.detector
def a_library_at_its_first_use(smoke: Smoke, packages: Packages, printed: Printed | None) -> Verdict:
    """The framework imports, and a library that it opens only when it needs it is gone or cut off."""
    if smoke.stage in ("start", "import"):
        return NotApplicable("the job did not come beyond the import")
    failed = smoke.result == "failed"
    said = [text for text in (smoke.error if failed else None, *(part.error for part in smoke.parts)) if text]
    # A process that aborts says on standard error what it did not find.
    hit = heard(printed, _UNLOADABLE) if failed and printed else None
    named = [match for text in said if (match := search(_UNLOADABLE, text))] + ([hit.match] if hit else [])
    broken = next(((one, match) for match in named for one in packages.packages if _has(one, match[1])), None)
    if broken is None:
        return None
    package, match = broken
    path = next(path for path in package.damaged if path.rpartition("/")[2] == match[1])
    return Found(
        title=f"{package.name} {package.version or ''} is not whole: {path} is gone or cut off.",
        detail=f"{name_of(smoke.framework)} imports, and needs it later: {match[0]}. In {package.location}.",
        evidence=(_evidence(package, packages), cite(f"stage {smoke.stage}", match[0], smoke)),
        remedies=(_again(package),),
        severity=Severity.ERROR if failed else Severity.WARNING,
        confidence=Confidence.CERTAIN,
    )


def _has(package: Package, library: str) -> bool:
    return any(path.rpartition("/")[2] == library for path in package.damaged)


_CUT_OFF = r"(?:site|dist)-packages/(\S{1,200}\.so[\d.]{0,12}): (?:file too short|cannot read file data)"


@RULE.detector
def the_loader_says_so(message: Message, packages: Packages | None) -> Verdict:
    """The loader meets a library of a package that ends too early."""
    match = search(_CUT_OFF, message.text)
    if match is None:
        return None
    if packages and any(one.damaged for one in packages.packages):
        return NotApplicable("the packages that are not whole are known")
    return Found(
        title=f"The library {match[1]} is cut off.",
        detail=match[0],
        evidence=(cite("message", match[0], message),),
        confidence=Confidence.CERTAIN,
    )
