"""Runs collective operations between processes of the interpreter under test, started by PyTorch's own launcher.

torchrun gives each process a session of its own, out of reach of a signal to the launcher's group. Every process of
a job carries a mark in its environment instead, by which all of them are found and ended; and each leaves by itself
when standard input closes, should gpudoctor be gone. The facts are made in :mod:`gpudoctor.collectives.told`.
"""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from gpudoctor.children import MARK, Child, Limits, Listener
from gpudoctor.children import Message as Line
from gpudoctor.collectives.told import Backend, How, Process, Shape, Told, collectives_fact, messages
from gpudoctor.facts import Collectives, Maybe, Message, Missing
from gpudoctor.smoke.jobs import child_environ, inside

MOST_PROCESSES = 16
ON_THE_CPU = 2  # processes
_RUN, _LAUNCH = "torch.distributed.run", "torch.distributed.launch"  # the latter before PyTorch 1.9
_MARK = "GPUDOCTOR_JOB"
_ATTEMPTS = 3
_SWEEP_SECONDS = 2.0
_REAP_SECONDS = 3.0
_PRINTED_BYTES = 1 << 16
_PATIENCE_WITH_OTHERS = 5  # times as long: other machines may still import


@dataclass(frozen=True)
class Node:
    """This machine, or one of several of which each runs torchrun. ``address`` and ``port`` are those of node 0.

    ``port`` None: one that is free, for a machine alone.
    """

    rank: int = 0
    nodes: int = 1
    address: str = "127.0.0.1"
    port: int | None = None


@dataclass(frozen=True)
class Rank:
    """One process of a job that another launcher (torchrun, srun) started; it takes part without a launcher."""

    rank: int
    local_rank: int
    world: int
    nodes: int
    address: str
    port: int


@dataclass(frozen=True)
class CollectivesPlan:
    """What is to be run: ``processes`` on this machine with one GPU each (nccl), or on the CPU (gloo).

    ``executable`` is the interpreter under test, ``environ`` the user's environment. The idle limit is for a silence
    of all processes of this machine: inside an operation a process that waits may use the processor all the time.
    """

    executable: str
    environ: Mapping[str, str]
    limits: Limits
    backend: Backend
    processes: int
    place: Node | Rank = Node()

    @classmethod
    def on(
        cls, gpus: int, executable: str, environ: Mapping[str, str], limits: Limits, place: Node | Rank | None = None
    ) -> CollectivesPlan:
        """A process for each of so many GPUs, at most 16; two on the CPU where there is none."""
        backend: Backend = "nccl" if gpus else "gloo"
        processes = min(gpus, MOST_PROCESSES) or ON_THE_CPU
        return cls(executable, environ, limits, backend, processes, place or Node())

    @property
    def shape(self) -> Shape:
        """The processes of this machine among those of the whole job."""
        place = self.place
        if isinstance(place, Rank):
            return Shape(self.backend, (place.rank,), place.world, place.nodes, "collective job, one process")
        first = place.rank * self.processes
        ranks = tuple(range(first, first + self.processes))
        return Shape(self.backend, ranks, self.processes * place.nodes, place.nodes, "collective job by torchrun")


class Known(NamedTuple):
    """What is known so far, with what the processes printed."""

    collectives: Maybe[Collectives]
    messages: tuple[Message, ...]


def run(plan: CollectivesPlan) -> Known:
    """Run the job to its end or its limits. Nothing of it is left afterwards, also when this is interrupted."""
    job = Job(plan)
    job.run()
    return job.known()


