"""TensorFlow's child as it speaks: the protocol of a whole job, with the real TensorFlow."""

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


def test_a_job_tells_every_stage_and_says_what_its_build_info_says(tensorflow_python: Path) -> None:
    messages = converse(tensorflow_python, "tensorflow", {"device": "cpu", "steps": 40})
    text = version_text(tensorflow_python, "tensorflow/python/platform/build_info.py")
    (said,) = told(messages, "imported")
    assert told(messages, "stage") == STAGES
    assert ("'is_cuda_build', False" in text) == (said["cuda"] is None) == (said["targets"] == [])
    (listed,) = told(messages, "listed")
    assert (listed["available"], listed["devices"], listed["pci"]) == (False, [], None)
    assert steps(messages) == {network: [*range(0, 40, 2), 39] for network in ("convolutional", "perceptron")}
    assert told(messages, "device") == ["cpu"]
    assert told(messages, "failed") == []


def test_a_gpu_job_without_a_gpu_says_so_at_init(tensorflow_python: Path) -> None:
    messages = converse(tensorflow_python, "tensorflow", {"device": "gpu", "steps": 40})
    assert told(messages, "stage") == ["start", "import", "init", "init"]
    assert told(messages, "failed") == ["RuntimeError: TensorFlow lists no GPU"]


ELSEWHERE = """
cpu = framework.tf.config.list_physical_devices("CPU")[0]
experimental = framework.tf.config.experimental
experimental.set_virtual_device_configuration(cpu, [experimental.VirtualDeviceConfiguration()] * 2)
framework.init(False)
framework.device = "CPU:1"
"""


def test_everything_goes_to_the_device_that_was_chosen(tensorflow_python: Path) -> None:
    assert_all_goes_to("CPU:1", tensorflow_python, "tensorflow", ELSEWHERE)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_training_in_half_the_bits_learns_as_well(tensorflow_python: Path, precision: str) -> None:
    messages = converse(tensorflow_python, "tensorflow", {"device": "cpu", "steps": 60, "precision": precision})
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
    kinds.append(learner.outputs.dtype.name)
print(json.dumps(kinds))
"""


def test_the_precision_of_training_is_what_was_asked_for(tensorflow_python: Path) -> None:
    assert asked(tensorflow_python, "tensorflow", PRECISIONS) == ["float32", "bfloat16", "float16"]


def test_a_precision_that_this_device_lacks_fails_with_the_reason(tensorflow_python: Path) -> None:
    messages = converse(tensorflow_python, "tensorflow", {"device": "cpu", "steps": 4, "precision": "tf32"})
    assert told(messages, "failed") == ["tf32 is a mode of NVIDIA GPUs; this job is on the CPU"]
