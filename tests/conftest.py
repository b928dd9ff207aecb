"""What all tests share: the interpreters of real framework environments, and how laws are tried on drawn examples."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests.environments import Unmakeable, environment, part

# A slow or busy machine breaks no law, and two runs of one commit come to one result: the same examples each time, none
# kept between runs. ``--hypothesis-profile=default`` draws others.
settings.register_profile(
    "steady", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")

_FRAMEWORK_FIXTURES = ("torch_python", "tensorflow_python", "jax_python", "old_tensorflow_python")
# Downloads of hundreds of megabytes beyond the three frameworks.
_HEAVY_FIXTURES = ("old_tensorflow_python",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses a real framework is marked so, and one that needs more than the usual ones."""
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        if names & set(_FRAMEWORK_FIXTURES):
            item.add_marker("framework")
        if names & set(_HEAVY_FIXTURES):
            item.add_marker("heavy")


def _python(name: str) -> Path:
    try:
        return environment(name)
    except Unmakeable as why:
        _without(f"no {name} environment: {why}")


def _without(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


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


@pytest.fixture(scope="session")
def notebook_python() -> Path:
    """The interpreter of an environment that executes notebooks."""
    return _python("notebook")


@pytest.fixture(scope="session")
def old_tensorflow_python() -> Path:
    """The interpreter of an environment with TensorFlow 2.15, Keras 2, NumPy 1 and protobuf 4."""
    return _python("old-tensorflow")


@pytest.fixture(scope="session")
def clients_python() -> Path:
    """The interpreter of an environment with nvitop and gpustat."""
    return _python("clients")


@pytest.fixture(scope="session")
def package() -> Callable[[str], Path]:
    """A folder with one package of :data:`tests.environments.PARTS`, by its name there."""

    def folder(name: str) -> Path:
        try:
            return part(name)
        except Unmakeable as why:
            _without(f"no {name}: {why}")

    return folder
