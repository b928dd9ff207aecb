"""Interpreters that wait for their program: taken once, under the same variables, and none is left."""

from __future__ import annotations

import os

import pytest

from gpudoctor import warm
from gpudoctor.children import Child, Limits
from gpudoctor.warm import OPTIONS, environment


@pytest.fixture(autouse=True)
def none_left() -> None:
    warm.dismiss()


def _pids() -> set[int]:
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return {int(pid) for pid in file.read().split()}


def test_one_that_was_started_ahead_runs_the_program_as_any_other_child() -> None:
    warm.start()
    environ = environment(os.environ)
    process = warm.take("nvml_child", environ)
    assert process is not None
    program = "import json, sys\nprint('@gpudoctor ' + json.dumps({'pynvml': 'pynvml' in sys.modules}), flush=True)\n"
    limits = Limits.within(30)
    with Child.python("unused", program, environ=environ, limits=limits, options=OPTIONS, process=process) as child:
        assert child.pid == process.pid
        assert list(child.messages()) == [{"pynvml": True}]
        assert child.ending().words == "exit code 0"
    warm.dismiss()


def test_it_is_taken_once_and_only_under_the_same_variables() -> None:
    warm.start()
    assert warm.take("nvml_child", {"PATH": "/elsewhere"}) is None
    assert warm.take("nvml_child", environment(os.environ)) is None
    first = warm.take("cuda_child", environment(os.environ))
    assert first is not None
    assert warm.take("cuda_child", environment(os.environ)) is None
    first.kill()
    first.communicate()
    assert warm.take("other_child", {}) is None


def test_those_that_nobody_takes_are_ended() -> None:
    before = _pids()
    warm.start()
    assert len(_pids() - before) == 2
    warm.dismiss()
    assert _pids() <= before


def test_where_none_can_be_started_it_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/no/such/python")
    warm.start()
    assert warm.take("nvml_child", environment(os.environ)) is None
