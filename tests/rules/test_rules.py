"""What holds for every rule: listed, explained, tested, silent on the good machine, and masks that lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import gpudoctor.rules
from gpudoctor.engine import Rule, plan
from gpudoctor.report import judge
from gpudoctor.rules import GROUPS, HEADINGS, all_rules
from tests.good import GOOD

RULES = all_rules()
NAMES = [rule.name for rule in RULES]
FOLDER = Path(gpudoctor.rules.__file__).parent


def test_every_rule_file_is_listed_and_every_listed_rule_has_its_file() -> None:
    files = {
        (path.parent.name, path.stem.replace("_", "-"))
        for path in FOLDER.glob("*/*.py")
        if not path.stem.startswith("_")
    }
    assert files == {(group, name) for group, names in GROUPS.items() for name in names}
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_explains_itself_under_the_fixed_headings(rule: Rule) -> None:
    assert re.findall(r"^## (.+)$", rule.explanation, re.MULTILINE) == list(HEADINGS)
    assert all(part.strip() for part in re.split(r"^## .+$", rule.explanation, flags=re.MULTILINE)[1:])
    assert rule.title.endswith(".")
    assert re.search(r"^- https://\S+$", rule.explanation, re.MULTILINE)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_has_detectors_whose_needs_are_facts(rule: Rule) -> None:
    assert rule.detectors
    for detector in rule.detectors:
        assert plan(detector).needs
        assert detector.__doc__


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_every_masked_name_is_a_rule(rule: Rule) -> None:
    assert set(rule.masks) <= set(NAMES) - {rule.name}


def test_masks_never_lead_back_to_where_they_began() -> None:
    masks = {rule.name: set(rule.masks) for rule in RULES}
    while masks:
        free = {name for name, masked in masks.items() if not masked & set(masks)}
        assert free, {name: sorted(masked & set(masks)) for name, masked in masks.items()}
        masks = {name: masked for name, masked in masks.items() if name not in free}


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_every_rule_has_its_test_file(rule: Rule) -> None:
    group = next(group for group, names in GROUPS.items() if rule.name in names)
    path = Path(__file__).parent / group / f"test_{rule.name.replace('-', '_')}.py"
    text = path.read_text("utf-8")
    assert "found(" in text, "a machine on which it finds"
    assert re.search(r"findings\(|outcome\(", text), "a near miss on which it is silent"


def test_the_good_machine_is_healthy_and_every_rule_was_asked() -> None:
    report = judge(GOOD)
    assert (report.status, report.cause, report.findings, report.unknown) == ("healthy", None, (), ())
    assert [outcome.rule for outcome in report.outcomes] == NAMES
    assert {outcome.outcome for outcome in report.outcomes} <= {"passed", "not-applicable"}
