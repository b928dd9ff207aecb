"""Runs rules over facts: what a detector asks for by type is handed to it, or the detector is skipped.

A parameter's annotation is the whole contract. A record of the machine (``CudaDriver``) is handed over as it is. A
record of a GPU (``Gpu``, ``GpuMemory``), of a framework (``Build``), a ``Smoke`` or a ``Message`` makes the detector
run once for each; several together make it run once for each combination that belongs together. A ``Matrix`` is
always there. ``X | None`` hands over None where ``X`` is not known, or there is none: for facts that sharpen a verdict.
"""

from __future__ import annotations

import itertools
import operator
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from gpudoctor import views
from gpudoctor.facts import (
    FRAMEWORKS,
    NOT_ASKED,
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


class Rule(msgspec.Struct, eq=False):
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
    detectors: list[Detector] = []

    def detector(self, function: _D) -> _D:
        """Register a detector; its signature is the list of facts it needs."""
        self.detectors.append(function)
        return function


# ------------------------------------------------------------------------------- what a type name stands for

Scope = Literal["machine", "gpu", "framework", "smoke", "message"]
_SCOPES: tuple[Scope, ...] = ("gpu", "framework", "smoke", "message")
_Group = tuple[Scope, tuple[FrameworkName, ...]]
_Items = tuple[Any, ...] | Missing
_Look = Callable[[Any], Hashable]


class _Need(msgspec.Struct, frozen=True, eq=False):
    """One parameter of a detector: the record type, the scope it lives in, and how to get it from its owner.

    ``whole``: the parameter is the owner itself (a ``Gpu``), not a record inside it.
    """

    parameter: str
    kind: type
    scope: Scope
    get: Callable[[Any], Any]
    optional: bool
    whole: bool = False


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
    if kind is Matrix:
        return _Need(parameter, kind, "machine", lambda item: item, optional)
    if kind in _WHOLE:
        return _Need(parameter, kind, _WHOLE[kind], lambda item: item, optional, whole=True)
    if kind in views.VIEWS:
        return _Need(parameter, kind, "machine", views.VIEWS[kind], optional)
    for scope, fields in _SCOPED:
        if kind in fields:
            return _Need(parameter, kind, scope, operator.attrgetter(fields[kind]), optional)
    raise TypeError(f"no fact of type {kind.__name__} exists (parameter {parameter})")


_SCOPED: tuple[tuple[Scope, dict[type, str]], ...] = (
    ("machine", _MACHINE),
    ("gpu", _GPU),
    ("framework", _FRAMEWORK),
)


class _Plan(msgspec.Struct, frozen=True, eq=False):
    """A detector with its needs worked out.

    ``arguments`` are its needs and the matrix, in the order of the call, ``kinds`` the types of these, ``inside`` those
    that are no record of the machine, with their places; ``taken`` takes them all from what is given by type.
    ``mixed``: not every combination belongs together.
    """

    detector: Detector
    needs: tuple[_Need, ...]
    arguments: tuple[_Need, ...]
    kinds: tuple[type, ...]
    taken: Callable[[dict[type, Any]], Sequence[Any]]
    inside: tuple[tuple[int, _Need], ...]
    scopes: tuple[Scope, ...]
    droppable: frozenset[Scope]
    inside_framework: bool
    mixed: bool

    @classmethod
    def of(cls, detector: Detector, arguments: tuple[_Need, ...]) -> _Plan:
        """Work out which scopes the needs span, and which of them may be empty because all is optional there."""
        needs = tuple(need for need in arguments if need.kind is not Matrix)
        scopes: tuple[Scope, ...] = tuple(dict.fromkeys(need.scope for need in needs if need.scope != "machine"))
        droppable = frozenset(scope for scope in scopes if all(need.optional for need in needs if need.scope == scope))
        inside = any(need.scope == "framework" and not need.optional and not need.whole for need in needs)
        kinds = tuple(need.kind for need in arguments)
        mixed = len(scopes) > 1 and not {"smoke", "message"}.isdisjoint(scopes)
        places = tuple((place, need) for place, need in enumerate(arguments) if need.scope != "machine")
        taken = operator.itemgetter(*kinds) if len(kinds) > 1 else lambda given: [given[kind] for kind in kinds]
        return cls(detector, needs, arguments, kinds, taken, places, scopes, droppable, inside, mixed)


@cache
def plan(detector: Detector) -> _Plan:
    """Work out what a detector needs, once. Raises TypeError for a parameter that names no fact."""
    parameters = detector.__code__.co_varnames[: detector.__code__.co_argcount]
    hints = detector.__annotations__
    return _Plan.of(detector, tuple(_need(name, _evaluated(hints.get(name, object), detector)) for name in parameters))


def _evaluated(hint: Any, detector: Detector) -> Any:
    """An annotation that was kept as its text. typing.get_type_hints takes four times as long for some hundred."""
    return eval(hint, detector.__globals__) if isinstance(hint, str) else hint  # noqa: S307 - a rule's own


# ------------------------------------------------------------------------------------------------- evaluation


_Kind = Literal["found", "crashed", "passed", "not-judged", "skipped", "not-applicable"]


class _Result(msgspec.Struct, frozen=True, eq=False):
    """What one run of one detector gave: ``why`` is what it says, what was missing or what broke.

    Results that find nothing are made once each and compared by identity.
    """

    kind: _Kind
    why: str = ""
    found: Found | None = None
    about: About | None = None


class Judgement(msgspec.Struct, frozen=True):
    """What became of a rule, with the raw findings, not yet ranked."""

    rule: Rule
    outcome: Outcome
    found: tuple[tuple[Found, About], ...] = ()


def evaluate(rules: Iterable[Rule], facts: Facts, matrix: Matrix) -> tuple[Judgement, ...]:
    """Run every detector of every rule; a crash in one is an outcome of that rule only."""
    return _program(tuple(rules)).run(facts, matrix)


class _Known:
    """The facts of one evaluation. What concerns the whole machine is looked up, or worked out, once for all rules.

    ``values`` holds that by type, the matrix too; ``given`` the same as detectors get it, None for what is missing.
    """

    __slots__ = ("_items", "facts", "given", "values")

    def __init__(self, facts: Facts, matrix: Matrix, needs: Iterable[_Need]) -> None:
        self.facts = facts
        self.values: dict[type, Any] = {Matrix: matrix}
        self.given: dict[type, Any] = {Matrix: matrix}
        for need in needs:
            value = self._got(need)
            self.values[need.kind] = value
            self.given[need.kind] = None if value.__class__ is Missing else value
        self._items: dict[_Group, _Items] = {}

    def _got(self, need: _Need) -> Any:
        """A record of the machine; Missing also where a view breaks on these facts."""
        try:
            return need.get(self.facts)
        except Exception as error:  # a view that breaks is an outcome of the rules that ask for it
            return Missing("crashed", f"{type(error).__name__}: {error}")

    def items(self, scope: Scope, frameworks: tuple[FrameworkName, ...]) -> _Items:
        """The GPUs, frameworks, smoke jobs or messages that a rule for these frameworks looks at."""
        key = (scope, frameworks)
        found = self._items.get(key)
        if found is None:
            found = self._items[key] = _items(scope, frameworks, self.facts)
        return found


class _Program:
    """Rules with the needs of all their detectors, so that what is absent settles many of them at once.

    Which facts are absent is nearly always the same from one paste of a tool to the next. What that alone decides is
    worked out once for each such pattern.
    """

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = tuple((rule, tuple(_planned(detector) for detector in rule.detectors)) for rule in rules)
        needs = [need for _, planned in self._rules for one in planned if isinstance(one, _Plan) for need in one.needs]
        self._machine = tuple({need.kind: need for need in needs if need.scope == "machine"}.values())
        self._looks = tuple((scope, _look(scope, needs)) for scope in _SCOPES)
        self._settled: dict[Hashable, tuple[Judgement | _Open, ...]] = {}

    def run(self, facts: Facts, matrix: Matrix) -> tuple[Judgement, ...]:
        """Judge by every rule."""
        known = _Known(facts, matrix, self._machine)
        pattern = (
            *[value if value.__class__ is Missing else value is None for value in known.values.values()],
            *[_pattern(known.items(scope, ()), look) for scope, look in self._looks],
        )
        listed = self._settled.get(pattern)
        if listed is None:
            if len(self._settled) >= _MOST_PATTERNS:
                self._settled.clear()
            listed = tuple([_settle(rule, planned, known, dict(self._looks)) for rule, planned in self._rules])
            self._settled[pattern] = listed
        return tuple([one if one.__class__ is Judgement else _judge(one, known) for one in listed])  # type: ignore[arg-type]


_MOST_PATTERNS = 256


@lru_cache(maxsize=8)
def _program(rules: tuple[Rule, ...]) -> _Program:
    return _Program(rules)


def _planned(detector: Detector) -> _Plan | _Result:
    try:
        return plan(detector)
    except Exception as error:  # a signature that names no fact, in a rule that no test has seen
        return _Result("crashed", f"{detector.__name__}: {type(error).__name__}: {error}")


def _look(scope: Scope, needs: Iterable[_Need]) -> _Look:
    """What of a GPU, a framework … decides without looking into its records: which of them are absent, and why."""
    inner = tuple({need.kind: need.get for need in needs if need.scope == scope and not need.whole}.values())

    def absent(item: Any) -> tuple[Hashable, ...]:
        records = [get(item) for get in inner]
        return tuple([record if record.__class__ is Missing else True for record in records])

    if scope == "gpu":
        return absent
    if scope == "framework":
        return lambda item: (item.name, item.installed, *absent(item))
    return lambda item: item.framework


def _pattern(items: _Items, look: _Look) -> Hashable:
    return items if isinstance(items, Missing) else tuple(dict.fromkeys(map(look, items)))


class _Open(NamedTuple):
    """A rule that must be asked: its detectors, or what is settled of them."""

    rule: Rule
    detectors: tuple[_Plan | _Result, ...]


def _settle(
    rule: Rule, planned: tuple[_Plan | _Result, ...], known: _Known, looks: Mapping[Scope, _Look]
) -> Judgement | _Open:
    detectors: list[_Plan | _Result] = []
    for one in planned:
        settled = [one] if isinstance(one, _Result) else _settled(rule, one, known, looks)
        detectors += [one] if settled is None else settled
    if any(isinstance(one, _Plan) for one in detectors):
        return _Open(rule, tuple(detectors))
    return _silent(rule, tuple([one for one in detectors if isinstance(one, _Result)]))


def _settled(rule: Rule, planned: _Plan, known: _Known, looks: Mapping[Scope, _Look]) -> list[_Result] | None:
    """The results that the absence of facts alone gives a detector, None where it must be called."""
    groups: list[tuple[Any, ...]] = []
    for scope in planned.scopes:
        items = known.items(scope, rule.frameworks)
        nothing = _nothing(planned, scope, items)
        if nothing is not None:
            return [nothing]
        look = looks[scope]
        different = items if isinstance(items, Missing) else tuple({look(item): item for item in items}.values())
        groups.append(_or_none(different))
    if planned.mixed:
        return None  # it depends on which of them belong together
    results: list[_Result] = []
    for chosen in itertools.product(*groups):
        result = _arguments(planned, dict(zip(planned.scopes, chosen, strict=True)), known)
        if not isinstance(result, _Result):
            return None
        results.append(result)
    return results


def _nothing(planned: _Plan, scope: Scope, items: _Items) -> _Result | None:
    """Why there is nothing in a scope to run a detector for, None where there is, or where it can do without."""
    if (items and not isinstance(items, Missing)) or scope in planned.droppable:
        return None
    return _skipped(f"{scope}s", items) if isinstance(items, Missing) else _NOTHING_TO_LOOK_AT[scope]


def _or_none(items: _Items) -> tuple[Any, ...]:
    return (None,) if isinstance(items, Missing) or not items else items


def _judge(asked: _Open, known: _Known) -> Judgement:
    rule, detectors = asked
    given = known.given
    results: list[_Result] = []
    for one in detectors:
        if isinstance(one, _Result):
            results.append(one)
        elif one.scopes:
            results += _run(rule, one, known)
        else:  # what it needs is there, else it were settled
            results.append(_call(one, one.taken(given), _NOTHING_CHOSEN))
    for result in results:
        if result.found is not None:
            return _loud(rule, results)
    return _silent(rule, tuple(results))


_NOTHING_CHOSEN: dict[Scope, Any] = {}


def _loud(rule: Rule, results: Iterable[_Result]) -> Judgement:
    """Found wins over all else."""
    found = tuple([(r.found, r.about or About()) for r in results if r.found is not None])
    return Judgement(rule, _outcome(rule.name, "found", _whys(results, "found")), found)


@lru_cache(maxsize=4096)
def _silent(rule: Rule, results: tuple[_Result, ...]) -> Judgement:
    """Crashed wins over passed, passed over not judged, that over skipped, that over not applicable.

    Nearly all judgements that find nothing come again with the next machine.
    """
    kinds = {result.kind for result in results}
    for kind in _STRONGEST_FIRST:
        if kind in kinds:
            break
    why = _whys(results, kind)
    if kind == "not-judged" and "skipped" in kinds:
        why = f"{why}; {_whys(results, 'skipped')}"
    return Judgement(rule, _outcome(rule.name, kind, why))


_STRONGEST_FIRST: tuple[_Kind, ...] = ("crashed", "passed", "not-judged", "skipped", "not-applicable")


def _outcome(name: str, kind: _Kind, why: str) -> Outcome:
    return Outcome(rule=name, outcome="skipped" if kind == "not-judged" else kind, why=why)


def _whys(results: Iterable[_Result], kind: _Kind) -> str:
    return "; ".join(dict.fromkeys([result.why for result in results if result.kind == kind and result.why]))


def _run(rule: Rule, planned: _Plan, known: _Known) -> list[_Result]:
    """One result for each combination that belongs together."""
    combinations = _combinations(planned.scopes, [known.items(scope, rule.frameworks) for scope in planned.scopes])
    if planned.mixed:
        return [_asked(planned, chosen, known) for chosen in combinations if _belong_together(chosen)]
    machine = [known.given.get(kind) for kind in planned.kinds]
    return [_asked_inside(planned, chosen, machine) for chosen in combinations]


def _combinations(scopes: tuple[Scope, ...], groups: list[_Items]) -> list[dict[Scope, Any]]:
    if len(scopes) == 1:
        return [{scopes[0]: item} for item in _or_none(groups[0])]
    return [dict(zip(scopes, items, strict=True)) for items in itertools.product(*map(_or_none, groups))]


_NOTHING_TO_LOOK_AT: dict[Scope, _Result] = {
    scope: _Result("not-applicable", f"no {scope} to look at") for scope in typing.get_args(Scope)
}


_PASSED = _Result("passed")
_NOT_INSTALLED: dict[FrameworkName, _Result] = {
    name: _Result("not-applicable", f"{name} is not installed") for name in FRAMEWORKS
}


@lru_cache(maxsize=1024)
def _skipped(label: str, missing: Missing) -> _Result:
    return _Result("skipped", f"{label}: {missing}")


def _items(scope: Scope, frameworks: tuple[FrameworkName, ...], facts: Facts) -> _Items:
    def concerns(name: FrameworkName | None) -> bool:
        return not frameworks or name is None or name in frameworks

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


def _asked(planned: _Plan, chosen: dict[Scope, Any], known: _Known) -> _Result:
    arguments = _arguments(planned, chosen, known)
    return arguments if isinstance(arguments, _Result) else _call(planned, arguments, chosen)


def _asked_inside(planned: _Plan, chosen: dict[Scope, Any], machine: list[Any]) -> _Result:
    """The same where it is settled that nothing of the machine is missing; ``machine`` are the arguments but ours."""
    if planned.inside_framework and not chosen["framework"].installed:
        return _NOT_INSTALLED[chosen["framework"].name]
    arguments = machine.copy()
    for position, need in planned.inside:
        owner = chosen[need.scope]
        value = NOT_ASKED if owner is None else owner if need.whole else need.get(owner)
        if value.__class__ is not Missing:
            arguments[position] = value
        elif not need.optional:
            return _skipped(need.kind.__name__, value)
    return _call(planned, arguments, chosen)


def _arguments(planned: _Plan, chosen: dict[Scope, Any], known: _Known) -> list[Any] | _Result:
    """What a detector is called with, or the result where something that it cannot do without is missing."""
    if planned.inside_framework and not chosen["framework"].installed:
        return _NOT_INSTALLED[chosen["framework"].name]
    arguments = []
    for need in planned.arguments:
        if need.scope == "machine":
            value = known.values[need.kind]
        else:
            owner = chosen[need.scope]
            value = NOT_ASKED if owner is None else owner if need.whole else need.get(owner)
        if value.__class__ is Missing:
            if not need.optional:
                return _skipped(need.kind.__name__, value)
            value = None
        if value is None and not need.optional:
            return _said(NotApplicable, views.NOTHING[need.kind])
        arguments.append(value)
    return arguments


def _call(planned: _Plan, arguments: Sequence[Any], chosen: dict[Scope, Any]) -> _Result:
    try:
        verdict = planned.detector(*arguments)
    except Exception as error:  # a crash in a rule is an outcome, whatever its kind
        return _Result("crashed", f"{planned.detector.__name__}: {type(error).__name__}: {error}")
    if verdict is None:
        return _PASSED
    if isinstance(verdict, Found):
        return _Result("found", verdict.title, verdict, _about(chosen))
    if verdict.__class__ not in _SAID:
        return _Result("crashed", f"{planned.detector.__name__}: answered {verdict.__class__.__name__}")
    return _said(verdict.__class__, verdict.why)


_SAID: dict[type, _Kind] = {Passed: "passed", NotJudged: "not-judged", NotApplicable: "not-applicable"}


@lru_cache(maxsize=4096)
def _said(kind: type, why: str) -> _Result:
    return _Result(_SAID[kind], why)


# ---------------------------------------------------------------------------------------------------- ranking


class Draft(msgspec.Struct, frozen=True):
    """A finding before its remedies have become commands. ``own_cause``: no other finding explains it."""

    finding: Finding
    remedies: tuple[Remedy, ...]
    own_cause: bool = False


def rank(judgements: Iterable[Judgement], *, allow_cpu: bool = False) -> tuple[Draft, ...]:
    """All findings, causes before consequences, worst and surest first; equal ones in the rules' own order.

    A finding is explained by another when that other's rule masks it and both can be about the same GPU and
    framework. ``because_of`` names the root of such a chain. A merely possible cause is no error: see
    :func:`_severity`.
    """
    judgements = tuple(judgements)
    drafts = [draft for judgement in judgements if judgement.found for draft in _drafts(judgement, allow_cpu)]
    if not drafts:
        return ()
    masks = _masks(tuple([judgement.rule for judgement in judgements]))
    explained = [_explain(draft, drafts, masks) for draft in drafts]
    return tuple(sorted(explained, key=_order))


@lru_cache(maxsize=8)
def _masks(rules: tuple[Rule, ...]) -> dict[str, frozenset[str]]:
    """What each rule explains: what it says itself, and every last resort unless it is one."""
    resorts = frozenset(rule.name for rule in rules if rule.last_resort)
    return {rule.name: frozenset(rule.masks) | (frozenset() if rule.last_resort else resorts) for rule in rules}


def _drafts(judgement: Judgement, allow_cpu: bool) -> list[Draft]:
    """The findings of one rule: what several detectors say of the same thing is one finding, with all the evidence."""
    every = [_draft(judgement.rule, found, about, allow_cpu) for found, about in judgement.found]
    kept: list[Draft] = []
    for draft in sorted(every, key=_order):
        same = next((i for i, one in enumerate(kept) if one.finding.about.overlaps(draft.finding.about)), None)
        if same is None:
            kept.append(draft)
        else:
            kept[same] = _joined(kept[same], draft)
    return kept


def _joined(first: Draft, second: Draft) -> Draft:
    """The surer finding, with what else the other rests on."""
    further = tuple(evidence for evidence in second.finding.evidence if evidence not in first.finding.evidence)
    evidence = first.finding.evidence + further
    finding = msgspec.structs.replace(first.finding, evidence=evidence)
    return Draft(finding, first.remedies or second.remedies, first.own_cause)


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
    return Draft(finding, found.remedies, found.own_cause)


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
    if draft.own_cause:
        return draft
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
