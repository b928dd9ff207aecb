"""JAX has no GPU build for native Windows.

## What it means
jaxlib for Windows is a CPU build, and the CUDA plug-ins are made for Linux only. `jax[cuda12]` on Windows installs the
CPU build, or nothing: "No GPU/TPU found, falling back to CPU".

## Why it happens
The command for Linux was used on Windows.

## How to fix
Run JAX in WSL 2, where the Linux wheels use the driver of Windows.

## How it is detected
The operating system of the interpreter under test and an installed JAX, or pip that finds no JAX with CUDA there.

## Sources
- https://docs.jax.dev/en/latest/installation.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Framework, Packages, System
from gpudoctor.findings import Found, NotApplicable, Severity, Verdict
from gpudoctor.remedies import UseWsl
from gpudoctor.rules._printed import SILENT, heard
from gpudoctor.views import Presence, Printed

RULE = Rule(
    frameworks=("jax",), masks=("jax-cpu-build", "jax-plugin-mismatch", "smoke-ran-on-cpu"), without_gpu="absent"
)


@RULE.detector
def jax_on_windows(
    system: System, framework: Framework, packages: Packages | None, presence: Presence | None
) -> Verdict:
    """JAX under Windows itself."""
    if system.os != "windows":
        return NotApplicable(f"{system.name or system.os} is not Windows")
    if not framework.installed:
        return NotApplicable("JAX is not installed")
    version = (packages.version("jax") or packages.version("jaxlib")) if packages else None
    return Found(
        title=f"JAX{' ' + version if version else ''} has no GPU support on native Windows.",
        evidence=(cite("system", system.name or "Windows", system), cite("jax", version or "installed", framework)),
        remedies=(UseWsl(framework="jax"),),
        severity=Severity.INFO if presence is not None and not presence.present else None,
    )


# What pip and JAX's own package say where a build for CUDA was asked for that exists for Linux alone.
_ASKED_FOR = (
    r"No matching distribution found for jaxlib==[\w.]{1,20}\+cuda",
    r"\bjax(?:lib)? [\w.]{1,20} does not provide the extra '?cuda",
)


@RULE.detector
def a_build_for_cuda_was_asked_for(system: System, printed: Printed) -> Verdict:
    """pip finds no JAX with CUDA for Windows."""
    if system.os != "windows":
        return NotApplicable(f"{system.name or system.os} is not Windows")
    hit = heard(printed, *_ASKED_FOR)
    if hit is None:
        return NotApplicable(SILENT)
    return Found(
        title="JAX with CUDA does not exist for native Windows.",
        detail=hit.text,
        evidence=(hit.evidence, cite("system", system.name or "Windows", system)),
        remedies=(UseWsl(framework="jax"),),
    )
