from __future__ import annotations

from tests.good import GOOD, change, findings, found, verdict, with_framework

RULE = "framework-import-failed"


def test_an_import_that_crashes_is_the_cause_when_nothing_explains_it() -> None:
    crashed = {"ok": False, "ended": "signal SIGSEGV", "error": None}
    facts = with_framework("torch", change(smokes=()), imported=crashed)
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, RULE).title == "PyTorch is installed, and importing it failed (signal SIGSEGV)."


def test_a_good_import_passes() -> None:
    assert findings(GOOD, RULE) == ()
