"""The facts that requirements need: host files, NVML and libcuda; the Python under test where one concerns it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import partial
from typing import Any

import msgspec

from gpudoctor import __version__
from gpudoctor.children import Limits
from gpudoctor.facts import Fact, Facts, Missing, Request
from gpudoctor.probes.at_host import HOST_PROBES, look
from gpudoctor.probes.background import Background, Series
from gpudoctor.probes.cuda_driver import cuda_driver, libcuda
from gpudoctor.probes.nvml import NvmlAnswer, nvml
from gpudoctor.world import World

TIME_LIMIT = 120.0
"""Seconds for one look that trains nothing."""

# Toolkits and cuDNN are slow to look for, and a matter of the environment under test.
_PROBES: Mapping[str, Callable[[World], Fact]] = {
    **{name: probe for name, probe in HOST_PROBES.items() if name not in ("toolkits", "cudnn")},
    "libcuda": libcuda,
}
_LATE = ("driver_files", "services", "secure_boot", "kernel_modules", "device_nodes", "processor", "memory", "libc")


class Sight(msgspec.Struct, frozen=True):
    """What is to be looked at. ``environment``: the Python under test too, which is then ``executable``."""

    request: Request
    executable: str
    environment: bool = False
    time_limit: float | None = None


def look_for(sight: Sight, world: World) -> Facts:
    """The facts that a pre-flight needs; what it does not need is ``not-asked``. With ``smoke``, after training."""
    return completed(first_look(sight, world), sight, world)


def first_look(sight: Sight, world: World) -> Facts:
    """The same without the host's files that only a fault makes interesting."""
    return _with_environment(sight, world) if sight.environment else _driver_side(sight, world)


def completed(facts: Facts, sight: Sight, world: World) -> Facts:
    """The facts of a first look with what it left out."""
    if sight.environment:
        return facts
    found = _found(world, _LATE, Limits.within(sight.time_limit or TIME_LIMIT))
    return msgspec.structs.replace(facts, **found)


def _with_environment(sight: Sight, world: World) -> Facts:
    """All that diagnose looks at: with ``--quick``, unless the frameworks are to train."""
    from gpudoctor.doctor import Plan, collect

    limit = sight.time_limit or (TIME_LIMIT if sight.request.quick else None)
    *_, facts = collect(Plan(sight.executable, sight.request, limit), world, lambda _what, _state: None)
    return facts


def _driver_side(sight: Sight, world: World) -> Facts:
    limits = Limits.within(sight.time_limit or TIME_LIMIT)
    nvml_answer = Background(lambda: nvml(world, limits))
    cuda_answer = Background(lambda: cuda_driver(world, limits))
    host = _found(world, tuple(name for name in _PROBES if name not in _LATE), limits)
    answer = nvml_answer.result(limits)
    return Facts(
        gpudoctor=__version__,
        created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        request=sight.request,
        cuda=cuda_answer.result(limits),
        nvml=answer.nvml if isinstance(answer, NvmlAnswer) else answer,
        gpus=answer.gpus if isinstance(answer, NvmlAnswer) else answer,
        **host,
    )


def _found(world: World, names: tuple[str, ...], limits: Limits) -> dict[str, Any]:
    """What these probes see, Missing where one does not come to an end."""
    looking: Series[Fact | Missing] = Series({name: partial(look, _PROBES[name], world) for name in names})
    return looking.result(limits)
