"""Collective operations in the real torch.distributed, over gloo between processes of this machine, and its faults."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from gpudoctor.children import Limits
from gpudoctor.collectives.job import CollectivesPlan, Job, Known, Node, Rank, program, run
from gpudoctor.facts import Collective, Collectives, Missing
from tests.cli.run import free_port, survivors, wait_until

FAULTS = Path(__file__).parents[1] / "lab" / "faulty_torch"
NAMES = ("all-reduce", "all-gather", "broadcast")
TENSORS = "8 tensors of up to 4194301 numbers, int64 and float64"
GOOD = tuple(Collective(name=name, holds=True, detail=TENSORS) for name in NAMES)
MINE = "GPUDOCTOR_TEST"


def processes_of(token: str) -> list[int]:
    """All processes that were started with this value in their environment, by proc_pid_environ(5)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environ = (entry / "environ").read_bytes()
            except OSError:
                continue
            if f"{MINE}={token}".encode() in environ.split(b"\0"):
                found.append(int(entry.name))
    return found


class Watched(threading.Thread):
    """Notes every process with this token for as long as the block runs."""

    def __init__(self, token: str) -> None:
        super().__init__(daemon=True)
        self._token, self._over = token, threading.Event()
        self.seen: set[int] = set()

    def run(self) -> None:
        while not self._over.wait(0.2):
            self.seen.update(processes_of(self._token))

    def __enter__(self) -> Watched:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


@pytest.fixture(autouse=True)
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Every test here leaves no process and no temporary folder."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    value = uuid.uuid4().hex
    monkeypatch.setenv(MINE, value)
    yield value
    assert survivors(f"{MINE}={value}") == []
    assert list(temporary.iterdir()) == []


def plan(
    python: Path | str,
    fault: str = "",
    seconds: float = 120,
    idle: float | None = 60,
    place: Node | Rank | None = None,
    environ: dict[str, str] | None = None,
) -> CollectivesPlan:
    faults = {"PYTHONPATH": str(FAULTS), "COLLECTIVE_FAULT": fault} if fault else {}
    return CollectivesPlan.on(
        0, str(python), {**os.environ, **faults, **(environ or {})}, Limits.within(seconds, idle), place=place
    )


def told(known: Known) -> Collectives:
    assert isinstance(known.collectives, Collectives), known.collectives
    return known.collectives


def untimed(fact: Collectives) -> Collectives:
    """The fact without its seconds, which must be there."""
    assert fact.seconds
    assert all((one.seconds is not None) == (one.holds is True) for one in fact.collectives)
    collectives = tuple(msgspec.structs.replace(one, seconds=None) for one in fact.collectives)
    return msgspec.structs.replace(fact, collectives=collectives, seconds=None)


def holds(fact: Collectives) -> list[bool | None]:
    return [one.holds for one in fact.collectives]


def side_by_side(*plans: CollectivesPlan) -> list[Known]:
    results: dict[int, Known] = {}

    def go(at: int) -> None:
        results[at] = run(plans[at])

    threads = [threading.Thread(target=go, args=(at,)) for at in range(len(plans))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[at] for at in range(len(plans))]


# --------------------------------------------------------------------------------------------- all is well


def test_two_processes_over_gloo_get_exact_results(torch_python: Path) -> None:
    known = run(plan(torch_python))
    source = "collective job by torchrun"
    assert untimed(told(known)) == Collectives(source=source, backend="gloo", processes=2, collectives=GOOD)
    assert known.messages == ()


def test_a_job_around_this_one_is_left_alone(torch_python: Path) -> None:
    around = {
        "RANK": "5",
        "WORLD_SIZE": "9",
        "LOCAL_RANK": "5",
        "MASTER_ADDR": "192.0.2.1",
        "MASTER_PORT": "1",
        "TORCHELASTIC_USE_AGENT_STORE": "False",
        "PET_NNODES": "4",
        "PYTHON_EXEC": "/bin/false",
    }
    assert told(run(plan(torch_python, environ=around))).ending is None


def test_two_machines_meet_at_the_address_of_the_first(torch_python: Path) -> None:
    port = free_port()
    first, second = (plan(torch_python, place=Node(rank, 2, "127.0.0.1", port)) for rank in range(2))
    for known in side_by_side(first, replace(second, processes=2)):
        fact = told(known)
        assert (fact.processes, fact.nodes, fact.ending, holds(fact)) == (4, 2, None, [True] * 3)


