"""Faults of the files that probes read: each file of a whole machine in turn, and what its readers then say."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gpudoctor.children import Limits
from gpudoctor.facts import Fact, Missing
from gpudoctor.probes import HOST_PROBES, container, driver, environment, host, look, toolkit
from gpudoctor.probes.background import Background
from gpudoctor.probes.cuda_driver import libcuda
from gpudoctor.world import World
from tests.lab.faults.table import Fault
from tests.probes.roots import ENVIRON, RICH, write_root

Probe = Callable[[World], Fact]
Found = Mapping[str, Fact | Missing]

_HANG_SECONDS = 0.3
_QUICK_SECONDS = 20.0
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


@dataclass(frozen=True)
class Noting(World):
    """A world that notes which paths are asked for."""

    asked: set[str] = field(default_factory=set)

    def at(self, path: str) -> Path:
        self.asked.add(path)
        return super().at(path)


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
        noting = Noting(world.root, world.environ)
        good[name] = look(probe, noting)
        regular = (path for path in noting.asked if noting.at(path).is_file() and not noting.at(path).is_symlink())
        reads[name] = tuple(sorted(regular))
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
        if unsaid: print("UNSAID", path, unsaid)
        return "named"
    return "told"


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
    "garbage": lambda data: b"\x7fELF\x02\x01" + b"\xff" * 200,
    "empty": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "not UTF-8": lambda data: b"\xff\xfe" * 50 + data,
}


def _hanging(whole: Machine) -> str:
    """Each probe has one file that never answers: a pipe without a writer."""
    pipes = {paths[0] for paths in whole.reads.values() if paths}
    with _pipes([whole.world.at(path) for path in pipes]):
        limits = Limits.within(_HANG_SECONDS)
        looks = {name: Background(lambda probe=probe: look(probe, whole.world)) for name, probe in whole.probes.items()}
        found = {name: one.result(limits) for name, one in looks.items()}
    for name, fact in found.items():
        hung = any(path in pipes for path in whole.reads[name])
        assert fact == (Missing("timed-out", "no answer in time") if hung else whole.good[name]), (name, fact)
    return "named"


def _slow(whole: Machine) -> str:
    """The same, and the answer comes late."""
    pipes = sorted({paths[0] for paths in whole.reads.values() if paths})
    contents = {path: whole.world.at(path).read_bytes() for path in pipes}
    with _pipes([whole.world.at(path) for path in pipes]):
        looks = {name: Background(lambda probe=probe: look(probe, whole.world)) for name, probe in whole.probes.items()}
        time.sleep(0.2)
        for path in pipes:
            _answer(whole.world.at(path), contents[path])
        found = {name: one.result(Limits.within(_QUICK_SECONDS)) for name, one in looks.items()}
    assert found == whole.good
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


if __name__ == "__main__":
    import tempfile
    from tests.lab.faults.table import FAULTS
    for place in (*_MODULES, "loader's files"):
        for fault in FAULTS:
            if fault in ("crash", "refused start"): continue
            start = time.monotonic()
            try:
                word = seen(place, fault, Path(tempfile.mkdtemp()))
            except Exception as e:
                word = f"!!! {type(e).__name__} {e}"
            print(f"{place:20} {fault:14} {word:40} {time.monotonic()-start:.1f}", flush=True)
