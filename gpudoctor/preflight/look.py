"""The facts that requirements need: host files, NVML and libcuda; the Python under test where one concerns it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import msgspec

from gpudoctor import __version__
from gpudoctor.children import Limits
from gpudoctor.facts import Fact, Facts, Missing, Request
from gpudoctor.probes import HOST_PROBES, look
from gpudoctor.probes.background import Background
from gpudoctor.probes.cuda_driver import cuda_driver, libcuda
from gpudoctor.probes.nvml import NvmlAnswer, nvml
from gpudoctor.world import World

TIME_LIMIT = 120.0
"""Seconds for one look that trains nothing."""

# Slow to look at, and a matter of the environment under test alone.
_OF_ENVIRONMENT = frozenset({"toolkits", "cudnn"})


class Sight(msgspec.Struct, frozen=True):
    """What is to be looked at. ``environment``: the Python under test too, which is then ``executable``."""

    request: Request
    executable: str
    environment: bool = False
    time_limit: float | None = None


def look_for(sight: Sight, world: World) -> Facts:
    """The facts that a pre-flight needs; what it does not need is ``not-asked``. With ``smoke``, after training."""
    if sight.environment:
        return _with_environment(sight, world)
    return _driver_side(sight, world)


def _with_environment(sight: Sight, world: World) -> Facts:
    """All that diagnose looks at: with ``--quick``, unless the frameworks are to train."""
    from gpudoctor.doctor import Plan, collect

    limit = sight.time_limit or (TIME_LIMIT if sight.request.quick else None)
    *_, facts = collect(Plan(sight.executable, sight.request, limit), world, lambda _what, _state: None)
    return facts


def _driver_side(sight: Sight, world: World) -> Facts:
    limits = Limits.within(sight.time_limit or TIME_LIMIT)
    probes = {name: probe for name, probe in HOST_PROBES.items() if name not in _OF_ENVIRONMENT}
    nvml_answer = Background(lambda: nvml(world, limits))
    cuda_answer = Background(lambda: cuda_driver(world, limits))
    host_answer = Background(lambda: _host(world, probes))
    host = host_answer.result(limits)
    found: dict[str, Any] = dict.fromkeys((*probes, "libcuda"), host) if isinstance(host, Missing) else host
    answer = nvml_answer.result(limits)
    return Facts(
        gpudoctor=__version__,
        created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        request=sight.request,
        cuda=cuda_answer.result(limits),
        nvml=answer.nvml if isinstance(answer, NvmlAnswer) else answer,
        gpus=answer.gpus if isinstance(answer, NvmlAnswer) else answer,
        **found,
    )


def _host(world: World, probes: Mapping[str, Callable[[World], Fact]]) -> dict[str, Any]:
    return {**{name: look(probe, world) for name, probe in probes.items()}, "libcuda": look(libcuda, world)}
