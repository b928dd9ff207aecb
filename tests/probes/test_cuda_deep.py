"""Both deep checks together, as a smoke run asks for them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpudoctor.children import Limits
from gpudoctor.facts import Gpu, Missing, PeerCopies
from gpudoctor.probes import cuda_memory, cuda_peers
from gpudoctor.probes.cuda_deep import deep_checks
from gpudoctor.probes.cuda_memory import LEAVE
from gpudoctor.world import World
from tests.lab.drivers.fake import MIB, WRONG, Machine, error, gpus, install
from tests.lab.drivers.needs import need_compiler

MEMORY = (LEAVE + 8 * MIB, 0, 0)
KNOWN = (Gpu(source="NVML", index=4, pci="0000:27:00.0"), Gpu(source="NVML", index=5, pci="0000:17:00.0"))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    need_compiler()
    monkeypatch.setattr(cuda_memory, "_BLOCK", 4 * MIB)
    monkeypatch.setattr(cuda_peers, "_SIZE", MIB)


def environ(folder: Path, machine: Machine, **more: str) -> dict[str, str]:
    return {**os.environ, **install(folder, machine), **more}


def test_all_gpus_are_copied_between_and_tested_under_nvmls_indices(tmp_path: Path) -> None:
    machine = Machine(gpus=gpus(2, memory=MEMORY), direct_faults={(0, 1): WRONG})
    said: list[str] = []
    memory, peers = deep_checks(
        World(environ={}), KNOWN, environ(tmp_path, machine), Limits.within(60, 10), said.append
    )
    assert not isinstance(memory, Missing)
    assert [(test.gpu, test.tested, test.faults, test.error) for test in memory.tests] == [
        (5, 8 * MIB, (), None),
        (4, 8 * MIB, (), None),
    ]
    assert not isinstance(peers, Missing)
    assert [(copy.source_gpu, copy.target_gpu, copy.holds) for copy in peers.copies] == [(5, 4, False), (4, 5, True)]
    assert said[:2] == ["GPU 5 to GPU 4", "GPU 4 to GPU 5"]
    assert {"memory of GPU 4, 100%", "memory of GPU 5, 100%"} <= set(said)


def test_what_the_user_hides_is_not_touched_and_one_gpu_has_no_peers(tmp_path: Path) -> None:
    machine = Machine(gpus=gpus(2, memory=MEMORY))
    seen = environ(tmp_path, machine, CUDA_VISIBLE_DEVICES="1")
    memory, peers = deep_checks(World(environ={}), KNOWN, seen, Limits.within(60, 10))
    assert not isinstance(memory, Missing)
    assert [test.gpu for test in memory.tests] == [4]
    assert peers == PeerCopies(source="CUDA driver API", copies=())


def test_without_a_list_of_devices_neither_is_known(tmp_path: Path) -> None:
    refused = environ(tmp_path, Machine(faults={"cuInit": error(802)}))
    missing = Missing("unreadable", "CUDA_ERROR_SYSTEM_NOT_READY", "cuInit")
    assert deep_checks(World(environ={}), (), refused, Limits.within(60, 10)) == (missing, missing)
