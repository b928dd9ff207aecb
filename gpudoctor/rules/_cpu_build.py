"""One detector for the rules on CPU-only builds, which differ in the framework alone."""

from __future__ import annotations

from gpudoctor.engine import cite
from gpudoctor.facts import Build, Framework, Gpus
from gpudoctor.findings import Evidence, Found, NotJudged, Passed, Severity, Verdict
from gpudoctor.remedies import InstallBuild
from gpudoctor.views import DriverCuda, Presence, capabilities_of
from gpudoctor.words import name_of


def cpu_build_beside_gpu(
    framework: Framework, build: Build, presence: Presence | None, driver: DriverCuda | None, gpus: Gpus | None
) -> Verdict:
    """A CPU-only build: an error beside a GPU, a remark where there is none."""
    if build.accelerator == "unknown":
        return NotJudged(f"{build.distribution} {build.version} does not say what it was built for")
    if build.accelerator != "cpu":
        return Passed(f"{name_of(framework)} {build.version} is a {build.accelerator} build")
    name = f"{name_of(framework)} {build.version}"
    evidence: tuple[Evidence, ...] = (cite(f"{build.distribution} built for", "CPU", build),)
    if presence is None:
        return NotJudged(f"{name} is a CPU build; whether there is an NVIDIA GPU is not known")
    if not presence.present:
        return Found(title=f"{name} is a CPU build.", evidence=evidence, severity=Severity.INFO)
    return Found(
        title=f"{name} is a CPU build: it cannot use {presence.names[0]}.",
        detail=f"Installed in {build.location}.",
        evidence=(*evidence, cite("NVIDIA GPU", ", ".join(presence.names), presence)),
        remedies=(
            InstallBuild(
                framework=framework.name,
                capabilities=capabilities_of(gpus),
                driver_cuda=driver.version if driver else None,
            ),
        ),
    )
