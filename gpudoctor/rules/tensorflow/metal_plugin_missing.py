"""TensorFlow on Apple silicon without its Metal plug-in, so it computes on the processor.

## What it means
TensorFlow for macOS has no GPU code of its own; the package tensorflow-metal adds it as a plug-in. Without it
`tf.config.list_physical_devices('GPU')` is empty on every Mac. CUDA does not exist there.

## Why it happens
`pip install tensorflow` alone; a plug-in that was made for another TensorFlow release and is not loaded.

## How to fix
Install tensorflow-metal of the release that supports this TensorFlow, or use PyTorch, whose macOS build has Metal
(MPS) built in.

## How it is detected
macOS on Apple silicon, TensorFlow installed, no tensorflow-metal among the packages, or those not known and no GPU in
TensorFlow's list.

## Sources
- https://developer.apple.com/metal/tensorflow-plugin/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Imported, Packages, System
from gpudoctor.findings import Confidence, Found, NotApplicable, NotJudged, Passed, Severity, Verdict
from gpudoctor.remedies import InstallPackages
from gpudoctor.rules._apple import apple_silicon

RULE = Rule(
    severity=Severity.WARNING,
    frameworks=("tensorflow",),
    masks=("tf-cpu-build", "tf-cuda-libs-missing", "smoke-ran-on-cpu"),
    without_gpu="absent",
)

_PLUGIN = "tensorflow-metal"


@RULE.detector
def tensorflow_without_the_plugin(
    system: System, build: Build, packages: Packages, imported: Imported | None
) -> Verdict:
    """Apple silicon, TensorFlow, and nothing that gives it the GPU."""
    if system.os != "macos" or system.architecture not in ("arm64", "aarch64", None):
        return NotApplicable("no Mac with Apple silicon")
    if imported and (imported.devices or imported.available):
        return Passed("TensorFlow lists the GPU")
    plugin = packages.version(_PLUGIN)
    if plugin is not None:
        return Passed(f"{_PLUGIN} {plugin} is installed")
    return Found(
        title=f"TensorFlow {build.version} has no Metal plug-in: it computes on the processor.",
        evidence=(cite(build.distribution, build.version, build), cite(_PLUGIN, "not installed", packages)),
        remedies=(InstallPackages(requirements=(_PLUGIN,), title="Install Apple's Metal plug-in"),),
        confidence=Confidence.CERTAIN if packages.complete and system.architecture else Confidence.LIKELY,
    )


@RULE.detector
def tensorflow_lists_no_gpu(system: System, imported: Imported, packages: Packages | None) -> Verdict:
    """Apple silicon and a TensorFlow that lists no GPU, whatever else is installed."""
    if not apple_silicon(system) or packages is not None:
        return NotApplicable("no Mac with Apple silicon, or its packages are known")
    if imported.available is not False:
        return NotJudged("whether TensorFlow lists a GPU is not known")
    return Found(
        title="TensorFlow lists no GPU on Apple silicon: probably its Metal plug-in is not installed.",
        evidence=(cite("TensorFlow's GPUs", "none", imported), cite("system", system.name or "macOS", system)),
        remedies=(InstallPackages(requirements=(_PLUGIN,), title="Install Apple's Metal plug-in"),),
        confidence=Confidence.LIKELY,
    )
