"""The witness beside a job: two real processes, one libcuda that shares the GPU's memory between them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpudoctor import children
from gpudoctor.children import Limits
from gpudoctor.facts import Missing
from gpudoctor.probes.cuda_witness import CudaSight, CudaWitness
from gpudoctor.smoke.told import Sight, memory_proof, process_proof
from gpudoctor.world import World
from tests.cli.run import BUSY
from tests.lab.drivers.fake import HANG, MIB, SEGV, FakeGpu, Machine, MigSlice, after, error, gpus, install
from tests.lab.drivers.needs import need_compiler

IDLE = 2.0
TOTAL = 1024 * MIB
GPU = FakeGpu(memory=(TOTAL, 24 * MIB, 100 * MIB), context_memory=50 * MIB)
PCI = "0000:17:00.0"
MIG = "MIG-7e1f7c2a-0000-5000-8000-0000000000b1"

# A job as any program is one: a context and memory of its own, held until its input ends.
JOB = """
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
context, pointer = ctypes.c_void_p(), ctypes.c_uint64()
assert cuda.cuInit(0) == 0
code = cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
if code:
    sys.exit(f"refused {code}")
assert cuda.cuCtxSetCurrent(context) == 0
assert cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(int(sys.argv[1]))) == 0
print("holding", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _compiler() -> None:
    need_compiler()


def world(folder: Path, machine: Machine, **environ: str) -> World:
    return World(environ={**os.environ, **install(folder, machine), **environ})


@contextmanager
def job(where: World, size: int) -> Iterator[None]:
    command = [sys.executable, "-c", JOB, str(size)]
    with subprocess.Popen(
        command, env=dict(where.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        yield
        process.kill()


def look(where: World, **which: str) -> CudaSight | Missing:
    with CudaWitness(where, Limits.within(20, IDLE), **which) as witness:
        return witness.look()


def test_what_a_job_holds_is_seen_while_it_holds_it_and_not_before_or_after(tmp_path: Path) -> None:
    where = world(tmp_path, Machine(gpus=(GPU,)))
    with CudaWitness(where, Limits.within(30, IDLE), pci=PCI) as witness:
        before = witness.look()
        with job(where, 200 * MIB):
            during = witness.look()
        afterwards = witness.look()
    # Reserved, used by others, the witness's own context; then the job's context and its memory.
    assert before == afterwards == CudaSight(used=174 * MIB, total=TOTAL)
    assert during == CudaSight(used=174 * MIB + 250 * MIB, total=TOTAL)


def test_it_is_a_sight_by_which_a_job_is_proved_and_not_listed(tmp_path: Path) -> None:
    where = world(tmp_path, Machine(gpus=(GPU,)))
    with CudaWitness(where, Limits.within(30, IDLE), pci=PCI) as witness:
        before: Sight | Missing = witness.look()
        with job(where, 200 * MIB):
            during: Sight | Missing = witness.look()
    assert memory_proof(before, during, 200 * MIB).holds is True
    assert process_proof(before, during, 1, 200 * MIB).holds is None


def test_the_gpu_is_found_by_address_or_uuid(tmp_path: Path) -> None:
    one, other = gpus(2)
    where = world(tmp_path, Machine(gpus=(one, FakeGpu(uuid=other.uuid, pci=other.pci, memory=(TOTAL, 0, 7)))))
    seen = CudaSight(used=7, total=TOTAL)
    assert look(where, pci="00000000:27:00.0") == seen
    assert look(where, uuid=str(other.uuid).replace("GPU-5e1f7c2a", "GPU-5E1F7C2A")) == seen


def test_a_mig_instance_has_memory_of_its_own(tmp_path: Path) -> None:
    sliced = FakeGpu(mig_mode=(True, True), mig_slices=(MigSlice("MIG-0", memory=5), MigSlice(MIG, memory=TOTAL)))
    where = world(tmp_path, Machine(gpus=(sliced,)), CUDA_VISIBLE_DEVICES="0")
    assert look(where, mig=MIG) == CudaSight(used=0, total=TOTAL)


def test_a_gpu_that_is_hidden_from_the_user_is_not_looked_at(tmp_path: Path) -> None:
    where = world(tmp_path, Machine(gpus=gpus(2)), CUDA_VISIBLE_DEVICES="1")
    assert look(where, pci=PCI) == Missing("unreadable", f"CUDA shows no device with pci {PCI}", "cuDeviceGet")


def test_on_a_gpu_for_one_process_it_leaves_the_place_to_the_job(tmp_path: Path) -> None:
    where = world(tmp_path, Machine(gpus=(FakeGpu(compute_mode=3),)))
    with CudaWitness(where, Limits.within(20, IDLE), pci=PCI) as witness:
        refused = Missing("unreadable", "the GPU's compute mode allows one process", "cuDeviceGetAttribute")
        assert witness.look() == refused
        with job(where, MIB):
            assert witness.look() == refused


@pytest.mark.parametrize(
    ("faults", "missing"),
    [
        ({"cuDevicePrimaryCtxRetain": error(2)}, Missing("unreadable", "CUDA_ERROR_OUT_OF_MEMORY", "*Retain")),
        ({"cuDevicePrimaryCtxRetain": HANG}, Missing("timed-out", "no answer for 2 s", "*Retain")),
        ({"cuMemGetInfo_v2": after(1, HANG)}, Missing("timed-out", "no answer for 2 s", "cuMemGetInfo_v2")),
        ({"cuMemGetInfo_v2": after(1, SEGV)}, Missing("crashed", "signal SIGSEGV", "cuMemGetInfo_v2")),
        ({"cuMemGetInfo_v2": after(1, error(999))}, Missing("unreadable", "CUDA_ERROR_UNKNOWN", "cuMemGetInfo_v2")),
    ],
)
def test_what_fails_is_missing_with_its_call_at_this_look_and_every_later_one(
    tmp_path: Path, faults: dict[str, str], missing: Missing
) -> None:
    where = world(tmp_path, Machine(faults=faults))
    started = time.monotonic()
    with CudaWitness(where, Limits.within(20, IDLE), pci=PCI) as witness:
        first, second = witness.look(), witness.look()
    expected = Missing(missing.kind, missing.detail, missing.where.replace("*", "cuDevicePrimaryCtx"))
    assert first == second == expected
    assert time.monotonic() - started < IDLE + BUSY
    assert not children._running


def test_flags_that_an_old_driver_does_not_take_do_not_matter(tmp_path: Path) -> None:
    where = world(tmp_path, Machine(gpus=(GPU,), without=("cuDevicePrimaryCtxSetFlags_v2", "cuDeviceGetUuid_v2")))
    assert look(where, pci=PCI) == CudaSight(used=174 * MIB, total=TOTAL)


def test_a_child_that_does_not_start_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = world(tmp_path, Machine())
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert look(where, pci=PCI) == Missing("unreadable", "No such file or directory", "start of a child process")
