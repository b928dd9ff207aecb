from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, NO_JAX, change, findings, found, verdict

RULE = "no-framework-installed"
EMPTY = change(
    GOOD,
    frameworks={
        "frameworks": tuple(f.Framework(source="sys.path", name=name, installed=False) for name in f.FRAMEWORKS)
    },
    smokes=(),
)


def test_an_environment_without_any_framework_is_said_and_is_no_error() -> None:
    assert verdict(EMPTY) == ("warnings", RULE)
    assert found(EMPTY, RULE).title == "No PyTorch, TensorFlow or JAX is installed in /home/ann/venv."


def test_the_environments_nearby_are_named_with_the_command_to_look_at_them() -> None:
    other = f.OtherEnvironment(path="/home/ann/proj/.venv", frameworks={"torch": "2.13.0"})
    finding = found(change(EMPTY, other_environments={"environments": (other,)}), RULE)
    assert finding.detail == "Seen nearby: /home/ann/proj/.venv (torch 2.13.0)."
    assert finding.fixes[0].commands == ("gpudoctor diagnose --python /home/ann/proj/.venv",)


def test_one_framework_is_enough() -> None:
    assert NO_JAX.installed is False
    assert findings(GOOD, RULE) == ()


def test_a_required_framework_is_another_rules_business() -> None:
    assert findings(change(EMPTY, request={"required": ("torch",)}), RULE) == ()
