"""Probes, rules and matrix rows of other packages, found by their entry points and run in one child process.

A package names them under ``gpudoctor.probes``, ``gpudoctor.rules`` and ``gpudoctor.matrix``. Nothing of them runs in
this process. One that does not load, hangs, crashes or answers nonsense is an outcome in the report, and the others
go on in a new child without it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from gpudoctor.children import MARK, Child, Limits
from gpudoctor.engine import Judgement, Rule
from gpudoctor.facts import Extras, Facts, Missing
from gpudoctor.findings import Outcome, Report, Severity
from gpudoctor.matrix import add
from gpudoctor.report import judge, silenced
from gpudoctor.rules import names
from gpudoctor.world import World

if TYPE_CHECKING:
    from gpudoctor.plugins_child import Judged

GROUPS = ("gpudoctor.matrix", "gpudoctor.probes", "gpudoctor.rules")
STEP_SECONDS = 20.0
"""The most that one plug-in may take to load, to look, or to judge."""
_ANSWER_SECONDS = 60.0

_MOST_ASKED = 1000  # then a fresh child: what a child may print in its life is limited
_PROGRAM = """\
import sys
sys.path[:] = {path!a}
from gpudoctor.plugins_child import main
main({mark!a}, {entries!a}, {root!a})
"""


class Entry(NamedTuple):
    """One entry point."""

    group: str
    name: str
    value: str
    distribution: str

    @property
    def label(self) -> str:
        """The name that its outcome has: a rule's own name, ``probe:…`` or ``matrix:…`` for the others."""
        kind = self.group.removeprefix("gpudoctor.").removesuffix("s")
        return self.name if kind == "rule" else f"{kind}:{self.name}"


# ------------------------------------------------------------------------------------------------ finding them


@cache
def entries() -> tuple[Entry, ...]:
    """The plug-ins that are installed beside gpudoctor, in the order of their groups and names."""
    if not any(_mentions(Path(folder)) for folder in dict.fromkeys(sys.path)):
        return ()
    # Slow to import, and needed only where there is a plug-in.
    from importlib.metadata import entry_points

    found = (
        Entry(group, point.name, point.value, point.dist.name if point.dist else "")
        for group in GROUPS
        for point in entry_points(group=group)
    )
    return tuple(sorted(dict.fromkeys(found)))


def _mentions(folder: Path) -> bool:
    """Whether a distribution in a folder of sys.path has entry points for gpudoctor."""
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return any(
        _asks(folder / name / "entry_points.txt") for name in names if name.endswith((".dist-info", ".egg-info"))
    )


def _asks(path: Path) -> bool:
    try:
        return b"[gpudoctor." in path.read_bytes()
    except OSError:  # most distributions have none
        return False


def rule_names() -> tuple[str, ...]:
    """The names of the rules of plug-ins."""
    return tuple(entry.name for entry in entries() if entry.group == "gpudoctor.rules")


def rules() -> tuple[Rule, ...]:
    """The rules of plug-ins as far as they load: name, severity, masks and explanation, without their logic."""
    if not rule_names():
        return ()
    with Session() as session:
        return session.rules()


# ------------------------------------------------------------------------------------------------- asking them


class _Child(Child):
    def allow(self, limits: Limits) -> None:
        """Other limits from now on."""
        self._limits = limits


class _Lost(Exception):  # noqa: N818 - the child's end, not an error of ours
    """The child ended before its answer."""


