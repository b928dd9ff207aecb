"""conda's command for the environment under test."""

from __future__ import annotations

from gpudoctor.facts import Interpreter


def conda_install(interpreter: Interpreter, *packages: str) -> tuple[str, ...]:
    """The words of ``conda install`` from conda-forge; into the active environment where the folder is not known."""
    prefix = ("--prefix", interpreter.prefix) if interpreter.prefix.startswith("/") else ()
    return ("conda", "install", *prefix, "--channel", "conda-forge", *packages)
