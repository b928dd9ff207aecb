"""What is different between two sets of facts, most relevant first, and which difference explains the cause.

Whether one does is not guessed: what belongs to it is taken over from the other side, and the same rules judge again.
If the cause is gone, it was that. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from gpudoctor.facts import FRAMEWORKS, Facts, Frameworks, Missing, Record
from gpudoctor.findings import Report
from gpudoctor.intake.frameworks import PLACE
from gpudoctor.render.text import gib
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
        *("source", "fact", "uuid", "created", "seconds", "job", "pid", "process", "processes", "opens", "lines"),
        *("xids", "used", "free", "available", "temperature", "power", "sm_clock", "throttle", "replays", "corrected"),
    )
)
_BYTES = frozenset({"total", "size"})
_LEAST_BYTES = 1 << 20
_LONG_LIST = 100
_KEYS = ("name", "path", "index", "address", "kernel", "package", "uuid")
_NAMES = {
    "nvml": "NVML",
    "cuda": "CUDA",
    "gpus": "GPU",
    "pci": "PCI",
    "cudnn": "cuDNN",
    "libc": "C library",
    "wsl": "WSL",
    "jetson": "Jetson",
    "environment": "variable",
}
_UNTOLD = frozenset({None, "unknown", "not-shown", PLACE})
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
    told = (one for one in _changes(before.facts, after.facts, explained) if _is_told(one, before, after))
    changes = sorted(told, key=lambda one: one.explains is None)
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
        for path, first, second in _compared(_plain(old), _plain(new), (words,)):
            yield Change(
                subject=subject,
                what=" ".join(dict.fromkeys(path)),
                before=first,
                after=second,
                explains=explained.get(subject),
            )


def _is_told(one: Change, before: Report, after: Report) -> bool:
    """Whether both sides tell of it: what is not in a pasted text may be there all the same."""
    sides = ((before, one.before), (after, one.after))
    return not any(report.source == "paste" and value in _UNTOLD for report, value in sides)


def _pairs(before: Facts, after: Facts) -> Iterator[tuple[str, str, Any, Any]]:
    """Subject, name, and the value of both sides."""
    for name in FRAMEWORKS:  # where one is not told of, it is not known whether it is there
        one, other = (facts.framework(name) or Missing("not-asked") for facts in (before, after))
        yield name_of(name), name_of(name), one, other
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


_Path = tuple[str, ...]
_Compared = tuple[_Path, str | None, str | None]


def _compared(old: Any, new: Any, path: _Path) -> Iterator[_Compared]:
    """Every value that differs, with the words that lead to it."""
    old, new = _missing_in_words(old), _missing_in_words(new)
    if old == new:
        return
    if isinstance(old, dict | None) and isinstance(new, dict | None):
        first, second = old or {}, new or {}
        for key in dict.fromkeys(("error", *first, *second)):
            if key not in _RESTLESS:
                yield from _compared(first.get(key), second.get(key), (*path, _words(str(key))))
    elif isinstance(old, list | tuple | None) and isinstance(new, list | tuple | None):
        yield from _lists(tuple(old or ()), tuple(new or ()), path)
    elif (told := (_told(old, path), _told(new, path))) and told[0] != told[1]:
        yield path, *told


def _lists(old: tuple[Any, ...], new: tuple[Any, ...], path: _Path) -> Iterator[_Compared]:
    """Entries by their names, not by their places; of others, where they are many, those that one side alone has."""
    key = _key(old, new)
    if key is None:
        yield from _unnamed(tuple(map(_flat, old)), tuple(map(_flat, new)), path)
        return
    first, second = ({str(one[key]): one for one in side} for side in (old, new))
    for name in dict.fromkeys((*first, *second)):
        named = (*path, name)
        if name in first and name in second:
            yield from _compared({**first[name], key: None}, {**second[name], key: None}, named)
            continue
        entry = first.get(name) or second[name]
        word = (*named, "version") if entry.get("version") else named
        told = str(entry.get("version") or "there")
        yield word, told if name in first else None, told if name in second else None


def _key(old: tuple[Any, ...], new: tuple[Any, ...]) -> str | None:
    """The field that tells the entries of both sides apart."""
    for key in _KEYS:
        sides = [[one.get(key) if isinstance(one, dict) else None for one in side] for side in (old, new)]
        if any(sides) and all(None not in side and len(set(map(str, side))) == len(side) for side in sides):
            return key
    return None


def _unnamed(old: tuple[str, ...], new: tuple[str, ...], path: _Path) -> Iterator[_Compared]:
    if sorted(old) == sorted(new):
        return
    whole = _counted(old), _counted(new)
    if max(map(len, whole)) > _LONG_LIST and old and new:
        whole = _counted((Counter(old) - Counter(new)).elements()), _counted((Counter(new) - Counter(old)).elements())
    yield path, whole[0] or None, whole[1] or None


def _counted(values: Iterable[str]) -> str:
    return ", ".join(value if count == 1 else f"{count} x {value}" for value, count in sorted(Counter(values).items()))


def _words(key: str) -> str:
    """A field's name in words; the name of a variable as it is."""
    return key.replace("_", " ") if key.islower() else key


def _missing_in_words(value: Any) -> Any:
    if isinstance(value, dict) and value.get("fact") == "missing":
        return None if value["kind"] in _NOT_LOOKED_AT else f"not known ({value['kind']})"
    return value


def _told(value: Any, path: _Path) -> str | None:
    """One value in words, bytes with their unit; a record only where the other side has none, and says why."""
    if value is None or value == "":
        return None
    if isinstance(value, dict | list | tuple):
        return "known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return gib(value) if isinstance(value, int) and path[-1] in _BYTES and value >= _LEAST_BYTES else str(value)


def _flat(value: Any) -> str:
    value = _missing_in_words(value)
    if isinstance(value, dict):
        inner = (_flat(one) for name, one in value.items() if name not in _RESTLESS)
        return " ".join(words for words in inner if words)
    if isinstance(value, list | tuple):
        return ", ".join(map(_flat, value))
    return _told(value, ("",)) or ""