def test_processes_that_another_launcher_started_take_part_without_one(torch_python: Path) -> None:
    port = free_port()
    ranks = [Rank(rank, rank, 2, 1, "127.0.0.1", port) for rank in range(2)]
    for known in side_by_side(*(plan(torch_python, place=rank) for rank in ranks)):
        fact = told(known)
        assert (fact.source, fact.processes, fact.ending) == ("collective job, one process", 2, None)
        assert holds(fact) == [True] * 3


# ------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(("name", "fault"), [("all-reduce", "hang"), ("broadcast", "stop")])
def test_a_hang_is_told_with_its_collective_and_leaves_not_even_dead_processes(
    torch_python: Path, name: str, fault: str, token: str
) -> None:
    with Watched(token) as watched:
        fact = told(run(plan(torch_python, f"{name.replace('-', '_')}:1:{fault}", idle=5)))
    assert (fact.ending, fact.error) == (f"hung at {name}", f"no sign of work for 5 s: process 0, 1 at {name}")
    reached = NAMES.index(name)
    assert holds(fact) == [True] * reached + [None] * (3 - reached)
    assert len(watched.seen) >= 3
    assert [pid for pid in watched.seen if Path(f"/proc/{pid}").exists()] == []


def test_what_a_process_started_is_ended_too_and_its_shared_memory_is_removed(torch_python: Path, token: str) -> None:
    fact = told(run(plan(torch_python, "all_gather:0:leave-child-and-hang", idle=5)))
    assert fact.ending == "hung at all-gather"
    assert not Path(f"/dev/shm/nccl-{token}").exists()


@pytest.mark.parametrize(
    ("fault", "ended", "error"),
    [
        ("crash", "signal SIGSEGV", None),
        ("exit", "exit code 3", None),
        ("raise", "exception", "RuntimeError: the cable is broken"),
        ("print-and-abort", "signal SIGABRT", "node1:1:1 [0] misc/socket.cc:1 NCCL WARN the cable is broken"),
    ],
)
def test_the_process_that_failed_is_quoted_and_not_the_one_that_waited(
    torch_python: Path, fault: str, ended: str, error: str | None
) -> None:
    known = run(plan(torch_python, f"broadcast:1:{fault}"))
    fact = told(known)
    assert (fact.ended, fact.stage, fact.error, fact.rank) == (ended, "broadcast", error, 1)
    assert not fact.waited
    assert holds(fact) == [True, True, None]
    sources = {message.text: message.source for message in known.messages}
    if fault == "raise":
        assert sources["Last error: nobody plugged it in"] == "torchrun process 1, broadcast, exception"


def test_wrong_numbers_are_seen_by_the_process_that_got_them(torch_python: Path) -> None:
    fact = told(run(plan(torch_python, "all_reduce,broadcast:1:wrong")))
    assert fact.ending is None
    assert [(one.name, one.holds, one.rank) for one in fact.collectives] == [
        ("all-reduce", False, 1),
        ("all-gather", True, None),
        ("broadcast", False, 1),
    ]
    detail = "process 1: 1021 numbers (int64): number 510 is 3001021, not 3001020; 1 differ"
    assert fact.collectives[0].detail == detail
    assert fact.collectives[2].detail == detail.replace("3001021, not 3001020", "2000511, not 2000510")


def test_too_little_time_is_no_hang(torch_python: Path) -> None:
    began = time.monotonic()
    assert told(run(plan(torch_python))).ending is None
    enough = max(15.0, 3 * (time.monotonic() - began))  # to come there, on a busy machine as well
    fact = told(run(plan(torch_python, "all_reduce:1:hang", seconds=enough, idle=None)))
    assert (fact.ending, fact.error) == ("timed out at all-reduce", "the time limit came first")


# ------------------------------------------------------------------------------------------------ ending


