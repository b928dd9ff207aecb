"""On a machine with NVIDIA GPUs: collective operations over NCCL, a process for each, in this interpreter's PyTorch."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from gpudoctor.children import Limits
from gpudoctor.collectives.job import MOST_PROCESSES, CollectivesPlan, run
from gpudoctor.facts import Collectives, CudaDriver
from gpudoctor.probes.cuda_driver import cuda_driver
from gpudoctor.world import World

pytestmark = pytest.mark.gpu


@pytest.fixture
def python() -> str:
    executable = os.environ.get("TORCH_PYTHON", sys.executable)
    if not any(Path(executable).parent.parent.glob("lib/python3*/site-packages/torch")):
        pytest.skip(f"no torch beside {executable}; TORCH_PYTHON may name another interpreter")
    return executable


def test_every_gpu_takes_part_over_nccl_with_exact_results(python: str) -> None:
    cuda = cuda_driver(World(), Limits.within(60))
    assert isinstance(cuda, CudaDriver)
    assert cuda.count
    known = run(CollectivesPlan.on(cuda.count, python, os.environ, Limits.within(300, 60)))
    told = known.collectives
    assert isinstance(told, Collectives), told
    assert (told.backend, told.processes) == ("nccl", min(cuda.count, MOST_PROCESSES))
    assert (told.ending, told.error, known.messages) == (None, None, ())
    assert [one.holds for one in told.collectives] == [True] * 3
    assert all(one.seconds for one in told.collectives)
    assert told.nccl


def test_more_processes_than_gpus_are_told_and_not_taken_for_a_result(python: str) -> None:
    cuda = cuda_driver(World(), Limits.within(60))
    assert isinstance(cuda, CudaDriver)
    assert cuda.count
    if cuda.count >= MOST_PROCESSES:
        pytest.skip("no process too many can be asked for")
    told = run(CollectivesPlan.on(cuda.count + 1, python, os.environ, Limits.within(300, 60))).collectives
    assert isinstance(told, Collectives), told
    assert told.ended
    assert told.error
    assert [one.holds for one in told.collectives] == [None] * 3