@dataclass
class Job:
    """The job of one plan. ``known()`` may be asked at any time, also after ``run()`` was interrupted."""

    plan: CollectivesPlan
    _told: Told = field(default_factory=Told)
    _no_folder: str = ""

    def run(self) -> None:
        """Run the job to its end. Every process ends by itself or by the limits."""
        try:
            folder = tempfile.TemporaryDirectory(prefix="gpudoctor-", ignore_cleanup_errors=True)
        except OSError as error:
            self._no_folder = f"no temporary folder for the program: {error.strerror}"
            return
        with folder:
            began = time.monotonic()
            try:
                self._attempts(Path(folder.name))
            finally:
                self._told.seconds = time.monotonic() - began

    def known(self) -> Known:
        """All facts so far. A job that did not end counts as interrupted."""
        if self._no_folder:
            return Known(Missing("unreadable", self._no_folder, self.plan.shape.source), ())
        fact = collectives_fact(self._told, self.plan.shape)
        well = isinstance(fact, Collectives) and fact.ended is None
        # A warning that did no harm must not be taken for a fault later.
        return Known(fact, () if well else messages(self._told))

    def _attempts(self, folder: Path) -> None:
        module: str | None = _RUN
        for _ in range(_ATTEMPTS):
            if module is not None:
                self._told = Told(idle=self.plan.limits.idle)
                self._attempt(folder, module)
                module = _other_way(self._told, module)

    def _attempt(self, folder: Path, module: str) -> None:
        mark = secrets.token_hex(16)
        files = _Files(folder)
        child = Child(
            _argv(self.plan, module, files),
            environ=_environ(self.plan, files) | {_MARK: mark},
            limits=_limits_of_launcher(self.plan),
        )
        try:
            with child:
                how = self._follow(child)
                if how != "ended":
                    self._told.survivors = _end_all(mark, spare=child.pid)
                    _wait_for_end(child.pid)
                self._told.how, self._told.ending = how, child.ending()
        finally:
            _end_all(mark)
            for rank in self.plan.shape.ranks:
                printed = files.printed(rank)
                if rank in self._told.processes or printed:
                    self._told.processes.setdefault(rank, Process()).printed = printed

    def _follow(self, child: Child) -> How:
        """Hear the processes until the launcher ends, the time is over, or none of them was heard for too long."""
        lines: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        Listener(child, partial(_listen, child, lines)).start()
        while True:
            try:
                line = lines.get(timeout=self._patience())
            except queue.Empty:
                return "hung"
            if line is None:
                break
            with contextlib.suppress(KeyError, TypeError, ValueError):  # a line that is not ours
                self._told.take(line)
        return "timed-out" if time.monotonic() >= self.plan.limits.deadline else "ended"

    def _patience(self) -> float | None:
        """Seconds of silence that are no hang; before a process has spoken the launcher's own limits hold."""
        idle = self.plan.limits.idle
        if idle is None or not self._told.processes:
            return None
        alone = self.plan.shape.nodes == 1 and not isinstance(self.plan.place, Rank)
        return idle if alone or not self._told.meeting else idle * _PATIENCE_WITH_OTHERS


def _listen(child: Child, lines: queue.SimpleQueue[Line | None]) -> None:
    for line in child.messages():
        lines.put(line)
    lines.put(None)


def _other_way(told: Told, module: str) -> str | None:
    """The launcher to try next: where this PyTorch lacks the new one, or another program took the port meanwhile."""
    if told.processes or told.ending is None:
        return None
    printed = " ".join(told.ending.tail)
    if module == _RUN and f"No module named {_RUN}" in printed:
        return _LAUNCH
    return module if "EADDRINUSE" in printed or "ddress already in use" in printed else None


# ------------------------------------------------------------------------------------------------ starting


class _Files:
    """The program, and what each process prints, in a private folder. The program's own folder holds nothing else:
    it becomes the first place where the processes look for modules."""

    def __init__(self, folder: Path) -> None:
        self.scratch, self.prints = folder / "scratch", folder / "prints"
        self.program = folder / "program" / "gpudoctor_collectives.py"
        for each in (self.scratch, self.prints, self.program.parent):
            each.mkdir(exist_ok=True)
        self.program.write_text(program(), "ascii")

    def printed(self, rank: int) -> tuple[str, ...]:
        try:
            with (self.prints / f"rank-{rank}").open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _PRINTED_BYTES))
                return tuple(file.read().decode("utf-8", "replace").splitlines())
        except OSError:
            return ()


def program() -> str:
    """The source that each process runs; its arguments are the backend, the limit of an operation, and a folder."""
    call = f"take_part({MARK!r}, sys.argv[1], float(sys.argv[2]), sys.argv[3])"
    return "\n\n".join((*(inside(file) for file in ("common_talk.py", "collectives.py")), call)) + "\n"


