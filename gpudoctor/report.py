"""Facts → Report: run the rules, rank the findings, prescribe, conclude. Pure: the same facts give the same report."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gpudoctor.engine import Draft, Rule, evaluate, rank
from gpudoctor.facts import Facts
from gpudoctor.findings import Finding, Report
from gpudoctor.matrix import Matrix, load
from gpudoctor.prescribe import prescribe
from gpudoctor.rules import all_rules
from gpudoctor.verdict import candidates, cause, status, unknown


def judge(
    facts: Facts,
    *,
    rules: Iterable[Rule] | None = None,
    matrix: Matrix | None = None,
    input_name: str | None = None,
    seconds: float = 0.0,
) -> Report:
    """The report on these facts. ``seconds`` is how long they took to collect; ``input_name`` names a paste's file."""
    matrix = matrix or load()
    judgements = evaluate(all_rules() if rules is None else rules, facts, matrix)
    findings = tuple(_with_fixes(draft, facts, matrix) for draft in rank(judgements, allow_cpu=facts.request.allow_cpu))
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
    )


def _with_fixes(draft: Draft, facts: Facts, matrix: Matrix) -> Finding:
    """A finding explained by another is cured with it, so only causes carry fixes."""
    if draft.finding.because_of is not None:
        return draft.finding
    fixes = tuple(prescribe(remedy, facts, matrix) for remedy in draft.remedies)
    return msgspec.structs.replace(draft.finding, fixes=fixes)
