"""The probes that read this machine's files, by the field of Facts that each fills, and how one is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

from gpudoctor.facts import Fact, Missing
from gpudoctor.probes import container, driver, environment, host, toolkit
from gpudoctor.world import World

_Found = TypeVar("_Found", bound=Fact)

HOST_PROBES: Mapping[str, Callable[[World], Fact]] = MappingProxyType(
    {
        "system": host.system,
        "libc": host.libc,
        "processor": host.processor,
        "memory": host.memory,
        "shared_memory": host.shared_memory,
        "virtual_machine": host.virtual_machine,
        "wsl": host.wsl,
        "container": container.container,
        "jetson": host.jetson,
        "hosted": host.hosted,
        "scheduler": host.scheduler,
        "pci": driver.pci,
        "kernel_modules": driver.kernel_modules,
        "kernel_driver": driver.kernel_driver,
        "driver_files": driver.driver_files,
        "secure_boot": driver.secure_boot,
        "device_nodes": driver.device_nodes,
        "kernel_log": driver.kernel_log,
        "services": driver.services,
        "environment": environment.environment,
        "toolkits": toolkit.toolkits,
        "cudnn": toolkit.cudnn,
    }
)


def look(probe: Callable[[World], _Found], world: World) -> _Found | Missing:
    """The probe's fact, or why there is none: an OSError is ``unreadable``, anything else ``crashed``."""
    name = getattr(probe, "__name__", str(probe))
    try:
        return probe(world)
    except OSError as error:
        return Missing("unreadable", error.strerror or str(error), _place(error, world) or name)
    except Exception as error:  # a probe that crashes is an outcome, whatever its kind
        return Missing("crashed", f"{type(error).__name__}: {error}", name)


def _place(error: OSError, world: World) -> str:
    """The path that could not be looked at, as the machine knows it."""
    path = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""
    root = "" if world.is_real else str(world.root)
    return path.removeprefix(root).encode("utf-8", "replace").decode()
