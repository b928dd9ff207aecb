"""Faults of the files that probes read: each file of a whole machine in turn, and what its readers then say."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from gpudoctor.children import Limits
from gpudoctor.facts import Fact, Missing
from gpudoctor.probes import container, driver, host, toolkit
from gpudoctor.probes.at_host import HOST_PROBES, look
from gpudoctor.probes.background import Background
from gpudoctor.probes.cuda_driver import libcuda
from gpudoctor.world import World
from tests.lab.faults.table import Fault
from tests.probes.roots import ENVIRON, RICH, write_root

Probe = Callable[[World], Fact]
Found = Mapping[str, Fact | Missing]

_HANG_SECONDS = 0.3
_LONG_SECONDS = 60.0
_QUICK_SECONDS = 20.0
_LATE_SECONDS = 0.02  # each
_HUGE = 1 << 30
_MODULES = {
    "system files": host,
    "driver files": driver,
    "container files": container,
    "toolkit files": toolkit,
}


def probes(place: str) -> Mapping[str, Probe]:
    """The probes of a place by name."""
    if place == "loader's files":
        return {"libcuda": libcuda}
    return {name: probe for name, probe in HOST_PROBES.items() if probe.__module__ == _MODULES[place].__name__}


class NotedPath(type(Path())):  # type: ignore[misc]
    """A path that notes which files are opened for reading."""

    opened: ClassVar[set[str]] = set()

    def open(self, *arguments: Any, **options: Any) -> Any:
        self.opened.add(str(self))
        return super().open(*arguments, **options)


@dataclass(frozen=True)
class Machine:
    """A whole machine, and which of its files each probe reads."""

    world: World
    probes: Mapping[str, Probe]
    good: Found
    reads: Mapping[str, tuple[str, ...]]

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(sorted({path for paths in self.reads.values() for path in paths}))

    def look(self) -> Found:
        return {name: look(probe, self.world) for name, probe in self.probes.items()}

    def readers(self, path: str) -> tuple[str, ...]:
        return tuple(name for name, paths in self.reads.items() if path in paths)


def machine(place: str, folder: Path) -> Machine:
    """A desktop with a driver and toolkits; every probe of the place finds something there."""
    world = write_root(folder / "root", RICH, ENVIRON)
    good, reads = {}, {}
    for name, probe in probes(place).items():
        NotedPath.opened.clear()
        good[name] = look(probe, World(NotedPath(world.root), world.environ))
        regular = (path for path in map(Path, NotedPath.opened) if path.is_file() and not path.is_symlink())
        reads[name] = tuple(sorted(f"/{path.relative_to(world.root)}" for path in regular))
    return Machine(world, probes(place), good, reads)


# -------------------------------------------------------------------------------------------------- one fault


def seen(place: str, fault: Fault, folder: Path) -> str:
    """The cell of the table. Raises AssertionError where a file's fault is a crash, or goes unsaid."""
    whole = machine(place, folder)
    assert whole.files
    if fault == "hang":
        return _hanging(whole)
    if fault == "slow":
        return _slow(whole)
    words = {_said(whole, path, fault) for path in whole.files}
    return "named" if words == {"named"} else "told" if "told" in words else "named"


def _said(whole: Machine, path: str, fault: Fault) -> str:
    with _damaged(whole.world.at(path), fault):
        started = time.monotonic()
        found = whole.look()
        assert time.monotonic() - started < _QUICK_SECONDS, (path, fault)
    for name, fact in found.items():
        assert not (isinstance(fact, Missing) and fact.kind == "crashed"), (path, name, fact)
        assert name in whole.readers(path) or fact == whole.good[name], (path, name)
    if fault == "denied":
        unsaid = [name for name in whole.readers(path) if not isinstance(found[name], Missing)]
        assert not unsaid or path in _PASSED_OVER, (path, unsaid)
        return "named"
    return "told"


_PASSED_OVER = {"/usr/local/bin/nvcc"}
"""What the shell passes over where it may not be used: another program of that name comes next on PATH."""


@contextmanager
def _damaged(place: Path, fault: Fault) -> Iterator[None]:
    kept = place.with_name(f"{place.name}.kept")
    data = place.read_bytes()
    place.rename(kept)
    try:
        if fault == "denied":  # for root as well: a link to itself
            place.symlink_to(place.name)
        elif fault == "endless":
            with place.open("wb") as file:
                file.truncate(_HUGE)
        elif fault != "missing":
            place.write_bytes(_CONTENTS[fault](data))
        yield
    finally:
        place.unlink(missing_ok=True)
        kept.rename(place)


_CONTENTS: Mapping[Fault, Callable[[bytes], bytes]] = {
    "garbage": lambda _: b"\x7fELF\x02\x01" + b"\xff" * 200,
    "empty": lambda _: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "not UTF-8": lambda data: b"\xff\xfe" * 50 + data,
}


def _hanging(whole: Machine) -> str:
    """Each probe has one file that never answers: a pipe without a writer."""
    pipes = {paths[0] for paths in whole.reads.values() if paths}
    with _pipes([whole.world.at(path) for path in pipes]):
        hung = {name: any(path in pipes for path in paths) for name, paths in whole.reads.items()}
        looks = {name: _behind(probe, whole.world) for name, probe in whole.probes.items()}
        sound = {name: one.result(Limits.within(_LONG_SECONDS)) for name, one in looks.items() if not hung[name]}
        lost = {name: one.result(Limits.within(_HANG_SECONDS)) for name, one in looks.items() if hung[name]}
    for name, fact in (sound | lost).items():
        assert fact == (Missing("timed-out", "no answer in time") if hung[name] else whole.good[name]), (name, fact)
    return "named"


def _behind(probe: Probe, world: World) -> Background[Fact | Missing]:
    return Background(lambda: look(probe, world))


class SlowPath(type(Path())):  # type: ignore[misc]
    """A path whose files open late."""

    def open(self, *arguments: Any, **options: Any) -> Any:
        time.sleep(_LATE_SECONDS)
        return super().open(*arguments, **options)


def _slow(whole: Machine) -> str:
    world = World(SlowPath(whole.world.root), whole.world.environ)
    assert {name: look(probe, world) for name, probe in whole.probes.items()} == whole.good
    return "whole"


def _answer(pipe: Path, data: bytes) -> None:
    """Whoever has the pipe open gets the file, and whoever opens it now finds the file in its place."""
    writer = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    waiting = pipe.with_name(f"{pipe.name}.waiting")
    waiting.write_bytes(data)
    waiting.replace(pipe)
    os.write(writer, data[: 60 << 10])
    time.sleep(0.05)
    os.close(writer)


@contextmanager
def _pipes(places: list[Path]) -> Iterator[None]:
    kept = {place: place.read_bytes() for place in places}
    for place in places:
        place.unlink()
        os.mkfifo(place)
    try:
        yield
    finally:
        for place, data in kept.items():
            if place.is_fifo():
                _answer(place, data)
