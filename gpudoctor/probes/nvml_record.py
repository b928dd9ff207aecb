"""What NVML tells of the GPUs while jobs run on them: temperature, power, clocks, throttle reasons, memory."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from gpudoctor.children import Child, Limits, Listener
from gpudoctor.facts import Sample
from gpudoctor.probes.own_child import import_path, own_child
from gpudoctor.world import World

_EVERY_SECONDS = 0.25
_MOST_SAMPLES = 120  # of one job; a longer one keeps every second, third … of them


class Record:
    """A record of some GPUs (NVML's indices) that grows until the block ends. Without NVML it stays empty.

    Raises OSError where the child's own program cannot be read.
    """

    def __init__(self, world: World, gpus: tuple[int, ...], limits: Limits) -> None:
        work = [(gpu, "sample") for gpu in gpus]
        self._child: Child = own_child("nvml_child", (import_path(), [], [], work, _EVERY_SECONDS), world, limits)
        self._samples: dict[int, list[tuple[float, dict[str, Any]]]] = {gpu: [] for gpu in gpus}
        self._listener = Listener(self._child, self._listen)

    def __enter__(self) -> Record:
        self._child.__enter__()
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._listener.join(5.0)

    def _listen(self) -> None:
        for message in self._child.messages():
            if message.get("group") == "sample" and isinstance(message.get("values"), dict):
                self._samples[message["gpu"]].append((time.monotonic(), message["values"]))

    def samples(self, gpu: int, since: float, until: float) -> tuple[Sample, ...]:
        """The samples of one GPU between two moments of time.monotonic(), at most 120, evenly thinned."""
        inside = [(at, values) for at, values in tuple(self._samples.get(gpu, ())) if since <= at <= until]
        step = len(inside) // _MOST_SAMPLES + 1
        return tuple(
            msgspec.convert({"at": round(at - since, 3), **values}, Sample, strict=False)
            for at, values in inside[::step]
        )
