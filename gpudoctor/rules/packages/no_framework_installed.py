"""No PyTorch, TensorFlow or JAX is installed in the environment under test.

## What it means
The interpreter that was looked at has none of the three frameworks, so nothing could be trained with it. The driver
and the GPU were judged all the same.

## Why it happens
The framework lives in another environment than the one that is active, or was never installed.

## How to fix
Name the right interpreter with `--python`, activate its environment, or install a framework.

## How it is detected
No copy of torch, tensorflow or jax on the sys.path of that interpreter.

## Sources
- https://packaging.python.org/specifications/recording-installed-packages/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Frameworks, Interpreter, OtherEnvironments, Request
from gpudoctor.findings import Found, NotApplicable, Severity, Verdict
from gpudoctor.remedies import InstallBuild, Remedy, Run

RULE = Rule(severity=Severity.WARNING, without_gpu="none")


@RULE.detector
def none_of_the_three(
    frameworks: Frameworks, interpreter: Interpreter, request: Request, others: OtherEnvironments | None
) -> Verdict:
    """An environment without any framework; which one was asked for is another rule's business."""
    if any(framework.installed for framework in frameworks.frameworks):
        return None
    if request.required:
        return NotApplicable(f"asked for: {', '.join(request.required)}")
    nearby = [e for e in (others.environments if others else ()) if e.frameworks]
    shown = "; ".join(f"{e.path} ({', '.join(f'{k} {v}' for k, v in e.frameworks.items())})" for e in nearby[:8])
    return Found(
        title=f"No PyTorch, TensorFlow or JAX is installed in {interpreter.prefix}.",
        detail=f"Seen nearby: {shown}." if shown else "No other environment with a framework was seen nearby.",
        evidence=(cite("interpreter", interpreter.executable, interpreter),),
        remedies=_remedies(nearby[0].path if nearby else None),
    )


def _remedies(nearby: str | None) -> tuple[Remedy, ...]:
    install = InstallBuild(framework="torch")
    if nearby is None:
        return (install,)
    look = Run(
        title="Look at the environment that has one",
        argvs=(("gpudoctor", "diagnose", "--python", nearby),),
        where="environment",
    )
    return (look, install)
