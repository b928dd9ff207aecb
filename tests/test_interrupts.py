"""What must be done as a whole is done before a signal ends the process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from gpudoctor.cli.signals import TerminatedError, insistent, terminable
from gpudoctor.interrupts import held


@pytest.fixture(autouse=True)
def _an_interrupt_is_heard() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_waits_for_the_end_of_the_block() -> None:
    done = []

    def work() -> None:
        with held() as waiting:
            signal.raise_signal(signal.SIGINT)
            done.append(list(waiting))

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == [[signal.SIGINT]]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_waits_for_the_end_of_the_outermost_block() -> None:
    done = []

    def work() -> None:
        with held():
            with held():
                signal.raise_signal(signal.SIGINT)
            done.append("inner")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inner"]


def test_termination_waits_as_well_and_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with pytest.raises(TerminatedError, match="15"), terminable(), held() as waiting:
            _raise_both(waiting)
    finally:
        signal.signal(signal.SIGHUP, before)


def _raise_both(waiting: list[int]) -> None:
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGTERM)
    assert waiting == [signal.SIGTERM]


def test_an_error_inside_does_not_keep_the_handlers() -> None:
    with pytest.raises(ValueError, match="inside"), held():
        raise ValueError("inside")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_are_not_interrupted_and_change_nothing() -> None:
    seen: list[object] = []

    def work() -> None:
        with held():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_an_interrupt_that_a_destructor_swallows_comes_again(capfd: pytest.CaptureFixture[str]) -> None:
    class Destroyed:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    heard = threading.Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        heard.set()

    signal.signal(signal.SIGINT, note)
    with insistent():
        Destroyed()
        assert heard.wait(5)
    assert capfd.readouterr().err == ""
