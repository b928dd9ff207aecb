"""The deep checks and the witness on a real GPU, through the real libcuda."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gpudoctor.children import Limits
from gpudoctor.facts import Gpu, Gpus, Missing
from gpudoctor.probes.cuda_deep import deep_checks
from gpudoctor.probes.cuda_devices import cuda_devices
from gpudoctor.probes.cuda_memory import LEAVE, SHARE
from gpudoctor.probes.cuda_witness import CudaSight, CudaWitness
from gpudoctor.probes.nvml import nvml
from gpudoctor.world import World

pytestmark = pytest.mark.gpu

HELD = 512 << 20

JOB = """
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
context, pointer = ctypes.c_void_p(), ctypes.c_uint64()
assert cuda.cuInit(0) == 0
assert cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
assert cuda.cuCtxSetCurrent(context) == 0
assert cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(int(sys.argv[1]))) == 0
print("holding", flush=True)
sys.stdin.read()
"""


def known_gpus() -> tuple[Gpu, ...]:
    found = nvml(World(), Limits.within(60)).gpus
    return found.gpus if isinstance(found, Gpus) else ()


def test_the_memory_keeps_what_is_written_and_copies_arrive() -> None:
    memory, peers = deep_checks(World(), known_gpus(), os.environ, Limits.within(90))
    assert not isinstance(memory, Missing), memory
    assert memory.tests
    for test in memory.tests:
        assert test.faults == ()
        assert test.error in (None, "the time was too short for all of it")
        assert 0 < test.tested <= min(test.free * SHARE, test.free - LEAVE)
    assert not isinstance(peers, Missing), peers
    assert all(copy.holds for copy in peers.copies), peers


def test_the_witness_sees_what_another_process_holds() -> None:
    with CudaWitness(World(), Limits.within(60), pci=_first_address()) as witness:
        before = witness.look()
        command = [sys.executable, "-c", JOB, str(HELD)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as job:
            assert job.stdout is not None
            assert job.stdout.readline() == "holding\n"
            during = witness.look()
            job.kill()
    assert isinstance(before, CudaSight), before
    assert isinstance(during, CudaSight), during
    assert during.used - before.used >= HELD


def _first_address() -> str:
    """The PCI address of CUDA's first device, which is the job's."""
    devices = cuda_devices(World(), known_gpus(), Limits.within(60))
    assert not isinstance(devices, Missing), devices
    assert devices[0].pci is not None
    return devices[0].pci
