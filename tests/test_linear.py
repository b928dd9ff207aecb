"""No regular expression takes more than linear time on any text: each is attacked with texts made of its own pieces.

Patterns are found by looking at the source and at the values of every module, so that a new one is attacked too. For
each place where a pattern repeats something, the text that leads there is followed by very many of what is repeated,
and by nothing that would let the whole match; then the same in many copies, where every position starts anew.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import gpudoctor
from gpudoctor.intake.paste import LONGEST_LINE

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    sre_parse: Any = importlib.import_module("sre_parse")

PACKAGE = Path(gpudoctor.__file__).parent
_META = re.compile(r"[\\\[({+?|^$]|\.\*")
SIZES = (LONGEST_LINE, 4 * LONGEST_LINE)
SECONDS = 0.1
"""For one line as long as any may be, on a slow and busy machine. What is linear needs a hundredth of it."""
NOTICEABLE = 0.004
"""Below this a ratio of two times says nothing."""
STEEPEST = 9.0
"""Four times the text: 4 is linear, 16 is quadratic."""


# --------------------------------------------------------------------------------------------- the patterns


class Found(NamedTuple):
    """A pattern, its flags, the file in which it stands, and whether it is tried at every position of a text."""

    pattern: str
    flags: int
    where: str
    everywhere: bool


_ANCHORED = ("match", "fullmatch")
_TAKERS = {*_ANCHORED, "compile", "search", "findall", "finditer", "sub", "subn", "split", "first_match", "heard"}


def modules() -> Iterator[types.ModuleType]:
    """Every module that sees text from elsewhere: all but those that run in another interpreter."""
    for info in pkgutil.walk_packages([str(PACKAGE)], "gpudoctor."):
        if not info.name.startswith(("gpudoctor.inside", "gpudoctor.__main__")):
            yield importlib.import_module(info.name)


@cache
def patterns() -> tuple[Found, ...]:
    """Every compiled pattern of a module, every string of its constants, every one written in a call."""
    found: dict[str, Found] = {}
    for module in modules():
        path = Path(module.__file__ or "")
        where = path.relative_to(PACKAGE).as_posix()
        tree = ast.parse(path.read_text("utf-8"))
        anchored = _used_at_the_start_only(tree)
        for name, value in vars(module).items():
            if name.startswith("_") and not name.startswith("__"):
                for pattern, flags in _inside(value):
                    found.setdefault(pattern, Found(pattern, flags, where, name not in anchored))
        for pattern, method in _written(tree):
            found.setdefault(pattern, Found(pattern, int(re.IGNORECASE), where, method not in _ANCHORED))
    return tuple(one for one in found.values() if _compiles(one))


def _used_at_the_start_only(tree: ast.Module) -> set[str]:
    """The names of which nothing but match() and fullmatch() is called."""
    uses: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            uses.setdefault(node.value.id, set()).add(node.attr)
    return {name for name, methods in uses.items() if methods <= set(_ANCHORED)}


def _inside(value: Any) -> Iterator[tuple[str, int]]:
    """Patterns within a value. A string that ends in a full stop is a sentence."""
    if isinstance(value, re.Pattern):
        if isinstance(value.pattern, str):
            yield value.pattern, value.flags
    elif isinstance(value, str):
        if _META.search(value) and not re.search(r"(?<!\\)\.$", value):
            yield value, int(re.IGNORECASE)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _inside(key)
            yield from _inside(item)
    elif isinstance(value, tuple | list | set | frozenset):
        for item in value:
            yield from _inside(item)


def _written(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Literals in calls that take a pattern, with the call's name; what an f-string puts in is some word."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in _TAKERS:
                for text in _literals(node.args):
                    yield text, name


def _literals(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _META.search(node.value):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Tuple):
            yield from _literals(node.elts)


def _compiles(one: Found) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            re.compile(one.pattern, one.flags)
        except re.error:
            return False
    return True


# ---------------------------------------------------------------------------------------------- the attacks


class Attack(NamedTuple):
    """A text: what comes first, what is then repeated, and an end that fits nowhere."""

    lead: str
    unit: str
    end: str

    def text(self, size: int) -> str:
        """So many characters."""
        return (self.lead + self.unit * (size // len(self.unit) + 1))[: size - len(self.end)] + self.end


def attacks(pattern: str, flags: int) -> tuple[Attack, ...]:
    """Everything that the pattern is tried with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = sre_parse.parse(pattern, flags & ~re.DEBUG)
    groups: dict[int, str] = {}
    pumps = list(dict.fromkeys(_pumps(tree, "", groups)))
    whole = _witness(tree, groups)
    made = [(lead, unit) for lead, unit in pumps if unit]
    made += [("", lead + unit) for lead, unit in pumps]
    made += [("", lead + unit * 40) for lead, unit in pumps]
    made += [("", whole[:end]) for end in (len(whole), len(whole) - 1, len(whole) // 2) if end > 0]
    made += [("", letter) for letter in dict.fromkeys(whole)]
    ends = dict.fromkeys(("\x00", f"{_refused(tree)}\x00"))
    return tuple(dict.fromkeys(Attack(lead, unit, end) for lead, unit in made if unit for end in ends))


def _refused(tree: Any) -> str:
    """What the pattern's negated classes and dots do not match."""
    letters: dict[str, None] = {}
    pending = list(tree)
    while pending:
        one = pending.pop()
        if isinstance(one, sre_parse.SubPattern | list):
            pending += list(one)
        elif isinstance(one, tuple) and len(one) == 2 and str(one[0]) == "IN" and str(one[1][0][0]) == "NEGATE":
            letters.update(dict.fromkeys(_members(one[1][1:])))
        elif isinstance(one, tuple) and len(one) == 2 and str(one[0]) in ("NOT_LITERAL", "ANY"):
            letters["\n" if one[1] is None else chr(one[1])] = None
        elif isinstance(one, tuple):
            pending += one
    return "".join(letters)


def _pumps(tree: Any, before: str, groups: dict[int, str]) -> Iterator[tuple[str, str]]:
    """For each repetition, the text that leads to it and one turn of it."""
    for item in tree:
        name, value = str(item[0]), item[1]
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            unit = _witness(value[2], groups)
            for other in _units(value[2], groups):
                yield before, other
            yield from _pumps(value[2], before, groups)
            yield from _pumps(value[2], before + unit, groups)
        elif name == "BRANCH":
            for branch in value[1]:
                yield from _pumps(branch, before, groups)
        elif name == "SUBPATTERN":
            yield from _pumps(value[3], before, groups)
        elif name in ("ASSERT", "ASSERT_NOT"):
            yield from _pumps(value[1], before, groups)
        elif name == "ATOMIC_GROUP":
            yield from _pumps(value, before, groups)
        before += _witness([item], groups)


def _units(tree: Any, groups: dict[int, str]) -> Iterator[str]:
    """One turn in several spellings: each branch, each kind of character."""
    yield _witness(tree, groups)
    if len(tree) == 1:
        name, value = str(tree[0][0]), tree[0][1]
        if name == "IN":
            yield from _members(value)
        elif name == "ANY":
            yield from ("a", " ", "0", "/")
        elif name == "NOT_LITERAL":
            yield from (c for c in "a 0/" if c != chr(value))
        elif name == "SUBPATTERN":
            yield from _units(value[3], groups)
        elif name == "BRANCH":
            for branch in value[1]:
                yield from _units(branch, groups)


_KINDS = {"CATEGORY_DIGIT": "0", "CATEGORY_SPACE": " ", "CATEGORY_WORD": "a0_", "CATEGORY_NOT_DIGIT": "a ",
          "CATEGORY_NOT_SPACE": "a0/", "CATEGORY_NOT_WORD": " /"}  # fmt: skip


def _members(items: Any) -> list[str]:
    if str(items[0][0]) == "NEGATE":
        taken = set(_members(items[1:]))
        return [c for c in "a0 /=:,.-_" if c not in taken][:4] or ["\u2713"]
    letters: list[str] = []
    for kind, value in items:
        if str(kind) == "LITERAL":
            letters.append(chr(value))
        elif str(kind) == "RANGE":
            letters += [chr(value[0]), chr(value[1])]
        else:
            letters += _KINDS[str(value)]
    return letters


def _witness(tree: Any, groups: dict[int, str]) -> str:
    """A text that the tree matches, or nearly so: assertions are left aside."""
    parts: list[str] = []
    for kind, value in tree:
        name = str(kind)
        if name == "LITERAL":
            parts.append(chr(value))
        elif name == "NOT_LITERAL":
            parts.append(next(c for c in "ab" if c != chr(value)))
        elif name == "ANY":
            parts.append("a")
        elif name == "IN":
            parts.append(_members(value)[0])
        elif name == "BRANCH":
            parts.append(_witness(value[1][0], groups))
        elif name == "SUBPATTERN":
            parts.append(_witness(value[3], groups))
            if value[0] is not None:
                groups[value[0]] = parts[-1]
        elif name == "ATOMIC_GROUP":
            parts.append(_witness(value, groups))
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            parts.append(_witness(value[2], groups) * max(value[0], min(1, value[1])))
        elif name == "GROUPREF":
            parts.append(groups.get(value, ""))
        elif name == "GROUPREF_EXISTS":
            parts.append(_witness(value[1], groups))
        else:
            assert name in ("AT", "ASSERT", "ASSERT_NOT", "FAILURE"), name
    return "".join(parts)


# ---------------------------------------------------------------------------------------------- the measure


def seconds(run: Callable[[str], object], attack: Attack, size: int) -> float:
    """CPU time, the least of three where it is long enough to matter."""
    subject = attack.text(size)
    least = float("inf")
    for _ in range(3):
        begin = time.process_time()
        run(subject)
        least = min(least, time.process_time() - begin)
        if least < NOTICEABLE:
            break
    return least


def fault(pattern: str, flags: int = 0, *, everywhere: bool = True) -> str | None:
    """How a pattern is slow, None if it is not."""
    compiled = re.compile(pattern, flags)
    run: Callable[[str], object] = partial(compiled.sub, "") if everywhere else compiled.match
    for attack in attacks(pattern, flags):
        # What is slow is slow each time; what was disturbed by another process is not.
        if (how := _slow(run, attack)) and all(_slow(run, attack) for _ in range(3)):
            return how
    return None


def _slow(run: Callable[[str], object], attack: Attack) -> str | None:
    """How this text is slow, None if it is not."""
    short = seconds(run, attack, SIZES[0])
    if short > SECONDS:
        return f"{short:.2f} s for {SIZES[0]} characters of {attack}"
    if short < NOTICEABLE / STEEPEST:
        return None
    long = seconds(run, attack, SIZES[1])
    if long > NOTICEABLE and long > STEEPEST * short:
        return f"{long / short:.0f} times the time for {SIZES[1] // SIZES[0]} times the text, {attack}"
    return None


FILES = sorted({one.where for one in patterns()})


@pytest.mark.parametrize("where", FILES)
def test_no_regular_expression_is_more_than_linear(where: str) -> None:
    slow = {
        one.pattern: fault(one.pattern, one.flags, everywhere=one.everywhere)
        for one in patterns()
        if one.where == where
    }
    assert {pattern: how for pattern, how in slow.items() if how} == {}


@pytest.mark.parametrize(
    "pattern", [r"(?:\w|\d)+x", r"a.*b.*c", r"\s+$", r"x\w*\d*y", r"\w+@", r"error: (?:.*)failed", r"[^,]*,[^;]*;"]
)
def test_the_attack_finds_a_pattern_that_is_slow(pattern: str) -> None:
    # What the machine does beside may hide the growth once: a fault is told only if it is seen each time.
    assert any(fault(pattern) for _ in range(5))


@pytest.mark.parametrize("pattern", [r"\bCUDA \d{1,2}\.\d", r"^\w+$", r"error: [^\n]{0,80}failed", r"(?<!\w)\w{1,40}@"])
def test_the_attack_lets_a_linear_pattern_pass(pattern: str) -> None:
    assert fault(pattern) is None


def test_patterns_of_every_kind_are_found() -> None:
    found = {one.pattern: one for one in patterns()}
    assert len(found) > 800
    assert r"is_available\(\)[^\n]{0,20}False" in found, "one in a tuple, compiled where it is used"
    assert r"(\d{1,3})C\b" in found, "one inside a function"
    assert not found[r"MIG \S{1,30}\s{1,10}Device\s{1,4}\d"].everywhere, "one that is only tried at the start"
