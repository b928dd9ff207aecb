"""What the processes of a collective job told, and how each ended, as a fact. Pure: job.py runs them.

Where one process fails, the others lose their connection to it and fail as well, often before the launcher sees the
first. So the process to quote is chosen by how it ended, not by who was heard first.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

from gpudoctor.children import Ending
from gpudoctor.children import Message as Line
from gpudoctor.facts import Collective, Collectives, CollectiveStage, Maybe, Message, Missing
from gpudoctor.smoke.told import STAGE_MARK, meaningful, nccl_version

Backend = Literal["nccl", "gloo"]
How = Literal["ended", "hung", "timed-out", "interrupted"]

NAMES = ("all-reduce", "all-gather", "broadcast")
STAGES: tuple[CollectiveStage, ...] = get_args(CollectiveStage)
_MESSAGES_LIMIT = 40
_TEXT_LIMIT = 500

# What gloo, NCCL and the store say in a process that did nothing but lose another one.
_LOST = re.compile(
    r"connection (?:was )?(?:closed|reset|aborted|refused)|broken pipe|ncclRemoteError|remote process exited"
    r"|communicator was aborted|operation timeout|timed out (?:after )?wait|wait timeout|socket timeout"
    r"|failed to recv, got 0 bytes|remote (?:worker|rank|peer)",
    re.IGNORECASE,
)
# The machine's own faults: no other process makes them, and other processes only see their consequences.
_FAULTS = ("SIGSEGV", "SIGILL", "SIGBUS", "SIGFPE")


class Shape(NamedTuple):
    """The processes of a job: those of this machine by rank, and how many on how many machines in all."""

    backend: Backend
    ranks: tuple[int, ...]
    processes: int
    nodes: int
    source: str


@dataclass
class Process:
    """What one process told. ``heard`` is its place in the order of failures, ``printed`` its own last lines."""

    stage: CollectiveStage = "start"
    failed: str | None = None
    further: tuple[str, ...] = ()
    heard: int = 0
    nccl: str | None = None
    results: dict[str, Line] = field(default_factory=dict)
    printed: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        return self.stage == "done"


@dataclass
class Told:
    """All that the processes of this machine told so far; ``how`` the job ended, with ``idle`` seconds of silence."""

    processes: dict[int, Process] = field(default_factory=dict)
    world: int | None = None
    how: How = "interrupted"
    ending: Ending | None = None
    idle: float | None = None
    survivors: tuple[str, ...] = ()
    seconds: float | None = None

    def take(self, line: Line) -> None:
        """Note one message of a process. Raises TypeError, ValueError or KeyError for one that is not ours."""
        process = self.processes.setdefault(int(line["rank"]), Process())
        if "stage" in line:
            process.stage = STAGES[STAGES.index(line["stage"])]
        if "world" in line:
            self.world = int(line["world"])
        if line.get("nccl"):
            process.nccl = _version(line["nccl"])
        if line.get("collective") in NAMES:
            process.results[line["collective"]] = line
        if "failed" in line:
            process.failed, process.further = str(line["failed"]), tuple(map(str, line.get("further", ())))
            process.heard = sum(one.failed is not None for one in self.processes.values())

    @property
    def meeting(self) -> bool:
        """Whether a process is still on its way to the others."""
        return any(STAGES.index(one.stage) <= STAGES.index("init") for one in self.processes.values())


def _version(said: int | str) -> str:
    return nccl_version(said) if isinstance(said, int) else str(said)


# --------------------------------------------------------------------------------------------------- the fact


def collectives_fact(told: Told, shape: Shape) -> Maybe[Collectives]:
    """What the job came to; Missing where no process spoke at all."""
    if not told.processes:
        return _nobody_spoke(told, shape)
    end = _end(told, shape)
    return Collectives(
        source=shape.source,
        backend=shape.backend,
        processes=told.world or shape.processes,
        nodes=shape.nodes,
        nccl=next((one.nccl for one in told.processes.values() if one.nccl), None),
        collectives=tuple(_collective(name, told, shape) for name in NAMES),
        stage=end.stage,
        ended=end.ended,
        error=end.error,
        rank=end.rank,
        waited=end.waited,
        seconds=told.seconds,
    )


def _nobody_spoke(told: Told, shape: Shape) -> Missing:
    ending = told.ending
    if ending is None or told.how == "interrupted":
        return Missing("timed-out", "interrupted", shape.source)
    if ending.how == "not-started":
        return Missing("unreadable", ending.detail, shape.source)
    if told.how in ("timed-out", "hung"):
        others = "the other machines did not come in time" if shape.nodes > 1 else "no process started in time"
        return Missing("timed-out", others, shape.source)
    return Missing("crashed", _launchers_words(ending), shape.source)


# torchrun's own report on processes that failed, which follows what they said themselves.
_REPORT = re.compile(
    r"[=*-]{9,}$|\S+ FAILED$|Failures:|Root Cause|<NO_OTHER_FAILURES>|\[\d+\]:$"
    r"|torch\.distributed\.elastic\S*ChildFailedError|.{0,80}torch/distributed/(?:elastic|run\.py)"
)


def _launchers_words(ending: Ending) -> str:
    lines = [text for line in ending.tail if (text := meaningful(line)) and not _REPORT.match(text)]
    return f"{ending.words}: {lines[-1][:_TEXT_LIMIT]}" if lines else ending.words


def _collective(name: str, told: Told, shape: Shape) -> Collective:
    results = {rank: told.processes[rank].results.get(name) for rank in shape.ranks if rank in told.processes}
    for rank, result in sorted(results.items()):
        if result is not None and result.get("holds") is not True:
            return Collective(
                name=name, holds=False, detail=f"process {rank}: {result.get('detail', '')}"[:_TEXT_LIMIT], rank=rank
            )
    known = [result for result in results.values() if result is not None]
    if len(known) < len(shape.ranks):
        return Collective(name=name, holds=None, detail="not every process came to its end")
    seconds = [float(result["seconds"]) for result in known if isinstance(result.get("seconds"), int | float)]
    detail = str(known[0].get("detail", ""))
    return Collective(name=name, holds=True, detail=detail, seconds=max(seconds, default=None))


def _least(told: Told, shape: Shape) -> tuple[int, CollectiveStage]:
    """The process that came least far; one that never spoke did not start."""
    stages = {rank: told.processes[rank].stage if rank in told.processes else STAGES[0] for rank in shape.ranks}
    rank = min(stages, key=lambda one: (STAGES.index(stages[one]), one))
    return rank, stages[rank]


# ---------------------------------------------------------------------------------- which process failed, and how


class _End(NamedTuple):
    stage: CollectiveStage
    ended: str | None = None
    error: str | None = None
    rank: int | None = None
    waited: bool = False


def _end(told: Told, shape: Shape) -> _End:
    rank, stage = _least(told, shape)
    if stage == "done":
        return _End(stage)
    failures = sorted(_failures(told, shape), key=lambda one: one.order)
    if failures and (told.how == "ended" or failures[0].told):
        first = failures[0]
        return _End(first.stage, first.ended, first.error, first.rank, first.waited)
    if told.how == "timed-out":
        return _End(stage, "timed out", "the time limit came first", rank)
    if told.how == "interrupted":
        return _End(stage, "interrupted", None, rank)
    if told.how == "hung":
        return _End(stage, "hung", _silence(told, shape), rank)
    return _End(stage, told.ending.words if told.ending else "exit code unknown", None, rank)


def _silence(told: Told, shape: Shape) -> str:
    places: dict[str, list[str]] = {}
    for rank in shape.ranks:
        stage = told.processes[rank].stage if rank in told.processes else "start"
        places.setdefault(stage, []).append(str(rank))
    where = "; ".join(f"process {', '.join(ranks)} at {stage}" for stage, ranks in places.items())
    after = f" for {told.idle:.0f} s" if told.idle is not None else ""
    return "; ".join((f"no sign of work{after}: {where}", *told.survivors))


class _Failure(NamedTuple):
    """One process that failed. ``order``: the likelier it is the first cause, the smaller. ``told``: by itself."""

    order: tuple[int, int, int]
    rank: int
    stage: CollectiveStage
    ended: str
    error: str | None
    told: bool = False
    waited: bool = False


def _failures(told: Told, shape: Shape) -> Iterator[_Failure]:
    exits = exit_codes(told.ending.tail if told.ending else ())
    if told.ending is not None and len(shape.ranks) == 1 and not exits:
        exits = _own_exit(told.ending, shape.ranks[0])
    spoke = any(one.failed for one in told.processes.values())
    for rank in shape.ranks:
        process = told.processes.get(rank, Process())
        if process.failed is not None:
            lost = _LOST.search(" ".join((process.failed, *process.further))) is not None
            order = (4 if lost else 1, process.heard, rank)
            yield _Failure(order, rank, process.stage, "exception", process.failed, told=True, waited=lost)
        elif not process.done and exits.get(rank):
            yield _of_exit(rank, exits[rank], process)
        elif not process.done and not exits and spoke:  # the launcher does not tell how each ended
            yield _Failure((3, 0, rank), rank, process.stage, "gone without a word", _last_words(process))


def _of_exit(rank: int, code: int, process: Process) -> _Failure:
    name = _signal(-code) if code < 0 else None
    grade = 0 if name in _FAULTS else 5 if name == "SIGTERM" else 2 if name else 3
    ended = f"signal {name}" if name else f"exit code {code}"
    return _Failure((grade, 0, rank), rank, process.stage, ended, _last_words(process))


def _own_exit(ending: Ending, rank: int) -> dict[int, int]:
    if ending.how == "signalled" and ending.signal:
        number = getattr(signal, ending.signal, None)
        return {rank: -int(number) if number else 1}
    return {rank: ending.code} if ending.code else {}


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def exit_codes(tail: Sequence[str]) -> Mapping[int, int]:
    """How torchrun says that each failed process ended: its table of failures has a rank, then an exitcode."""
    found: dict[int, int] = {}
    rank: int | None = None
    for line in tail:
        if named := re.match(r"\s*rank\s*: (\d+)", line):
            rank = int(named[1])
        elif (code := re.match(r"\s*exitcode\s*: (-?\d+)", line)) and rank is not None:
            found[rank] = int(code[1])
            rank = None
    return found


def _last_words(process: Process) -> str | None:
    """The last meaningful line that the process printed at the stage where it ended."""
    stages = [stage for stage, _ in _printed(process)]
    lines = [text for stage, text in _printed(process) if stage == stages[-1]]
    return lines[-1][:_TEXT_LIMIT] if lines else None


def _printed(process: Process) -> Iterator[tuple[str, str]]:
    stage = "start"
    for line in process.printed:
        if line.startswith(STAGE_MARK):
            stage = line[len(STAGE_MARK) :].strip()
        elif text := meaningful(line):
            yield stage, text


# -------------------------------------------------------------------------------------------- what was printed


def messages(told: Told) -> tuple[Message, ...]:
    """What the processes said in failing and what they printed, each text once: NCCL's own reasons are there."""
    texts = [text for rank, process in sorted(told.processes.items()) for text in _texts(rank, process)]
    once: dict[str, str] = {}
    for source, text in texts:
        once.setdefault(text[:_TEXT_LIMIT], source)
    kept = list(once.items())[:_MESSAGES_LIMIT]
    return tuple(Message(source=source, text=text, framework="torch") for text, source in kept)


def _texts(rank: int, process: Process) -> Iterator[tuple[str, str]]:
    said: list[Any] = [process.failed, *process.further] if process.failed else []
    for text in said:
        yield f"torchrun process {rank}, {process.stage}, exception", text
    for stage, text in _printed(process):
        yield f"torchrun process {rank}, {stage}, stderr", text
