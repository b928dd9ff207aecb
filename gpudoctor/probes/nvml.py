"""The driver's management library (NVML), asked in a child process of gpudoctor's own interpreter.

One child asks everything. Where it hangs or crashes, that one group of readings is Missing with the call and the GPU
in it, and a new child goes on with the rest: the other GPUs first, then what is left of the GPU that failed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gpudoctor.children import Limits
from gpudoctor.facts import (
    Fact,
    Gpu,
    GpuCapability,
    GpuClocks,
    GpuEcc,
    GpuFabric,
    GpuLink,
    GpuMemory,
    GpuModes,
    GpuProcess,
    GpuProcesses,
    Gpus,
    Maybe,
    MigInstances,
    Missing,
    NvLink,
    Nvml,
    Record,
)
from gpudoctor.probes.own_child import ended_early, import_path, own_child
from gpudoctor.world import World

SOURCE = "NVML"

# In the order of asking: what a verdict needs most comes first.
_GROUPS: dict[str, type[Fact]] = {
    "capability": GpuCapability,
    "memory": GpuMemory,
    "modes": GpuModes,
    "processes": GpuProcesses,
    "mig": MigInstances,
    "ecc": GpuEcc,
    "clocks": GpuClocks,
    "link": GpuLink,
    "nvlink": NvLink,
    "fabric": GpuFabric,
}
_ALL_GROUPS = ("identity", *_GROUPS)

# Results of nvmlInit and nvmlDeviceGetCount that say: this driver, or its absence, shows no GPU here.
_NO_GPUS = frozenset({"NVML_ERROR_LIBRARY_NOT_FOUND", "NVML_ERROR_DRIVER_NOT_LOADED", "NVML_ERROR_GPU_NOT_FOUND"})

_IDLE_SECONDS = 20.0
_IDLE_SECONDS_PER_GPU = 2.0  # one call starts one GPU, yet on a busy machine they wait for one another
_CHILD_SHARE = 0.6  # of the time that is left: a child that spins leaves some to the next one
_LEAST_SECONDS = 0.5
_HANGS_ALLOWED = 2  # on one GPU, then its other readings are given up
_CRASHES_ALLOWED = 3

_Job = tuple[int | None, str]
_Outcome = dict[str, Any] | Missing


class NvmlAnswer(msgspec.Struct, frozen=True):
    """NVML's own state and the GPUs that it lists, each GPU with what could be had of it."""

    nvml: Nvml | Missing
    gpus: Gpus | Missing


class Witness(Record, frozen=True, kw_only=True):
    """What the driver itself says of one GPU at this moment, for a smoke job.

    ``used`` and ``total`` are bytes. ``processes`` are those of the given pids that the driver lists on this GPU;
    ``listed`` counts all that it lists, None where it does not list any (``refused`` is then its answer: WSL). Inside
    a container the driver's pids may be the host's.
    """

    gpu: int
    used: int | None
    total: int
    processes: tuple[GpuProcess, ...] = ()
    listed: int | None = None
    refused: str | None = None


def nvml(world: World, limits: Limits) -> NvmlAnswer:
    """Ask NVML for its own state and for every GPU.

    A call that does not return within ``limits.idle`` seconds without using the processor counts as hung; the
    default grows with the number of GPUs. Raises OSError where /proc/driver/nvidia/gpus cannot be listed.
    """
    limits = Limits(limits.deadline, limits.idle or _patience(world))
    survey = _Survey()
    while True:
        blame = _ask(world, limits, survey)
        if blame is None or not survey.go_on(blame):
            return NvmlAnswer(survey.nvml(), survey.gpus())


def witness(world: World, pids: tuple[int, ...], gpu_index: int, limits: Limits) -> Witness | Missing:
    """The memory in use on one GPU (NVML's index) and which of these processes the driver sees on it."""
    survey = _Survey(work=[(gpu_index, "witness")], groups=("witness",))
    limits = Limits(limits.deadline, limits.idle or _IDLE_SECONDS)
    blame = _ask(world, limits, survey, share=1.0)
    if blame is not None:
        return blame.missing
    if survey.result != "NVML_SUCCESS":
        return Missing("unreadable", survey.result or "", "nvmlInit")
    outcome = survey.outcome(gpu_index, "witness")
    return outcome if isinstance(outcome, Missing) else _witness(gpu_index, frozenset(pids), outcome)


