"""Runs rules over facts: what a detector asks for by type is handed to it, or the detector is skipped.

A parameter's annotation is the whole contract. A record of the machine (``CudaDriver``) is handed over as it is. A
record of a GPU (``Gpu``, ``GpuMemory``), of a framework (``Build``), a ``Smoke`` or a ``Message`` makes the detector
run once for each; several together make it run once for each combination that belongs together. A ``Matrix`` is
always there. ``X | None`` hands over None where ``X`` is not known: for facts that sharpen a verdict.
"""

from __future__ import annotations

import inspect
import itertools
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import msgspec

from gpudoctor import views
from gpudoctor.facts import (
    Fact,
    Facts,
    Framework,
    FrameworkName,
    Frameworks,
    Gpu,
    Gpus,
    Message,
    Missing,
    Smoke,
)
from gpudoctor.findings import (
    About,
    Confidence,
    Evidence,
    Finding,
    Found,
    NotApplicable,
    NotJudged,
    Outcome,
    Passed,
    Severity,
    Verdict,
)
from gpudoctor.matrix import Matrix
from gpudoctor.remedies import Remedy

Detector = Callable[..., Verdict]
_D = TypeVar("_D", bound=Detector)

GpuEffect = Literal["absent", "fault", "none"]


@dataclass
class Rule:
    """One rule: its module's docstring is its title and explanation, its detectors are the logic.

    ``masks`` are the rules whose findings this one explains. ``without_gpu`` says what the finding means where a
    GPU is not required (``--allow-cpu``): ``absent`` says only that there is no GPU here (becomes info), ``fault``
    is a fault of a GPU that is present (becomes a warning), ``none`` keeps its severity.
    ``frameworks`` restricts framework records to those frameworks. A ``last_resort`` says that something failed
    without saying why: any surer finding about the same thing explains it.
    """

    severity: Severity = Severity.ERROR
    masks: tuple[str, ...] = ()
    without_gpu: GpuEffect = "fault"
    frameworks: tuple[FrameworkName, ...] = ()
    last_resort: bool = False
    name: str = ""
    title: str = ""
    explanation: str = ""
    detectors: list[Detector] = field(default_factory=list)

    def detector(self, function: _D) -> _D:
        """Register a detector; its signature is the list of facts it needs."""
        self.detectors.append(function)
        return function


# ------------------------------------------------------------------------------- what a type name stands for

Scope = Literal["machine", "gpu", "framework", "smoke", "message"]


@dataclass(frozen=True)
class _Need:
    """One parameter of a detector: the record type, the scope it lives in, and how to get it."""

    parameter: str
    scope: Scope
    get: Callable[[Any], Any]
    label: str
    optional: bool


def _record_types(annotation: Any) -> Iterator[type]:
    """The record types that a field's annotation allows, Missing left out."""
    for option in typing.get_args(annotation) or (annotation,):
        if isinstance(option, type) and issubclass(option, Fact):
            yield option


def _fields_by_type(owner: type[msgspec.Struct]) -> dict[type, str]:
    hints = typing.get_type_hints(owner)
    return {kind: name for name, hint in hints.items() for kind in _record_types(hint)}


_MACHINE = _fields_by_type(Facts)
_GPU = _fields_by_type(Gpu)
_FRAMEWORK = _fields_by_type(Framework)
_WHOLE: dict[type, Scope] = {Gpu: "gpu", Framework: "framework", Smoke: "smoke", Message: "message"}


