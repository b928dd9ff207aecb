"""Which devices CUDA may use, told by libcuda in a real child process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpudoctor.children import Limits
from gpudoctor.facts import Gpu, MigInstance, MigInstances, Missing
from gpudoctor.probes.cuda_devices import CudaDevice, cuda_devices
from gpudoctor.world import World
from tests.lab.drivers.fake import HANG, SEGV, Fault, Machine, MigSlice, error, gpus, install
from tests.lab.drivers.needs import need_compiler

IDLE = 2.0
MIG_UUIDS = tuple(f"MIG-7e1f7c2a-0000-5000-8000-0000000000b{index}" for index in range(2))


@pytest.fixture(autouse=True)
def _compiler() -> None:
    need_compiler()


def ask(folder: Path, machine: Machine, *known: Gpu, **environ: str) -> tuple[CudaDevice, ...] | Missing:
    world = World(environ={**os.environ, **install(folder, machine), **environ})
    return cuda_devices(world, known, Limits.within(20, IDLE))


def gpu(index: int, pci: str | None, *instances: str, uuid: str | None = None) -> Gpu:
    mig = MigInstances(source="NVML", instances=tuple(MigInstance(uuid=one) for one in instances))
    return Gpu(source="NVML", index=index, pci=pci, uuid=uuid, mig=mig)


def sliced() -> Machine:
    other = gpus(2)[1]
    slices = tuple(MigSlice(uuid) for uuid in MIG_UUIDS)
    (first,) = gpus(1, mig_mode=(True, True), mig_slices=slices)
    return Machine(gpus=(first, other))


KNOWN_SLICED = (gpu(0, "0000:17:00.0", *MIG_UUIDS), gpu(1, "0000:27:00.0"))


def test_devices_have_cudas_order_and_nvmls_index_by_address(tmp_path: Path) -> None:
    known = (gpu(0, "0000:27:00.0"), gpu(1, "00000000:17:00.0"))
    assert ask(tmp_path, Machine(gpus=gpus(2)), *known) == (
        CudaDevice(1, 0, "0000:17:00.0"),
        CudaDevice(0, 1, "0000:27:00.0"),
    )


def test_an_address_that_cuda_hides_leaves_the_uuid(tmp_path: Path) -> None:
    known = (gpu(3, "0000:17:00.0", uuid="GPU-5E1F7C2A-0000-4000-8000-0000000000A0"),)
    machine = Machine(faults={"cuDeviceGetPCIBusId": error(801)})
    assert ask(tmp_path, machine, *known) == (CudaDevice(3, 0, None),)


def test_without_nvml_the_index_is_cudas(tmp_path: Path) -> None:
    assert ask(tmp_path, Machine(gpus=gpus(2)), CUDA_VISIBLE_DEVICES="1") == (CudaDevice(0, 0, "0000:27:00.0"),)


def test_all_mig_instances_are_usable_where_nothing_is_hidden(tmp_path: Path) -> None:
    assert ask(tmp_path, sliced(), *KNOWN_SLICED) == (
        CudaDevice(0, mig=MIG_UUIDS[0]),
        CudaDevice(1, 1, "0000:27:00.0"),
        CudaDevice(0, mig=MIG_UUIDS[1]),
    )


@pytest.mark.parametrize(
    ("visible", "usable"),
    [("0", {MIG_UUIDS[0]}), (MIG_UUIDS[1], {MIG_UUIDS[1]}), (",".join(MIG_UUIDS), set(MIG_UUIDS)), ("1", {None})],
)
def test_only_the_visible_mig_instances_are_usable(tmp_path: Path, visible: str, usable: set[str | None]) -> None:
    found = ask(tmp_path, sliced(), *KNOWN_SLICED, CUDA_VISIBLE_DEVICES=visible)
    assert not isinstance(found, Missing)
    assert {device.mig for device in found} == usable
    assert len(found) == len(usable)


@pytest.mark.parametrize(
    ("fault", "missing"),
    [
        (error(999), Missing("unreadable", "CUDA_ERROR_UNKNOWN", "cuInit")),
        (HANG, Missing("timed-out", "no answer for 2 s", "cuInit")),
        (SEGV, Missing("crashed", "signal SIGSEGV", "cuInit")),
    ],
)
def test_what_libcuda_does_not_tell_is_missing_with_its_call(tmp_path: Path, fault: Fault, missing: Missing) -> None:
    assert ask(tmp_path, Machine(faults={"cuInit": fault})) == missing


def test_a_missing_library_is_missing_with_the_loaders_words(tmp_path: Path) -> None:
    found = ask(tmp_path, Machine(cuda=False))
    assert isinstance(found, Missing)
    assert (found.kind, found.where) == ("unreadable", "dlopen libcuda.so.1")
    assert "libcuda.so.1: cannot open shared object file" in found.detail
