"""What formats hand over: statements, packages, lists of GPUs, and finished records. The merge makes Facts of them."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeAlias

from gpudoctor.facts import Fact, Gpu


class Trust(IntEnum):
    """How much a line is worth where two disagree: a tool's output over what a person says of it."""

    MENTIONED = 1  # in passing, within prose
    STATED = 2  # by a person, under a label
    LOGGED = 3  # by a program, in a log line
    SHOWN = 4  # by a tool whose business it is


class Said(NamedTuple):
    """One value under one key of :mod:`gpudoctor.intake.merge`."""

    key: str
    value: str
    where: str
    trust: Trust = Trust.STATED


class SeenPackage(NamedTuple):
    """A package by its name as written. ``tool`` is what listed it; ``build`` conda's build string and channel."""

    name: str
    version: str | None
    where: str
    tool: str = "stated"
    build: str = ""
    channel: str = ""
    location: str | None = None
    installer: str | None = None


class SeenGpus(NamedTuple):
    """GPUs as one place lists them. ``whole``: that place lists all there are, so an empty list means none."""

    gpus: tuple[Gpu, ...]
    where: str
    trust: Trust
    whole: bool = False


Piece: TypeAlias = Said | SeenPackage | SeenGpus | Fact
