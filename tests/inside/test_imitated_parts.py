"""The parts in an imitation of PyTorch that claims a GPU: lies, errors and crashes are told with the part's name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.inside.test_train_torch import converse, told

IMITATIONS = Path(__file__).parent.parent / "lab" / "imitations"
GO = {"device": "gpu", "steps": 20, "parts": True}
PLACES = {
    "product": tuple(f"matrix-product-{kind}" for kind in ("fp32", "tf32", "fp16", "bf16")),
    "convolve": ("convolution-fp32", "convolution-fp16"),
    "fft": ("fft",),
    "solve": ("solver",),
    "random": ("random-numbers",),
    "pin": ("copy-to-gpu-pinned", "copy-from-gpu-pinned"),
    "sparse": ("sparse-product",),
    "compile": ("compile",),
}


def imitate(
    lies: str = "claims-cuda", fault: str = "nowhere:nothing", ended: str = "exit code 0"
) -> list[dict[str, Any]]:
    environ = {"PYTHONPATH": str(IMITATIONS), "IMITATION_LIES": lies, "IMITATION_FAULT": fault}
    return converse(Path(sys.executable), "torch", GO, ended, **environ)


def parts(messages: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {part["name"]: part for part in told(messages, "part")}


def test_an_imitation_can_do_all_that_has_a_public_name_in_it() -> None:
    found = parts(imitate())
    not_in_it = {"matrix-product-int8", "matrix-product-fp8"}
    assert {name for name, part in found.items() if part["holds"]} == set(found) - not_in_it


def test_wrong_large_results_are_found_where_the_training_was_right() -> None:
    messages = imitate("wrong-parts")
    required = [proof for proof in told(messages, "proof") if proof["required"]]
    assert [proof["holds"] for proof in required] == [True] * len(required)
    wrong = [name for place in PLACES if place not in ("random", "pin") for name in PLACES[place]]
    assert [name for name, part in parts(messages).items() if part["holds"] is False] == wrong


def test_random_numbers_that_repeat_are_wrong() -> None:
    found = parts(imitate("dull"))
    assert [name for name, part in found.items() if part["holds"] is False] == ["random-numbers"]


def test_a_clock_that_stands_still_is_a_proof_that_does_not_hold() -> None:
    messages = imitate("idle-events")
    (events,) = [proof for proof in told(messages, "proof") if proof["name"] == "device-events"]
    assert (events["holds"], events["required"]) == (False, False)
    assert [part["rate"] for part in told(messages, "part")] == [None] * 18


def test_an_imitation_has_rates_only_where_it_lies_about_its_speed() -> None:
    assert {part["rate"] for part in parts(imitate()).values()} == {None}
    assert parts(imitate("too-fast"))["matrix-product-fp16"]["rate"] > 10_000  # TFLOP/s


@pytest.mark.parametrize("place", PLACES)
def test_an_error_belongs_to_its_part_alone(place: str) -> None:
    found = parts(imitate(fault=f"{place}:memory"))
    errors = {name: part["error"] for name, part in found.items() if part["error"]}
    text = "OutOfMemoryError: CUDA out of memory. Tried to allocate 64.00 MiB. GPU 0 has a total capacity of 80 GiB."
    assert errors == dict.fromkeys(PLACES[place], text)


def test_after_an_illegal_access_the_other_parts_are_not_judged() -> None:
    found = parts(imitate(fault="fft:poison"))
    assert found["fft"]["error"] == "RuntimeError: CUDA error: an illegal memory access was encountered"
    after = list(found)[list(found).index("fft") + 1 :]
    assert {(found[name]["holds"], found[name]["detail"]) for name in after} == {
        (None, "the GPU answers no more after fft")
    }


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("fault", "ended"), [("crash", "signal SIGSEGV"), ("exit", "exit code 3")])
def test_a_part_that_takes_the_child_with_it_was_announced(place: str, fault: str, ended: str) -> None:
    messages = imitate(fault=f"{place}:{fault}", ended=ended)
    assert told(messages, "trying")[-1] == PLACES[place][0]
    assert told(messages, "stage")[-1] == "parts"


def test_memory_that_is_exhausted_while_it_is_held_leaves_a_smaller_weight() -> None:
    messages = imitate(fault="hold:memory")
    assert told(messages, "hold") == [300 << 20]
    assert told(messages, "failed") == []


def test_memory_that_is_exhausted_in_training_is_the_failure() -> None:
    messages = imitate(fault="train:memory")
    assert told(messages, "failed") == [
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 64.00 MiB. GPU 0 has a total capacity of 80 GiB."
    ]
    assert told(messages, "stage")[-1] == "train"
