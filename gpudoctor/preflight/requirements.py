"""What a job asks of a machine, read from text: ``gpus>=2, vram>=40GiB, torch>=2.6``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

MOST_REQUIREMENTS = 100
LONGEST_TEXT = 10_000

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_BINARY = {"KI": 1 << 10, "MI": 1 << 20, "GI": 1 << 30, "TI": 1 << 40}
_UNITS = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    **_BINARY,  # Gi as Kubernetes writes it
    **{f"{unit}B": size for unit, size in _BINARY.items()},
}


class RequirementError(ValueError):
    """A text is no requirement. The message is one sentence for the user."""


class Requirement(msgspec.Struct, frozen=True):
    """One requirement. ``name`` is its subject, ``text`` the whole in its shortest spelling, without blanks."""

    name: str
    text: str


class Amount(Requirement, frozen=True):
    """A number to compare with: GPUs, or bytes. All ``clauses`` (operator, number) hold together."""

    clauses: tuple[tuple[str, int], ...]

    def holds(self, value: int) -> bool:
        """Whether a number meets it."""
        return all(_COMPARE[sign](value, number) for sign, number in self.clauses)


class Capable(Requirement, frozen=True):
    """Compute capabilities to compare with, as (major, minor)."""

    clauses: tuple[tuple[str, tuple[int, int]], ...]

    def holds(self, value: tuple[int, int]) -> bool:
        """Whether a compute capability meets it."""
        return all(_COMPARE[sign](value, number) for sign, number in self.clauses)


class Versioned(Requirement, frozen=True):
    """A version specifier as Python packaging writes it, empty where any version will do."""

    specifier: str

    def holds(self, version: str) -> bool:
        """Whether a version meets it; pre-releases count. Raises ValueError for a text that is no version."""
        from packaging.specifiers import SpecifierSet
        from packaging.version import Version

        return SpecifierSet(self.specifier).contains(Version(version), prereleases=True)


class Named(Requirement, frozen=True):
    """Names of GPUs, one of which must fit (``~=``), be the whole name (``==``), or not be it (``!=``)."""

    sign: str
    names: tuple[str, ...]

    def holds(self, name: str) -> bool:
        """Whether a GPU of that name meets it. ``A10`` is a word of its own: it does not fit an A100."""
        words = _words(name)
        if self.sign == "~=":
            return any(_within(_words(wanted), words) for wanted in self.names)
        return any(_words(wanted) == words for wanted in self.names) is (self.sign == "==")


class Switched(Requirement, frozen=True):
    """A mode that is to be on or off."""

    on: bool


class Plain(Requirement, frozen=True):
    """A requirement without a value."""


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", name.lower())


def _within(wanted: list[str], words: list[str]) -> bool:
    return bool(wanted) and any(
        words[start : start + len(wanted)] == wanted for start in range(len(words) - len(wanted) + 1)
    )


# ------------------------------------------------------------------------------------------------------- reading


def parse(text: str) -> tuple[Requirement, ...]:
    """The requirements in a text, separated by commas or line ends: ``gpus>=2, driver>=550,<600``.

    A part that begins with an operator belongs to the requirement before it. Raises RequirementError.
    """
    if len(text) > LONGEST_TEXT:
        raise RequirementError(f"{len(text)} characters are too long for requirements.")
    requirements = tuple(_one(part) for part in _parts(text))
    if len(requirements) > MOST_REQUIREMENTS:
        raise RequirementError(f"{len(requirements)} requirements are too many.")
    return requirements


def parse_all(texts: Iterable[str]) -> tuple[Requirement, ...]:
    """The requirements of several texts, in order, each once. Raises RequirementError."""
    return tuple(dict.fromkeys(requirement for text in texts for requirement in parse(text)))


def merged(*sources: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """The requirements of several sources, the most telling first: one that names a subject replaces all later ones.

    Within one source several requirements of one subject hold together.
    """
    kept: dict[str, tuple[Requirement, ...]] = {}
    for source in sources:
        by_name: dict[str, tuple[Requirement, ...]] = {}
        for requirement in source:
            by_name[requirement.name] = (*by_name.get(requirement.name, ()), requirement)
        kept = {**by_name, **kept}
    return tuple(dict.fromkeys(requirement for several in kept.values() for requirement in several))


def _parts(text: str) -> Iterator[str]:
    pending = ""
    for piece in re.split(r"[,\n]", text):
        piece = piece.strip()
        if pending and re.match(r"[<>=!~]", piece):
            pending = f"{pending},{piece}"
        elif piece:
            if pending:
                yield pending
            pending = piece
    if pending:
        yield pending


_PART = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)\s*([<>=!~].*)?", re.DOTALL)


def _one(part: str) -> Requirement:
    found = _PART.fullmatch(part)
    name = found[1].lower().replace("_", "-") if found else ""
    if found is None or name not in _READERS:
        raise RequirementError(f"{part!r} is no requirement.{_near(name or part)} All: {', '.join(_READERS)}.")
    return _READERS[name](name, (found[2] or "").strip())


def _near(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(re.split(r"[\s<>=!~:]", name.strip())[0].lower(), _READERS, 1, 0.55)
    return f" Did you mean {close[0]}?" if close else ""


def _clauses(name: str, value: str, example: str) -> Iterator[tuple[str, str]]:
    """``>=2,<8`` as pairs. Raises RequirementError that shows how it is written."""
    for clause in value.split(","):
        found = re.fullmatch(r"\s*(>=|<=|==|!=|>|<)\s*([^\s<>=!~](?:.*\S)?)\s*", clause)
        if found is None:
            raise RequirementError(f"{name + value!r} cannot be read; write it as {example}.")
        yield found[1], found[2]


def _spelled(name: str, clauses: Iterable[tuple[str, object]]) -> str:
    return name + ",".join(f"{sign}{value}" for sign, value in clauses)


def _count(name: str, value: str) -> Requirement:
    clauses = tuple(_clauses(name, value or ">=1", "gpus>=2"))
    for _, number in clauses:
        if not re.fullmatch(r"[0-9]{1,6}", number):
            raise RequirementError(f"{name + value!r}: {number!r} is no number of GPUs; write it as gpus>=2.")
    numbers = tuple((sign, int(number)) for sign, number in clauses)
    return Amount(name, _spelled(name, numbers), numbers)


def _size(name: str, value: str) -> Requirement:
    example = f"{name}>=16GiB"
    if not value:
        raise RequirementError(f"{name} needs a size; write it as {example}.")
    clauses = tuple((sign, re.sub(r"\s", "", size)) for sign, size in _clauses(name, value, example))
    return Amount(name, _spelled(name, clauses), tuple((sign, _bytes(name, size)) for sign, size in clauses))


def _bytes(name: str, size: str) -> int:
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([A-Za-z]*)", size)
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        bare = found is not None and not found[2]
        hint = f" Write {size}GiB or {size}GB." if bare else f" Write it as {name}>=16GiB."
        raise RequirementError(f"{name}: {size!r} is no size with a unit (GiB, GB, MiB, MB).{hint}")
    return round(float(found[1]) * unit)


def _capability(name: str, value: str) -> Requirement:
    example = "capability>=8.0"
    if not value:
        raise RequirementError(f"{name} needs a compute capability; write it as {example}.")
    clauses = tuple(_clauses(name, value, example))
    return Capable(name, _spelled(name, clauses), tuple((sign, _pair(number, example)) for sign, number in clauses))


def _pair(number: str, example: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,2})(?:\.([0-9]))?", number)
    if found is None:
        raise RequirementError(f"{number!r} is no compute capability; write it as {example}.")
    return int(found[1]), int(found[2] or 0)


def _version(name: str, value: str) -> Requirement:
    if not value:
        return Versioned(name, name, "")
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    clauses = ",".join(re.sub(r"\s", "", clause) for clause in value.split(","))
    try:
        SpecifierSet(clauses)
    except InvalidSpecifier:
        hint = f"{name}=={clauses.lstrip('=')}" if re.match(r"=[^=]", clauses) else f"{name}>={_EXAMPLES[name]}"
        raise RequirementError(f"{name + value!r} is no version specifier; write it as {hint}.") from None
    return Versioned(name, name + clauses, clauses)


_EXAMPLES = {
    "driver": "550",
    "cuda": "12.4",
    "torch": "2.6",
    "torch-cuda": "12.4",
    "tensorflow": "2.16",
    "jax": "0.4.30",
    "nccl": "2.20",
}


def _name(name: str, value: str) -> Requirement:
    found = re.fullmatch(r"(~=|==|!=)([^<>=!~]+)", value)
    names = tuple(part.strip() for part in found[2].split("|")) if found else ()
    if found is None or not all(_words(part) for part in names):
        raise RequirementError(f"{name + value!r} cannot be read; write it as gpu~=H100 or gpu~=H100|A100.")
    return Named(name, f"{name}{found[1]}{'|'.join(names)}", found[1], names)


def _switch(name: str, value: str) -> Requirement:
    found = re.fullmatch(r"==?\s*(on|off)", value.lower())
    if found is None:
        raise RequirementError(f"{name + value!r} cannot be read; write {name}=on or {name}=off.")
    return Switched(name, f"{name}={found[1]}", found[1] == "on")


def _plain(name: str, value: str) -> Requirement:
    if value:
        raise RequirementError(f"{name} takes no value; write it alone, without {value!r}.")
    return Plain(name, name)


_READERS: dict[str, Callable[[str, str], Requirement]] = {
    "gpus": _count,
    "vram": _size,
    "free-vram": _size,
    "capability": _capability,
    "gpu": _name,
    "driver": _version,
    "cuda": _version,
    "torch": _version,
    "torch-cuda": _version,
    "tensorflow": _version,
    "jax": _version,
    "nccl": _version,
    "shm": _size,
    "mig": _switch,
    "ecc": _switch,
    "nvlink": _plain,
    "smoke": _plain,
    "no-warnings": _plain,
}

NAMES = tuple(_READERS)
DEFAULT = parse("gpus>=1")
"""What is required where nothing is said: a GPU that CUDA can use."""