def _argv(plan: CollectivesPlan, module: str, files: _Files) -> list[str]:
    # torch's own limit is only for those who wait where nobody ends them: ours comes first.
    left = max(1.0, plan.limits.deadline - time.monotonic())
    script = [str(files.program), plan.backend, str(int(left) + 60), str(files.prints)]
    place = plan.place
    if isinstance(place, Rank):
        return [plan.executable, *script]
    # A static rendezvous takes the address as it is: the other kind needs a host name that every node can resolve.
    options = [
        f"--nnodes={place.nodes}",
        f"--node_rank={place.rank}",
        f"--nproc_per_node={plan.processes}",
        f"--master_addr={place.address}",
        f"--master_port={place.port or _free_port()}",
    ]
    options += ["--use_env"] if module == _LAUNCH else ["--max_restarts=0", "--monitor_interval=0.2"]
    return [plan.executable, "-m", module, *options, *script]


def _limits_of_launcher(plan: CollectivesPlan) -> Limits:
    """A launcher that waits for other machines is silent for as long as they take."""
    return plan.limits if plan.shape.nodes == 1 else Limits(plan.limits.deadline)


# Of a job around this one, and torchrun's own options by variable (PET_…).
_OF_ANOTHER_JOB = (
    "GROUP_RANK",
    "GROUP_WORLD_SIZE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "PYTHON_EXEC",
    "RANK",
    "ROLE_NAME",
    "ROLE_RANK",
    "ROLE_WORLD_SIZE",
    "WORLD_SIZE",
)


def _environ(plan: CollectivesPlan, files: _Files) -> dict[str, str]:
    environ = child_environ(plan.environ, "torch", files.scratch)
    environ.setdefault("NCCL_DEBUG", "WARN")  # the reason for a failure, and nothing else
    environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun does, which prints that it did
    environ.setdefault("TORCH_NCCL_DEBUG_INFO_TEMP_FILE", str(files.scratch / "nccl-trace"))
    place = plan.place
    if isinstance(place, Rank):
        return environ | {
            "RANK": str(place.rank),
            "LOCAL_RANK": str(place.local_rank),
            "WORLD_SIZE": str(place.world),
            "MASTER_ADDR": place.address,
            "MASTER_PORT": str(place.port),
        }
    return {
        name: value
        for name, value in environ.items()
        if name not in _OF_ANOTHER_JOB and not name.startswith(("PET_", "TORCHELASTIC_"))
    }


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


# ------------------------------------------------------------------------------------------------- ending


def _end_all(mark: str, spare: int | None = None) -> tuple[str, ...]:
    """Kill every process of the job but one; in words those that a kill does not end (uninterruptible sleep).

    The shared memory of killed NCCL processes is removed as well: they would have done so themselves.
    """
    shared: set[str] = set()
    until = time.monotonic() + _SWEEP_SECONDS
    while (left := _marked(mark, spare)) and time.monotonic() < until:
        for pid in left:
            shared.update(_shared_memory(pid))
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    for path in shared:
        with contextlib.suppress(OSError):
            os.unlink(path)
    return tuple(f"process {pid} survives in {_asleep_in(pid)}" for pid in left)


def _marked(mark: str, spare: int | None) -> list[int]:
    """The processes whose environment has the mark (proc_pid_environ(5)). The dead have no environment."""
    entry = f"{_MARK}={mark}".encode()
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    pids = [int(name) for name in names if name.isdecimal() and int(name) != spare]
    return [pid for pid in pids if entry in _read(pid, "environ").split(b"\0")]


def _shared_memory(pid: int) -> Iterator[str]:
    """Files of NCCL's shared memory that a process has mapped, or opened and not mapped yet."""
    lines = _read(pid, "maps").decode("utf-8", "replace").splitlines()
    for path in (*(line[line.find("/") :] for line in lines if "/" in line), *_open_files(pid)):
        if path.startswith("/dev/shm/nccl-"):
            yield path.removesuffix(" (deleted)")


def _open_files(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):  # closed meanwhile
                yield os.readlink(f"/proc/{pid}/fd/{number}")


def _asleep_in(pid: int) -> str:
    return _read(pid, "wchan").decode("utf-8", "replace").strip() or "the kernel"


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _wait_for_end(pid: int | None) -> None:
    """Let the launcher collect the processes that were killed: it ends by itself when they have."""
    until = time.monotonic() + _REAP_SECONDS
    while pid is not None and time.monotonic() < until:
        state = _read(pid, "stat").rpartition(b")")[2].split()[:1]
        if state in ([], [b"Z"]):
            return
        time.sleep(0.05)
