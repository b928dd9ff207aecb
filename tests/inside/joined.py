"""What a framework's child is made of, without its last line."""

from __future__ import annotations

from gpudoctor.facts import FrameworkName
from gpudoctor.smoke.jobs import program


def joined(name: FrameworkName) -> str:
    """The source of a child, up to the call that starts it."""
    return program(name).rpartition("\nmain(")[0]


def common() -> str:
    """What all frameworks have in common."""
    return joined("torch").partition('"""PyTorch\'s part of the smoke job.')[0]
