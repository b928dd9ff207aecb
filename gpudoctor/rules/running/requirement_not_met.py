"""A pre-flight requirement that this machine does not meet.

## What it means
`gpudoctor preflight` was told what a job needs (`gpus>=2`, `vram>=40GiB`, `torch>=2.6` …), and this place has less, or
something else. Nothing need be broken: on a sound machine this is the cause, on a broken one it follows from the fault.

## Why it happens
The job was placed on another kind of machine than it was written for; CUDA_VISIBLE_DEVICES or the scheduler shows fewer
GPUs; another program holds the memory; the requirement counts in GiB what is sold in GB (an "80GB" H100 has 79.6 GiB).

## How to fix
Run the job where the requirement holds, change what is missing here (the commands shown), or lower the requirement.

## How it is detected
Each requirement is held against the driver's own numbers (NVML, the CUDA driver), the file system and the packages of
the environment under test; every GPU that CUDA shows must meet those about GPUs. What cannot be read is not judged.

## Sources
- https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
- https://packaging.python.org/en/latest/specifications/version-specifiers/
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule
from gpudoctor.facts import Container, Environment, GpuCapability, Gpus
from gpudoctor.findings import About, Evidence, Found, NotApplicable, NotJudged, Passed, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.preflight.judged import Met, NotMet, Requirements
from gpudoctor.preflight.requirements import Amount, Requirement, Switched, Versioned, parse
from gpudoctor.relations import CudaVersion
from gpudoctor.remedies import InstallBuild, InstallDriver, InstallPackages, Remedy, Run, SetVariable
from gpudoctor.views import DriverCuda

RULE = Rule(last_resort=True, without_gpu="none")


@RULE.detector
def against_the_facts(
    requirements: Requirements,
    matrix: Matrix,
    environment: Environment | None,
    container: Container | None,
    gpus: Gpus | None,
    driver: DriverCuda | None,
) -> Verdict:
    """What is there and does not suffice; what is not there at all, where nothing else is unmet."""
    if not requirements.judged:
        return NotApplicable("nothing was required")
    unmet = tuple(one for one in requirements.unmet if not one.absent) or requirements.unmet
    if not unmet:
        return _unfound(requirements)
    first = unmet[0]
    remedies = (_remedy(one, matrix, environment, container, gpus, driver) for one in unmet)
    return Found(
        title=f"This machine does not meet {first.requirement}: {first.found}.",
        detail="; ".join(
            part for part in (first.why, *(f"{one.requirement}: {one.found}" for one in unmet[1:])) if part
        ),
        evidence=tuple(Evidence(fact=one.requirement, value=one.found, source=one.source) for one in unmet),
        remedies=tuple(dict.fromkeys(remedies)),
        about=_about(unmet),
        own_cause=not first.absent,
    )


def _unfound(requirements: Requirements) -> Verdict:
    if requirements.open:
        return NotJudged("; ".join(f"{one.requirement}: {one.why}" for one in requirements.open))
    return Passed("; ".join(f"{one.requirement}: {one.found}" for one in requirements.judged if isinstance(one, Met)))


def _about(unmet: tuple[NotMet, ...]) -> About:
    """The one GPU or framework that all of them are about."""
    gpus = {one.gpu for one in unmet}
    frameworks = {one.framework for one in unmet}
    return About(
        gpu=unmet[0].gpu if len(gpus) == 1 else None,
        framework=unmet[0].framework if len(frameworks) == 1 else None,
    )


# ------------------------------------------------------------------------------------------------------- remedies


def _remedy(
    unmet: NotMet,
    matrix: Matrix,
    environment: Environment | None,
    container: Container | None,
    gpus: Gpus | None,
    driver: DriverCuda | None,
) -> Remedy:
    asked = parse(unmet.requirement)[0]
    if asked.name == "gpus" and environment and "CUDA_VISIBLE_DEVICES" in environment.variables:
        return SetVariable(name="CUDA_VISIBLE_DEVICES")
    if isinstance(asked, Versioned):
        return _for_version(asked, matrix, gpus, driver)
    if isinstance(asked, Switched):
        return _for_mode(asked, unmet.gpu or 0)
    if asked.name == "shm" and isinstance(asked, Amount):
        return _for_shm(asked, container)
    if asked.name == "smoke" and unmet.framework is None:
        return InstallBuild(framework="torch", driver_cuda=driver.version if driver else None)
    if asked.name == "free-vram":
        return Run(title="See who holds the memory, and end what is no longer wanted", argvs=(("nvidia-smi",),))
    return _elsewhere(asked)


def _elsewhere(asked: Requirement) -> Run:
    chooses = asked.name in ("vram", "capability", "gpu", "nvlink")
    note = "CUDA_VISIBLE_DEVICES chooses among the GPUs of one machine." if chooses else ""
    return Run(title=f"Run the job where {asked.text} holds, or change the requirement", note=note)


def _for_mode(asked: Switched, gpu: int) -> Run:
    option, value = ("-mig", str(int(asked.on))) if asked.name == "mig" else ("-e", str(int(asked.on)))
    name = asked.name.upper()
    return Run(
        title=f"Switch {name} {'on' if asked.on else 'off'} for GPU {gpu}",
        argvs=(("sudo", "nvidia-smi", "-i", str(gpu), option, value),),
        risk="Every program on this GPU must be stopped first; the mode changes with the next reset or reboot.",
        note="A GPU without it cannot be switched.",
    )


def _for_shm(asked: Amount, container: Container | None) -> Run:
    wanted = max(number for _, number in asked.clauses)
    size = f"{-(-wanted // (1 << 20))}m"
    if container and container.orchestrator == "kubernetes":
        note = f"In the pod: an emptyDir volume with medium: Memory and sizeLimit: {size[:-1]}Mi, mounted on /dev/shm."
        return Run(title="Give this pod more shared memory", where="host", note=note)
    if container and container.engine:
        return Run(title=f"Start the container with --shm-size={size}, or --ipc=host", where="host")
    command = ("sudo", "mount", "-o", f"remount,size={size}", "/dev/shm")
    return Run(title="Enlarge /dev/shm", argvs=(command,), verify=("df", "-h", "/dev/shm"))


def _for_version(asked: Versioned, matrix: Matrix, gpus: Gpus | None, driver: DriverCuda | None) -> Remedy:
    floor = re.search(r"(?:>=|==|~=|>)\s*([0-9][0-9.]*[0-9]|[0-9])", asked.specifier)
    if asked.name == "driver":
        return InstallDriver(minimum=floor[1] if floor else None)
    if asked.name == "cuda":
        return _driver_for(floor[1] if floor else None, matrix)
    if asked.name == "torch":
        return _torch(asked, matrix, gpus, driver)
    if asked.name in ("tensorflow", "jax"):
        extra = "[and-cuda]" if asked.name == "tensorflow" else "[cuda12]"
        return InstallPackages(requirements=(f"{asked.name}{extra}{asked.specifier}",), title=f"Install {asked.text}")
    return _elsewhere(asked)


def _driver_for(cuda: str | None, matrix: Matrix) -> InstallDriver:
    try:
        known = matrix.minimum_driver(CudaVersion.parse(cuda), "linux") if cuda else None
    except ValueError:
        known = None
    return InstallDriver(minimum=None if known is None or isinstance(known, Unlisted) else known.version)


def _torch(asked: Versioned, matrix: Matrix, gpus: Gpus | None, driver: DriverCuda | None) -> Remedy:
    """The newest release that the requirement allows, as a build for this driver and these GPUs."""
    known = [one.release for one in matrix.torch_releases if one.on_package_index]
    allowed = [release for release in known if asked.holds(release)]
    if not allowed:
        note = f"No release that is known here meets it; the newest one is {known[-1]}."
        return Run(title=f"Change the requirement {asked.text}", where="environment", note=note)
    found = (gpu.capability for gpu in (gpus.gpus if gpus else ()))
    capabilities = tuple(dict.fromkeys(one.value for one in found if isinstance(one, GpuCapability)))
    return InstallBuild(
        framework="torch",
        release=allowed[-1],
        capabilities=capabilities,
        driver_cuda=driver.version if driver else None,
    )
