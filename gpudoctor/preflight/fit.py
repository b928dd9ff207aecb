"""Whether a place is fit, judged without the report that only a place which is not fit needs. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gpudoctor.engine import Rule, evaluate, rank
from gpudoctor.facts import NOT_ASKED, Facts
from gpudoctor.findings import Status
from gpudoctor.matrix import load
from gpudoctor.rules import GROUPS, all_rules, load_rule
from gpudoctor.verdict import status, unknown

_OF_ENVIRONMENT = ("packages", "torch", "tensorflow", "jax")


def status_of(facts: Facts, ignore: Mapping[str, str]) -> Status:
    """The status that a report on these facts has: the same rules, without fixes and outcomes.

    Rules about the environment under test are left out where it was not looked at: they could only be skipped.
    """
    rules = (rule for rule in _rules(facts) if rule.name not in ignore)
    drafts = rank(evaluate(rules, facts, load()), allow_cpu=facts.request.allow_cpu)
    findings = tuple(draft.finding for draft in drafts)
    return status(findings, unknown(facts, findings))


def _rules(facts: Facts) -> tuple[Rule, ...]:
    if facts.interpreter != NOT_ASKED:
        return all_rules()
    return tuple(
        load_rule(group, name) for group, names in GROUPS.items() if group not in _OF_ENVIRONMENT for name in names
    )
