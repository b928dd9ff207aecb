from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import change, found, outcome, says

RULE = "container-shm-too-small"
SMALL = change(container={"engine": "docker"}, shared_memory={"total": 64 << 20, "free": 64 << 20})
BUS = "RuntimeError: DataLoader worker (pid 325) is killed by signal: Bus error."


def test_the_default_of_an_engine_is_a_remark_and_an_error_once_it_is_full() -> None:
    assert found(SMALL, RULE).severity.value == "info"
    assert found(says(BUS, SMALL), RULE).severity.value == "error"


def test_enough_memory_and_a_machine_of_ones_own_are_none() -> None:
    assert outcome(change(container={"engine": "docker"}), RULE) == "passed"
    assert outcome(change(shared_memory={"total": 64 << 20, "free": 0}), RULE) == "not-applicable"


@pytest.mark.parametrize(
    "text",
    [
        BUS,
        "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).",
        "NCCL WARN Call to posix_fallocate failed: No space left on device",
        "NCCL WARN Error: failed to extend /dev/shm/nccl-WU88OE to 9637892 bytes, error: No space left on device (28)",
    ],
)
def test_programs_say_that_it_is_full(text: str) -> None:
    bare = change(shared_memory=f.NOT_IN_PASTE, container=f.NOT_IN_PASTE)
    assert found(says(text, bare), RULE).confidence.value == "likely"


@pytest.mark.parametrize(
    "text",
    [
        "OSError: [Errno 28] No space left on device: '/home/ann/checkpoints/last.pt'",
        "RuntimeError: DataLoader worker (pid 325) is killed by signal: Killed.",
        "RuntimeError: NCCL Error 2: unhandled system error",
    ],
)
def test_other_ends_of_space_and_workers_are_none(text: str) -> None:
    assert outcome(says(text, change(shared_memory=f.NOT_IN_PASTE)), RULE) != "found"
