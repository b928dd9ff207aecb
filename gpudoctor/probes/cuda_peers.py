"""Copies between every two GPUs, in both directions, compared byte for byte.

One child tries all pairs. Where one hangs, crashes or is refused, that is what is known of this pair, and a new child
goes on with the others, because CUDA's contexts are not to be trusted after an error.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpudoctor.children import Limits
from gpudoctor.children import Message as Line
from gpudoctor.facts import Missing, PeerCopies, PeerCopy
from gpudoctor.probes.cuda_devices import CALLS, SOURCE, CudaDevice, patience
from gpudoctor.probes.own_child import ended_early, own_child
from gpudoctor.world import World

_SIZE = 64 << 20  # bytes of one copy
_CALL_SECONDS = 10.0  # a copy takes milliseconds
_CHILD_SHARE = 0.6  # of the time that is left: a child that spins leaves some to the next one
_LEAST_SECONDS = 1.0
_FAILURES_ALLOWED = 8  # children that ended early, then the other pairs are given up

Pair = tuple[CudaDevice, CudaDevice]
Report = Callable[[Pair], None]
"""Told of progress: the pair that is tried next."""


def cuda_peers(
    world: World, devices: Sequence[CudaDevice], limits: Limits, report: Report = lambda _pair: None
) -> PeerCopies:
    """Copy between each ordered pair of the GPUs among these devices; MIG instances have no peers.

    A call that does not return within ``limits.idle`` seconds (default: ten, more for the start) counts as hung.
    """
    usable = [device for device in devices if device.ordinal is not None]
    survey = _Survey({int(device.ordinal or 0): device for device in usable}, report)
    while survey.work and survey.failures < _FAILURES_ALLOWED:
        if limits.deadline - time.monotonic() < _LEAST_SECONDS:
            break
        survey.ask(world, limits)
    survey.give_up(
        "not tried: no time left"
        if survey.failures < _FAILURES_ALLOWED
        else "not tried: the copies of other pairs failed"
    )
    return PeerCopies(source=SOURCE, copies=tuple(survey.copies[pair] for pair in survey.pairs))


@dataclass
class _Survey:
    """What the children have said so far, by CUDA's ordinals, and what is still to be tried."""

    devices: dict[int, CudaDevice]
    report: Report
    copies: dict[tuple[int, int], PeerCopy] = field(default_factory=dict)
    failures: int = 0
    direct: bool | None = None
    opening: int | None = None
    pair: tuple[int, int] | None = None

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """All ordered pairs."""
        return list(itertools.permutations(self.devices, 2))

    @property
    def work(self) -> list[tuple[int, int]]:
        """The pairs of which nothing is known."""
        return [pair for pair in self.pairs if pair not in self.copies]

    def ask(self, world: World, limits: Limits) -> None:
        """Run one child on all that is left."""
        idle = limits.idle or patience(len(self.devices))
        left = limits.deadline - time.monotonic()
        limits = Limits(time.monotonic() + left * _CHILD_SHARE, idle)
        names = [str(self.devices.get(ordinal, "")) for ordinal in range(1 + max(self.devices))]
        arguments = (names, self.work, _SIZE, min(idle, _CALL_SECONDS))
        self.direct = self.opening = self.pair = None
        step = "start"
        with own_child("cuda_peers_child", arguments, world, limits, modules=CALLS) as child:
            for line in child.messages():
                step = line.get("step", step)
                if "done" in line:
                    return
                if "stuck" in line:
                    self._failed(f"no answer for {line['stuck']:g} s: {step}", hung=True)
                    return
                self._hear(line)
            missing = ended_early(child.ending(), step, limits)
            self._failed(_words(missing), hung=missing.kind == "timed-out")

    def _hear(self, line: Line) -> None:
        if "pair" in line:
            source, target = line["pair"]
            self.pair, self.direct = (source, target), None
            self.report((self.devices[source], self.devices[target]))
        elif "opening" in line:
            self.opening = line["opening"]
        elif "direct" in line:
            self.direct = line["direct"]
        elif "error" in line:
            self._failed(f"{line['error']}: {line['where']}")
        elif "holds" in line and self.pair is not None:
            self.copies[self.pair] = self._copied(self.pair, line)

    def _copied(self, pair: tuple[int, int], line: dict[str, Any]) -> PeerCopy:
        rate = line["size"] / line["seconds"] / 1e9 if line["seconds"] else None
        return self._copy(pair, holds=line["holds"], rate=rate and round(rate, 2), error=line["wrong"])

    def _copy(self, pair: tuple[int, int], **values: Any) -> PeerCopy:
        source, target = pair
        direct = self.direct if pair == self.pair else None
        return PeerCopy(
            source_gpu=self.devices[source].gpu, target_gpu=self.devices[target].gpu, direct=direct, **values
        )

    def _failed(self, error: str, *, hung: bool = False) -> None:
        """A child ended early: what it was at is not to be tried again."""
        self.failures += 1
        if self.pair is None:
            concerned = self.work
        elif self.opening is not None:
            concerned = [pair for pair in self.work if self.opening in pair]
            hung = False  # the GPU itself does not start: that is none of the copy's business
        else:
            concerned = [self.pair]
        for pair in concerned:
            self.copies[pair] = self._copy(pair, holds=None, error=error, hung=hung and pair == self.pair)

    def give_up(self, why: str) -> None:
        """Say of all that is left why it was not tried."""
        self.copies.update({pair: self._copy(pair, holds=None, error=why) for pair in self.work})


def _words(missing: Missing) -> str:
    return ": ".join(part for part in (missing.detail, missing.where) if part)
