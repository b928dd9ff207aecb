"""A described machine: one small TOML file that names the parts it is made of, and what is different about it.

A part is such a file too. Tables are merged in the order of the parts, the machine's own last; another value replaces
the former one, and ``false`` in a table takes the entry away. docs/laboratory.md explains every entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from gpudoctor.facts import FrameworkName

HERE = Path(__file__).parent
DESCRIBED = HERE / "described"
PARTS = HERE / "parts"


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Driver(_Table, frozen=True, kw_only=True):
    """The NVIDIA driver: loaded into the kernel, on disk, and as libraries, each by itself. ``cuda`` is 12080."""

    version: str
    cuda: int
    flavour: Literal["open", "proprietary"] = "open"
    loaded: bool = True
    on_disk: bool = True
    nvml: bool = True
    libcuda: bool = True


class Entry(_Table, frozen=True, kw_only=True):
    """What lies at a path, where that is no text: a link, an empty folder, bytes in hexadecimal, unreadable."""

    link: str | None = None
    folder: bool = False
    hex: str | None = None
    unreadable: bool = False


class Library(_Table, frozen=True, kw_only=True):
    """A fake driver library in another place than the driver's folder."""

    soname: Literal["libcuda.so.1", "libnvidia-ml.so.1"] = "libcuda.so.1"
    version: str


class Node(_Table, frozen=True, kw_only=True):
    """A device node as the kernel would show it, which a regular file cannot: ``opens`` is the errno of opening it."""

    mode: str = "0666"
    opens: str | None = None


class Package(_Table, frozen=True, kw_only=True):
    """A distribution. With ``cuda`` or ``hip`` (empty: neither) it has the files by which torch says what it is.

    ``pins`` are requirements that are installed as pinned; ``lost`` are files that its RECORD names and the disk lacks.
    """

    version: str
    requires: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    cuda: str | None = None
    hip: str | None = None
    targets: str = ""
    build_info: str = ""
    files: dict[str, str] = {}
    installer: str | None = "pip"
    site: str = ""
    lost: tuple[str, ...] = ()


class Python(_Table, frozen=True, kw_only=True):
    """The environment under test."""

    version: str = "3.12.3"
    prefix: str = "/home/ann/project/.venv"
    bits: int = 64


class Said(_Table, frozen=True, kw_only=True):
    """A line that a program printed."""

    text: str
    framework: FrameworkName | None = None


class Request(_Table, frozen=True, kw_only=True):
    """What the user asked for."""

    required: tuple[FrameworkName, ...] = ()
    allow_cpu: bool = False
    requirements: tuple[str, ...] = ()


class Description(_Table, frozen=True, kw_only=True):
    """All of it, parts merged. ``expect`` and ``findings`` are what a report on this machine must say.

    ``commands`` are those of the first fix of the first cause, ``where`` the place where they run; None: not looked at.
    """

    name: str
    about: str
    expect: Literal["broken", "undetermined", "warnings", "healthy"]
    findings: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    commands: tuple[str, ...] | None = None
    where: str | None = None
    near: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    system: dict[str, str] = {}
    driver: Driver | None = None
    gpus: tuple[dict[str, Any], ...] = ()
    bus: bool = True
    nodes: bool = True
    modules: tuple[str, ...] = ()
    faults: dict[str, str] = {}
    without: tuple[str, ...] = ()
    machine: dict[str, Any] = {}
    files: dict[str, str | Entry | Literal[False]] = {}
    libraries: dict[str, Library] = {}
    cached: tuple[str, ...] = ()
    opens: dict[str, Node] = {}
    environ: dict[str, str] = {}
    python: Python = Python()
    packages: dict[str, str | Package] = {}
    request: Request = Request()
    messages: tuple[str | Said, ...] = ()
    recorded: dict[str, Any] = {}
    text: str = ""

    @property
    def cause(self) -> str | None:
        """The cause that the file's name says, None for a healthy machine and for one without a single cause."""
        first = self.name.partition(".")[0]
        return None if first in ("healthy", "undetermined") or self.candidates else first

    @property
    def rules(self) -> frozenset[str]:
        """The rules that find something here."""
        return frozenset(line.split()[1] for line in self.findings)


def names() -> tuple[str, ...]:
    """The described machines, by file name without its ending."""
    return tuple(sorted(path.name.removesuffix(".toml") for path in DESCRIBED.glob("*.toml")))


def read(name: str) -> Description:
    """The machine of that name with its parts. Raises msgspec.ValidationError for an entry that has no meaning."""
    raw = _table(DESCRIBED / f"{name}.toml")
    merged = without_false(merge({"name": name}, *_with_parts(raw)))
    return msgspec.convert(merged, Description)


def _with_parts(raw: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in raw.get("parts", ()):
        yield from _with_parts(_table(PARTS / f"{part}.toml"))
    yield {key: value for key, value in raw.items() if key != "parts"}


def _table(path: Path) -> dict[str, Any]:
    table = msgspec.toml.decode(path.read_bytes())
    assert isinstance(table, dict)
    return table


def merge(*tables: Mapping[str, Any]) -> dict[str, Any]:
    """Tables laid over one another, the later ones on top."""
    merged: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            present = merged.pop(key, None)
            both = isinstance(present, dict) and isinstance(value, dict)
            merged[key] = merge(present or {}, value) if both else value
    return merged


_OPEN_TABLES = ("environ", "packages", "faults", "libraries", "opens")


def without_false(table: dict[str, Any]) -> dict[str, Any]:
    """The table without the entries that a later part took away; paths stay, for they take away generated ones too."""
    kept = {key: value for key, value in table.items() if value is not False or key in ("bus", "nodes")}
    for key in _OPEN_TABLES:
        if key in kept:
            kept[key] = {name: value for name, value in kept[key].items() if value is not False}
    return kept
