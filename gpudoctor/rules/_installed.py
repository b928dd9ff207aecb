"""One detector for three rules: a framework that was asked for and is not there."""

from __future__ import annotations

from gpudoctor.engine import cite
from gpudoctor.facts import Framework, Interpreter, OtherEnvironments, Request
from gpudoctor.findings import Found, NotApplicable, Verdict
from gpudoctor.remedies import InstallBuild, Remedy, Run
from gpudoctor.words import name_of


def required_but_absent(
    framework: Framework, request: Request, interpreter: Interpreter, others: OtherEnvironments | None
) -> Verdict:
    """The framework is named by ``--framework`` and not installed."""
    if framework.installed:
        return None
    if framework.name not in request.required:
        return NotApplicable(f"{name_of(framework)} is not installed, and was not asked for")
    nearby = next((e for e in (others.environments if others else ()) if framework.name in e.frameworks), None)
    remedies: tuple[Remedy, ...] = (InstallBuild(framework=framework.name),)
    detail = f"{interpreter.executable} (Python {interpreter.version}) has no copy of it."
    if nearby:
        detail += f" {nearby.path} has {framework.name} {nearby.frameworks[framework.name]}."
        look = Run(
            title="Look at the environment that has it",
            argvs=(("gpudoctor", "diagnose", "--python", nearby.path),),
            where="environment",
        )
        remedies = (look, *remedies)
    return Found(
        title=f"{name_of(framework)} is required and not installed in {interpreter.prefix}.",
        detail=detail,
        evidence=(cite("interpreter", interpreter.executable, interpreter),),
        remedies=remedies,
    )
