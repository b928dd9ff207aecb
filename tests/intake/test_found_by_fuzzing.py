"""What coverage-guided fuzzing found (docs/fuzzing.md), each in the smallest text that shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

import gpudoctor
from gpudoctor import facts as f
from gpudoctor.intake import read
from gpudoctor.report import judge
from tests.good import GOOD, change
from tests.intake import pastes


@pytest.mark.parametrize(
    "text",
    [
        "GPU \u00b30: NVIDIA A100\n",
        "gpu \u2460: Tesla T4\n",
        "GPUs: \u00b2x A100\n",
        pastes.SMI_610.replace("|   0  NVIDIA", "|   \u00b9  NVIDIA"),
        "CUDA_VISIBLE_DEVICES=\u00b3\n",
    ],
)
def test_a_digit_that_is_no_number_is_text(text: str) -> None:
    """``"³".isdigit()`` holds, and ``int("³")`` raises ValueError."""
    report = judge(read(text).facts)
    assert [outcome for outcome in report.outcomes if outcome.outcome == "crashed"] == []


def test_a_variable_with_such_a_digit_crashes_no_rule() -> None:
    facts = change(GOOD, environment=f.Environment(source="line 1", variables={"CUDA_VISIBLE_DEVICES": "\u00b3"}))
    assert [outcome for outcome in judge(facts).outcomes if outcome.outcome == "crashed"] == []


def test_numbers_are_told_by_isdecimal_alone() -> None:
    """What ``int()`` takes is what ``str.isdecimal`` holds for."""
    folder = Path(gpudoctor.__file__).parent
    files = [path for path in folder.rglob("*.py") if path.parent.name != "inside"]
    assert [path.name for path in files if ".isdigit()" in path.read_text("utf-8")] == []