def _witness(gpu: int, pids: frozenset[int], values: Mapping[str, Any]) -> Witness:
    listed = values["processes"]
    return Witness(
        gpu=gpu,
        used=values["used"],
        total=values["total"],
        processes=tuple(GpuProcess(**process) for process in listed or () if process["pid"] in pids),
        listed=None if listed is None else len(listed),
        refused=values.get("refused"),
    )


def _patience(world: World) -> float:
    return _IDLE_SECONDS + _IDLE_SECONDS_PER_GPU * len(world.list("/proc/driver/nvidia/gpus"))


# ------------------------------------------------------------------------------------------------- the children


class _Blame(msgspec.Struct, frozen=True):
    """The step at which a child ended before it was done, and that as a fact."""

    job: _Job
    missing: Missing


@dataclass
class _Survey:
    """What the children have said so far, and what is still to ask (None: everything, nothing is known yet)."""

    work: list[_Job] | None = None
    groups: tuple[str, ...] = _ALL_GROUPS
    result: str | None = None
    detail: str | None = None
    library: str | None = None
    count: int | Missing | None = None
    failed: Missing | None = None
    outcomes: dict[_Job, _Outcome] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)
    hangs: dict[int, int] = field(default_factory=dict)
    crashes: dict[int, int] = field(default_factory=dict)

    def instructions(self) -> tuple[Any, ...]:
        """What the next child is to do: the arguments of ``main`` in nvml_child."""
        system = [group for group in ("driver", "cuda") if (None, group) not in self.outcomes]
        return (import_path(), system, list(self.groups), self.work)

    def hear(self, message: Mapping[str, Any]) -> None:
        """Take in one message of a child."""
        if "init" in message:
            self.result, self.detail = message["init"], message["detail"]
        elif "library" in message:
            self.library = message["library"]
        elif "count" in message:
            self._hear_count(message)
        elif "values" in message or "error" in message:
            self._hear_outcome(message)

    def _hear_count(self, message: Mapping[str, Any]) -> None:
        count = message["count"]
        if count is None and message["error"] in _NO_GPUS:
            count = 0
        self.count = Missing("unreadable", message["error"], message["where"]) if count is None else count

    def _hear_outcome(self, message: Mapping[str, Any]) -> None:
        gpu, group = message["gpu"], message["group"]
        if gpu is not None and message.get("lost"):
            self.lost[gpu] = message["lost"]
        if "values" in message:
            self.outcomes[gpu, group] = message["values"]
            return
        self.outcomes[gpu, group] = Missing("unreadable", message["error"], _place(message["where"], gpu))
        if group == "handle":
            self.lost[gpu] = message["error"]

    def outcome(self, gpu: int | None, group: str) -> _Outcome:
        """What became of one job; a GPU without a handle has one outcome for all."""
        handle = self.outcomes.get((gpu, "handle"))
        found = self.outcomes.get((gpu, group), handle)
        return found if found is not None else self.failed or Missing("timed-out", "no time left")

    def go_on(self, blame: _Blame) -> bool:
        """Note where a child ended and plan what the next one asks; False when there is nothing left to ask."""
        gpu, group = blame.job
        if group == "init":
            self.failed = blame.missing
            return False
        if group == "count":
            self.count = blame.missing
            return False
        self.outcomes[blame.job] = blame.missing
        if self.work is None and isinstance(self.count, int):
            self.work = [(each, name) for each in range(self.count) for name in self.groups]
        if self.work is None:
            return True
        self.work = [job for job in self.work if job not in self.outcomes and (job[0], "handle") not in self.outcomes]
        if gpu is not None:
            self.work = self._reordered(gpu, group, blame.missing)
        return bool(self.work)

    def _reordered(self, gpu: int, group: str, missing: Missing) -> list[_Job]:
        """Other GPUs first; what is left of this one afterwards, unless it has failed too often."""
        hung = missing.kind == "timed-out"
        counts, allowed = (self.hangs, _HANGS_ALLOWED) if hung else (self.crashes, _CRASHES_ALLOWED)
        counts[gpu] = counts.get(gpu, 0) + 1
        own = [job for job in self.work or () if job[0] == gpu]
        others = [job for job in self.work or () if job[0] != gpu]
        if group == "handle" or counts[gpu] >= allowed:
            self.outcomes.update(dict.fromkeys(own, missing))
            return others
        return others + own

    # what was said, as facts

    def nvml(self) -> Nvml | Missing:
        """NVML's own state."""
        if self.result is None:
            return self.failed or Missing("crashed", "no answer", "nvmlInit")
        driver, cuda = self._system("driver"), self._system("cuda")
        details = [self.detail, *(str(value) for value in (driver, cuda) if isinstance(value, Missing))]
        return Nvml(
            source=SOURCE,
            result=self.result,
            driver=driver if isinstance(driver, str) else None,
            cuda=cuda if isinstance(cuda, str) else None,
            library=self.library,
            detail="; ".join(detail for detail in details if detail) or None,
        )

    def _system(self, group: str) -> str | Missing | None:
        outcome = self.outcomes.get((None, group))
        return outcome if outcome is None or isinstance(outcome, Missing) else outcome[group]

    def gpus(self) -> Gpus | Missing:
        """The GPUs as far as they answered."""
        if self.result in _NO_GPUS:
            return Gpus(source=SOURCE, gpus=())
        if self.result is None or self.result != "NVML_SUCCESS":
            return self.failed or Missing("unreadable", self.result or "no answer", "nvmlInit")
        if not isinstance(self.count, int):
            return self.count or self.failed or Missing("timed-out", "no time left", "nvmlDeviceGetCount")
        return Gpus(source=SOURCE, gpus=tuple(self._gpu(index) for index in range(self.count)))

    def _gpu(self, index: int) -> Gpu:
        facts: dict[str, Any] = {group: self._fact(index, group, kind) for group, kind in _GROUPS.items()}
        return Gpu(source=SOURCE, index=index, **{**self._identity(index), **facts})

    def _identity(self, index: int) -> dict[str, Any]:
        """Name, addresses and the GPU's error. Where only they could not be had, the error says why."""
        identity = self.outcome(index, "identity")
        lost = self.lost.get(index)
        if not isinstance(identity, Missing):
            return {**identity, "error": lost or identity["error"]}
        return {"error": lost or (None if (index, "handle") in self.outcomes else str(identity))}

    def _fact(self, index: int, group: str, kind: type[Fact]) -> Maybe[Any]:
        outcome = self.outcome(index, group)
        if isinstance(outcome, Missing):
            return outcome
        return msgspec.convert({"source": SOURCE, **outcome}, kind)


def _ask(world: World, limits: Limits, survey: _Survey, share: float = _CHILD_SHARE) -> _Blame | None:
    """Run one child on what is left to ask. None when it did all of it, else where it ended."""
    left = limits.deadline - time.monotonic()
    if left < _LEAST_SECONDS:
        return _Blame((None, "init"), Missing("timed-out", "no time left", "nvmlInit"))
    share_limits = Limits(time.monotonic() + left * share, limits.idle)
    step: Mapping[str, Any] = {"step": "start", "gpu": None, "group": "init"}
    with own_child("nvml_child", survey.instructions(), world, share_limits) as child:
        for message in child.messages():
            if "done" in message:
                return None
            if "step" in message:
                step = message
            else:
                survey.hear(message)
        return _Blame(
            (step["gpu"], step["group"]), ended_early(child.ending(), _place(step["step"], step["gpu"]), limits)
        )


def _place(step: str, gpu: int | None) -> str:
    return step if gpu is None else f"{step}, GPU {gpu}"
