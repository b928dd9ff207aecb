from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, verdict, with_framework

RULE = "torch-not-installed"
GONE = with_framework("torch", change(smokes=()), installed=False, build=f.NOT_ASKED, imported=f.NOT_ASKED)


def test_it_is_an_error_only_when_it_was_asked_for() -> None:
    assert findings(GONE, RULE) == ()
    asked = change(GONE, request={"required": ("torch",)})
    assert verdict(asked) == ("broken", RULE)
    assert found(asked, RULE).title == "PyTorch is required and not installed in /home/ann/venv."


def test_an_installed_one_passes() -> None:
    installed = with_framework("torch", GOOD, installed=True)
    assert findings(change(installed, request={"required": ("torch",)}), RULE) == ()
