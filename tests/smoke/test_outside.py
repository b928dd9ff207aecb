"""Who is asked about a GPU from outside, against the fake driver."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gpudoctor.children import Limits
from gpudoctor.facts import Missing, Sample
from gpudoctor.probes.cuda_witness import CudaSight
from gpudoctor.probes.nvml import Witness
from gpudoctor.smoke.jobs import Target
from gpudoctor.smoke.outside import Outside
from gpudoctor.world import World
from tests.lab.drivers.fake import MIB, FakeGpu, Machine, MigSlice, error, gpus, install
from tests.lab.drivers.needs import need_compiler

PCI = "0000:17:00.0"
MEMORY_CALLS = ("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo")
MIG = "MIG-7e1f7c2a-0000-5000-8000-0000000000b1"


@pytest.fixture(autouse=True)
def _compiler() -> None:
    need_compiler()


def outside(folder: Path, machine: Machine, seconds: float = 30) -> Outside:
    return Outside(World(environ={**os.environ, **install(folder, machine)}), Limits.within(seconds, 5))


def test_nvml_is_asked_first(tmp_path: Path) -> None:
    with outside(tmp_path, Machine()) as seen:
        sight = seen.look((7,), Target(0, PCI))
    assert isinstance(sight, Witness)
    assert sight.used == 0


@pytest.mark.parametrize(
    "machine",
    [
        Machine(nvml=False),
        Machine(faults={"nvmlDeviceGetMemoryInfo_v2": error(3), "nvmlDeviceGetMemoryInfo": error(3)}),
    ],
    ids=["no NVML", "NVML does not tell"],
)
def test_where_nvml_does_not_tell_a_process_looks_through_cuda_and_looks_again(
    tmp_path: Path, machine: Machine
) -> None:
    with outside(tmp_path, machine) as seen:
        first, second = (seen.look((), Target(0, PCI)) for _ in range(2))
    assert isinstance(first, CudaSight)
    assert first == second


def test_a_mig_instance_is_looked_at_alone(tmp_path: Path) -> None:
    gpu = FakeGpu(mig_mode=(True, True), mig_slices=(MigSlice(uuid=MIG, memory=512 * MIB),))
    with outside(tmp_path, Machine(gpus=(gpu,))) as seen:
        sight = seen.look((), Target(0, PCI, MIG))
    assert isinstance(sight, CudaSight)
    assert sight.total == 512 * MIB


def test_a_gpu_that_nobody_can_name_is_not_looked_at(tmp_path: Path) -> None:
    with outside(tmp_path, Machine()) as seen:
        assert isinstance(seen.look((), Target(None, None)), Missing)


def test_a_record_keeps_what_nvml_tells_of_each_gpu_meanwhile(tmp_path: Path) -> None:
    hot = FakeGpu(temperature=91, throttle=0x40, power=650_000, sm_clock=900)
    began = time.monotonic()
    with outside(tmp_path, Machine(gpus=(*gpus(1), hot))) as seen, seen.record((0, 1)) as record:
        while len(record.samples(1, began, time.monotonic())) < 2 and time.monotonic() < began + 60:
            time.sleep(0.05)
        samples = record.samples(1, began, time.monotonic())
        assert record.samples(1, began, began) == ()
    assert len(samples) >= 2
    assert samples[0].at < samples[1].at
    assert {(s.temperature, s.throttle, s.power, s.sm_clock) for s in samples} == {
        (91, ("hw-thermal-slowdown",), 650.0, 900)
    }
    assert isinstance(samples[0], Sample)


def test_without_nvml_the_record_stays_empty(tmp_path: Path) -> None:
    with outside(tmp_path, Machine(nvml=False)) as seen, seen.record((0,)) as record:
        assert record.samples(0, 0.0, 1e12) == ()
