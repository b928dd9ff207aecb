"""The look at a machine, as one walk over values: what cannot be done side by side is done in turn."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import msgspec
import pytest

from gpudoctor import doctor
from gpudoctor.children import Limits
from gpudoctor.doctor import Plan, Training, collect
from gpudoctor.facts import Missing, Request, System
from gpudoctor.smoke.places import Choice
from gpudoctor.world import World
from tests.good import GOOD, H100, change


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


def test_what_is_done_meanwhile_is_done_beside_the_looks_and_harms_none_of_them() -> None:
    done: list[threading.Thread] = []

    def meanwhile() -> None:
        done.append(threading.current_thread())
        raise ImportError("it is not there")

    plan = Plan(sys.executable, Request(source="test", quick=True), time_limit=20)
    *_, facts = collect(plan, World(), lambda _what, _state: None, meanwhile)
    (thread,) = done
    assert thread is not threading.main_thread()
    assert not isinstance(facts.interpreter, Missing)


@pytest.mark.parametrize(
    ("choice", "visible", "seen"),
    [
        ("all", None, None),
        ("all", "1", "1"),
        (1, None, "GPU-1"),
        (1, "0,1", "1"),
        (1, "0", ""),
    ],
)
def test_deep_checks_touch_no_gpu_but_those_that_were_chosen_and_are_allowed(
    monkeypatch: pytest.MonkeyPatch, choice: Choice, visible: str | None, seen: str | None
) -> None:
    asked: list[dict[str, str]] = []

    def checks(_world: World, _gpus: object, environ: dict[str, str], *_: object) -> tuple[Missing, Missing]:
        asked.append(environ)
        return Missing("not-asked"), Missing("not-asked")

    monkeypatch.setattr("gpudoctor.probes.cuda_deep.deep_checks", checks)
    gpus = tuple(msgspec.structs.replace(H100, index=index, uuid=f"GPU-{index}") for index in (0, 1))
    facts = change(GOOD, gpus={"gpus": gpus}, cuda={"count": 2})
    world = World(environ={} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    plan = Plan("python", Request(source="test"), training=Training(choice=choice, deep=True))
    list(doctor._deeply(facts, plan, world, Limits.within(5), lambda _what, _state: None))
    assert [environ.get("CUDA_VISIBLE_DEVICES") for environ in asked] == [seen]
