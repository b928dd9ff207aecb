"""JAX's child as it speaks: the protocol of a whole job, with the real JAX."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inside.test_train_torch import (
    BOTH,
    PROOFS,
    STAGES,
    asked,
    assert_all_goes_to,
    converse,
    steps,
    told,
    version_text,
)

pytestmark = pytest.mark.framework


def test_a_job_tells_every_stage_and_its_version(jax_python: Path) -> None:
    messages = converse(jax_python, "jax", {"device": "cpu", "steps": 40})
    (said,) = told(messages, "imported")
    (listed,) = told(messages, "listed")
    assert f"_version = '{said['version']}'" in version_text(jax_python, "jax/version.py").replace('"', "'")
    assert told(messages, "stage") == STAGES
    assert (listed["available"], listed["devices"], listed["pci"]) == (False, [], None)
    assert steps(messages) == {network: [*range(0, 40, 2), 39] for network in ("convolutional", "perceptron")}
    assert told(messages, "device") == ["cpu"]
    assert told(messages, "failed") == []


ELSEWHERE = """
framework.init(False)
framework.place = framework.jax.devices()[1]
framework.device = "cpu:1"
"""


def test_everything_goes_to_the_device_that_was_chosen(jax_python: Path) -> None:
    assert_all_goes_to("cpu:1", jax_python, "jax", ELSEWHERE, XLA_FLAGS="--xla_force_host_platform_device_count=2")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_training_in_half_the_bits_learns_as_well(jax_python: Path, precision: str) -> None:
    messages = converse(jax_python, "jax", {"device": "cpu", "steps": 60, "precision": precision})
    assert told(messages, "failed") == []
    scored = {message["network"]: message["scores"]["accuracy"] > 0.9 for message in messages if "scores" in message}
    assert scored == dict.fromkeys(BOTH, True)
    assert {proof["name"]: proof["holds"] for proof in told(messages, "proof")} == dict.fromkeys(PROOFS, True)


PRECISIONS = """
framework.init(False)
lesson, kinds = perceptron(), []
for precision in ("fp32", "bf16", "fp16"):
    learner = framework.learner(lesson, precision)
    for batch in learner.batches(2, 600):
        learner.step(batch)
    kinds.append(str(learner.outputs.dtype))
print(json.dumps(kinds))
"""


def test_the_precision_of_training_is_what_was_asked_for(jax_python: Path) -> None:
    assert asked(jax_python, "jax", PRECISIONS) == ["float32", "bfloat16", "float16"]


def test_a_precision_that_this_device_lacks_fails_with_the_reason(jax_python: Path) -> None:
    messages = converse(jax_python, "jax", {"device": "cpu", "steps": 4, "precision": "tf32"})
    assert told(messages, "failed") == ["tf32 is a mode of NVIDIA GPUs; this job is on the CPU"]
