"""TensorFlow's child as it speaks: the protocol of a whole job, with the real TensorFlow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inside.test_train_torch import STAGES, assert_all_goes_to, converse, steps, told, version_text

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
