"""JAX's child as it speaks: the protocol of a whole job, with the real JAX."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inside.test_train_torch import STAGES, assert_all_goes_to, converse, steps, told, version_text

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
