"""Which process of a collective job failed first, and what that makes of the job."""

from __future__ import annotations

from typing import Any

import pytest

from gpudoctor.children import Ending
from gpudoctor.collectives.told import NAMES, STAGES, Shape, Told, collectives_fact, exit_codes, messages
from gpudoctor.facts import Collective, Collectives, Missing

SHAPE = Shape("nccl", (0, 1), 2, 1, "job")
LOST = "RuntimeError: [pair.cc:537] Read error [127.0.0.1]:4821: Connection reset by peer"
REMOTE = "DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1, remote process exited or there was a network error"

# What torchrun of PyTorch 2.13 prints, without its traceback.
REPORT = """
E1121 14:51:02.811000 14091 torch/distributed/elastic/multiprocessing/api.py:1002] failed (exitcode: -11) local_rank: 1
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
=======================================================
tr.py FAILED
-------------------------------------------------------
Failures:
[1]:
  time      : 2026-11-21_14:51:02
  host      : localhost
  rank      : 0 (local_rank: 0)
  exitcode  : -15 (pid: 14113)  (SIGTERM)
  error_file: <N/A>
  traceback : Signal 15 (SIGTERM) received by PID 14113
-------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-11-21_14:51:02
  host      : localhost
  rank      : 1 (local_rank: 1)
  exitcode  : -11 (pid: 14114)  (SIGSEGV)
  error_file: <N/A>
  traceback : Signal 11 (SIGSEGV) received by PID 14114
=======================================================
"""


def report(**exits: int) -> tuple[str, ...]:
    """torchrun's table with other ends, such as rank0=1."""
    return tuple(
        line for name, code in exits.items() for line in (f"  rank      : {name[4:]} (x)", f"  exitcode  : {code} (pid")
    )


def job(*lines: dict[str, Any], tail: tuple[str, ...] = (), code: int = 1, how: Any = "ended") -> Told:
    told = Told(how=how, ending=Ending("exited", code=code, tail=tail), idle=30.0)
    for line in lines:
        told.take(line)
    return told


def reaches(rank: int, stage: str) -> list[dict[str, Any]]:
    """All that a process tells which comes to this stage."""
    lines: list[dict[str, Any]] = []
    for name in STAGES[: STAGES.index(stage) + 1]:
        lines.append({"rank": rank, "stage": name})
        if name in NAMES and name != stage:
            lines.append({"rank": rank, "collective": name, "holds": True, "detail": "all", "seconds": 0.5 + rank})
    return lines


def fact(told: Told, shape: Shape = SHAPE) -> Collectives:
    made = collectives_fact(told, shape)
    assert isinstance(made, Collectives)
    return made


def end(told: Told, shape: Shape = SHAPE) -> tuple[str | None, str | None, int | None, bool]:
    made = fact(told, shape)
    return made.ending, made.error, made.rank, made.waited


def test_a_whole_job_tells_the_slowest_process_of_each_collective() -> None:
    told = job(*reaches(0, "done"), *reaches(1, "done"), {"rank": 0, "nccl": "2.29.7"}, {"rank": 1, "world": 2}, code=0)
    collectives = tuple(Collective(name=name, holds=True, detail="all", seconds=1.5) for name in NAMES)
    assert fact(told) == Collectives(
        source="job", backend="nccl", processes=2, nccl="2.29.7", collectives=collectives, stage="done"
    )


def test_the_number_of_an_old_nccl_is_spelt_out() -> None:
    assert fact(job({"rank": 0, "nccl": 2708})).nccl == "2.7.8"


def test_torchruns_report_tells_how_each_process_ended() -> None:
    assert exit_codes(REPORT.splitlines()) == {0: -15, 1: -11}


def test_a_crash_is_the_cause_though_the_other_spoke_first() -> None:
    told = job(
        *reaches(0, "all-gather"), *reaches(1, "all-gather"), {"rank": 0, "failed": LOST}, tail=report(rank1=-11)
    )
    assert end(told) == ("signal SIGSEGV at all-gather", None, 1, False)


def test_an_error_of_its_own_comes_before_the_abort_and_the_loss_that_follow() -> None:
    own = "OutOfMemoryError: CUDA out of memory"
    shape = SHAPE._replace(ranks=(0, 1, 2), processes=3)
    lines = [line for rank in shape.ranks for line in reaches(rank, "broadcast")]
    told = job(*lines, {"rank": 0, "failed": LOST}, {"rank": 2, "failed": own}, tail=report(rank1=-6, rank0=1, rank2=1))
    assert end(told, shape) == ("exception at broadcast", own, 2, False)


@pytest.mark.parametrize("error", [LOST, REMOTE, "DistStoreError: wait timeout after 1800000ms"])
def test_where_all_only_lost_another_the_fact_says_so(error: str) -> None:
    told = job(*reaches(0, "connect"), *reaches(1, "connect"), {"rank": 1, "failed": error}, tail=report(rank0=-15))
    assert end(told) == ("exception at connect", error, 1, True)


def test_the_reason_in_the_further_lines_tells_a_loss_too() -> None:
    line = {
        "rank": 0,
        "failed": "DistBackendError: NCCL error in: x.cpp:1",
        "further": ["ncclRemoteError: A call failed"],
    }
    assert end(job(*reaches(0, "connect"), line, tail=report(rank1=-15)))[3] is True