class Session:
    """The plug-ins for one run of gpudoctor: one child, started when first needed, for one report or for many."""

    def __init__(self, world: World | None = None, ignore: Mapping[str, str] = MappingProxyType({})) -> None:
        """``ignore`` are the silenced rules, each with where that was said. Starts nothing yet."""
        self._world = world or World()
        self._ignore = ignore
        self._left = [entry for entry in entries() if not self._is_silent(entry)]
        self._failed: dict[Entry, str] = {}
        self._child: _Child | None = None
        self._messages: Iterator[dict[str, Any]] = iter(())
        self._asked = 0
        self._turn: Entry | None = None
        self._problems: dict[Entry, str] = {}
        self._rules: tuple[Judged, ...] = ()
        self._refuse_taken_names()

    def _is_silent(self, entry: Entry) -> bool:
        return entry.group == "gpudoctor.rules" and entry.name in self._ignore

    def _refuse_taken_names(self) -> None:
        taken = {("gpudoctor.rules", name) for name in names()}
        for entry in tuple(self._left):
            if entry[:2] in taken:
                self._drop(entry, "another rule has this name")
            taken.add(entry[:2])

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop()

    def judge(self, facts: Facts, *, look: bool = False, limits: Limits | None = None, **told: Any) -> Report:
        """The report on these facts, with what plug-ins saw (``look``) and say of them.

        ``told`` is handed on to :func:`gpudoctor.report.judge`.
        """
        if not entries():
            return judge(facts, **told)
        extras, judgements = self._ask(facts, look, limits or Limits.within(_ANSWER_SECONDS))
        if extras is not None:
            facts = msgspec.structs.replace(facts, extras=extras)
        return judge(facts, more=judgements, **told)

    def rules(self) -> tuple[Rule, ...]:
        """The rules that load."""
        self._load()
        return tuple(_rule(judged) for judged in self._rules)

    def prepare(self) -> None:
        """Load the plug-ins now where one adds rows to the matrix, which reading a text needs before any judgement."""
        if any(entry.group == "gpudoctor.matrix" for entry in self._left):
            self._load()

    def _load(self) -> None:
        limits = Limits.within(STEP_SECONDS * (len(self._left) + 1))
        while self._left:
            try:
                self._start(limits)
                break
            except _Lost:
                continue

    # ------------------------------------------------------------------------------------------ the exchange

    def _ask(self, facts: Facts, look: bool, limits: Limits) -> tuple[Extras | None, tuple[Judgement, ...]]:
        extras: Extras | None = None
        judged: tuple[Judged, ...] = ()
        while self._left:
            try:
                extras, judged = self._exchange(facts, look, limits)
                break
            except _Lost:
                continue
        entries_by_label = {**self._failed, **self._problems}
        failures = (_failure(entry, why) for entry, why in entries_by_label.items())
        quiet = (silenced(Rule(name=name), by) for name, by in self._ignore.items() if name in rule_names())
        return extras, (*(_judgement(one) for one in judged if one.outcome), *failures, *quiet)

    def _exchange(self, facts: Facts, look: bool, limits: Limits) -> tuple[Extras | None, tuple[Judged, ...]]:
        """One question and its answer. Raises _Lost, and then the one whose turn it was has been dropped."""
        if self._child is None or self._asked >= _MOST_ASKED:
            self._stop()
            self._start(limits)
        if self._child is None:
            return None, ()
        self._asked += 1
        self._problems = {}
        request = {"facts": msgspec.to_builtins(facts), "look": look}
        # In a thread: a child that does not read must not keep us waiting.
        question = threading.Thread(target=self._child.send, args=(request,), daemon=True)
        try:
            question.start()
        except RuntimeError as error:  # no more threads for this user (RLIMIT_NPROC)
            self._lose(str(error))
            raise _Lost from error
        answer = self._until("done", limits)
        try:
            return _read(answer)
        except msgspec.ValidationError as error:
            self._lose(f"answered nonsense: {error}")
            raise _Lost from error

    def _start(self, limits: Limits) -> None:
        """A child in which all that are left are loaded. Raises _Lost when one of them ends it."""
        self._asked = 0
        program = _PROGRAM.format(
            path=[entry for entry in sys.path if os.path.isabs(entry)],
            mark=MARK,
            entries=[entry[:3] for entry in self._left],
            root=str(self._world.root),
        )
        argv = sys.executable
        child = _Child.python(
            argv, program, environ=self._world.environ, limits=limits, options=("-I", "-B"), listens=True
        )
        assert isinstance(child, _Child)  # noqa: S101 - made by its own class
        self._child = child
        child.__enter__()
        self._messages = child.messages()
        ready = self._until("ready", limits)
        for entry, why in tuple(self._problems.items()):
            self._drop(entry, f"did not load: {why}")
        self._problems = {}
        self._take(ready)

    def _take(self, ready: dict[str, Any]) -> None:
        from gpudoctor.plugins_child import Judged, rows_of

        try:
            self._rules = msgspec.convert(ready["rules"], tuple[Judged, ...])
            add(rows_of(ready["rows"]))
        except (KeyError, ValueError) as error:
            self._lose(f"answered nonsense: {error}")
            raise _Lost from error

    def _until(self, last: str, limits: Limits) -> dict[str, Any]:
        """The message that has that key; those before it say whose turn it is, and what failed."""
        child = self._child
        assert child is not None  # noqa: S101 - the callers started it
        self._turn = None
        child.allow(_sooner(limits))
        for message in self._messages:
            if last in message:
                return message
            entry = self._entry(message.get("step") or message.get("failed"))
            if entry is not None and "failed" in message:
                self._problems[entry] = str(message.get("why"))
            self._turn = entry
            child.allow(_sooner(limits))
        ending = child.ending()
        last_line = ending.tail[-1].strip() if ending.tail else ""
        self._lose(": ".join(part for part in (ending.words, last_line) if part))
        raise _Lost

    def _entry(self, told: Any) -> Entry | None:
        return next((entry for entry in self._left if list(entry[:2]) == told), None)

    def _lose(self, why: str) -> None:
        """Stop the child and drop the one whose turn it was; all of them where it was nobody's."""
        self._stop()
        for entry in (self._turn,) if self._turn else tuple(self._left):
            self._drop(entry, why)

    def _drop(self, entry: Entry, why: str) -> None:
        self._left.remove(entry)
        self._failed[entry] = why

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None


def _sooner(limits: Limits) -> Limits:
    return Limits(min(limits.deadline, time.monotonic() + STEP_SECONDS))


def _read(answer: dict[str, Any]) -> tuple[Extras | None, tuple[Judged, ...]]:
    from gpudoctor.plugins_child import Judged

    extras = msgspec.convert(answer.get("extras"), Extras | Missing)
    judged = msgspec.convert(answer.get("judged"), tuple[Judged, ...])
    return (None if isinstance(extras, Missing) else extras), judged


def _rule(judged: Judged) -> Rule:
    return Rule(
        severity=judged.severity,
        masks=judged.masks,
        without_gpu=judged.without_gpu,
        frameworks=judged.frameworks,
        last_resort=judged.last_resort,
        name=judged.rule,
        title=judged.title,
        explanation=judged.explanation,
    )


def _judgement(judged: Judged) -> Judgement:
    assert judged.outcome is not None  # noqa: S101 - the caller's condition
    return Judgement(_rule(judged), judged.outcome, judged.found)


def _failure(entry: Entry, why: str) -> Judgement:
    told = f"plug-in {entry.distribution}: {why}" if entry.distribution else why
    rule = Rule(severity=Severity.INFO, name=entry.label)
    return Judgement(rule, Outcome(rule=entry.label, outcome="crashed", why=told))
