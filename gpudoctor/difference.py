"""What is different between two sets of facts, most relevant first, and which difference explains the cause.

Whether one does is not guessed: what belongs to it is taken over from the other side, and the same rules judge again.
If the cause is gone, it was that. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from gpudoctor.facts import FRAMEWORKS, Facts, Frameworks, Missing, Record
from gpudoctor.findings import Report
from gpudoctor.words import name_of

# What belongs together: whoever changes one of these fields has changed the others too.
_SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "driver": (
        "nvml",
        "kernel_driver",
        "kernel_modules",
        "driver_files",
        "libcuda",
        "cuda",
        "device_nodes",
        "services",
    ),
    "GPU": ("gpus", "pci"),
    "container": ("container", "container_start", "shared_memory", "scheduler"),
    "environment variables": ("environment",),
    "Python": ("interpreter", "other_environments", "shadows"),
    "packages": ("packages", "pins"),
    "CUDA libraries": ("toolkits", "cudnn"),
    "kernel log": ("kernel_log",),
    "system": (
        "system",
        "libc",
        "processor",
        "memory",
        "virtual_machine",
        "wsl",
        "jetson",
        "hosted",
        "secure_boot",
    ),
    "several processes": ("collectives", "peer_copies", "memory_tests"),
}
# Readings that are never the same twice, and say nothing by that.
_RESTLESS = frozenset(
    (
        *("source", "fact", "created", "seconds", "job", "pid", "process", "processes", "opens", "lines", "xids"),
        *("used", "free", "available", "temperature", "power", "sm_clock", "throttle", "replays", "corrected"),
    )
)
_KEYS = ("name", "path", "index", "address", "kernel", "package", "uuid")
_NAMES = {
    "nvml": "NVML",
    "cuda": "CUDA",
    "gpus": "GPU",
    "pci": "PCI",
    "cudnn": "cuDNN",
    "libc": "C library",
    "wsl": "WSL",
    "environment": "variable",
}
_NOT_LOOKED_AT = frozenset({"not-asked", "not-in-paste"})

Judge = Callable[[Facts], Report]


class Change(Record, frozen=True, kw_only=True):
    """One value that differs. None: it is not there. ``explains`` is the rule of the cause that goes with it."""

    subject: str
    what: str
    before: str | None
    after: str | None
    explains: str | None = None


class Side(Record, frozen=True, kw_only=True):
    """One of the two: what it was called, when it was looked at, and its verdict."""

    name: str
    created: str
    status: str
    cause: str | None


class Difference(Record, frozen=True, kw_only=True):
    """Both sides and what differs, what explains a cause first. ``uncompared`` is what one side did not look at."""

    before: Side
    after: Side
    changes: tuple[Change, ...]
    uncompared: tuple[str, ...] = ()

    @property
    def alike(self) -> bool:
        """Whether nothing differs that was compared."""
        return not self.changes


def difference(before: Report, after: Report, names: tuple[str, str], judge: Judge) -> Difference:
    """What differs from ``before`` to ``after``. ``judge`` makes the report on facts."""
    explained = _explained(before, after, judge)
    changes = sorted(_changes(before.facts, after.facts, explained), key=lambda one: one.explains is None)
    return Difference(
        before=_side(before, names[0]),
        after=_side(after, names[1]),
        changes=tuple(changes),
        uncompared=tuple(_uncompared(before.facts, after.facts)),
    )


def _side(report: Report, name: str) -> Side:
    return Side(
        name=name,
        created=report.created,
        status=report.status,
        cause=report.cause.rule if report.cause else None,
    )


# ------------------------------------------------------------------------------------------------ what explains


def _explained(before: Report, after: Report, judge: Judge) -> dict[str, str]:
    """The subjects that make the cause of one side go when they are taken from the other, each with its rule."""
    found: dict[str, str] = {}
    for sick, sound in ((after, before), (before, after)):
        cause = sick.cause.rule if sick.cause else None
        if cause is None or any(one.rule == cause for one in sound.findings):
            continue
        bare = _without_consequences(sick.facts)
        if not judge(bare).findings_of(cause):
            bare = sick.facts  # the cause rests on what was printed or trained, which no other machine's facts undo
        for subject, taken in _taken(bare, sound.facts):
            if not judge(taken).findings_of(cause):
                found[subject] = cause
    return found


def _without_consequences(facts: Facts) -> Facts:
    """What was trained and printed follows from the rest."""
    frameworks = facts.frameworks
    if isinstance(frameworks, Frameworks):
        plain = tuple(msgspec.structs.replace(one, imported=Missing("not-asked")) for one in frameworks.frameworks)
        frameworks = msgspec.structs.replace(frameworks, frameworks=plain)
    request = msgspec.structs.replace(facts.request, quick=True)
    return msgspec.structs.replace(facts, smokes=(), messages=(), frameworks=frameworks, request=request)


def _taken(facts: Facts, other: Facts) -> Iterator[tuple[str, Facts]]:
    """The facts with one subject as the other side has it, for each that differs and that the other looked at."""
    for subject, fields in _SUBJECTS.items():
        values = {name: getattr(other, name) for name in fields if not _unlooked(getattr(other, name))}
        plain = {name: value for name, value in values.items() if value != getattr(facts, name)}
        if plain:
            yield subject, msgspec.structs.replace(facts, **plain)
    for name in FRAMEWORKS:
        mine, theirs = facts.framework(name), other.framework(name)
        if mine is not None and theirs is not None and mine != theirs and isinstance(facts.frameworks, Frameworks):
            others = tuple(theirs if one.name == name else one for one in facts.frameworks.frameworks)
            frameworks = msgspec.structs.replace(facts.frameworks, frameworks=others)
            yield name_of(name), msgspec.structs.replace(facts, frameworks=frameworks)


def _unlooked(value: Any) -> bool:
    return isinstance(value, Missing) and value.kind in _NOT_LOOKED_AT


# ------------------------------------------------------------------------------------------------ what differs


def _changes(before: Facts, after: Facts, explained: Mapping[str, str]) -> Iterator[Change]:
    for subject, words, old, new in _pairs(before, after):
        if _unlooked(old) or _unlooked(new):
            continue
        first, second = (dict(_leaves(_plain(value), ())) for value in (old, new))
        for path in dict.fromkeys((*first, *second)):
            if first.get(path) != second.get(path):
                yield Change(
                    subject=subject,
                    what=" ".join(dict.fromkeys((words, *path))),
                    before=first.get(path),
                    after=second.get(path),
                    explains=explained.get(subject),
                )


def _pairs(before: Facts, after: Facts) -> Iterator[tuple[str, str, Any, Any]]:
    """Subject, name, and the value of both sides."""
    for name in FRAMEWORKS:
        yield name_of(name), name_of(name), before.framework(name), after.framework(name)
    for subject, fields in _SUBJECTS.items():
        for field in fields:
            yield subject, _NAMES.get(field, field.replace("_", " ")), getattr(before, field), getattr(after, field)


def _uncompared(before: Facts, after: Facts) -> Iterator[str]:
    for _subject, words, old, new in _pairs(before, after):
        if _unlooked(old) != _unlooked(new):
            yield words


def _plain(value: Any) -> Any:
    """A record as plain values; a list of entries that is all there is in it, without its name."""
    if value is None or isinstance(value, Missing):
        return None if value is None else f"not known ({value})"
    plain = {key: inner for key, inner in msgspec.to_builtins(value).items() if key not in _RESTLESS}
    (only,) = plain.values() if len(plain) == 1 else (plain,)
    return only


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every value with the words that lead to it; entries of a list by their names, not by their places."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in _RESTLESS:
                yield from _leaves(_missing_in_words(inner), (*path, _words(str(key))))
    elif isinstance(value, list | tuple):
        yield from _entries(value, path)
    elif value is not None and value != "":
        yield path, {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _words(key: str) -> str:
    """A field's name in words; the name of a variable as it is."""
    return key.replace("_", " ") if key.islower() else key


def _missing_in_words(value: Any) -> Any:
    if isinstance(value, dict) and value.get("fact") == "missing":
        return None if value["kind"] in _NOT_LOOKED_AT else f"not known ({value['kind']})"
    return value


def _entries(values: list[Any] | tuple[Any, ...], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    key = next((key for key in _KEYS if values and all(isinstance(one, dict) and key in one for one in values)), None)
    if key is None or len({str(one[key]) for one in values}) < len(values):
        if values:
            yield path, ", ".join(sorted(_flat(one) for one in values))
        return
    for one in values:
        inner = {name: value for name, value in one.items() if name != key}
        named = (*path, str(one[key]))
        yield named, "there"
        yield from _leaves(inner, named)


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(str(one) for name, one in value.items() if one is not None and name not in _RESTLESS)
    return str(value)
