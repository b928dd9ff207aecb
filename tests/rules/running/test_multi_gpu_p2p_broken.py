from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, outcome, says, verdict

RULE = "multi-gpu-p2p-broken"
PASTE = f.Facts(origin="paste")


@pytest.mark.parametrize(
    "text",
    [
        "AMD-Vi: Event logged [IO_PAGE_FAULT device=41:00.0 domain=0x000e address=0x000003f80001b100 flags=0x0030]",
        "cudaMemcpyPeer: data mismatch with cudaSuccess",
        "training freezes with 4 GPUs, works with NCCL_P2P_DISABLE=1",
        "tensor.to(cuda:1) of a cuda:0 tensor returns other values",
    ],
)
def test_faults_wrong_data_or_the_workaround_are_likely(text: str) -> None:
    assert verdict(says(text, PASTE))[1] == RULE
    assert found(says(text, PASTE), RULE).confidence.value == "likely"


def test_a_hang_alone_is_possible_and_says_what_would_tell() -> None:
    finding = found(says("multi-GPU training is stuck at random", PASTE), RULE)
    assert (finding.confidence.value, finding.settled_by[1]) == ("possible", "nvidia-smi topo -p2p r")


def test_the_kernels_log_is_read_too() -> None:
    log = f.KernelLog(source="/dev/kmsg", lines=("AMD-Vi: Event logged [IO_PAGE_FAULT device=41:00.0]",))
    assert found(change(PASTE, kernel_log=log), RULE).evidence[0].source == "/dev/kmsg"


def test_one_gpu_has_nobody_to_copy_to() -> None:
    assert findings(says("AMD-Vi: Event logged [IO_PAGE_FAULT device=41:00.0]", GOOD), RULE) == ()


def copied(*copies: f.PeerCopy) -> f.Facts:
    return change(peer_copies=f.PeerCopies(source="CUDA driver API", copies=copies))


def copy(source: int, target: int, holds: bool | None = True, **more: object) -> f.PeerCopy:
    values = {"source_gpu": source, "target_gpu": target, "direct": True, "holds": holds, **more}
    return f.PeerCopy(**values)  # type: ignore[arg-type]


DIFFERS = "byte 524288: 00ff arrived as a5a5; up to 512 of 1024 bytes differ"


def test_data_that_differ_are_certain_and_named_with_the_pair_and_the_iommu() -> None:
    finding = found(copied(copy(0, 1, holds=False, error=DIFFERS), copy(1, 0, rate=20.0)), RULE)
    assert finding.title == "Copies between the GPUs arrive with wrong data (GPU 0 to GPU 1)."
    assert finding.detail == f"GPU 0 to GPU 1 (direct): {DIFFERS}"
    assert (finding.severity.value, finding.confidence.value) == ("error", "certain")
    assert [(one.fact, one.value) for one in finding.evidence] == [("copy from GPU 0 to GPU 1", DIFFERS)]
    variable, firmware = finding.fixes
    assert "NCCL_P2P_DISABLE" in variable.title
    assert ("IOMMU and ACS off" in firmware.title, firmware.verify) == (True, "gpudoctor smoke --deep")


def test_a_copy_that_does_not_return_is_likely() -> None:
    why = "no answer for 10 s: cuMemcpyPeer, GPU 0 to GPU 1"
    finding = found(copied(copy(0, 1, holds=None, hung=True, error=why)), RULE)
    assert finding.title == "Copies between the GPUs do not return (GPU 0 to GPU 1)."
    assert (finding.severity.value, finding.confidence.value) == ("error", "likely")
    assert finding.detail.endswith(why)


def test_wrong_data_by_main_memory_leave_the_cause_open() -> None:
    finding = found(copied(copy(0, 1, holds=False, direct=False, error=DIFFERS)), RULE)
    assert (finding.confidence.value, finding.settled_by[1]) == ("possible", "nvidia-smi topo -p2p r")


def test_of_many_pairs_a_few_are_named() -> None:
    wrong = [copy(source, target, holds=False) for source in range(4) for target in range(4) if source != target]
    finding = found(copied(*wrong), RULE)
    assert finding.title.endswith("GPU 0 to GPU 3, GPU 1 to GPU 0, 8 more).")
    assert (len(finding.evidence), len(finding.detail.splitlines())) == (4, 4)


