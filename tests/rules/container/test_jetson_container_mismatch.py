from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import change, found, outcome, verdict, without_gpu

RULE = "jetson-container-mismatch"
BOARD = change(without_gpu(), jetson={"l4t": "34.1", "model": "Jetson AGX Xavier"}, container={"engine": "docker"})


def started(image: str) -> f.ContainerStart:
    return f.ContainerStart(source="line 4", engine="docker", image=image, runtime="nvidia")


def test_an_image_of_jetpack_4_on_jetpack_5_is_the_cause() -> None:
    facts = change(BOARD, container_start=started("nvcr.io/nvidia/l4t-pytorch:r32.6.1-pth1.8-py3"))
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, RULE).title == "The image is for L4T r32.6, and this Jetson runs L4T 34.1."


@pytest.mark.parametrize("image", ["nvcr.io/nvidia/l4t-base:r34.1", "dustynv/l4t-pytorch:r35.4.1", "python:3.11"])
def test_an_image_of_the_same_jetpack_or_of_none_fits(image: str) -> None:
    assert outcome(change(BOARD, container_start=started(image)), RULE) != "found"


def test_other_machines_are_none() -> None:
    assert outcome(change(container_start=started("nvcr.io/nvidia/l4t-base:r32.4.4")), RULE) == "not-applicable"
