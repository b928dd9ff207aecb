from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, verdict, with_framework

RULE = "jax-not-installed"
GONE = with_framework("jax", change(smokes=()), installed=False, build=f.NOT_ASKED, imported=f.NOT_ASKED)


def test_it_is_an_error_only_when_it_was_asked_for() -> None:
    assert findings(GONE, RULE) == ()
    asked = change(GONE, request={"required": ("jax",)})
    assert verdict(asked) == ("broken", RULE)
    assert found(asked, RULE).title == "JAX is required and not installed in /home/ann/venv."


def test_an_installed_one_passes() -> None:
    installed = with_framework("jax", GOOD, installed=True)
    assert findings(change(installed, request={"required": ("jax",)}), RULE) == ()
