"""The NVSwitch fabric is not up: the fabric manager does not run, or is of another version than the driver.

## What it means
In machines whose GPUs are joined by NVSwitch (DGX, HGX and their like), a service must set up the switches before CUDA
starts. Until then CUDA refuses every program: error 802, "system not yet initialized". nvidia-smi looks healthy.

## Why it happens
The package nvidia-fabricmanager is not installed, its service is not enabled, or its version is not exactly the
driver's, often after one of the two was updated. On NVLink 5 (B200 and later) the subnet manager (nvlsm) is needed too.

## How to fix
Install the fabric manager of exactly the driver's version, enable and start it. Machines without NVSwitch need none.

## How it is detected
cuInit returns 802 (CUDA_ERROR_SYSTEM_NOT_READY), a GPU's fabric state stays at "in progress" while CUDA fails, the
service's version differs from the driver's, or a program says so.

## Sources
- https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/
- https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TYPES.html
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import CudaDriver, Gpu, GpuFabric, GpuModes, Gpus, Service, Services, VirtualMachine
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import Printed, UserDriver

RULE = Rule(
    masks=(
        "nccl-failure",
        "driver-broken-state",
        "driver-known-bug",
        "device-nodes-missing",
        "smoke-ran-on-cpu",
        "smoke-hang",
    )
)

_NAME = "nvidia-fabricmanager"
# Product names of GPUs that are built into machines with NVSwitch. PCIe and NVL cards of the same chips are not.
_SWITCHED = re.compile(r"SXM|HBM3|\bH20\b|\bH[12]00\b|\bH800\b|\bG?B[123]00\b|\bHGX\b|\bDGX\b", re.IGNORECASE)
_NOT_SWITCHED = re.compile(
    r"PCIe|\bNVL\b|GeForce|RTX|GTX|Quadro|TITAN|Tesla [TPKM]\d|\b(?:A|L)(?:2|4|10|16|30|40)S?\b", re.I
)


def _cure(user: UserDriver | None) -> Run:
    version = f"version {user.version}, exactly the driver's" if user else "exactly the driver's version"
    return Run(
        title="Install the fabric manager of the driver's version and start it",
        argvs=(("sudo", "systemctl", "enable", "--now", _NAME), ("systemctl", "status", _NAME)),
        risk="Running jobs on these GPUs fail when the fabric is set up anew.",
        verify=("gpudoctor", "diagnose"),
        note=f"The package is {_NAME} (with the branch in its name on Ubuntu), {version}. On NVLink 5 machines (B200 "
        "and later) install nvlsm too. https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/",
    )


def _service(services: Services | None) -> Service | None:
    return next((s for s in (services.services if services else ()) if s.name.startswith(_NAME)), None)


def _may_have_switches(gpus: Gpus | None) -> bool | None:
    """Whether the GPUs are of a kind that sits behind NVSwitch; None where their names do not say."""
    listed = gpus.gpus if gpus else ()
    if any(isinstance(gpu.fabric, GpuFabric) and gpu.fabric.state != "not-supported" for gpu in listed):
        return True
    names = [gpu.name for gpu in listed if gpu.name]
    if not names:
        return None
    if any(_SWITCHED.search(name) and not _NOT_SWITCHED.search(name) for name in names):
        return True
    return False if all(_NOT_SWITCHED.search(name) for name in names) else None


def _not_ready_by_mode(gpus: Gpus | None) -> bool:
    return any(
        isinstance(g.modes, GpuModes) and g.modes.confidential == "not-ready" for g in (gpus.gpus if gpus else ())
    )


def _evidence(service: Service | None, services: Services | None) -> tuple[Evidence, ...]:
    return (cite(_NAME, service.state, services),) if service and services else ()


def _detail(service: Service | None, user: UserDriver | None) -> str:
    if service is None:
        return ""
    state = f"The service {_NAME} is {service.state}."
    if service.version is None or user is None or service.version == user.version:
        return state
    return f"{state} It is {service.version} and the driver {user.version}: they must be the same."


@RULE.detector
def cuda_is_not_ready(
    cuda: CudaDriver, gpus: Gpus | None, services: Services | None, user: UserDriver | None
) -> Verdict:
    """cuInit returns 802."""
    if cuda.code != 802:
        return Passed(f"cuInit: {cuda.result}")
    if _not_ready_by_mode(gpus):
        return NotApplicable("the GPU is in confidential mode and not ready")
    service = _service(services)
    return Found(
        title="CUDA waits for the NVSwitch fabric: system not yet initialized (802).",
        detail=_detail(service, user),
        evidence=(cite("cuInit", f"{cuda.result} (802)", cuda), *_evidence(service, services)),
        remedies=(_cure(user),),
        confidence=Confidence.LIKELY if _may_have_switches(gpus) is False else Confidence.CERTAIN,
    )


@RULE.detector
def registration_stays_in_progress(
    gpu: Gpu, fabric: GpuFabric, cuda: CudaDriver, machine: VirtualMachine | None, user: UserDriver | None
) -> Verdict:
    """The GPU has not been registered with the fabric, and CUDA does not start."""
    if fabric.state in ("not-supported", "completed") or works(cuda):
        return Passed(f"fabric {fabric.state}")
    if machine and machine.hypervisor and cuda.code != 802:
        return NotApplicable("in a virtual machine the fabric is the host's business")
    return Found(
        title=f"GPU {gpu.index} is not registered with the NVSwitch fabric: {fabric.state}.",
        evidence=(cite("fabric state", fabric.state, fabric), cite("cuInit", cuda.result, cuda)),
        remedies=(_cure(user),),
        confidence=Confidence.LIKELY,
    )


@RULE.detector
def versions_differ(services: Services, user: UserDriver, gpus: Gpus | None, cuda: CudaDriver | None) -> Verdict:
    """The fabric manager's version against the driver's."""
    service = _service(services)
    if service is None or service.version is None:
        return NotApplicable("no fabric manager whose version is known")
    if service.version == user.version:
        return Passed(f"fabric manager and driver are {user.version}")
    if works(cuda) or _may_have_switches(gpus) is False:
        return NotApplicable("CUDA works, or these GPUs need no fabric manager")
    return Found(
        title=f"The fabric manager is {service.version} and the driver {user.version}: they must be the same.",
        evidence=(cite(_NAME, f"{service.version} ({service.state})", services), cite("driver", user.version, user)),
        remedies=(_cure(user),),
        confidence=Confidence.LIKELY,
    )


_MISMATCH = (
    r"fabric manager NVIDIA GPU driver interface version ([\d.]{3,12}) (?:do|does)n.{1,6}t match with driver version "
    r"([\d.]{3,12}\d)"
)
_NOT_READY = (
    r"\bError[ :]{1,2}802\b",
    r"\bsystem not yet initialized\b",
    r"CUDA_ERROR_SYSTEM_NOT_READY|cudaErrorSystemNotReady",
    r"\bcu(?:Init|daGetDeviceCount)\b[^\n]{0,40}\b802\b",
    r"\bcuda\b[^\n]{0,20}\binit(?:iali[sz]ation)? (?:failure|error|failed)[ :=(]{1,3}802\b",
    r"\bCUDA\b[^\n]{0,60}\b802\b[^\n]{0,20}\berror\b",
)


@RULE.detector
def a_program_says_so(
    printed: Printed, gpus: Gpus | None, cuda: CudaDriver | None, services: Services | None, user: UserDriver | None
) -> Verdict:
    """CUDA error 802, or the fabric manager's own complaint of the versions."""
    mismatch = heard(printed, _MISMATCH)
    hit = mismatch or heard(printed, *_NOT_READY)
    if hit is None or works(cuda) or (cuda and cuda.code == 802):
        return NotApplicable(SILENT)
    if _not_ready_by_mode(gpus):
        return NotApplicable("the GPU is in confidential mode and not ready")
    if _may_have_switches(gpus) is False:
        return NotApplicable("these GPUs need no fabric manager")
    service = _service(services)
    return Found(
        title=f"The fabric manager is {mismatch.match[1]} and the driver {mismatch.match[2]}: they must be the same."
        if mismatch
        else "CUDA waits for the NVSwitch fabric: system not yet initialized (802).",
        detail=hit.text,
        evidence=(hit.evidence, *_evidence(service, services)),
        remedies=(_cure(user),),
        confidence=Confidence.CERTAIN if mismatch or _may_have_switches(gpus) else Confidence.LIKELY,
    )


