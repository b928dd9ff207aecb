"""The look at a machine, as one walk over values: what cannot be done side by side is done in turn."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gpudoctor.doctor import Plan, collect
from gpudoctor.facts import Missing, Request, System
from gpudoctor.world import World


def test_without_threads_the_host_is_looked_at_in_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "os-release").write_text('ID=debian\nPRETTY_NAME="Debian 13"\n')
    plan = Plan("/usr/bin/python3", Request(source="test", quick=True), time_limit=20)
    *_, facts = collect(plan, World(tmp_path, {}), lambda _what, _state: None)
    assert isinstance(facts.system, System)
    assert facts.system.name == "Debian 13"
    assert isinstance(facts.interpreter, Missing)
    assert "can't start new thread" in facts.interpreter.detail
