"""The real cases: what their evidence shows arrives in the facts, in every style of paste."""

from __future__ import annotations

import pytest

from gpudoctor import facts as f
from gpudoctor.intake import read
from gpudoctor.pasted import reading
from tests.cases.measure import measure, misses, summary, table
from tests.cases.render import Case, cases, render, styles

CASES = cases()


def test_the_cases_are_those_that_were_reported() -> None:
    assert len(CASES) == 400
    assert sum(case.healthy for case in CASES) == 70
    assert len({case.id for case in CASES}) == 400
    assert all(bool(case.expected) != case.healthy for case in CASES)
    assert all(case.source.startswith("https://github.com/") for case in CASES)


def _lacking(case: Case, facts: f.Facts) -> list[str]:
    """What the evidence of a case shows and the facts do not."""
    evidence = case.evidence
    smi, environment = evidence.get("nvidia_smi", {}), evidence.get("collect_env", {})
    lacking = []
    driver = smi.get("driver") or environment.get("Nvidia driver version")
    if (
        driver
        and driver[:3].isdigit()
        and (not isinstance(facts.nvml, f.Nvml) or facts.nvml.driver != driver.removesuffix(".0"))
    ):
        lacking.append(f"driver {driver}")
    if smi.get("cuda") and (not isinstance(facts.nvml, f.Nvml) or facts.nvml.cuda != smi["cuda"]):
        lacking.append(f"CUDA of the driver {smi['cuda']}")
    if smi.get("gpus") and len(facts.known_gpus()) != len(smi["gpus"]):
        lacking.append(f"{len(smi['gpus'])} GPUs")
    for name in ("torch", "tensorflow", "jax", "numpy"):
        version = evidence.get("packages", {}).get(name)
        if version and (not isinstance(facts.packages, f.Packages) or not _shows(facts.packages, name, version)):
            lacking.append(f"{name} {version}")
    for name, value in evidence.get("env", {}).items():
        if not isinstance(facts.environment, f.Environment) or facts.environment.variables.get(name) != value:
            lacking.append(f"{name}={value}")
    return lacking


def _shows(packages: f.Packages, name: str, version: str) -> bool:
    return any((copy.version or "").startswith(version) for copy in packages.copies(name))


# Which versions a case shows twice, differently: a list and collect_env of two environments.
_TWO_ENVIRONMENTS = frozenset({"pytorch-pytorch-28321"})


@pytest.mark.parametrize("style", range(styles()))
def test_what_a_case_shows_arrives_in_the_facts_in_every_style(style: int) -> None:
    lacking = {case.id: lost for case in CASES if (lost := _lacking(case, read(render(case, style)).facts))}
    assert {case: lost for case, lost in lacking.items() if case not in _TWO_ENVIRONMENTS} == {}


@pytest.mark.parametrize("style", range(styles()))
def test_nearly_every_line_of_a_case_is_read_or_a_finding_rests_on_it_in_every_style(style: int) -> None:
    readings = [reading(m.intake, m.report) for m in measure(CASES, style)]
    assert sum(one.recognised for one in readings) > 0.95 * sum(one.lines for one in readings)


def test_the_answer_is_never_in_the_text() -> None:
    for case in CASES:
        assert not any(f"\n{cause}\n" in render(case) for cause in case.expected)


def test_no_rule_crashes_on_a_case_and_the_measurement_can_be_printed() -> None:
    measured = measure(CASES)
    crashed = {m.case.id: o for m in measured for o in m.report.outcomes if o.outcome == "crashed"}
    assert crashed == {}
    printed = "\n".join((table(measured), misses(measured), summary(measured)))
    assert "derivable broken cases: first cause right in" in printed
    assert "torch-cpu-build" in printed
