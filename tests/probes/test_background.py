"""Looks that never come back cost their own fact and no other's."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from gpudoctor.children import Limits
from gpudoctor.facts import Missing
from gpudoctor.probes.background import Series


@pytest.fixture
def never() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def broken() -> str:
    raise ValueError("broken")


def test_looks_come_in_their_order_and_one_that_crashes_is_a_fact() -> None:
    series = Series({"one": lambda: "1", "two": broken, "three": lambda: "3"})
    found = series.result(Limits.within(10))
    assert list(found.items()) == [
        ("one", "1"),
        ("two", Missing("crashed", "ValueError: broken")),
        ("three", "3"),
    ]


def test_one_that_hangs_is_named_and_the_others_are_seen(never: threading.Event) -> None:
    started = time.monotonic()
    series = Series({"one": lambda: "1", "hung": lambda: str(never.wait(60)), "three": lambda: "3"})
    found = series.result(Limits.within(2))
    assert found == {"one": "1", "hung": Missing("timed-out", "no answer in time", "hung"), "three": "3"}
    assert time.monotonic() - started < 40


def test_several_that_hang_leave_time_for_each_other_and_none_is_forgotten(never: threading.Event) -> None:
    started = time.monotonic()
    hung = [f"hung {number}" for number in range(12)]
    works = {name: lambda: str(never.wait(60)) for name in hung} | {"last": lambda: "9"}
    found = Series(works).result(Limits.within(2))
    assert set(found) == set(works)
    assert all(isinstance(found[name], Missing) for name in hung)
    assert time.monotonic() - started < 40


def test_a_late_answer_changes_nothing_any_more(never: threading.Event) -> None:
    found = Series({"hung": lambda: str(never.wait(60))}).result(Limits.within(0.5))
    before = dict(found)
    never.set()
    time.sleep(0.1)
    assert found == before


def test_without_another_thread_it_looks_in_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    assert Series({"one": lambda: "1", "two": lambda: "2"}).result(Limits.within(1)) == {"one": "1", "two": "2"}
