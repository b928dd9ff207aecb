"""Facts → Report: run the rules, rank the findings, prescribe, conclude. Pure: the same facts give the same report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import MappingProxyType

import msgspec

from gpudoctor.engine import Draft, Judgement, Rule, evaluate, rank
from gpudoctor.facts import Facts
from gpudoctor.findings import Evidence, Finding, Fix, Outcome, Reading, Report, Silenced
from gpudoctor.matrix import Matrix, load
from gpudoctor.prescribe import prescribe
from gpudoctor.remedies import Remedy
from gpudoctor.rules import all_rules
from gpudoctor.speed import all_speeds
from gpudoctor.verdict import candidates, cause, status, unknown
from gpudoctor.window import window

_NOTHING: Mapping[str, str] = MappingProxyType({})


def judge(
    facts: Facts,
    *,
    rules: Iterable[Rule] | None = None,
    matrix: Matrix | None = None,
    input_name: str | None = None,
    seconds: float = 0.0,
    ignore: Mapping[str, str] = _NOTHING,
    reading: Reading | None = None,
    more: Iterable[Judgement] = (),
) -> Report:
    """The report on these facts. ``seconds`` is how long they took to collect; ``input_name`` names a paste's file.

    ``ignore`` are the rules that the user silenced, each with where (``--ignore``); they are not asked, and the report
    says so. ``reading`` tells how much of a paste was understood. ``more`` are the judgements of plug-ins.
    """
    matrix = matrix or load()
    judgements = (*_judgements(tuple(all_rules() if rules is None else rules), facts, matrix, ignore), *more)
    drafts = rank(judgements, allow_cpu=facts.request.allow_cpu)
    fix = cache(lambda remedy: prescribe(remedy, facts, matrix))  # several GPUs have one fault, and one cure
    findings = tuple(_with_gpu(_with_fixes(draft, fix), facts) for draft in drafts)
    missing = unknown(facts, findings)
    return Report(
        gpudoctor=facts.gpudoctor,
        created=facts.created,
        source=facts.origin,
        input=input_name,
        quick=facts.request.quick,
        status=status(findings, missing),
        cause=cause(findings),
        candidates=candidates(findings),
        findings=findings,
        outcomes=tuple(judgement.outcome for judgement in judgements),
        unknown=missing,
        facts=facts,
        seconds=seconds,
        silenced=tuple(Silenced(rule=rule, by=by) for rule, by in ignore.items()),
        speeds=all_speeds(facts, matrix),
        window=window(facts, matrix),
        reading=reading,
    )


def _judgements(
    rules: tuple[Rule, ...], facts: Facts, matrix: Matrix, ignore: Mapping[str, str]
) -> tuple[Judgement, ...]:
    if not ignore:
        return evaluate(rules, facts, matrix)
    judged = iter(evaluate((rule for rule in rules if rule.name not in ignore), facts, matrix))
    return tuple(silenced(rule, ignore[rule.name]) if rule.name in ignore else next(judged) for rule in rules)


def silenced(rule: Rule, by: str) -> Judgement:
    """The judgement of a rule that the user does not want to hear."""
    preposition = "by" if by.startswith("--") else "in"
    return Judgement(rule, Outcome(rule=rule.name, outcome="skipped", why=f"silenced {preposition} {by}"))


def _with_fixes(draft: Draft, fix: Callable[[Remedy], Fix]) -> Finding:
    """A finding explained by another is cured with it, so only causes carry fixes."""
    if draft.finding.because_of is not None:
        return draft.finding
    return msgspec.structs.replace(draft.finding, fixes=tuple(map(fix, draft.remedies)))


def _with_gpu(finding: Finding, facts: Facts) -> Finding:
    """Where there are several GPUs, the name and the address of the one that a finding is about are evidence."""
    gpus = facts.known_gpus()
    gpu = next((one for one in gpus if one.index == finding.about.gpu), None)
    named = ", ".join(filter(None, (gpu.name, gpu.pci))) if gpu else ""
    if gpu is None or not named or len(gpus) == 1:
        return finding
    which = Evidence(fact=f"GPU {gpu.index}", value=named, source=gpu.source)
    return msgspec.structs.replace(finding, evidence=(*finding.evidence, which))
