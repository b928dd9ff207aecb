"""The container was given only a part of the NVIDIA driver.

## What it means
NVIDIA_DRIVER_CAPABILITIES says which parts of the driver are mounted: compute (libcuda), utility (NVML, nvidia-smi),
graphics and others. Without compute, nvidia-smi works and CUDA finds no driver; without utility, it is the other way
round and programs that ask NVML fail.

## Why it happens
The variable was set to another part in the image, compose file or pod; older runtimes mount utility alone where it is
not set.

## How to fix
Set NVIDIA_DRIVER_CAPABILITIES=compute,utility (or all) and start the container again.

## How it is detected
The variable's value, and which of libcuda and NVML the container has.

## Sources
- https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, ContainerStart, CudaDriver, DeviceNodes, Environment, Nvml
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.relations import driver_version
from gpudoctor.remedies import GiveContainerGpu
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import Printed

RULE = Rule(
    masks=(
        "container-no-gpu-access",
        "driver-not-installed",
        "driver-not-loaded",
        "tf-cuda-libs-missing",
        "smoke-ran-on-cpu",
    )
)

VARIABLE = "NVIDIA_DRIVER_CAPABILITIES"
_CURE = GiveContainerGpu(capabilities=("compute", "utility"))


def _named(value: str) -> frozenset[str]:
    return frozenset(part.strip().lower() for part in value.split(",") if part.strip())


@RULE.detector
def parts_that_are_there(
    container: Container, nvml: Nvml, cuda: CudaDriver, nodes: DeviceNodes, environment: Environment | None
) -> Verdict:
    """libcuda without NVML, or NVML without libcuda, in a container that was given devices."""
    if container.engine is None:
        return NotApplicable("not in a container")
    if not nodes.nodes:
        return NotApplicable("the container was given no NVIDIA device")
    lacks_compute = nvml.result == "NVML_SUCCESS" and cuda.result == "not-found"
    lacks_utility = nvml.result == "NVML_ERROR_LIBRARY_NOT_FOUND" and cuda.result != "not-found"
    if not lacks_compute and not lacks_utility:
        return Passed("libcuda and NVML are both there, or neither")
    value = environment.variables.get(VARIABLE) if environment else None
    evidence: list[Evidence] = [cite("NVML", nvml.result, nvml), cite("libcuda", cuda.result, cuda)]
    evidence += [cite(VARIABLE, value, environment)] if environment and value is not None else []
    part = "libcuda (compute)" if lacks_compute else "NVML (utility)"
    return Found(
        title=f"The container was given the NVIDIA driver without {part}.",
        detail=f"{VARIABLE} is {value!r}." if value is not None else f"{VARIABLE} is not set.",
        evidence=tuple(evidence),
        remedies=(_CURE,),
        severity=Severity.WARNING if lacks_utility else None,
    )


@RULE.detector
def value_without_compute(
    environment: Environment | None,
    start: ContainerStart | None,
    printed: Printed | None,
    cuda: CudaDriver | None,
    nvml: Nvml | None,
) -> Verdict:
    """The variable names parts, and compute is not among them."""
    value = environment.variables.get(VARIABLE) if environment else None
    fact = environment
    if value is None and start is not None:
        value = start.capabilities or start.variables.get(VARIABLE)
    if value is None or works(cuda):
        return NotApplicable(f"{VARIABLE} is not known, or CUDA works")
    named = _named(value)
    lacking = [part for part in ("compute", "utility") if part not in named and "all" not in named]
    if not lacking:
        return Passed(f"{VARIABLE}={value}")
    no_library = heard(printed, *_NO_LIBRARY)
    if not named and not no_library:
        return NotApplicable("an empty value means the runtime's default")
    if lacking == ["utility"] and not (no_library or heard(printed, *_NO_UTILITY)):
        return NotApplicable("CUDA needs no utility part")
    source = fact or start or nvml
    if source is None:
        return NotApplicable("no source")
    return Found(
        title=f"The container was given the NVIDIA driver without {' and '.join(lacking)}: {VARIABLE} is {value!r}.",
        evidence=(cite(VARIABLE, value or "empty", source), *((no_library.evidence,) if no_library else ())),
        remedies=(_CURE,),
        confidence=Confidence.LIKELY,
    )


_NO_LIBRARY = (
    r"libcuda(?:\.so[.\d]{0,16})?\W[^\n]{0,40}(?:cannot open shared object|not found|No such file|not in|missing)",
    r"\b(?:no|without|lacks|missing) (?:a |the )?libcuda\b",
    r"Found no NVIDIA driver on your system",
)
# nvidia-container-cli looks for the driver's libraries on the host, before there is a container.
_ON_THE_HOST = r"load library failed: lib(?:cuda|nvidia-ml)\.so\.1"
_NO_UTILITY = (
    r"libnvidia-ml\.so(?:\.1)?[^\n]{0,20}cannot open shared object file",
    r"nvidia-smi: (?:command )?not found",
)
_IN = r"\b(?:inside|within|in (?:the |a |my )?(?:docker )?(?:container|docker|pod))\b"
_WORKS_INSIDE = (
    rf"\bnvidia-smi\b[^\n]{{0,20}}\bworks?\b[^\n]{{0,40}}{_IN}"
    rf"|{_IN}[^\n]{{0,30}}\bnvidia-smi\b[^\n]{{0,20}}\bworks?\b"
)
_ONLY = r"\bcapabilities\b\W{1,8}(compute|utility|graphics|video|display)(?![\w,])\W{0,8}$"


@RULE.detector
def one_part_works_and_the_other_is_missing(
    printed: Printed, container: Container | None, cuda: CudaDriver | None
) -> Verdict:
    """nvidia-smi works inside and there is no libcuda; or one part was asked for and another is missed."""
    if container is None or container.engine is None or works(cuda):
        return NotApplicable("not in a container, or CUDA works")
    library, works_inside, only = heard(printed, *_NO_LIBRARY), heard(printed, _WORKS_INSIDE), heard(printed, _ONLY)
    missing = library or heard(printed, *_NO_UTILITY)
    if missing is None or not ((works_inside and library) or only):
        return NotApplicable(SILENT)
    told = only or works_inside
    part = "compute" if library and not (only and only.match[1] == "compute") else "utility"
    return Found(
        title=f"The container was given the NVIDIA driver without its part {part}.",
        detail=missing.text,
        evidence=(missing.evidence, *((told.evidence,) if told else ())),
        remedies=(_CURE,),
        confidence=Confidence.LIKELY,
    )


# What a device request may name beside "gpu"; https://docs.docker.com/reference/compose-file/deploy/#capabilities
_REQUEST = (
    r"\bcapabilities\W{1,6}((?:['\"]?(?:gpu|nvidia|utility|graphics|video|display|ngx|compat32)['\"]?,? ?){1,8})\]"
)


@RULE.detector
def the_device_request_lacks_compute(printed: Printed, cuda: CudaDriver | None) -> Verdict:
    """A compose file or ``docker inspect`` names parts of the driver, and compute is not among them."""
    hit, library = heard(printed, _REQUEST), heard(printed, *_NO_LIBRARY)
    if hit is None or library is None or works(cuda):
        return NotApplicable(SILENT)
    named = set(re.findall(r"[a-z]\w{1,8}", hit.match[1].lower())) - {"gpu", "nvidia"}
    if not named:
        return NotApplicable("gpu alone means the runtime's default")
    return Found(
        title=f"The device request gives the container {', '.join(sorted(named))} of the driver, and not compute.",
        detail=library.text,
        evidence=(hit.evidence, library.evidence),
        remedies=(_CURE,),
        confidence=Confidence.LIKELY,
    )


# nvidia-smi asks libcuda for the CUDA version and prints N/A where there is none; it does so from this branch on.
_SAYS_CUDA_FROM = "410.48"
_INSIDE = r"\b(?:container|docker|podman|pods?|kubernetes|k8s|[EAG]KS|OpenShift|ECS)\b"


@RULE.detector
def nvidia_smi_without_libcuda(
    printed: Printed, nvml: Nvml, container: Container | None, start: ContainerStart | None, cuda: CudaDriver | None
) -> Verdict:
    """nvidia-smi works and knows no CUDA version, and a program misses libcuda: of the driver only utility is here."""
    library = heard(printed, *_NO_LIBRARY)
    if library is None or works(cuda) or nvml.result != "NVML_SUCCESS" or not nvml.driver:
        return NotApplicable(SILENT)
    if nvml.cuda and "N/A" not in (nvml.detail or ""):
        return NotApplicable("nvidia-smi found a libcuda")
    inside = (container and container.engine) or start or heard(printed, _INSIDE)
    if not inside or driver_version(nvml.driver) < driver_version(_SAYS_CUDA_FROM):
        return NotApplicable("not in a container, or this nvidia-smi never shows a CUDA version")
    return Found(
        title="nvidia-smi works in the container and finds no libcuda: the part compute of the driver is missing.",
        detail=library.text,
        evidence=(cite("driver", nvml.driver, nvml), library.evidence),
        remedies=(_CURE,),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def default_of_an_old_runtime(start: ContainerStart | None, printed: Printed, cuda: CudaDriver | None) -> Verdict:
    """A container that was started with the NVIDIA runtime and has no libcuda."""
    if start is None:
        return NotApplicable("how the container was started is not known")
    hit = heard(printed, *_NO_LIBRARY)
    given = start.gpus or start.runtime == "nvidia"
    if hit is None or not given or works(cuda) or not re.search("libcuda", hit.text) or heard(printed, _ON_THE_HOST):
        return NotApplicable(SILENT)
    return Found(
        title="The container was started with GPU access and has no libcuda: the part compute is missing.",
        detail=hit.text,
        evidence=(hit.evidence, cite("started with", start.gpus or f"--runtime={start.runtime}", start)),
        remedies=(_CURE,),
        confidence=Confidence.LIKELY,
    )
