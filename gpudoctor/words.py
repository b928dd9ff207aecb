"""Words that rules, verdict and prescriptions share, so that one idea has one word."""

from __future__ import annotations

from gpudoctor.facts import Framework, FrameworkName

CUDA_BUILD_ONLY = "no CUDA build of a framework"

_NAMES: dict[FrameworkName, str] = {"torch": "PyTorch", "tensorflow": "TensorFlow", "jax": "JAX"}


def name_of(framework: Framework | FrameworkName) -> str:
    """The framework's name as its makers write it."""
    return _NAMES[framework if isinstance(framework, str) else framework.name]
