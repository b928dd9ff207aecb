from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GIB, GOOD, change, findings, found, outcome, says, verdict, with_gpu

RULE = "gpu-memory-held"
PASTE = f.Facts(origin="paste")
HELD = (
    "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 7.93 GiB total capacity; 2.81 GiB already "
    "allocated; 25.38 MiB free; 3.06 GiB reserved in total by PyTorch)"
)
OWN = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of "
    "23.64 GiB of "
    "which 1.10 GiB is free. Including non-PyTorch memory, this process has 22.30 GiB memory in use."
)


def test_memory_that_most_others_hold_is_the_cause() -> None:
    facts = says(HELD, PASTE)
    assert verdict(facts)[1] == RULE
    assert found(facts, RULE).title == "Others held about 3.8 GiB of the GPU's 7.9 GiB when memory ran out."


def test_memory_that_the_process_itself_held_is_not() -> None:
    assert findings(says(OWN, PASTE), RULE) == ()
    assert verdict(says(OWN, PASTE))[1] == "gpu-memory-too-small"


@pytest.mark.parametrize(
    "text",
    [
        (
            "failed call to cuDevicePrimaryCtxRetain: CUDA_ERROR_OUT_OF_MEMORY: out of memory; total memory "
            "reported: 11523260416"
        ),
        "Could not create cudnn handle: CUDNN_STATUS_INTERNAL_ERROR",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_a_failure_before_anything_was_computed_is_this(text: str) -> None:
    assert verdict(says(text, PASTE))[1] == RULE


def test_an_error_without_numbers_leaves_two_candidates_and_the_command_that_tells() -> None:
    text = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4294967296 bytes."
    finding = found(says(text, PASTE), RULE)
    assert (finding.confidence.value, finding.settled_by) == ("possible", ("nvidia-smi",))


def test_an_empty_list_of_processes_contradicts_it() -> None:
    text = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 4294967296 bytes."
    assert findings(says(text, GOOD), RULE) == ()


def test_a_process_that_holds_the_memory_is_named() -> None:
    other = f.GpuProcess(pid=4711, used=70 * GIB, name="python")
    facts = with_gpu(GOOD, processes=f.GpuProcesses(source="NVML", processes=(other,)))
    text = "RuntimeError: CUDA error: out of memory"
    evidence = found(says(text, facts), RULE).evidence
    assert (evidence[1].fact, evidence[1].value) == ("GPU 0, process 4711", "python, 70.0 GiB")


def test_a_busy_gpu_without_any_error_is_healthy() -> None:
    other = f.GpuProcess(pid=4711, used=78 * GIB, name="python")
    facts = with_gpu(GOOD, processes=f.GpuProcesses(source="NVML", processes=(other,)))
    assert findings(facts, RULE) == ()


def test_a_smoke_job_without_room_names_the_free_memory() -> None:
    failed = f.Smoke(
        source="smoke job",
        framework="torch",
        device="cuda:0",
        gpu=0,
        stage="copy",
        result="failed",
        error="torch.OutOfMemoryError: CUDA out of memory",
    )
    full = with_gpu(change(GOOD, smokes=(failed,)), memory=f.GpuMemory(source="NVML", total=80 * GIB, free=GIB // 2))
    assert found(full, RULE).severity.value == "error"
    assert found(full, "smoke-failed").because_of == RULE
    assert outcome(GOOD, RULE) in ("passed", "not-applicable")


@pytest.mark.parametrize(("numbers", "rule"), [(HELD, RULE), (OWN, "gpu-memory-too-small")])
def test_a_line_with_numbers_says_more_than_one_without(numbers: str, rule: str) -> None:
    facts = says(numbers, says("it ends with CUDA out of memory after an epoch", PASTE))
    assert verdict(facts)[1] == rule
    assert len(findings(facts, RULE)) == (rule == RULE)