_CUDA_FAILS = r"CUDA initiali[sz]ation (?:error|fail)|CUDA (?:fails|failed) to initiali[sz]e|failed call to cuInit"

_STATED = (
    r"\bfabric[- _]?manager\b[^\n]{0,80}\b(?:older|newer|mismatch|different version|upgraded|not (?:installed|running)"
    r"|missing|inactive|failed|stopped)\b"
)


@RULE.detector
def service_is_down_where_cuda_fails(
    printed: Printed, services: Services | None, gpus: Gpus | None, cuda: CudaDriver | None, user: UserDriver | None
) -> Verdict:
    """A fabric manager that was installed and does not run, and CUDA that does not start."""
    service = _service(services)
    said = heard(printed, _STATED)
    if said is None and (service is None or service.state in ("active", "running", "unknown")):
        return NotApplicable("no fabric manager that is down")
    hit = heard(printed, _CUDA_FAILS)
    if hit is None or works(cuda) or _may_have_switches(gpus) is False or heard(printed, *_NOT_READY, _MISMATCH):
        return NotApplicable(SILENT)
    return Found(
        title=f"CUDA does not start and the fabric manager is {service.state}."
        if service
        else "CUDA does not start and the fabric manager is not the driver's.",
        detail=hit.text,
        evidence=(hit.evidence, *((said.evidence,) if said else ()), *_evidence(service, services)),
        remedies=(_cure(user),),
        confidence=Confidence.LIKELY,
    )