def test_an_error_that_no_pattern_knows_is_no_loss() -> None:
    assert end(job(*reaches(0, "init"), {"rank": 0, "failed": "ValueError: x"}))[3] is False


def test_a_process_that_never_spoke_ended_at_the_start() -> None:
    told = job(*reaches(0, "init"), {"rank": 0, "failed": LOST}, tail=report(rank1=1))
    assert end(told) == ("exit code 1 at start", None, 1, False)


def test_where_the_launcher_does_not_tell_the_silent_process_comes_before_the_one_that_lost_it() -> None:
    told = job(*reaches(0, "connect"), *reaches(1, "connect"), {"rank": 0, "failed": LOST})
    assert end(told) == ("gone without a word at connect", None, 1, False)
    own = job(*reaches(0, "connect"), *reaches(1, "connect"), {"rank": 0, "failed": "ValueError: x"})
    assert end(own) == ("exception at connect", "ValueError: x", 0, False)


def test_a_hang_is_where_the_slowest_is_and_tells_where_each_was() -> None:
    told = job(*reaches(0, "broadcast"), *reaches(1, "all-gather"), how="hung")
    error = "no sign of work for 30 s: process 0 at broadcast; process 1 at all-gather"
    assert end(told) == ("hung at all-gather", error, 1, False)
    assert [one.holds for one in fact(told).collectives] == [True, None, None]


def test_a_process_that_survives_a_kill_is_told() -> None:
    told = job(*reaches(0, "connect"), *reaches(1, "connect"), how="hung")
    told.survivors = ("process 77 survives in nvidia_close",)
    assert end(told)[1] == "no sign of work for 30 s: process 0, 1 at connect; process 77 survives in nvidia_close"


def test_what_processes_say_after_they_were_ended_for_a_hang_is_no_cause() -> None:
    told = job(*reaches(0, "connect"), *reaches(1, "connect"), tail=report(rank0=-9, rank1=-9), how="hung")
    assert end(told)[0] == "hung at connect"


def test_an_exception_that_was_told_is_the_end_though_the_launcher_hung() -> None:
    told = job(*reaches(0, "init"), *reaches(1, "init"), {"rank": 1, "failed": "ValueError: x"}, how="hung")
    assert end(told) == ("exception at init", "ValueError: x", 1, False)


def test_a_launcher_that_hangs_after_all_were_done_is_no_fault() -> None:
    assert end(job(*reaches(0, "done"), *reaches(1, "done"), how="hung")) == (None, None, None, False)


def test_a_launcher_that_was_ended_from_outside_is_told() -> None:
    told = job(*reaches(0, "import"), *reaches(1, "init"))
    told.ending = Ending("signalled", signal="SIGKILL")
    assert end(told) == ("signal SIGKILL at import", None, 0, False)


def test_one_process_without_launcher_has_its_own_exit() -> None:
    shape = Shape("nccl", (3,), 8, 1, "job")
    told = job(*reaches(3, "connect"))
    told.ending = Ending("signalled", signal="SIGBUS")
    assert end(told, shape) == ("signal SIGBUS at connect", None, 3, False)


def test_wrong_numbers_are_those_of_the_first_process_that_saw_them() -> None:
    told = job(*reaches(0, "done"), *reaches(1, "done"))
    for rank in (1, 0):
        told.take({"rank": rank, "collective": "broadcast", "holds": False, "detail": f"seen by {rank}"})
    wrong = Collective(name="broadcast", holds=False, detail="process 0: seen by 0", rank=0)
    assert fact(told).collectives[2] == wrong


def test_the_last_line_that_was_printed_at_the_last_stage_is_the_error() -> None:
    told = job(*reaches(0, "done"), *reaches(1, "connect"), tail=report(rank1=-6))
    told.processes[1].printed = (
        "@gpudoctor-stage import",
        "an early line",
        "@gpudoctor-stage connect",
        "node1:7:9 [0] NCCL WARN Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 1b000",
        '  File "x.py", line 1',
    )
    error = "node1:7:9 [0] NCCL WARN Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 1b000"
    assert end(told) == ("signal SIGABRT at connect", error, 1, False)
    assert [(one.source, one.text) for one in messages(told)] == [
        ("torchrun process 1, import, stderr", "an early line"),
        ("torchrun process 1, connect, stderr", error),
    ]


def test_a_silent_launcher_is_not_knowing_and_its_own_report_is_not_its_reason() -> None:
    tail = ("NameError: name 'x' is not defined", *REPORT.splitlines())
    assert collectives_fact(job(tail=tail), SHAPE) == Missing(
        "crashed", "exit code 1: NameError: name 'x' is not defined", "job"
    )
    assert collectives_fact(job(how="hung"), SHAPE) == Missing("timed-out", "no process started in time", "job")
    assert collectives_fact(Told(), SHAPE) == Missing("timed-out", "interrupted", "job")


def test_a_line_that_is_not_ours_is_refused() -> None:
    with pytest.raises(KeyError):
        Told().take({"stage": "import"})
    with pytest.raises(ValueError, match="not in tuple"):
        Told().take({"rank": 0, "stage": "dancing"})
