"""A library needs a newer C or C++ runtime than the one that is loaded here.

## What it means
Compiled code asks for symbols of at least one version of the C library (GLIBC_2.28) or of the C++ runtime
(GLIBCXX_3.4.30). The one that the loader takes is older: "version `GLIBC_2.28' not found (required by …)".

## Why it happens
An old distribution (CentOS 7 has glibc 2.17); a build that was made on a newer system; in a conda environment, a
libstdc++ of the system that comes before the environment's own newer one. Alpine Linux has musl in glibc's place,
for which no framework has wheels: "Error relocating …: symbol not found".

## How to fix
GLIBC: use a newer distribution, a container, or a release of the framework for this glibc. Never replace the
system's C library. GLIBCXX or CXXABI: install a newer libstdc++ in the environment, and let nothing in
LD_LIBRARY_PATH come before it.

## How it is detected
By the words of glibc's loader and of musl's, by pip's refusal together with this system's glibc, and by the matrix of
the glibc that each release's wheels need.

## Sources
- https://peps.python.org/pep-0600/
- https://gcc.gnu.org/onlinedocs/libstdc++/manual/abi.html
"""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, Environment, Interpreter, Libc, Message, System
from gpudoctor.findings import Confidence, Evidence, Found, NotJudged, Passed, Verdict
from gpudoctor.matrix import Matrix
from gpudoctor.remedies import InstallPackages, Remedy, Run, SetVariable
from gpudoctor.rules._texts import first_match, search

RULE = Rule(without_gpu="none", masks=("python-unsupported", "framework-import-failed"))

_VERSION = r": version `(GLIBC|GLIBCXX|CXXABI)_([\d.]{1,8})' not found"
_REQUIRED = r"\(required by ([^)]{1,300})\)"
# The lists of pip and of the loader end up in other programs' errors without the file's name.
_SHORT = r"(?:version )?[`'\"]?(GLIBC|GLIBCXX|CXXABI)_([\d.]{1,8})['\"`]? (?:was |is )?not found"


@RULE.detector
def the_loader_says_so(message: Message, libc: Libc | None, environment: Environment | None) -> Verdict:
    """The loader names the symbol version that is not there."""
    match = search(_VERSION, message.text)
    short = None if match else search(_SHORT, message.text)
    if match is None and short is None:
        return None
    kind, version = (match[1], match[2]) if match else (short[1], short[2]) if short else ("", "")
    if kind == "GLIBC" and libc and libc.name == "glibc" and _at_least(libc.version, version):
        return NotJudged(f"the system has glibc {libc.version}: another C library was loaded")
    needed = search(_REQUIRED, message.text)
    loaded = message.text[: match.start()].split()[-1:] if match else []
    what = {"GLIBC": "glibc", "GLIBCXX": "libstdc++", "CXXABI": "libstdc++"}[kind]
    by = f" by {needed[1].strip()}" if needed else ""
    evidence: tuple[Evidence, ...] = (cite("message", message.text[:300], message),)
    if libc and kind == "GLIBC":
        evidence += (cite(libc.name, libc.version, libc),)
    return Found(
        title=f"{kind}_{version} is needed{by}, and the {what} that is loaded is older.",
        detail=f"Loaded: {loaded[0]}." if loaded else "",
        evidence=evidence,
        remedies=_remedies(kind, environment),
    )


def _at_least(have: str, wanted: str) -> bool:
    try:
        return Version(have) >= Version(wanted)
    except InvalidVersion:
        return False


def _remedies(kind: str, environment: Environment | None) -> tuple[Remedy, ...]:
    if kind == "GLIBC":
        return (
            Run(
                title="Use a system with a newer C library, or a release for this one",
                where="machine",
                note="A container image of a newer distribution brings its own C library. Do not replace the system's. "
                "gpudoctor matrix torch VERSION prints the glibc that a release needs.",
            ),
        )
    led = environment and environment.variables.get("LD_LIBRARY_PATH")
    unset: tuple[Remedy, ...] = (SetVariable(name="LD_LIBRARY_PATH"),) if led else ()
    newer = Run(
        title="Install a newer libstdc++ in the environment",
        where="environment",
        note="In a conda environment: conda install -c conda-forge libstdcxx-ng. Without conda: the distribution's "
        "newer libstdc++6, or a release of the package that was built on an older system.",
    )
    return (*unset, newer)