def test_an_interruption_ends_all_and_keeps_what_was_told(torch_python: Path) -> None:
    job = Job(plan(torch_python, "broadcast:1:hang"))

    def interrupt_when(reached: Callable[[], bool]) -> None:
        while not reached():
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    def at_broadcast() -> bool:
        fact = job.known().collectives
        return isinstance(fact, Collectives) and fact.stage == "broadcast"

    threading.Thread(target=interrupt_when, args=(at_broadcast,), daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        job.run()
    fact = told(job.known())
    assert (fact.ending, holds(fact)) == ("interrupted at broadcast", [True, True, None])


def test_no_process_stays_when_gpudoctor_itself_is_killed(torch_python: Path, token: str, tmp_path: Path) -> None:
    script = f"""
        import os
        from gpudoctor.children import Limits
        from gpudoctor.collectives.job import CollectivesPlan, run
        run(CollectivesPlan.on(0, {str(torch_python)!r}, os.environ, Limits.within(120, None)))
    """
    environ = {**os.environ, "PYTHONPATH": f"{FAULTS}:{Path(__file__).parents[2]}"}
    environ |= {"COLLECTIVE_FAULT": "all_gather:1:hang", "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], env=environ) as outer:
        # gpudoctor, torchrun, two processes
        wait_until(lambda: len(processes_of(token)) == 4, "the job is there")
        time.sleep(1)
        outer.kill()
    wait_until(lambda: not processes_of(token), "the job is gone", 60)


# --------------------------------------------------------------------------------- what is not about collectives


def test_an_environment_without_torch_is_not_known(tmp_path: Path) -> None:
    missing = run(plan(sys.executable, environ={"PYTHONPATH": str(tmp_path)})).collectives
    assert isinstance(missing, Missing)
    assert missing.kind == "crashed"
    assert "No module named 'torch'" in missing.detail


def test_an_interpreter_that_does_not_start_is_not_known(tmp_path: Path) -> None:
    where = "collective job by torchrun"
    expected = Missing("unreadable", "No such file or directory", where)
    assert run(plan(tmp_path / "python")).collectives == expected


def test_no_temporary_folder_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    why = "no temporary folder for the program: No such file or directory"
    assert run(plan(sys.executable)).collectives == Missing("unreadable", why, "collective job by torchrun")
    monkeypatch.undo()


def test_a_machine_that_waits_in_vain_for_the_others_knows_nothing_of_collectives(torch_python: Path) -> None:
    away = Node(1, 2, "127.0.0.1", free_port())
    why = "the other machines did not come in time"
    missing = run(plan(torch_python, seconds=8, idle=4, place=away)).collectives
    assert missing == Missing("timed-out", why, "collective job by torchrun")


OLD_LAUNCHER = """
import os, subprocess, sys
assert "--use_env" in sys.argv
script = sys.argv[sys.argv.index("--use_env") + 1 :]
count = next(int(word.partition("=")[2]) for word in sys.argv if word.startswith("--nproc_per_node"))
ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)} for rank in range(count)]
children = [subprocess.Popen([sys.executable, "-u", *script], env={**os.environ, **rank}) for rank in ranks]
sys.exit(max(child.wait() for child in children))
"""


def test_a_torch_without_the_new_launcher_is_started_by_the_old_one(tmp_path: Path) -> None:
    package = tmp_path / "torch" / "distributed"
    package.mkdir(parents=True)
    (tmp_path / "torch/__init__.py").write_text("")
    (package / "__init__.py").write_text("def is_available():\n    return False\n")
    (package / "launch.py").write_text(OLD_LAUNCHER)
    fact = told(run(plan(sys.executable, environ={"PYTHONPATH": str(tmp_path)})))
    error = "RuntimeError: this build of torch has no torch.distributed"
    assert (fact.ending, fact.error, fact.rank is not None) == ("exception at import", error, True)


def test_the_program_is_python_3_6_in_ascii_and_ends_in_its_call() -> None:
    text = program()
    tree = ast.parse(text.encode("ascii"), feature_version=(3, 6))
    assert ast.unparse(tree.body[-1]) == "take_part('@gpudoctor ', sys.argv[1], float(sys.argv[2]), sys.argv[3])"


def test_a_process_for_each_gpu_and_two_on_the_cpu() -> None:
    limits = Limits.within(1)

    def shape(gpus: int) -> tuple[str, int]:
        made = CollectivesPlan.on(gpus, "python", {}, limits)
        return made.backend, made.processes

    assert [shape(gpus) for gpus in (0, 1, 8, 40)] == [("gloo", 2), ("nccl", 1), ("nccl", 8), ("nccl", 16)]
