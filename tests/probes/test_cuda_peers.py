"""Copies between the GPUs of described machines, which hold their data in real memory."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from gpudoctor import children
from gpudoctor.children import Limits
from gpudoctor.facts import PeerCopies, PeerCopy
from gpudoctor.probes import cuda_peers as module
from gpudoctor.probes.cuda_devices import CudaDevice
from gpudoctor.probes.cuda_peers import cuda_peers
from gpudoctor.world import World
from tests.cli.run import BUSY
from tests.lab.drivers.fake import HANG, SEGV, SPIN, WRONG, Fault, Machine, error, gpus, install
from tests.lab.drivers.needs import need_compiler

IDLE = 2.0
SIZE = 1 << 20


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    need_compiler()
    monkeypatch.setattr(module, "_SIZE", SIZE)


def run(
    folder: Path, machine: Machine, devices: tuple[CudaDevice, ...] = (), idle: float = 10, seconds: float = 60
) -> dict[tuple[int, int], PeerCopy]:
    world = World(environ={**os.environ, **install(folder, machine)})
    devices = devices or tuple(CudaDevice(index, index) for index in range(len(machine.gpus)))
    found = cuda_peers(world, devices, Limits.within(seconds, idle))
    assert found == PeerCopies(source="CUDA driver API", copies=found.copies)
    return {(copy.source_gpu, copy.target_gpu): copy for copy in found.copies}


def good(copy: PeerCopy, *, direct: bool = True) -> bool:
    assert copy.rate is not None
    assert copy.rate > 0
    bare = replace_rate(copy)
    return bare == PeerCopy(source_gpu=copy.source_gpu, target_gpu=copy.target_gpu, direct=direct, holds=True)


def replace_rate(copy: PeerCopy) -> PeerCopy:
    return PeerCopy(
        source_gpu=copy.source_gpu,
        target_gpu=copy.target_gpu,
        direct=copy.direct,
        holds=copy.holds,
        error=copy.error,
        hung=copy.hung,
    )


def failed(source: int, target: int, why: str, *, direct: bool | None = True, hung: bool = False) -> PeerCopy:
    return PeerCopy(source_gpu=source, target_gpu=target, direct=direct, holds=None, error=why, hung=hung)


def test_every_pair_of_a_good_machine_is_copied_in_both_directions(tmp_path: Path) -> None:
    copies = run(tmp_path, Machine(gpus=gpus(3)))
    assert list(copies) == list(permutations(range(3), 2))
    assert all(good(copy) for copy in copies.values())


def test_gpus_without_access_to_one_another_copy_by_a_detour(tmp_path: Path) -> None:
    copies = run(tmp_path, Machine(gpus=gpus(2), no_peers=((0, 1), (1, 0))))
    assert all(good(copy, direct=False) for copy in copies.values())


def test_access_is_told_for_each_direction(tmp_path: Path) -> None:
    copies = run(tmp_path, Machine(gpus=gpus(2), no_peers=((1, 0),)))
    assert (copies[0, 1].direct, copies[1, 0].direct) == (True, False)


def test_the_indices_are_those_that_the_devices_have(tmp_path: Path) -> None:
    copies = run(tmp_path, Machine(gpus=gpus(2)), (CudaDevice(7, 0), CudaDevice(3, 1)))
    assert list(copies) == [(7, 3), (3, 7)]


def test_mig_instances_and_a_gpu_alone_have_no_pairs(tmp_path: Path) -> None:
    assert run(tmp_path, Machine(gpus=gpus(2)), (CudaDevice(0, 0), CudaDevice(1, mig="MIG-1"))) == {}


def test_data_that_does_not_arrive_is_wrong_whatever_the_call_says(tmp_path: Path) -> None:
    copies = run(tmp_path, Machine(gpus=gpus(3), direct_faults={(1, 2): WRONG}))
    wrong = copies.pop((1, 2))
    assert all(good(copy) for copy in copies.values())
    assert (wrong.holds, wrong.direct, wrong.rate, wrong.hung) == (False, True, None, False)
    assert wrong.error is not None
    assert wrong.error.startswith(f"byte {SIZE // 2}: ")
    assert "arrived as a5a5a5a5a5a5a5a5; up to " in wrong.error


def test_a_fault_of_direct_copies_does_not_show_on_the_detour(tmp_path: Path) -> None:
    machine = Machine(gpus=gpus(2), direct_faults={(0, 1): WRONG}, no_peers=((0, 1), (1, 0)))
    assert good(run(tmp_path, machine)[0, 1], direct=False)


@pytest.mark.parametrize("fault", [HANG, SPIN])
def test_a_copy_that_does_not_return_is_its_pairs_fault_and_the_others_go_on(tmp_path: Path, fault: Fault) -> None:
    started = time.monotonic()
    copies = run(tmp_path, Machine(gpus=gpus(3), peer_faults={(0, 2): fault}), idle=IDLE)
    hung = copies.pop((0, 2))
    assert hung == failed(0, 2, "no answer for 2 s: cuMemcpyPeer, GPU 0 to GPU 2", hung=True)
    assert all(good(copy) for copy in copies.values())
    assert time.monotonic() - started < IDLE + BUSY
    assert not children._running


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (SEGV, "signal SIGSEGV: cuMemcpyPeer, GPU 0 to GPU 1"),
        (error(700), "CUDA_ERROR_ILLEGAL_ADDRESS: cuMemcpyPeer, GPU 0 to GPU 1"),
    ],
)
def test_a_crash_or_a_refusal_is_not_compared_and_the_others_go_on(tmp_path: Path, fault: Fault, why: str) -> None:
    copies = run(tmp_path, Machine(gpus=gpus(2), peer_faults={(0, 1): fault}))
    assert copies[0, 1] == failed(0, 1, why)
    assert good(copies[1, 0])


def test_access_that_is_allowed_and_refused_is_told(tmp_path: Path) -> None:
    machine = Machine(gpus=gpus(2), faults={"cuCtxEnablePeerAccess": error(217)})
    why = "CUDA_ERROR_PEER_ACCESS_UNSUPPORTED: cuCtxEnablePeerAccess, GPU {} to GPU {}"
    assert list(run(tmp_path, machine).values()) == [
        failed(0, 1, why.format(0, 1)),
        failed(1, 0, why.format(1, 0)),
    ]


def test_access_that_is_already_there_is_used(tmp_path: Path) -> None:
    machine = Machine(gpus=gpus(2), faults={"cuCtxEnablePeerAccess": error(704)})
    copies = run(tmp_path, replace(machine, faults={**machine.faults, "cuCtxDisablePeerAccess": "print "}))
    assert copies[0, 1].holds is None  # this libcuda knows better at the end: 705
    assert copies[0, 1].error == "CUDA_ERROR_PEER_ACCESS_NOT_ENABLED: cuCtxDisablePeerAccess, GPU 0 to GPU 1"


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (error(46), "CUDA_ERROR_DEVICE_UNAVAILABLE: cuDevicePrimaryCtxRetain, GPU 1"),
        (HANG, "no answer for 2 s: cuDevicePrimaryCtxRetain, GPU 1"),
    ],
)
def test_a_gpu_that_does_not_start_is_told_once_for_all_its_pairs(tmp_path: Path, fault: Fault, why: str) -> None:
    machine = Machine(gpus=gpus(3))
    one = replace(machine.gpus[1], faults={"cuDevicePrimaryCtxRetain": fault})
    copies = run(tmp_path, replace(machine, gpus=(machine.gpus[0], one, machine.gpus[2])), idle=IDLE)
    assert {pair for pair, copy in copies.items() if copy.holds} == {(0, 2), (2, 0)}
    assert {copy.error for pair, copy in copies.items() if 1 in pair} == {why}
    assert not any(copy.hung for copy in copies.values())


def test_a_gpu_that_forgets_by_itself_is_no_fault_of_the_copy(tmp_path: Path) -> None:
    one, two = gpus(2)
    forgetful = replace(two, flips=((SIZE + 5, SIZE + 5, 1),))  # in the second buffer, that it is copied to
    copies = run(tmp_path, Machine(gpus=(one, forgetful)))
    assert copies[0, 1].holds is None
    assert copies[0, 1].error is not None
    assert copies[0, 1].error.startswith("the memory of GPU 1 itself: byte 5: ")
    assert good(copies[1, 0])


def test_where_nothing_answers_all_pairs_say_so(tmp_path: Path) -> None:
    copies = run(tmp_path, Machine(gpus=gpus(2), faults={"cuInit": error(999)}))
    assert list(copies.values()) == [
        failed(source, target, "CUDA_ERROR_UNKNOWN: cuInit", direct=None) for source, target in ((0, 1), (1, 0))
    ]


def test_after_some_failures_the_rest_is_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FAILURES_ALLOWED", 2)
    copies = run(tmp_path, Machine(gpus=gpus(3), faults={"cuMemcpyPeer": error(999)}))
    refused = [copy for copy in copies.values() if copy.direct]
    rest = [copy for copy in copies.values() if not copy.direct]
    assert len(refused) == 2
    assert {copy.error for copy in rest} == {"not tried: the copies of other pairs failed"}


def test_without_time_nothing_is_tried(tmp_path: Path) -> None:
    copies = run(tmp_path, Machine(gpus=gpus(2)), seconds=0)
    assert [copy.error for copy in copies.values()] == ["not tried: no time left"] * 2
