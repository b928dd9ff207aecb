"""Runs the plug-ins of other packages, in a child process of gpudoctor's own interpreter: facts in, outcomes out.

Before each step a line says whose turn it is, so that a hang or a crash has a name. What plug-ins print goes to
stderr. :mod:`gpudoctor.plugins` is the other end.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import msgspec

from gpudoctor.engine import GpuEffect, Judgement, Rule, evaluate, plan
from gpudoctor.facts import Extra, Extras, Facts, FrameworkName
from gpudoctor.findings import About, Found, Outcome, Severity
from gpudoctor.matrix import Matrix, load, records
from gpudoctor.rules import named
from gpudoctor.world import World

Rows = dict[str, tuple[records.Record, ...]]

TABLES: dict[str, type[records.Record]] = {
    "companions": records.Companion,
    "cuda_errors": records.CudaError,
    "cudnn": records.CudnnRelease,
    "gpus": records.GpuModel,
    "pci_devices": records.PciDevice,
    "sources": records.Source,
    "tensorflow_builds": records.TensorFlowBuild,
    "torch_builds": records.TorchBuild,
    "vgpus": records.VgpuBase,
    "xids": records.Xid,
}
"""The tables to which plug-ins add rows: those whose rows stand in no order."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of a plug-in and what it said. The detectors stay in the child."""

    rule: str
    severity: Severity
    masks: tuple[str, ...]
    without_gpu: GpuEffect
    frameworks: tuple[FrameworkName, ...]
    last_resort: bool
    title: str
    explanation: str
    outcome: Outcome | None = None
    found: tuple[tuple[Found, About], ...] = ()

    @classmethod
    def of(cls, rule: Rule, judgement: Judgement | None = None) -> Judged:
        """The rule alone, or with its judgement."""
        return cls(
            rule=rule.name,
            severity=rule.severity,
            masks=tuple(rule.masks),
            without_gpu=rule.without_gpu,
            frameworks=tuple(rule.frameworks),
            last_resort=rule.last_resort,
            title=rule.title,
            explanation=rule.explanation,
            outcome=judgement.outcome if judgement else None,
            found=judgement.found if judgement else (),
        )


def rows_of(value: Any) -> Rows:
    """Rows by table, checked as gpudoctor's own are. Raises ValueError or msgspec.ValidationError."""
    if not isinstance(value, dict):
        raise ValueError("rows are given by table: {'gpus': [{…}]}")
    unknown = sorted(set(value) - set(TABLES))
    if unknown:
        raise ValueError(f"no rows can be added to {', '.join(unknown)}; the tables are {', '.join(TABLES)}")
    rows: Rows = {
        name: tuple(msgspec.convert(row, TABLES[name]) for row in msgspec.convert(listed, tuple[Any, ...]))
        for name, listed in value.items()
    }
    _require_sources(rows)
    return rows


def _require_sources(rows: Rows) -> None:
    added = {row.id for row in rows.get("sources", ()) if isinstance(row, records.Source)}
    for row in (row for listed in rows.values() for row in listed if isinstance(row, records.Row)):
        if not row.source:
            raise ValueError("a row names its source")
        for source in row.source:
            if source not in added and source not in load().sources:
                raise ValueError(f"no source {source!r} is listed; add it under 'sources'")


def main(mark: str, entries: list[tuple[str, str, str]], root: str) -> None:
    """Load the plug-ins, then answer each line of facts until standard input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)

    def tell(**message: object) -> None:
        out.write(mark + json.dumps(message) + "\n")
        out.flush()

    plugged = _Plugged(tell, World(root=Path(root)))
    for group, name, value in entries:
        plugged.step(group, name, lambda: plugged.load(group, name, value))  # noqa: B023 - called at once
    tell(ready=True, rows=plugged.rows, rules=[msgspec.to_builtins(Judged.of(rule)) for rule in plugged.rules])
    for line in sys.stdin:
        plugged.answer(json.loads(line))
    os._exit(0)  # a thread or exit handler of a plug-in keeps nobody waiting


class _Plugged:
    """The plug-ins that loaded."""

    def __init__(self, tell: Callable[..., None], world: World) -> None:
        self._tell = tell
        self._world = world
        self._probes: dict[str, Callable[[World], Any]] = {}
        self._more: Rows = {}
        self._matrix: Matrix | None = None
        self.rules: list[Rule] = []
        self.rows: dict[str, list[Any]] = {}

    def step(self, group: str, name: str, work: Callable[[], Any]) -> Any:
        """Do one plug-in's work; whatever it raises is told and counts for it alone."""
        self._tell(step=[group, name])
        try:
            return work()
        except (Exception, SystemExit) as error:
            words = " ".join(str(error).split())
            self._tell(failed=[group, name], why=f"{type(error).__name__}: {words}" if words else type(error).__name__)
            return None

    def load(self, group: str, name: str, value: str) -> None:
        point = EntryPoint(name=name, value=value, group=group)
        loaded = point.load()
        if group == "gpudoctor.rules":
            rule = named(loaded, name, sys.modules[point.module].__doc__)
            for detector in rule.detectors:
                plan(detector)
            self.rules.append(rule)
        elif group == "gpudoctor.probes":
            if not callable(loaded):
                raise TypeError("a probe is a function of a World")
            self._probes[name] = loaded
        else:
            self._add(loaded() if callable(loaded) else loaded)

    def _add(self, value: Any) -> None:
        for table, rows in rows_of(value).items():
            self._more[table] = (*self._more.get(table, ()), *rows)
            self.rows.setdefault(table, []).extend(msgspec.to_builtins(rows))

    def answer(self, request: dict[str, Any]) -> None:
        """Probe where that is asked for, judge, and tell both."""
        facts = msgspec.convert(request["facts"], Facts)
        if request["look"] and self._probes:
            facts = msgspec.structs.replace(facts, extras=self._extras())
        matrix = self._matrix = self._matrix or load().with_rows(self._more)
        judged = [
            judgement
            for rule in self.rules
            if (judgement := self.step("gpudoctor.rules", rule.name, lambda: self._judged(rule, facts, matrix)))  # noqa: B023
        ]
        self._tell(done=True, extras=msgspec.to_builtins(facts.extras), judged=judged)

    def _judged(self, rule: Rule, facts: Facts, matrix: Matrix) -> Any:
        (judgement,) = evaluate((rule,), facts, matrix)
        return msgspec.to_builtins(Judged.of(rule, judgement))

    def _extras(self) -> Extras:
        return Extras(source="plug-ins", extras=tuple(self._looked()))

    def _looked(self) -> Iterator[Extra]:
        for name, probe in self._probes.items():
            extra = self.step("gpudoctor.probes", name, lambda: self._extra(name, probe))  # noqa: B023
            if extra is not None:
                yield extra

    def _extra(self, name: str, probe: Callable[[World], Any]) -> Extra:
        seen = probe(self._world)
        if isinstance(seen, Extra):
            seen = msgspec.to_builtins(seen)
        return msgspec.convert({**seen, "name": name}, Extra)