def _need(parameter: str, annotation: Any) -> _Need:
    kinds = [kind for kind in typing.get_args(annotation) or (annotation,) if kind is not types.NoneType]
    optional = len(kinds) < len(typing.get_args(annotation) or (annotation,))
    if len(kinds) != 1:
        raise TypeError(f"a detector's parameter names one fact: {parameter}: {annotation}")
    kind = kinds[0]
    label = kind.__name__
    if kind in _WHOLE:
        return _Need(parameter, _WHOLE[kind], lambda item: item, label, optional)
    if kind in views.VIEWS:
        return _Need(parameter, "machine", views.VIEWS[kind], label, optional)
    for scope, fields in _SCOPED:
        if kind in fields:
            return _Need(parameter, scope, _getter(fields[kind]), label, optional)
    raise TypeError(f"no fact of type {label} exists (parameter {parameter})")


_SCOPED: tuple[tuple[Scope, dict[type, str]], ...] = (
    ("machine", _MACHINE),
    ("gpu", _GPU),
    ("framework", _FRAMEWORK),
)


def _getter(name: str) -> Callable[[Any], Any]:
    return lambda owner: getattr(owner, name)


@dataclass(frozen=True)
class _Plan:
    """A detector with its needs worked out."""

    detector: Detector
    needs: tuple[_Need, ...]
    matrix: tuple[str, ...]

    @property
    def scopes(self) -> tuple[Scope, ...]:
        return tuple(dict.fromkeys(need.scope for need in self.needs if need.scope != "machine"))


def plan(detector: Detector) -> _Plan:
    """Work out what a detector needs. Raises TypeError for a parameter that names no fact."""
    hints = typing.get_type_hints(detector)
    needs, matrix = [], []
    for parameter in inspect.signature(detector).parameters:
        if hints[parameter] is Matrix:
            matrix.append(parameter)
        else:
            needs.append(_need(parameter, hints[parameter]))
    return _Plan(detector, tuple(needs), tuple(matrix))


# ------------------------------------------------------------------------------------------------- evaluation


@dataclass(frozen=True)
class _Result:
    """What one run of one detector gave. ``skipped`` holds what was missing, ``crashed`` the error."""

    verdict: Verdict = None
    about: About = field(default_factory=About)
    skipped: str = ""
    crashed: str = ""


@dataclass(frozen=True)
class Judgement:
    """What became of a rule, with the raw findings, not yet ranked."""

    rule: Rule
    outcome: Outcome
    found: tuple[tuple[Found, About], ...] = ()


def evaluate(rules: Iterable[Rule], facts: Facts, matrix: Matrix) -> tuple[Judgement, ...]:
    """Run every detector of every rule; a crash in one is an outcome of that rule only."""
    return tuple(_judge(rule, facts, matrix) for rule in rules)


def _judge(rule: Rule, facts: Facts, matrix: Matrix) -> Judgement:
    results = [result for detector in rule.detectors for result in _run(rule, plan(detector), facts, matrix)]
    found = tuple((r.verdict, r.about) for r in results if isinstance(r.verdict, Found))
    return Judgement(rule, _outcome(rule.name, results), found)


def _outcome(name: str, results: list[_Result]) -> Outcome:
    def whys(texts: Iterable[str]) -> str:
        return "; ".join(dict.fromkeys(text for text in texts if text))

    found = [r.verdict for r in results if isinstance(r.verdict, Found)]
    if found:
        return Outcome(rule=name, outcome="found", why=whys(f.title for f in found))
    if any(r.crashed for r in results):
        return Outcome(rule=name, outcome="crashed", why=whys(r.crashed for r in results))
    passed = [r.verdict or Passed() for r in results if not r.skipped and isinstance(r.verdict, Passed | None)]
    if passed:
        return Outcome(rule=name, outcome="passed", why=whys(verdict.why for verdict in passed))
    unjudged = [r.verdict.why for r in results if isinstance(r.verdict, NotJudged)]
    skipped = [r.skipped for r in results if r.skipped]
    if unjudged or skipped:
        return Outcome(rule=name, outcome="skipped", why=whys([*unjudged, *skipped]))
    inapplicable = [r.verdict.why for r in results if isinstance(r.verdict, NotApplicable)]
    return Outcome(rule=name, outcome="not-applicable", why=whys(inapplicable))


