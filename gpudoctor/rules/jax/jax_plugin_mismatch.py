"""jaxlib and JAX's CUDA plug-in packages are of different releases.

## What it means
jax, jaxlib, jax-cudaXX-plugin and jax-cudaXX-pjrt are one thing in four packages. With different versions the plug-in
is not used ("JAX plugin jax_cuda12_plugin version … is not compatible with the installed jaxlib version …"), the
backend does not start ("Mismatched PJRT plugin PJRT API version"), or the process crashes at the first array.

## Why it happens
The plug-ins' own requirements are loose: another package that asked for an older jax left the plug-ins as they were,
or a later pip took newer ones.

## How to fix
Install jax with its extra in one command, at the version that is wanted.

## How it is detected
By the installed versions of the packages, which must be of one release, and by JAX's own words.

## Sources
- https://docs.jax.dev/en/latest/installation.html
- https://github.com/jax-ml/jax/issues/24901
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Imported, Message, Package, Packages
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.remedies import InstallPackages
from gpudoctor.rules._texts import first_match, search

RULE = Rule(frameworks=("jax",), masks=("jax-cpu-build", "smoke-ran-on-cpu"), without_gpu="none")

_PLUGIN = re.compile(r"jax-cuda(\d{2})-(?:plugin|pjrt)")


@RULE.detector
def versions_of_the_packages(packages: Packages, imported: Imported | None) -> Verdict:
    """A plug-in package of another release than jaxlib."""
    jaxlib = packages.version("jaxlib")
    plugins = [package for package in packages.packages if _PLUGIN.fullmatch(package.name) and package.version]
    if jaxlib is None or not plugins:
        return NotApplicable("no jaxlib with plug-in packages")
    others = [package for package in plugins if not _one_release(package.version, jaxlib)]
    if not others:
        return Passed(f"jaxlib {jaxlib} and its plug-ins are of one release")
    works = imported is not None and bool(imported.devices)
    shown = ", ".join(f"{package.name} {package.version}" for package in others)
    return Found(
        title=f"jaxlib {jaxlib} and {shown} are of different releases.",
        evidence=(cite("jaxlib", jaxlib, packages), *_cited(others, packages)),
        remedies=(_together(packages, jaxlib, others),),
        severity=Severity.WARNING if works else Severity.ERROR,
        confidence=Confidence.LIKELY,
    )


def _one_release(one: str | None, other: str) -> bool:
    """Whether two versions are of one release: the first three numbers; 0.9.0.1 repairs 0.9.0."""
    numbers = [tuple(map(int, re.findall(r"\d+", text.partition("+")[0])[:3])) for text in (one or "", other)]
    return numbers[0] == numbers[1]


def _cited(listed: list[Package], packages: Packages) -> tuple[Evidence, ...]:
    return tuple(cite(package.name, package.version, packages) for package in listed)


def _together(packages: Packages, jaxlib: str, plugins: list[Package]) -> InstallPackages:
    match = _PLUGIN.fullmatch(plugins[0].name) if plugins else None
    version = packages.version("jax") or jaxlib.partition("+")[0]
    extra = f"[cuda{match[1]}]" if match else "" if packages.complete else "[cuda12]"
    return InstallPackages(requirements=(f"jax{extra}=={version}",), title="Install one release of all")


_CERTAIN = (
    (
        r"JAX plugin \S{1,40} version \S{1,40} is installed, but it is not compatible with the installed jaxlib "
        r"version \S{1,30}"
    ),
    r"Mismatched PJRT plugin PJRT API version \([\d.]{1,8}\) and framework PJRT API version",
    r"Unexpected PJRT_\w{1,60} size: expected \d{1,5}, got \d{1,5}",
    r"jaxlib (?:version )?\S{1,20} (?:is )?(?:newer than and )?incompatible with jax version \S{1,20}",
    r"jax requires jaxlib(?: version)? ?(?:>=|at least) ?\S{1,20}",
    r"jaxlib is version [\d.]{3,12}, but this version of jax requires version >= [\d.]{3,12}",
)
_LIKELY = (
    r"PJRT_Api already exists for device type cuda",
    r"No FFI handler registered for cu\w{1,60}",
    r"module 'jaxlib\.\w{1,40}' has no attribute '\w{1,60}'",
    r"cannot import name '\w{1,60}' from 'jaxlib[\w.]{0,40}'",
    r"Jax plugin configuration error: Exception when calling jax_plugins\.xla_cuda\d{2}\.initialize\(\)",
)


@RULE.detector
def jax_says_so(message: Message, packages: Packages | None) -> Verdict:
    """JAX refuses a plug-in or a jaxlib of another release."""
    certain = first_match(_CERTAIN, message.text)
    text = certain or first_match(_LIKELY, message.text)
    # JAX tries every backend that it knows and says so of each; those of other vendors are expected to fail.
    if text is None or search(r"Unable to initialize backend '(?!cuda|gpu)", message.text):
        return None
    jaxlib = packages.version("jaxlib") if packages else None
    plugins = [p for p in (packages.packages if packages else ()) if _PLUGIN.fullmatch(p.name) and p.version]
    if not certain and jaxlib and plugins and all(_one_release(p.version, jaxlib) for p in plugins):
        return NotApplicable("jaxlib and its plug-ins are of one release")
    alone = packages is not None and packages.complete and not plugins
    return Found(
        title="jax and jaxlib do not pair." if alone else "jaxlib and JAX's CUDA plug-in do not pair.",
        detail=text,
        evidence=(cite("message", text, message), *(_cited(plugins, packages) if packages else ())),
        remedies=(_together(packages, jaxlib, plugins),) if packages and jaxlib else (),
        confidence=Confidence.CERTAIN if certain else Confidence.LIKELY,
    )
