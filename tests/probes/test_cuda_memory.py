"""The memory test against GPUs whose memory is real memory of the host, with described faults."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from gpudoctor import children
from gpudoctor.children import Limits
from gpudoctor.facts import MemoryFault, MemoryTest, MemoryTests
from gpudoctor.probes import cuda_memory as module
from gpudoctor.probes.cuda_devices import CudaDevice
from gpudoctor.probes.cuda_memory import LEAVE, cuda_memory
from gpudoctor.world import World
from tests.cli.run import BUSY
from tests.lab.drivers.fake import (
    GIB,
    HANG,
    MIB,
    SEGV,
    SPIN,
    FakeGpu,
    Fault,
    Machine,
    MigSlice,
    Range,
    after,
    error,
    gpus,
    install,
)
from tests.lab.drivers.needs import need_compiler

IDLE = 2.0
KIB = 1024
BLOCK = 4 * MIB
FREE = LEAVE + 24 * MIB
MEMORY = (FREE, 0, 0)
TESTED = 24 * MIB
GPU_0 = CudaDevice(0, 0, "0000:17:00.0")
GPU_1 = CudaDevice(1, 1, "0000:27:00.0")
GOOD = MemoryTest(gpu=0, free=FREE, tested=TESTED)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    need_compiler()
    monkeypatch.setattr(module, "_BLOCK", BLOCK)


def run(
    folder: Path, machine: Machine, *devices: CudaDevice, seconds: float = 30, idle: float = 10, **environ: str
) -> MemoryTests:
    world = World(environ={**os.environ, **install(folder, machine), **environ})
    return cuda_memory(world, devices or (GPU_0,), Limits.within(seconds, idle))


def one(folder: Path, machine: Machine, idle: float = 10) -> MemoryTest:
    (test,) = run(folder, machine, idle=idle).tests
    return test


def faulty(folder: Path, flips: tuple[Range, ...] = (), aliases: tuple[Range, ...] = ()) -> list[tuple[int, int]]:
    test = one(folder, Machine(gpus=(FakeGpu(memory=MEMORY, flips=flips, aliases=aliases),)))
    return [(fault.first, fault.last) for fault in test.faults]


# ------------------------------------------------------------------------------------------------ good memory


def test_memory_that_keeps_what_was_written_has_no_fault(tmp_path: Path) -> None:
    assert run(tmp_path, Machine(gpus=(FakeGpu(memory=MEMORY),))) == MemoryTests(
        source="CUDA driver API", tests=(GOOD,)
    )


@pytest.mark.parametrize(
    ("free", "integrated", "tested"),
    [
        (12 * GIB, False, 12 * GIB * 95 // 100),
        (FREE, False, TESTED),
        (FREE + 1, False, TESTED),
        (2 * GIB, True, GIB),
        (LEAVE + 2 * MIB, False, 2 * MIB),
    ],
)
def test_it_takes_at_most_its_share_and_leaves_the_rest(
    tmp_path: Path, free: int, integrated: bool, tested: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The copies themselves would need memory that the host may not have: they are refused, what was taken is known.
    taken = Machine(gpus=(FakeGpu(memory=(free, 0, 0), integrated=integrated),), faults={"cuMemcpyHtoD_v2": error(999)})
    said: list[Any] = []
    hear = module._Test.hear

    def overhear(test: module._Test, line: Any) -> None:
        said.append(line)
        hear(test, line)

    monkeypatch.setattr(module._Test, "hear", overhear)
    assert one(tmp_path, taken).free == free
    (found,) = [line["taken"] for line in said if isinstance(line, dict) and "taken" in line]
    assert tested - 2 * MIB < found <= tested


@pytest.mark.parametrize("free", [0, 100 * MIB, LEAVE, LEAVE + MIB])
def test_where_too_little_is_free_nothing_is_taken(tmp_path: Path, free: int) -> None:
    test = one(tmp_path, Machine(gpus=(FakeGpu(memory=(free + GIB, GIB, 0)),)))
    error_text = "no more than 512 MiB to leave free: cuMemGetInfo_v2"
    assert test == MemoryTest(gpu=0, free=free, tested=0, error=error_text)


def test_scattered_free_memory_is_taken_in_smaller_pieces(tmp_path: Path) -> None:
    assert one(tmp_path, Machine(gpus=(FakeGpu(memory=MEMORY, largest_allocation=5 * MIB),))) == GOOD


def test_ordinary_memory_of_the_host_will_do_where_it_cannot_be_pinned(tmp_path: Path) -> None:
    assert one(tmp_path, Machine(gpus=(FakeGpu(memory=MEMORY),), faults={"cuMemAllocHost_v2": error(2)})) == GOOD


def test_progress_grows_to_the_end(tmp_path: Path) -> None:
    seen: list[float] = []
    world = World(environ={**os.environ, **install(tmp_path, Machine(gpus=(FakeGpu(memory=MEMORY),)))})
    cuda_memory(world, (GPU_0,), Limits.within(30), lambda _device, done: seen.append(done))
    assert seen == sorted(seen)
    assert (len(seen), seen[-1]) == (4 * TESTED // BLOCK, 1.0)


# ----------------------------------------------------------------------------------------------------- faults


def test_a_flipped_bit_is_told_with_its_byte_and_both_words(tmp_path: Path) -> None:
    place = 9 * MIB + 5
    test = one(tmp_path, Machine(gpus=(FakeGpu(memory=MEMORY, flips=((place, place, 0x10),)),)))
    (fault,) = test.faults
    assert test == MemoryTest(gpu=0, free=FREE, tested=TESTED, faults=(fault,))
    assert fault == MemoryFault(first=place, last=place, wrote=fault.wrote, read=fault.read)
    difference = int(fault.wrote, 16) ^ int(fault.read, 16)
    assert difference == 0x10 << 8 * (7 - place % 8)


@pytest.mark.parametrize("first", [0, BLOCK - 1, TESTED - 1])
def test_no_place_is_left_out(tmp_path: Path, first: int) -> None:
    assert faulty(tmp_path, flips=((first, first, 1),)) == [(first, first)]


def test_a_faulty_stretch_across_two_blocks_is_one_range(tmp_path: Path) -> None:
    assert faulty(tmp_path, flips=((BLOCK - 10, BLOCK + 9, 0xFF),)) == [(BLOCK - 10, BLOCK + 9)]


@pytest.mark.parametrize("distance", [4 * KIB, 64 * KIB, 2 * MIB, BLOCK, 2 * BLOCK])
def test_two_addresses_of_the_same_cells_show(tmp_path: Path, distance: int) -> None:
    start = MIB
    ranges = faulty(tmp_path, aliases=((start, 256, start + distance),))
    assert len(ranges) == 1
    first, last = ranges[0]
    # The one that was written first lost its bytes; a byte or two can be the same in both by chance.
    assert start <= first < start + 8
    assert start + 248 <= last < start + 256


def test_every_bit_that_is_stuck_shows_since_both_patterns_write_it_both_ways(tmp_path: Path) -> None:
    places = [5 * MIB + 8 * KIB * index for index in range(16)]
    stuck = tuple((place, place, 1 << index % 8) for index, place in enumerate(places))
    test = one(tmp_path, Machine(gpus=(FakeGpu(memory=MEMORY, stuck=stuck),)))
    assert [(fault.first, fault.last) for fault in test.faults] == [(place, place) for place in places]


def test_after_twenty_ranges_it_ends_and_says_so(tmp_path: Path) -> None:
    flips = tuple((64 * KIB * index, 64 * KIB * index, 1) for index in range(25))
    test = one(tmp_path, Machine(gpus=(FakeGpu(memory=MEMORY, flips=flips),)))
    assert [fault.first for fault in test.faults] == [64 * KIB * index for index in range(20)]
    assert (test.tested, test.error) == (BLOCK, "ended after 20 faulty ranges")


# ------------------------------------------------------------------------------------------- refusals, hangs, ends


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"cuInit": error(999)}, "CUDA_ERROR_UNKNOWN: cuInit"),
        ({"cuDevicePrimaryCtxRetain": error(46)}, "CUDA_ERROR_DEVICE_UNAVAILABLE: cuDevicePrimaryCtxRetain"),
        ({"cuMemcpyDtoH_v2": after(3, error(214))}, "CUDA_ERROR_ECC_UNCORRECTABLE: cuMemcpyDtoH_v2"),
        ({"cuMemcpyDtoH_v2": after(3, SEGV)}, "crashed: cuMemcpyDtoH_v2: signal SIGSEGV"),
        ({"cuInit": HANG}, "timed out: cuInit: no answer for 2 s"),
        ({"cuMemcpyDtoH_v2": after(3, HANG)}, "no answer for 2 s: cuMemcpyDtoH_v2"),
        ({"cuMemcpyDtoH_v2": after(3, SPIN)}, "no answer for 2 s: cuMemcpyDtoH_v2"),
    ],
)
def test_what_ends_it_early_is_told_with_its_call(tmp_path: Path, faults: dict[str, Fault], said: str) -> None:
    started = time.monotonic()
    test = one(tmp_path, Machine(gpus=(FakeGpu(memory=MEMORY),), faults=faults), idle=IDLE)
    # The first block is read once more beforehand, for the time that it takes.
    begun = "DtoH" in said
    tested = 2 * BLOCK if begun else 0
    free = FREE if begun else 0
    assert test == MemoryTest(gpu=0, free=free, tested=tested, error=said)
    assert time.monotonic() - started < IDLE + BUSY
    assert not children._running


def test_faults_that_were_found_before_the_end_are_kept(tmp_path: Path) -> None:
    gpu = FakeGpu(memory=MEMORY, flips=((7, 7, 1),), faults={"cuMemcpyDtoH_v2": after(3, SEGV)})
    test = one(tmp_path, Machine(gpus=(gpu,)))
    assert [fault.first for fault in test.faults] == [7]
    assert test.error == "crashed: cuMemcpyDtoH_v2: signal SIGSEGV"


def test_where_time_is_short_a_part_is_tested_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_END_SECONDS", 30.0)
    test = one(tmp_path, Machine(gpus=(FakeGpu(memory=MEMORY),)))
    assert 0 <= test.tested <= BLOCK
    assert test == MemoryTest(gpu=0, free=FREE, tested=test.tested, error="the time was too short for all of it")


# ---------------------------------------------------------------------------------------------- several devices


def test_each_gpu_has_its_own_test_and_one_that_fails_hides_no_other(tmp_path: Path) -> None:
    good, bad = gpus(2, memory=MEMORY)
    bad = FakeGpu(uuid=bad.uuid, pci=bad.pci, memory=MEMORY, faults={"cuMemAlloc_v2": HANG})
    found = run(tmp_path, Machine(gpus=(good, bad)), GPU_0, GPU_1, idle=IDLE)
    assert found.tests == (GOOD, MemoryTest(gpu=1, free=FREE, tested=0, error="no answer for 2 s: cuMemAlloc_v2"))


def test_many_devices_take_turns_and_all_are_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_AT_ONCE", 2)
    devices = tuple(CudaDevice(index, index) for index in range(5))
    found = run(tmp_path, Machine(gpus=gpus(5, memory=MEMORY)), *devices)
    assert [(test.gpu, test.tested, test.error) for test in found.tests] == [
        (index, TESTED, None) for index in range(5)
    ]


def test_a_mig_instance_is_tested_in_an_environment_of_its_own(tmp_path: Path) -> None:
    uuids = [f"MIG-7e1f7c2a-0000-5000-8000-0000000000b{index}" for index in range(2)]
    slices = (MigSlice(uuids[0], memory=FREE), MigSlice(uuids[1], memory=FREE, flips=((3, 3, 1),)))
    machine = Machine(gpus=(FakeGpu(mig_mode=(True, True), mig_slices=slices),))
    devices = tuple(CudaDevice(0, mig=uuid) for uuid in uuids)
    first, second = run(tmp_path, machine, *devices, CUDA_VISIBLE_DEVICES="0").tests
    assert first == MemoryTest(gpu=0, mig=uuids[0], free=FREE, tested=TESTED)
    assert (second.mig, [fault.first for fault in second.faults]) == (uuids[1], [3])


def test_an_interrupt_ends_all_children(tmp_path: Path) -> None:
    def interrupt(_device: CudaDevice, _done: float) -> None:
        raise KeyboardInterrupt

    world = World(environ={**os.environ, **install(tmp_path, Machine(gpus=gpus(2, memory=MEMORY)))})
    with pytest.raises(KeyboardInterrupt):
        cuda_memory(world, (GPU_0, GPU_1), Limits.within(30), interrupt)
    assert not children._running
