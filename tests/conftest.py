"""Fixtures that all tests share: the interpreters of real framework environments."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.environments import Unmakeable, environment

_FRAMEWORK_FIXTURES = ("torch_python", "tensorflow_python", "jax_python")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses a real framework is marked so."""
    for item in items:
        if set(_FRAMEWORK_FIXTURES) & set(getattr(item, "fixturenames", ())):
            item.add_marker("framework")


def _python(name: str) -> Path:
    try:
        return environment(name)
    except Unmakeable as why:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no {name} environment: {why}", pytrace=False)
        pytest.skip(f"no {name} environment: {why}")


@pytest.fixture(scope="session")
def torch_python() -> Path:
    """The interpreter of an environment with torch 2.13.0 and NumPy, CPU or CUDA build as the index gives it."""
    return _python("torch")


@pytest.fixture(scope="session")
def tensorflow_python() -> Path:
    """The interpreter of an environment with TensorFlow's CPU build."""
    return _python("tensorflow")


@pytest.fixture(scope="session")
def jax_python() -> Path:
    """The interpreter of an environment with JAX for the CPU."""
    return _python("jax")