# The words of musl's loader; glibc's say "undefined symbol" and "cannot open shared object file".
_MUSL = (
    r"Error relocating \S{1,300}: \w{1,100}: symbol not found",
    r"Error loading shared library ld-linux\S{1,40}: No such file or directory",
)
_NO_WHEEL = (
    (
        r"(?:No matching distribution found for|Could not find a version that satisfies the requirement) "
        r"(?:torch|tensorflow|jax|nvidia-)[\w.-]{0,30}"
    ),
    r"Distribution `(?:torch|tensorflow|jax|nvidia-)\S{0,60} .{0,120}doesn't have a source distribution or wheel",
    r"PyTorch does not currently provide packages for PyPI",
)


@RULE.detector
def a_c_library_that_is_not_glibc(message: Message, container: Container | None, libc: Libc | None) -> Verdict:
    """The wheels of the frameworks are for glibc, and this system has musl."""
    text = first_match(_MUSL, message.text)
    musl = libc is not None and libc.name == "musl"
    alpine = container is not None and "alpine" in (container.image or "")
    if text is None and (musl or alpine):
        text = first_match(_NO_WHEEL, message.text)
    if text is None:
        return None
    return Found(
        title="The frameworks' wheels need glibc; this system has musl.",
        detail=text,
        evidence=(
            cite("message", text, message),
            *((cite("container image", container.image, container),) if container and alpine else ()),
        ),
        remedies=(_GLIBC,),
        confidence=Confidence.CERTAIN,
    )


_GLIBC = Run(
    title="Use an image or a system with glibc",
    where="machine",
    note="Alpine has musl. python:3.12-slim (Debian) in place of python:3.12-alpine has glibc. The compatibility "
    "packages for Alpine do not carry the frameworks.",
)

_REFUSED = r"Could not find a version that satisfies the requirement torch==([\d.]{3,10})"


@RULE.detector
def pip_refuses_a_newer_wheel(
    message: Message, libc: Libc, interpreter: Interpreter, system: System, matrix: Matrix
) -> Verdict:
    """pip skips a wheel that needs a newer glibc without saying so."""
    match = search(_REFUSED, message.text)
    if match is None or system.os != "linux" or libc.name != "glibc":
        return None
    platform = "linux_aarch64" if system.architecture in ("aarch64", "arm64") else "linux_x86_64"
    release = next((r for r in matrix.torch_releases if r.release == match[1]), None)
    floor = release.min_glibc.get(platform) if release else None
    python = ".".join(interpreter.version.split(".")[:2])
    if release is None or floor is None or python not in release.pythons.get(platform, ()):
        return NotJudged(f"torch {match[1]} for Python {python} on {platform}: the glibc of its wheel is not known")
    if _at_least(libc.version, floor):
        return Passed(f"torch {match[1]} needs glibc {floor}; {libc.version} is here")
    older = [r.release for r in matrix.torch_releases if _fits(r.min_glibc.get(platform), libc.version)]
    return Found(
        title=f"PyTorch {match[1]} needs glibc {floor}; this system has {libc.version}.",
        detail=match[0],
        evidence=(cite("message", match[0], message), cite("glibc", libc.version, libc)),
        remedies=(*_last(older), *_remedies("GLIBC", None)),
        confidence=Confidence.CERTAIN,
    )


def _fits(floor: str | None, have: str) -> bool:
    return floor is not None and _at_least(have, floor)


def _last(releases: list[str]) -> tuple[Remedy, ...]:
    if not releases:
        return ()
    return (
        InstallPackages(requirements=(f"torch=={releases[-1]}",), title="Install the last release for this C library"),
    )