def _run(rule: Rule, planned: _Plan, facts: Facts, matrix: Matrix) -> Iterator[_Result]:
    groups = []
    for scope in planned.scopes:
        items = _items(scope, rule, facts)
        if not items or isinstance(items, Missing):
            items = (None,) if all(need.optional for need in _of(planned, scope)) else items
        if isinstance(items, Missing):
            yield _Result(skipped=f"{scope}s: {items}")
            return
        if not items:
            yield _Result(verdict=NotApplicable(f"no {scope} to look at"))
            return
        groups.append(items)
    for combination in itertools.product(*groups):
        chosen = dict(zip(planned.scopes, combination, strict=True))
        if _belong_together(chosen):
            yield _call(planned, chosen, facts, matrix)


def _items(scope: Scope, rule: Rule, facts: Facts) -> tuple[Any, ...] | Missing:
    def concerns(name: FrameworkName | None) -> bool:
        return not rule.frameworks or name is None or name in rule.frameworks

    if scope == "gpu":
        return facts.gpus.gpus if isinstance(facts.gpus, Gpus) else facts.gpus
    if scope == "framework":
        if not isinstance(facts.frameworks, Frameworks):
            return facts.frameworks
        return tuple(f for f in facts.frameworks.frameworks if concerns(f.name))
    if scope == "smoke":
        return tuple(smoke for smoke in facts.smokes if concerns(smoke.framework))
    return tuple(message for message in facts.messages if concerns(message.framework))


def _belong_together(chosen: dict[Scope, Any]) -> bool:
    """False for a smoke job of another GPU or framework, or a message of another framework."""
    smoke, message = chosen.get("smoke"), chosen.get("message")
    gpu, framework = chosen.get("gpu"), chosen.get("framework")
    if smoke and gpu and smoke.gpu is not None and smoke.gpu != gpu.index:
        return False
    names = [item.framework for item in (smoke, message) if item and item.framework is not None]
    names += [framework.name] if framework else []
    return len(set(names)) <= 1


def _about(chosen: dict[Scope, Any]) -> About:
    smoke, message, gpu = chosen.get("smoke"), chosen.get("message"), chosen.get("gpu")
    framework = chosen.get("framework")
    index = gpu.index if gpu else smoke.gpu if smoke else None
    name = framework.name if framework else next((i.framework for i in (smoke, message) if i), None)
    return About(gpu=index, framework=name)


def _call(planned: _Plan, chosen: dict[Scope, Any], facts: Facts, matrix: Matrix) -> _Result:
    about = _about(chosen)
    framework = chosen.get("framework")
    if framework and not framework.installed and _asks_inside(planned, framework):
        return _Result(verdict=NotApplicable(f"{framework.name} is not installed"), about=about)
    arguments: dict[str, Any] = dict.fromkeys(planned.matrix, matrix)
    for need in planned.needs:
        owner = facts if need.scope == "machine" else chosen[need.scope]
        value = need.get(owner) if owner is not None else Missing("not-asked")
        if isinstance(value, Missing):
            if not need.optional:
                return _Result(about=about, skipped=f"{need.label}: {value}")
            value = None
        arguments[need.parameter] = value
    try:
        return _Result(verdict=planned.detector(**arguments), about=about)
    except Exception as error:  # a crash in a rule is an outcome, whatever its kind
        return _Result(about=about, crashed=f"{planned.detector.__name__}: {type(error).__name__}: {error}")


def _asks_inside(planned: _Plan, framework: Framework) -> bool:
    """Whether a detector cannot do without something of the framework beyond its presence."""
    return any(not n.optional and n.get(framework) is not framework for n in _of(planned, "framework"))


def _of(planned: _Plan, scope: Scope) -> Iterator[_Need]:
    return (need for need in planned.needs if need.scope == scope)


# ---------------------------------------------------------------------------------------------------- ranking


