"""Signals that end the program: as exceptions, and never in the middle of an import."""

from __future__ import annotations

import importlib
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpudoctor.cli.signals import TerminatedError, terminable
from tests.cli.run import BUSY

_ENDS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: TerminatedError, signal.SIGHUP: TerminatedError}


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Whoever started the tests may ignore a signal, as nohup does."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in _ENDS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", _ENDS)
def test_a_signal_is_an_exception_at_once(number: signal.Signals) -> None:
    with pytest.raises(_ENDS[number]), terminable():
        signal.raise_signal(number)


@pytest.mark.parametrize("number", _ENDS)
def test_a_signal_during_an_import_waits_for_its_end(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"interrupted_by_{number.name.lower()}"
    source = f"import signal, time\nsignal.raise_signal({number:d})\ntime.sleep(0.1)\nwhole = True\n"
    (tmp_path / f"{name}.py").write_text(source, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(_ENDS[number]):
        _import_and_wait(name)
    assert sys.modules.pop(name).whole


def _import_and_wait(name: str) -> None:
    with terminable():
        assert importlib.import_module(name).whole
        time.sleep(BUSY)


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with terminable():
        signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