def test_copies_that_arrive_pass() -> None:
    assert outcome(copied(copy(0, 1), copy(1, 0, direct=False)), RULE) == "passed"


@pytest.mark.parametrize(
    "error",
    [
        "CUDA_ERROR_OUT_OF_MEMORY: cuMemAlloc_v2, GPU 1",
        "signal SIGSEGV: cuMemcpyPeer, GPU 0 to GPU 1",
        "the memory of GPU 1 itself: byte 5: 00 arrived as 01; up to 1 of 1024 bytes differ",
        "not tried: no time left",
    ],
)
def test_a_copy_that_was_not_compared_is_no_finding_of_wrong_data(error: str) -> None:
    assert findings(copied(copy(0, 1, holds=None, error=error), copy(1, 0)), RULE) == ()


def test_one_gpu_alone_has_no_copies() -> None:
    assert outcome(copied(), RULE) == "not-applicable"


def test_the_copies_explain_a_job_that_computed_wrong() -> None:
    wrong = f.Smoke(
        source="smoke job",
        framework="torch",
        device="cuda:0",
        gpu=0,
        stage="verify",
        result="failed",
        error="matches-cpu does not hold: largest difference 3.1",
        proofs=(f.Proof(name="matches-cpu", holds=False, detail="largest difference 3.1", required=True),),
    )
    facts = change(copied(copy(0, 1, holds=False, error=DIFFERS)), smokes=(wrong,))
    assert verdict(facts) == ("broken", RULE)


# ---------------------------------------------------------------------------------------- collective operations


def summed(holds: bool | None = False, backend: Literal["nccl", "gloo"] = "nccl", **fields: Any) -> f.Facts:
    """The good machine after a collective job of eight processes whose all-reduce gave these numbers."""
    detail = "process 3: 1021 numbers (int64): number 510 is 0, not 3001020; 1 differ"
    one = f.Collective(name="all-reduce", holds=holds, detail=detail, rank=3)
    others = tuple(f.Collective(name=name, holds=True) for name in ("all-gather", "broadcast"))
    values = {"processes": 8, "collectives": (one, *others), **fields}
    return change(GOOD, collectives=f.Collectives(source="job", backend=backend, **values))


def test_wrong_numbers_from_nccl_are_transfers_that_corrupt() -> None:
    finding = found(summed(), RULE)
    assert verdict(summed()) == ("broken", RULE)
    assert finding.title == "NCCL gives wrong numbers between 8 processes: all-reduce."
    assert (finding.confidence.value, finding.evidence[0].fact) == ("likely", "all-reduce")
    assert found(summed(), "smoke-wrong-results").because_of == RULE


def test_between_machines_the_network_may_be_at_fault_as_well() -> None:
    finding = found(summed(nodes=2), RULE)
    assert (finding.confidence.value, finding.settled_by) == ("possible", ("gpudoctor smoke (on each machine alone)",))


def test_wrong_numbers_that_no_transfer_between_gpus_can_cause() -> None:
    off = f.Environment(source="environment", variables={"NCCL_P2P_DISABLE": "1"})
    for facts in (summed(backend="gloo"), summed(processes=1), change(summed(), environment=off)):
        assert findings(facts, RULE) == ()
        assert verdict(facts) == ("broken", "smoke-wrong-results")


def test_exact_results_passed_and_what_was_not_compared_did_not() -> None:
    assert outcome(summed(holds=True), RULE) == "passed"
    assert outcome(summed(holds=None, ended="hung", stage="all-reduce"), RULE) == "skipped"
    assert findings(summed(holds=None, ended="hung", stage="all-reduce"), "smoke-wrong-results") == ()


def test_copies_that_were_not_tried_are_no_pass_where_there_are_several_gpus() -> None:
    one = GOOD.known_gpus()[0]
    assert outcome(GOOD, RULE) == "not-applicable"
    assert outcome(change(gpus={"gpus": (one, msgspec.structs.replace(one, index=1))}), RULE) == "skipped"


def test_a_hang_of_a_program_that_only_moves_data_is_likely() -> None:
    text = "all_reduce_perf from nccl-tests hangs"
    assert found(says(text, PASTE), RULE).confidence.value == "likely"
    over = says("mpirun -np 16 -H a,b ./all_reduce_perf -b 8", says(text, PASTE))
    assert found(over, RULE).confidence.value == "possible"
