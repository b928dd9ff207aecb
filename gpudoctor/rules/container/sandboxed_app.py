"""The program runs in a Flatpak or Snap sandbox, which hides the driver.

## What it means
Sandboxed programs see a file system and devices of their own. NVIDIA's driver must be brought in as an extension of
exactly the host's version (Flatpak) or through an interface (Snap); otherwise CUDA is not found though the host is in
order.

## Why it happens
An editor, a notebook or Python itself was installed as a Flatpak or Snap; the driver was updated and the Flatpak
extension was not.

## How to fix
Install the program outside the sandbox, or give the sandbox the driver.

## How it is detected
The interpreter lies in a Snap or in a Flatpak's /app, or the sandbox's variable is set, and CUDA is not usable.

## Sources
- https://docs.flatpak.org/en/latest/desktop-integration.html
- https://snapcraft.io/docs/gpu-support
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, Environment, Fact, Interpreter
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import Printed

RULE = Rule(
    masks=(
        "driver-not-installed",
        "driver-not-loaded",
        "device-nodes-missing",
        "no-nvidia-gpu",
        "driver-broken-state",
        "tf-cuda-libs-missing",
        "smoke-ran-on-cpu",
    )
)

_CURE = Run(
    title="Run Python outside the sandbox",
    where="environment",
    note="Install it with the distribution's packages, uv or conda. To stay with Flatpak: flatpak update, so that "
    "org.freedesktop.Platform.GL.nvidia has the host's driver version, and --device=all; with Snap: a classic snap.",
)
_PATHS = {
    "Snap": r"^/(?:var/lib/snapd/)?snap/(?!bin/|code|pycharm|intellij|clion|dataspell)[\w.-]{1,60}/",
    "Flatpak": r"^/app/(?:bin|lib)|/\.?var/lib/flatpak/|/\.var/app/",
}


def _sandbox(interpreter: Interpreter | None, environment: Environment | None) -> tuple[str, str, Fact] | None:
    variables = environment.variables if environment else {}
    for name, kind in (("FLATPAK_ID", "Flatpak"), ("SNAP_NAME", "Snap"), ("SNAP", "Snap")):
        if environment and variables.get(name):
            return kind, f"{name}={variables[name]}", environment
    for kind, pattern in _PATHS.items():
        if interpreter and re.search(pattern, interpreter.executable):
            return kind, interpreter.executable, interpreter
    return None


@RULE.detector
def interpreter_in_a_sandbox(
    cuda: CudaDriver, interpreter: Interpreter | None, environment: Environment | None
) -> Verdict:
    """An interpreter inside a sandbox without CUDA."""
    if interpreter is None and environment is None:
        return NotApplicable("neither interpreter nor environment is known")
    sandbox = _sandbox(interpreter, environment)
    if sandbox is None:
        return NotApplicable("not in a Flatpak or Snap")
    if works(cuda):
        return Passed("CUDA works in the sandbox")
    kind, value, fact = sandbox
    return Found(
        title=f"This Python runs in a {kind} sandbox, which hides the NVIDIA driver.",
        evidence=(cite("sandbox", value, fact), cite("cuInit", cuda.result, cuda)),
        remedies=(_CURE,),
        confidence=Confidence.LIKELY,
    )


_INSIDE = (
    r"(?<![\w/])/snap/(?!bin/|docker/|microk8s/|core\d\d/|code|pycharm|intellij|clion|dataspell|sublime|node/|go/)[\w-]{2,40}/(?:\d{1,6}|x\d{1,3}|current)/",
    r"(?<![\w/])/app/lib(?:64)?/[\w./-]{0,80}(?:python|\.so)",
    r"\bflatpak run\b|\bFLATPAK_ID\b|\.var/app/[\w.]{4,60}|org\.freedesktop\.Platform\.GL",
    r"\b(?:flatpak|snap) (?:version|package|sandbox|build|app)\b|\(flatpak\)",
    r"\b(?:installed|running|runs) (?:as a |from |in )(?:the )?(?:flatpak|snap)\b",
)
_FAILS = (
    r"\bcuInit\b[^\n]{0,60}(?:error|fail|unknown)",
    r"libcuda\.so[.\d]{0,4}[^\n]{0,40}(?:cannot open|not found|No such file)",
    r"no CUDA-capable device is detected",
    r"CUDA_ERROR_(?:UNKNOWN|NO_DEVICE)",
    r"\b(?:CUDA|GPU|NVIDIA)\b[^\n]{0,30}\bnot (?:found|detected|available|visible)\b",
    r"\bno (?:CUDA|NVIDIA|GPU)\b",
    r"torch\.cuda\.is_available\(\)[^\n]{0,20}False",
)


_DOCKER_SNAP = (
    r"\bsnap install docker\b",
    r"/var/snap/docker/|(?<![\w/])/snap/docker/\d",
    r"^docker {2,40}[\w.+-]{1,30} {1,40}\d{1,6} {1,40}latest/",
)
_ENGINE_FAILS = (
    r"load library failed: libnvidia-ml\.so\.1",
    r"could not select device driver \S{0,40} with capabilities",
    r"unknown or invalid runtime name: nvidia",
)


@RULE.detector
def the_engine_in_a_sandbox(printed: Printed, cuda: CudaDriver | None) -> Verdict:
    """Docker installed as a snap does not see the host's driver library or container toolkit."""
    inside, fails = heard(printed, *_DOCKER_SNAP), heard(printed, *_ENGINE_FAILS)
    if inside is None or fails is None or works(cuda):
        return NotApplicable(SILENT)
    return Found(
        title="Docker is installed as a snap, whose sandbox hides the host's NVIDIA driver and container toolkit.",
        detail=fails.text,
        evidence=(inside.evidence, fails.evidence),
        remedies=(
            Run(
                title="Replace the snap by Docker's own packages",
                where="host",
                argvs=(("sudo", "snap", "remove", "docker"),),
                risk="Images, containers and volumes of the snap are removed with it.",
                note="Then install Docker Engine and the NVIDIA Container Toolkit from their repositories.",
            ),
        ),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def a_program_in_a_sandbox(printed: Printed, cuda: CudaDriver | None) -> Verdict:
    """Paths of a sandbox beside a failure of CUDA."""
    inside, fails = heard(printed, *_INSIDE), heard(printed, *_FAILS)
    if inside is None or fails is None or works(cuda):
        return NotApplicable(SILENT)
    return Found(
        title="The program runs in a sandbox (Flatpak or Snap), which hides the NVIDIA driver.",
        detail=fails.text,
        evidence=(inside.evidence, fails.evidence),
        remedies=(_CURE,),
        confidence=Confidence.LIKELY,
    )
