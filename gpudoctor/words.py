"""Words that rules, verdict and prescriptions share, so that one idea has one word."""

from __future__ import annotations

from gpudoctor.facts import Framework, FrameworkName

CUDA_BUILD_ONLY = "no CUDA build of a framework"

_NAMES: dict[FrameworkName, str] = {"torch": "PyTorch", "tensorflow": "TensorFlow", "jax": "JAX"}


def name_of(framework: Framework | FrameworkName) -> str:
    """The framework's name as its makers write it."""
    return _NAMES[framework if isinstance(framework, str) else framework.name]


def called(command: str, program: str) -> str:
    """A command of gpudoctor's as it is typed where gpudoctor is called ``program``; any other one unchanged."""
    name, space, rest = command.partition(" ")
    return f"{program}{space}{rest}" if name == "gpudoctor" else command
