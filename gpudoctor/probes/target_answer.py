"""The form of the answer that inside/collect.py gives, as types: anything else is refused with its place."""

from __future__ import annotations

from typing import Literal

import msgspec


class Said(msgspec.Struct, frozen=True):
    """The interpreter of itself. ``pyvenv`` are the lines of pyvenv.cfg, keys in lower case."""

    executable: str
    version: str
    implementation: str
    prefix: str
    base_prefix: str
    environment: Literal["venv", "conda", "system"]
    pyvenv: dict[str, str]
    conda_meta: bool
    free_threaded: bool
    externally_managed: bool
    bits: int
    machine: str
    platform: str
    libc: str | None
    user_site: str | None
    path: list[str]


class Copy(msgspec.Struct, frozen=True):
    """One copy of a distribution. ``owns`` are the frameworks whose files its RECORD lists."""

    name: str
    version: str | None
    location: str
    info: str
    installer: str | None
    requires: list[str]
    tags: list[str]
    metadata: bool
    requires_python: str | None
    editable: bool
    from_vcs: bool
    source_path: str | None
    missing_files: int | None
    owns: list[str]
    error: str | None
    damaged: list[str] = []


class Orphan(msgspec.Struct, frozen=True):
    """A package folder that no metadata owns; ``kind`` is package, namespace or left over by pip."""

    name: str
    location: str
    module: str
    kind: str


class Text(msgspec.Struct, frozen=True):
    """What a framework's folder says of its build; ``error`` when it holds something that cannot be read."""

    location: str
    kind: str
    error: str | None
    says: dict[str, str | bool | None]
    targets: list[str]


class Cudnn(msgspec.Struct, frozen=True):
    """A cuDNN that a package carries."""

    path: str
    version: str | None
    brought_by: str


class Conda(msgspec.Struct, frozen=True):
    """A package in conda-meta."""

    name: str
    version: str
    build: str
    channel: str | None


class Answer(msgspec.Struct, frozen=True):
    """All of it. A part that broke is None, and ``broken`` says why."""

    broken: dict[str, str]
    interpreter: Said | None
    markers: dict[str, str] | None
    packages: list[Copy] | None
    total: int | None
    orphans: list[Orphan] | None
    shadows: list[str] | None
    standard_shadows: list[str] | None
    texts: dict[str, list[Text]] | None
    cudnn: list[Cudnn] | None
    conda: list[Conda] | None
    unreadable: list[tuple[str, str]]
    pip: bool | None = None


class TooOld(msgspec.Struct, frozen=True):
    """The answer of a Python that the script does not support."""

    too_old: str
