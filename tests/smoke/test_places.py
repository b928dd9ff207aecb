"""Where jobs are due, by NVML's list and CUDA_VISIBLE_DEVICES."""

from __future__ import annotations

import pytest

from gpudoctor.facts import Gpu, MigInstance, MigInstances
from gpudoctor.smoke.places import Choice, Place, chosen, places


def gpu(index: int, name: str = "NVIDIA A100-SXM4-40GB", *instances: str) -> Gpu:
    mig = MigInstances(source="test", instances=tuple(MigInstance(uuid=uuid) for uuid in instances))
    return Gpu(source="test", index=index, name=name, uuid=f"GPU-{index}abc", mig=mig)


TWO = (gpu(0), gpu(1))
UNLIKE = (gpu(0, "Tesla P4"), gpu(1, "Tesla T4"))
SLICED = (gpu(0, "A100", "MIG-a", "MIG-b"), gpu(1, "A100"))


@pytest.mark.parametrize(
    ("gpus", "environ", "shown", "found"),
    [
        (TWO, {}, 2, [Place(0, 0, "GPU-0abc"), Place(1, 1, "GPU-1abc")]),
        (TWO, {"CUDA_VISIBLE_DEVICES": "1"}, 1, [Place(0, 1, "1")]),
        (TWO, {"CUDA_VISIBLE_DEVICES": "1, 0"}, 2, [Place(0, 1, "1"), Place(1, 0, "0")]),
        (TWO, {"CUDA_VISIBLE_DEVICES": "0,5,1"}, 1, [Place(0, 0, "0")]),
        (TWO, {"CUDA_VISIBLE_DEVICES": "0,-1,1"}, 1, [Place(0, 0, "0")]),
        (TWO, {"CUDA_VISIBLE_DEVICES": ""}, 0, []),
        (TWO, {"CUDA_VISIBLE_DEVICES": "GPU-1"}, 1, [Place(0, 1, "GPU-1")]),
        (TWO, {"CUDA_VISIBLE_DEVICES": "GPU-"}, 0, []),
        (UNLIKE, {"CUDA_VISIBLE_DEVICES": "1,0"}, 2, [Place(0, None, "1"), Place(1, None, "0")]),
        (
            UNLIKE,
            {"CUDA_VISIBLE_DEVICES": "1,0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"},
            2,
            [Place(0, 1, "1"), Place(1, 0, "0")],
        ),
        (SLICED, {}, 1, [Place(0, 0, "MIG-a", "MIG-a"), Place(0, 0, "MIG-b", "MIG-b"), Place(1, 1, "GPU-1abc")]),
        (SLICED, {"CUDA_VISIBLE_DEVICES": "MIG-b"}, 1, [Place(0, 0, "MIG-b", "MIG-b")]),
        (SLICED, {"CUDA_VISIBLE_DEVICES": "MIG-c"}, 0, []),
        ((), {}, 2, [Place(0, None, "0"), Place(1, None, "1")]),
        ((), {"CUDA_VISIBLE_DEVICES": "3,4,9"}, 2, [Place(0, None, "3"), Place(1, None, "4")]),
        ((), {"CUDA_VISIBLE_DEVICES": "MIG-z"}, 1, [Place(0, None, "MIG-z", "MIG-z")]),
        ((), {}, 0, []),
    ],
)
def test_places_are_those_that_cuda_would_take(
    gpus: tuple[Gpu, ...], environ: dict[str, str], shown: int, found: list[Place]
) -> None:
    assert list(places(gpus, environ, shown)) == found


def test_a_gpu_without_a_uuid_goes_by_its_position() -> None:
    assert places((Gpu(source="test", index=0),), {}, 1) == (Place(0, 0, "0"),)


@pytest.mark.parametrize(
    ("choice", "positions"),
    [("all", [0, 1, 2]), (0, [0, 1]), (1, [2]), (2, [])],
)
def test_a_gpu_is_chosen_with_all_its_instances(choice: Choice, positions: list[int]) -> None:
    found = places(SLICED, {}, 1)
    assert chosen(found, choice) == tuple(found[position] for position in positions)


def test_a_gpu_whose_index_is_not_known_is_chosen_by_its_position() -> None:
    assert chosen(places((), {}, 2), 1) == (Place(1, None, "1"),)
