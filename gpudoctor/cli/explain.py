"""``gpudoctor explain`` and ``gpudoctor rules``: what the rules mean, from their own files."""

from __future__ import annotations

import difflib
import json
from typing import Annotated

import typer

from gpudoctor.cli.console import emit
from gpudoctor.cli.options import Plain
from gpudoctor.engine import Rule
from gpudoctor.rules import all_rules, names
from gpudoctor.rules.pages import page


def explain(
    rule: Annotated[str, typer.Argument(help="The rule's name, such as driver-too-old-for-cuda.")],
    format: Annotated[Plain, typer.Option("--format", help="How to print it.")] = Plain.TERMINAL,  # noqa: A002
) -> None:
    """Print what a rule means, why it happens, how to fix it, and how it is detected."""
    found = next((one for one in _listed(rule) if one.name == rule), None)
    if found is None:
        raise typer.BadParameter(f"no rule is named {rule!r}.{_near(rule)}", param_hint="RULE")
    emit(json.dumps(_as_json(found), indent=1) if format is Plain.JSON else page(found))


def _listed(name: str = "") -> tuple[Rule, ...]:
    """All rules, those of plug-ins last; these are asked only where one of them may be meant."""
    from gpudoctor import plugins

    own = all_rules()
    return own if any(rule.name == name for rule in own) else (*own, *plugins.rules())


def _near(name: str) -> str:
    from gpudoctor import plugins

    near = difflib.get_close_matches(name, [*names(), *plugins.rule_names()], 3)
    return f" Close to it: {', '.join(near)}." if near else " All names: gpudoctor rules"


def rules(
    format: Annotated[Plain, typer.Option("--format", help="How to print them.")] = Plain.TERMINAL,  # noqa: A002
) -> None:
    """List every rule with its severity."""
    listed = _listed()
    if format is Plain.JSON:
        emit(json.dumps([_as_json(rule) for rule in listed], indent=1))
        return
    width = max(len(rule.name) for rule in listed)
    emit("\n".join(f"{rule.severity.value:<8} {rule.name:<{width}}  {rule.title}" for rule in listed))


def _as_json(rule: Rule) -> dict[str, object]:
    return {
        "rule": rule.name,
        "title": rule.title,
        "severity": rule.severity.value,
        "masks": list(rule.masks),
        "explanation": rule.explanation,
    }
