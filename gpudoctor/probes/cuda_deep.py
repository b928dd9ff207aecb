"""The deep checks of a smoke run: copies between GPUs, then the memory of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from gpudoctor.children import Limits
from gpudoctor.facts import Gpu, MemoryTests, Missing, PeerCopies
from gpudoctor.probes.cuda_devices import SOURCE, cuda_devices
from gpudoctor.probes.cuda_memory import cuda_memory
from gpudoctor.probes.cuda_peers import cuda_peers
from gpudoctor.world import World

_PEERS_SHARE = 0.4  # of the time; what they leave is for the memory

Report = Callable[[str], None]
"""Told of progress in words: ``GPU 0 to GPU 1``, ``memory of GPU 0, 45 %``."""


def deep_checks(
    world: World,
    gpus: Sequence[Gpu],
    environ: Mapping[str, str],
    limits: Limits,
    report: Report = lambda _words: None,
) -> tuple[MemoryTests | Missing, PeerCopies | Missing]:
    """Both checks on all that CUDA may use under ``environ``; ``gpus`` are NVML's.

    Peer copies need two GPUs: on one they are known to be none. Both are Missing where CUDA lists no devices.
    """
    world = replace(world, environ=dict(environ))
    devices = cuda_devices(world, gpus, limits)
    if isinstance(devices, Missing):
        return devices, devices
    peers = PeerCopies(source=SOURCE, copies=())
    if sum(device.ordinal is not None for device in devices) > 1:
        left = limits.deadline - time.monotonic()
        soon = Limits(time.monotonic() + left * _PEERS_SHARE, limits.idle)
        peers = cuda_peers(world, devices, soon, lambda pair: report(f"{pair[0]} to {pair[1]}"))
    memory = cuda_memory(world, devices, limits, lambda one, done: report(f"memory of {one}, {done:.0%}"))
    return memory, peers
