"""What a machine that is still coming up is waited for. Pure: whether to wait is read off a report."""

from __future__ import annotations

from collections.abc import Callable

from gpudoctor.facts import (
    Container,
    DeviceNodes,
    DriverFiles,
    Facts,
    Nvml,
    PciDevice,
    PciDevices,
    SecureBoot,
    Services,
    System,
)
from gpudoctor.findings import Finding, Report, Severity
from gpudoctor.preflight.judged import requirements
from gpudoctor.views import NVIDIA_VENDOR

FIRST_PAUSE = 0.5  # seconds
LONGEST_PAUSE = 5.0

_MODULE = "the NVIDIA kernel module to be loaded"


def longer(pause: float) -> float:
    """The seconds until the look after the next one: short at first, never long."""
    return min(pause * 1.5, LONGEST_PAUSE)


def awaited(report: Report) -> str | None:
    """What a machine that is not fit may still be waiting for; None where waiting cannot help.

    Every error must be one that goes away by itself while a machine comes up, or follow from such a one.
    """
    errors = [one for one in report.findings if one.severity is Severity.ERROR and one.because_of is None]
    if not errors:
        return _of_the_unknown(report)
    reasons = [_reason(finding, report) for finding in errors]
    return next(iter(reasons)) if all(reasons) else None


def _of_the_unknown(report: Report) -> str | None:
    """What is not known yet: a driver that starts its GPUs answers late."""
    facts = report.facts
    if report.status != "undetermined" or isinstance(facts.nvml, Nvml):
        return None
    return "the driver to answer" if facts.nvml.kind == "timed-out" else None


def _reason(finding: Finding, report: Report) -> str | None:
    comes_up = _COMING_UP.get(finding.rule)
    return comes_up(report.facts) if comes_up else None


def _module(facts: Facts) -> str | None:
    """The kernel module is on disk for this kernel, nothing forbids it, and no other driver has taken the GPU."""
    if isinstance(facts.secure_boot, SecureBoot) and facts.secure_boot.enabled:
        return None
    if isinstance(facts.pci, PciDevices) and any(device.driver for device in _nvidia(facts.pci)):
        return None
    files, system = facts.driver_files, facts.system
    if not isinstance(files, DriverFiles) or not isinstance(system, System):
        return _MODULE
    return _MODULE if any(module.kernel == system.kernel for module in files.modules) else None


def _nodes(facts: Facts) -> str | None:
    """Nodes that are not there yet. Nodes that may not be opened stay so."""
    nodes = facts.device_nodes
    if not isinstance(nodes, DeviceNodes) or any(node.opens in ("EACCES", "EPERM") for node in nodes.nodes):
        return None
    return "the device nodes /dev/nvidia* to appear"


def _fabric(facts: Facts) -> str | None:
    services = facts.services.services if isinstance(facts.services, Services) else ()
    manager = next((one for one in services if one.name.startswith("nvidia-fabricmanager")), None)
    if manager is not None and manager.state in ("failed", "not-found"):
        return None
    return "the fabric manager to set up NVSwitch"


def _more_gpus(facts: Facts) -> str | None:
    """GPUs that are on the bus and bound to the driver, which does not list them yet.

    Inside a container the bus shows the host's GPUs, most of which may be meant for others.
    """
    if not isinstance(facts.pci, PciDevices) or not isinstance(facts.container, Container) or facts.container.engine:
        return None
    if any(not one.requirement.startswith("gpus") for one in requirements(facts).unmet):
        return None
    bound = sum(device.driver == "nvidia" for device in _nvidia(facts.pci))
    return "the driver to start all GPUs" if bound > len(facts.known_gpus()) else None


def _nvidia(pci: PciDevices) -> list[PciDevice]:
    return [device for device in pci.devices if device.vendor == NVIDIA_VENDOR]


_COMING_UP: dict[str, Callable[[Facts], str | None]] = {
    "driver-not-loaded": _module,
    "device-nodes-missing": _nodes,
    "fabric-manager-not-running": _fabric,
    "confidential-compute-not-ready": lambda _facts: "the GPU to be set ready for confidential computing",
    "imex-not-ready": lambda _facts: "the service nvidia-imex",
    "requirement-not-met": _more_gpus,
}
