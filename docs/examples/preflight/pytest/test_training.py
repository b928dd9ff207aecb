"""Run it with ``pytest -rs``; on a machine that must have a GPU with ``pytest --gpu-required``."""

import pytest

from gpudoctor.testing import Device


@pytest.mark.gpu(vram="16GiB", capability="8.0")
def test_one_step_in_half_precision(gpu: Device) -> None:
    assert gpu.vram is not None
    assert gpu.vram >= 16 * 2**30


@pytest.mark.gpu(count=2)
def test_two_gpus_exchange_gradients(gpus: tuple[Device, ...]) -> None:
    names = [f"cuda:{gpu.number}" for gpu in gpus[:2]]
    assert names == ["cuda:0", "cuda:1"]


def test_without_a_gpu() -> None:
    assert sum([1, 2]) == 3
