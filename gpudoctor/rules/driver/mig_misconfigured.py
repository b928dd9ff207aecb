"""A GPU is partitioned (MIG), and the partition is missing or selected wrongly.

## What it means
With MIG on, CUDA uses a GPU only through its instances. Without any instance the GPU is invisible to CUDA. One process
uses one instance: further ones that are named are ignored, and instances cannot work together in one process.

## Why it happens
The mode survives a reboot, the instances do not; the mode was switched on and never configured; a program was given
several instances, or expects numbers where instances have UUIDs.

## How to fix
Create instances (at every start), or switch MIG off. Name exactly one instance, by its UUID, in CUDA_VISIBLE_DEVICES.

## How it is detected
NVML: MIG is on and there is no instance; several MIG entries in CUDA_VISIBLE_DEVICES; a program that stumbles over the
UUID of an instance, which with one instance is the program's own shortcoming.

## Sources
- https://docs.nvidia.com/datacenter/tesla/mig-user-guide/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, Environment, Gpu, GpuModes, Gpus, MigInstances
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.remedies import Run, SetVariable
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import Printed

RULE = Rule(masks=("cuda-visible-devices", "driver-broken-state", "smoke-ran-on-cpu"))


def _create(index: int) -> Run:
    return Run(
        title="Create MIG instances, or switch MIG off",
        argvs=(("nvidia-smi", "mig", "-i", str(index), "-lgip"), ("sudo", "nvidia-smi", "-i", str(index), "-mig", "0")),
        risk="Switching MIG off resets the GPU.",
        note="The first command lists the profiles; sudo nvidia-smi mig -cgi PROFILE -C creates one. They are gone "
        "after a reboot: create them by a service (nvidia-mig-parted).",
    )


@RULE.detector
def mode_without_instances(gpu: Gpu, modes: GpuModes, mig: MigInstances, cuda: CudaDriver | None) -> Verdict:
    """MIG is on and nothing was created."""
    if not modes.mig:
        return NotApplicable("MIG is off")
    if mig.instances:
        return Passed(f"{len(mig.instances)} MIG instances")
    return Found(
        title=f"MIG is on for GPU {gpu.index} ({gpu.name or 'unnamed'}) and it has no instance: CUDA cannot use it.",
        evidence=(cite("MIG mode", "enabled", modes), cite("MIG instances", 0, mig)),
        remedies=(_create(gpu.index),),
        severity=Severity.WARNING if works(cuda) else None,
    )


@RULE.detector
def mode_waits_for_a_reset(gpu: Gpu, modes: GpuModes) -> Verdict:
    """MIG was switched and the GPU not reset since."""
    if modes.mig is None or modes.mig_pending is None:
        return NotApplicable("no MIG")
    if modes.mig == modes.mig_pending:
        return Passed("no change of MIG mode is pending")
    return Found(
        title=f"MIG was switched {'on' if modes.mig_pending else 'off'} for GPU {gpu.index}, which waits for a reset.",
        evidence=(cite("MIG mode pending", modes.mig_pending, modes),),
        remedies=(
            Run(
                title="Reset the GPU",
                argvs=(("sudo", "nvidia-smi", "-i", str(gpu.index), "--gpu-reset"),),
                risk="Every program on this GPU must be stopped first.",
            ),
        ),
        severity=Severity.WARNING,
    )


def _selected(environment: Environment | None) -> int:
    value = environment.variables.get("CUDA_VISIBLE_DEVICES", "") if environment else ""
    return sum(entry.strip().startswith("MIG-") for entry in value.split(","))


_UUID_AS_NUMBER = r"invalid literal for int\(\) with base 10: ['\"]MIG-"


@RULE.detector
def several_instances_for_one_process(environment: Environment, printed: Printed | None) -> Verdict:
    """More than one MIG entry: CUDA takes one of them."""
    count = _selected(environment)
    if count < 2:
        return Passed("at most one MIG instance is named")
    stumbled = heard(printed, _UUID_AS_NUMBER)
    return Found(
        title=f"CUDA_VISIBLE_DEVICES names {count} MIG instances; one process can use only one.",
        evidence=(cite("CUDA_VISIBLE_DEVICES", environment.variables["CUDA_VISIBLE_DEVICES"], environment),),
        remedies=(SetVariable(name="CUDA_VISIBLE_DEVICES"),),
        severity=None if stumbled else Severity.WARNING,
        confidence=Confidence.LIKELY,
    )


_NO_INSTANCE = (
    r"\bNo MIG[- ](?:devices?|instances?) (?:were )?found\b|^No MIG[- ](?:devices?|instances?)\W{0,3}$",
    r"\bMIG (?:mode )?(?:is )?enabled (?:but|and|with) (?:has )?no (?:MIG )?(?:devices?|instances?)",
)
_COUNT = r"device >= 0 && device < num_gpus"
_MODE = r"\bin MIG mode\b|\bMIG mode (?:is )?(?:on|enabled)\b|\bMIG M\.\W{1,20}Enabled\b|\bMIG[- ]\d{1,2}g\.\d{1,3}gb\b"


@RULE.detector
def a_program_says_so(printed: Printed, gpus: Gpus | None, environment: Environment | None) -> Verdict:
    """No instance is found, a program expects numbers, or counts devices wrongly with MIG on."""
    listed = gpus.gpus if gpus else ()
    if any(isinstance(gpu.mig, MigInstances) and gpu.modes and not gpu.mig.instances for gpu in listed):
        return NotApplicable("told by NVML")
    if _selected(environment) > 1:
        return NotApplicable("told by CUDA_VISIBLE_DEVICES")
    partitioned = any(isinstance(gpu.modes, GpuModes) and gpu.modes.mig for gpu in listed) or heard(printed, _MODE)
    hit = heard(printed, *_NO_INSTANCE) or (heard(printed, _COUNT) if partitioned else None)
    if hit is None:
        return _uuid_as_number(printed, environment)
    return Found(
        title="The GPU is partitioned (MIG), and no instance was selected in a way that the program can use.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(
            Run(
                title="Name one MIG instance by its UUID",
                argvs=(("nvidia-smi", "-L"),),
                where="environment",
                note="Then export CUDA_VISIBLE_DEVICES=MIG-… before the program starts. If none is listed, create one: "
                "sudo nvidia-smi mig -cgi PROFILE -C.",
            ),
        ),
        confidence=Confidence.LIKELY,
    )


def _uuid_as_number(printed: Printed, environment: Environment | None) -> Verdict:
    """A program takes the entries of CUDA_VISIBLE_DEVICES for numbers; CUDA itself takes the UUID of one instance."""
    hit = heard(printed, _UUID_AS_NUMBER)
    if hit is None:
        return NotApplicable(SILENT)
    right = _selected(environment) == 1
    return Found(
        title="The program reads the UUID of a MIG instance as a number. CUDA_VISIBLE_DEVICES is right for CUDA."
        if right
        else "The program reads the UUID of a MIG instance as a number.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(
            Run(
                title="Give the program one instance without the variable",
                where="environment",
                note='A container that was started with that instance alone (--gpus "device=0:0", or '
                "NVIDIA_VISIBLE_DEVICES with its UUID) needs no CUDA_VISIBLE_DEVICES. Newer releases of the program "
                "may read UUIDs.",
            ),
        ),
        severity=Severity.WARNING if right else None,
        confidence=Confidence.LIKELY,
    )