@dataclass(frozen=True)
class Draft:
    """A finding before its remedies have become commands."""

    finding: Finding
    remedies: tuple[Remedy, ...]


def rank(judgements: Iterable[Judgement], *, allow_cpu: bool = False) -> tuple[Draft, ...]:
    """All findings, causes before consequences, worst and surest first; equal ones in the rules' own order.

    A finding is explained by another when that other's rule masks it and both can be about the same GPU and
    framework. ``because_of`` names the root of such a chain. A merely possible cause is no error: see
    :func:`_severity`.
    """
    judgements = tuple(judgements)
    drafts = [
        _draft(judgement.rule, found, about, allow_cpu) for judgement in judgements for found, about in judgement.found
    ]
    masks = _masks([judgement.rule for judgement in judgements])
    explained = [_explain(draft, drafts, masks) for draft in drafts]
    return tuple(sorted(explained, key=_order))


def _masks(rules: list[Rule]) -> dict[str, frozenset[str]]:
    """What each rule explains: what it says itself, and every last resort unless it is one."""
    resorts = frozenset(rule.name for rule in rules if rule.last_resort)
    return {rule.name: frozenset(rule.masks) | (frozenset() if rule.last_resort else resorts) for rule in rules}


def _draft(rule: Rule, found: Found, about: About, allow_cpu: bool) -> Draft:
    finding = Finding(
        rule=rule.name,
        severity=_severity(rule, found, allow_cpu),
        confidence=found.confidence,
        title=found.title,
        detail=found.detail,
        about=found.about or about,
        evidence=found.evidence,
        settled_by=found.settled_by,
    )
    return Draft(finding, found.remedies)


def _severity(rule: Rule, found: Found, allow_cpu: bool) -> Severity:
    """The rule's severity, or the finding's own; milder where a GPU is not required, or where it is only possible.

    The status of a report follows what is certain, so a possible cause is at most a warning.
    """
    severity = found.severity or rule.severity
    if allow_cpu and rule.without_gpu == "absent":
        return Severity.INFO
    weak = found.confidence is Confidence.POSSIBLE or (allow_cpu and rule.without_gpu == "fault")
    return Severity.WARNING if weak and severity is Severity.ERROR else severity


def _explain(draft: Draft, drafts: list[Draft], masks: dict[str, frozenset[str]]) -> Draft:
    root = _root(draft.finding, [other.finding for other in drafts], masks, frozenset())
    if root is None:
        return draft
    return Draft(msgspec.structs.replace(draft.finding, because_of=root.rule), draft.remedies)


def _root(
    finding: Finding, others: list[Finding], masks: dict[str, frozenset[str]], seen: frozenset[str]
) -> Finding | None:
    for other in others:
        masked = finding.rule in masks[other.rule] and other.rule not in seen and other.rule != finding.rule
        mutual = masked and other.rule in masks[finding.rule]
        if mutual and others.index(finding) < others.index(other):
            continue
        if masked and other.about.overlaps(finding.about) and _strong_enough(other, finding):
            return _root(other, others, masks, seen | {finding.rule}) or other
    return None


def _strong_enough(cause: Finding, consequence: Finding) -> bool:
    """A mild or merely possible finding does not explain a sure error away."""
    if consequence.severity is Severity.ERROR and consequence.confidence is not Confidence.POSSIBLE:
        return cause.severity is Severity.ERROR
    return True


_SEVERITIES = tuple(Severity)
_CONFIDENCES = tuple(Confidence)


def _order(draft: Draft) -> tuple[bool, int, int]:
    finding = draft.finding
    return (
        finding.because_of is not None,
        _SEVERITIES.index(finding.severity),
        _CONFIDENCES.index(finding.confidence),
    )


def cite(label: str, value: object, fact: Fact) -> Evidence:
    """Evidence that quotes a fact with its source."""
    return Evidence(fact=label, value=str(value), source=fact.source)
