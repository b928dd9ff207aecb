"""Which requirements of the installed packages are not satisfied, by the markers of the interpreter under test.

Pure: the answer of inside/collect.py in, :class:`UnmetPin` out.
https://packaging.python.org/specifications/dependency-specifiers/
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from gpudoctor.facts import UnmetPin
from gpudoctor.probes.target_answer import Copy

_MOST_STEPS = 20_000
_MOST_LINES = 100_000  # followed in all; TensorFlow with what it needs takes 44


class EndlessError(ValueError):
    """Requirements that refer to one another more often than any real environment's."""


def unmet_pins(copies: Iterable[Copy], markers: Mapping[str, str]) -> tuple[UnmetPin, ...]:
    """The unmet requirements of the copies that import (the first of each name), each once a package.

    A requirement with extras (``cuda-toolkit[cublas]==13.0.2``) brings the lines of that extra, counted as the
    asking package's own. No record says with which extras a package was installed: an extra counts as chosen when at
    least half of what only it requires is installed, and some of that is required by nothing else. Raises
    :class:`EndlessError`.
    """
    return _Graph(tuple(copies), dict(markers)).unmet()


def requirement_of(name_prefix: str, copy: Copy, markers: Mapping[str, str], extra: str = "") -> Requirement | None:
    """The first requirement that is active here and whose name starts so, None without one."""
    lines = (_requirement(line) for line in copy.requires)
    return next(
        (
            line
            for line in lines
            if line and canonicalize_name(line.name).startswith(name_prefix) and _active(line, markers, extra)
        ),
        None,
    )


def _requirement(line: str) -> Requirement | None:
    try:
        return Requirement(line)
    except InvalidRequirement:
        return None


def _active(requirement: Requirement, markers: Mapping[str, str], extra: str) -> bool:
    if requirement.marker is None:
        return True
    try:
        return requirement.marker.evaluate({**markers, "extra": extra})
    except (UndefinedComparison, UndefinedEnvironmentName, InvalidVersion):
        return False


@dataclass(frozen=True)
class _Graph:
    copies: tuple[Copy, ...]
    markers: dict[str, str]
    _lines: dict[tuple[str, str], list[Requirement]] = field(default_factory=dict)
    _parsed: dict[str, list[tuple[str, Requirement]]] = field(default_factory=dict)
    _followed: Counter[None] = field(default_factory=Counter)

    @cached_property
    def first(self) -> dict[str, Copy]:
        """The copy of each name that imports."""
        return {copy.name: copy for copy in reversed(self.copies)}

    def unmet(self) -> tuple[UnmetPin, ...]:
        found: dict[tuple[str, str], UnmetPin] = {}
        for name in self.first:
            for line in self.all_lines(name):
                package = canonicalize_name(line.name)
                if not self.satisfied(line):
                    installed = self.first.get(package)
                    pin = UnmetPin(
                        package=name, requirement=_plain(line), found=installed.version if installed else None
                    )
                    found.setdefault((name, package), pin)
        return tuple(found.values())

    def satisfied(self, line: Requirement) -> bool:
        installed = self.first.get(canonicalize_name(line.name))
        if installed is None:
            return False
        if installed.version is None:
            return True
        try:
            return line.specifier.contains(Version(installed.version), prereleases=True)
        except InvalidVersion:
            return True

    def all_lines(self, name: str) -> Iterator[Requirement]:
        """What a package requires: by itself, by the extras it asks for, and by the extras it was installed with."""
        yield from self.closure(name)
        for extra in self.extras(name):
            if self.chosen(name, extra):
                yield from self.closure(name, extra, guessed=True)

    def closure(self, name: str, extra: str = "", guessed: bool = False) -> Iterator[Requirement]:
        waiting, seen = [(name, extra)], {(name, extra)}
        for _ in range(_MOST_STEPS):
            if not waiting:
                return
            package, wanted = waiting.pop(0)
            for line in self.lines(package, wanted):
                self._follow()
                yield line
                for step in ((canonicalize_name(line.name), canonicalize_name(e)) for e in sorted(line.extras)):
                    if step not in seen and step[0] in self.first and (not guessed or self.chosen(*step)):
                        seen.add(step)
                        waiting.append(step)

    def _follow(self) -> None:
        self._followed[None] += 1
        if self._followed[None] > _MOST_LINES:
            raise EndlessError("the requirements refer to one another without end")

    def lines(self, name: str, extra: str = "") -> list[Requirement]:
        """The active lines of a package; with an extra only those that it adds."""
        key = (name, extra)
        if key not in self._lines:
            self._lines[key] = [
                line
                for line in self._mentioning(name, extra)
                if _active(line, self.markers, extra) and not (extra and _active(line, self.markers, ""))
            ]
        return self._lines[key]

    def _mentioning(self, name: str, extra: str) -> Iterator[Requirement]:
        """The lines of a package that may depend on an extra; all of them without one."""
        if name not in self._parsed:
            texts = self.first[name].requires
            self._parsed[name] = [(canonicalize_name(text), line) for text in texts if (line := _requirement(text))]
        for text, line in self._parsed[name]:
            if extra in text:
                self._follow()
                yield line

    def extras(self, name: str) -> tuple[str, ...]:
        text = "\n".join(self.first[name].requires)
        return tuple(dict.fromkeys(map(canonicalize_name, re.findall(r"""extra *== *["']([^"']+)["']""", text))))

    def chosen(self, name: str, extra: str) -> bool:
        own = {canonicalize_name(line.name) for line in self.lines(name)}
        added = {canonicalize_name(line.name) for line in self.lines(name, extra)} - own
        present = added & set(self.first)
        if not present or 2 * len(present) < len(added):
            return False
        return any(self.askers[package] == (package in self.reached[name]) for package in present)

    @cached_property
    def reached(self) -> dict[str, frozenset[str]]:
        """What each package requires without its extras, and what that requires in turn."""
        return {name: frozenset(canonicalize_name(line.name) for line in self.closure(name)) for name in self.first}

    @cached_property
    def askers(self) -> Counter[str]:
        """How many packages reach each package."""
        return Counter(package for reached in self.reached.values() for package in reached)


def _plain(requirement: Requirement) -> str:
    """The requirement as pip takes it, without its marker."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{canonicalize_name(requirement.name)}{extras}{requirement.specifier}"
