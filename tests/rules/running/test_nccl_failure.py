from __future__ import annotations

from typing import Any

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, outcome, says, verdict

RULE = "nccl-failure"
PASTE = f.Facts(origin="paste")
ERROR = (
    "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1333, unhandled system error, NCCL "
    "version 2.18.6"
)


def test_nccls_reason_comes_before_the_frameworks_error_and_both_are_one_finding() -> None:
    facts = says("socketStartConnect: Connect to 10.0.0.2<1234> failed : No route to host", says(ERROR, PASTE))
    assert verdict(facts)[1] == RULE
    finding = found(facts, RULE)
    assert (finding.title, len(finding.evidence)) == ("NCCL could not reach another node.", 2)


def test_an_interface_that_was_named_wrongly_is_unset() -> None:
    environment = f.Environment(source="line 1", variables={"NCCL_SOCKET_IFNAME": "eth0"})
    facts = says("Bootstrap : no socket interface found", change(PASTE, environment=environment))
    assert found(facts, RULE).fixes[0].commands == ("unset NCCL_SOCKET_IFNAME",)


def test_a_failure_with_another_known_reason_is_that_one() -> None:
    text = "NCCL WARN Error while creating shared memory segment /dev/shm/nccl-x (size 9637888)"
    assert findings(says(text, says(ERROR, PASTE)), RULE) == ()


def test_broken_transfers_between_gpus_explain_it() -> None:
    facts = says("works with NCCL_P2P_DISABLE=1", says(ERROR, PASTE))
    assert verdict(facts)[1] == "multi-gpu-p2p-broken"
    assert found(facts, RULE).because_of == "multi-gpu-p2p-broken"


def test_nccls_information_lines_are_nothing() -> None:
    assert findings(says("node1:123:123 [0] NCCL INFO NET/Socket : Using [0]eno1:10.0.0.1<0>", GOOD), RULE) == ()


def test_a_kernel_that_failed_its_own_check_is_no_fault_of_nccl() -> None:
    text = "NCCL error in: ../torch/csrc/distributed/c10d/NCCLUtils.hpp:181, unhandled cuda error, NCCL version 21.0.3"
    paste = says(text, f.Facts(origin="paste"))
    assert len(findings(paste, RULE)) == 1
    assert findings(says("RuntimeError: CUDA error: device-side assert triggered", paste), RULE) == ()


# ------------------------------------------------------------------------------------------ the collective job


def eight(facts: f.Facts = GOOD, **fields: Any) -> f.Facts:
    """The good machine after a collective job of eight processes over NCCL, of which number 3 hung at all-gather."""
    values = {"stage": "all-gather", "ended": "hung", "rank": 3, "error": "no sign of work for 60 s", **fields}
    values = {"source": "job", "backend": "nccl", "processes": 8, **values}
    return change(facts, collectives=f.Collectives(**values))


def test_a_hang_names_its_collective_and_what_would_tell() -> None:
    finding = found(eight(), RULE)
    assert verdict(eight()) == ("broken", RULE)
    assert finding.title == "NCCL hung at all-gather between 8 processes."
    assert [(item.fact, item.value) for item in finding.evidence] == [
        ("collective job", "nccl, hung at all-gather"),
        ("error of process 3", "no sign of work for 60 s"),
    ]
    assert finding.settled_by == ("NCCL_P2P_DISABLE=1 gpudoctor smoke", "NCCL_DEBUG=INFO gpudoctor smoke")


def test_an_error_is_quoted_and_the_last_resort_is_explained() -> None:
    facts = eight(ended="exception", stage="connect", error=ERROR)
    finding = found(facts, RULE)
    assert (finding.title, finding.detail) == ("NCCL failed at connect between 8 processes.", ERROR)
    assert found(facts, "smoke-failed").because_of == RULE


def test_nccls_own_reason_is_the_title() -> None:
    line = "node1:7:9 [0] NCCL WARN Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 1b000"
    assert found(says(line, eight(ended="exception", error=ERROR)), RULE).title == "Two processes use one GPU."


def test_too_little_shared_memory_is_another_reason() -> None:
    line = "NCCL WARN Error while creating shared memory segment /dev/shm/nccl-x (size 9637888)"
    assert findings(says(line, eight(ended="exception", error="NCCL error in: x.cpp:1")), RULE) == ()


def test_a_process_that_only_lost_another_is_no_sure_cause() -> None:
    error = "ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely"
    facts = eight(ended="exception", error=error, waited=True, nodes=2, processes=16)
    finding = found(facts, RULE)
    assert finding.title == "NCCL lost the connection to a process at all-gather between 16 processes on 2 machines."
    assert (finding.confidence.value, finding.severity.value) == ("possible", "warning")
    assert finding.settled_by == ("the report of gpudoctor smoke on the other machines",)
    assert findings(facts, "smoke-failed") == ()


def test_processes_that_never_found_one_another_are_no_fault_of_nccl() -> None:
    facts = eight(stage="init", ended="exception", error="DistNetworkError: connect() timed out")
    assert outcome(facts, RULE) == "not-applicable"
    assert verdict(facts)[1] == "smoke-failed"


def test_one_gpu_that_nccl_fails_on_still_trains() -> None:
    assert found(eight(processes=1, ended="exception", error=ERROR), RULE).severity.value == "warning"
    assert found(eight(processes=1, ended="exception", error=ERROR), "smoke-failed").because_of == RULE


def test_gloo_that_fails_is_no_fault_of_nccl() -> None:
    facts = eight(backend="gloo", processes=2, ended="exception", error="RuntimeError: connectFullMesh failed")
    assert findings(facts, RULE) == ()
    finding = found(facts, "smoke-failed")
    assert (finding.severity.value, finding.because_of) == ("warning", None)
    assert finding.title == "torch.distributed over gloo failed at all-gather between 2 processes."


def test_a_job_that_ended_well_passed_and_too_little_time_is_no_fault() -> None:
    assert outcome(eight(stage="done", ended=None, error=None, rank=None), RULE) == "passed"
    for ended in ("timed out", "interrupted"):
        assert outcome(eight(ended=ended), RULE) == "skipped"
        assert findings(eight(ended=ended), "smoke-failed") == ()


def test_nccls_own_sentence_counts_after_whatever_a_program_puts_before_it() -> None:
    for start in ("RuntimeError: NCCL error: ", "NCCLerror: "):
        text = f"{start}unhandled system error (run with NCCL_DEBUG=INFO for details)"
        assert verdict(says(text, PASTE))[1] == RULE
    assert findings(says("NCCL error handling is described in the guide", PASTE), RULE) == ()
