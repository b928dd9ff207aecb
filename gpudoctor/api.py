"""What a program or a notebook calls: the same look and the same report as on the command line.

Nothing here prints, handles signals or needs the main thread; children end with an interrupt. No configuration file is
read: what is to hold is said in the call.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from gpudoctor.children import Limits, kill_all
from gpudoctor.config import LONGEST_TIME_LIMIT, SMALLEST_TIME_LIMIT, near
from gpudoctor.facts import FRAMEWORKS, FrameworkName, Precision, Request
from gpudoctor.findings import Report

if TYPE_CHECKING:
    from gpudoctor.doctor import Plan, Training
    from gpudoctor.smoke.places import Choice

Watch = Callable[[str, str], None]
"""Told of progress: what is looked at (``driver``, ``torch``), and how far it is (``import``, ``train``, ``done``)."""

_LEAST_FOR_PLUGINS = 2.0
_MOST_FOR_PLUGINS = 60.0
_LARGEST_BATCH = 2048


def diagnose(
    *,
    quick: bool = False,
    python: str | None = None,
    frameworks: FrameworkName | Iterable[FrameworkName] = (),
    allow_cpu: bool = False,
    device: int | Literal["all", "cpu"] = "all",
    seconds: float | None = None,
    batch_size: int | None = None,
    precision: Precision = "fp32",
    deep: bool = False,
    time_limit: float | None = None,
    ignore: Iterable[str] = (),
    watch: Watch | None = None,
) -> Report:
    """Look at this machine and one Python environment, let its frameworks train, and judge: ``gpudoctor diagnose``.

    The environment is that of the interpreter that calls, whatever VIRTUAL_ENV says; ``python`` names another one, by
    its executable or its folder. The frameworks run in child processes, so nothing of them is imported here and no GPU
    memory is held afterwards. The call takes a minute or two; ``quick`` imports and trains nothing and takes a second.

    ``frameworks`` are those that must work. With ``allow_cpu`` a GPU is not required. ``device`` is a GPU by NVML's
    index, ``"all"``, or ``"cpu"``, which requires no GPU either. ``seconds`` are for all training together,
    ``time_limit`` for everything: what is not known by then is missing in the report. ``deep`` also tests the memory
    and the copies between GPUs. ``ignore`` are rules to silence by name. ``watch`` is told of progress, in this thread.

    Raises ValueError or TypeError for an argument that means nothing, before anything is looked at. A fault of the
    machine is never an exception: it is in the report.
    """
    request = Request(
        source="gpudoctor.diagnose()",
        required=_frameworks(frameworks),
        allow_cpu=_flag("allow_cpu", allow_cpu) or device == "cpu",
        quick=_flag("quick", quick),
    )
    training = _training(device, seconds, batch_size, precision, deep)
    if quick and training != _training():
        raise ValueError("quick=True trains nothing, so device, seconds, batch_size, precision and deep mean nothing")
    silent = _silenced(ignore, "gpudoctor.diagnose()")
    limit = _number("time_limit", time_limit, SMALLEST_TIME_LIMIT)
    return _diagnosed(_plan(python, request, limit, training), silent, watch or (lambda _what, _how_far: None))


def _diagnosed(plan: Plan, silent: Mapping[str, str], watch: Watch) -> Report:
    from gpudoctor import doctor
    from gpudoctor.plugins import Session
    from gpudoctor.world import World

    started = time.monotonic()
    try:
        *_, facts = doctor.collect(plan, World(), watch)
        left = (plan.time_limit or LONGEST_TIME_LIMIT) - (time.monotonic() - started)
        limits = Limits.within(min(max(left, _LEAST_FOR_PLUGINS), _MOST_FOR_PLUGINS))
        with Session(ignore=silent) as session:
            report = session.judge(facts, look=True, limits=limits, ignore=silent)
    except (KeyboardInterrupt, SystemExit):
        kill_all()
        raise
    return msgspec.structs.replace(report, seconds=time.monotonic() - started)


def triage(text: str | bytes, name: str | None = None, *, ignore: Iterable[str] = ()) -> Report:
    """Judge a text from any machine, as ``gpudoctor triage`` does: collect_env, nvidia-smi, error messages, a ticket.

    ``text`` is the text itself, not the name of a file; nothing of it is ever run. ``name`` is what the report calls
    it. A text that cannot be read has an undetermined report that says so. Raises TypeError for what is no text, and
    ValueError for a rule in ``ignore`` that there is not.
    """
    if not isinstance(text, str | bytes):
        raise TypeError(f"triage() judges the text itself, str or bytes, not {type(text).__name__}")
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be str, not {type(name).__name__}")
    silent = _silenced(ignore, "gpudoctor.triage()")
    from gpudoctor import pasted
    from gpudoctor.plugins import Session

    with Session(ignore=silent) as session:
        session.prepare()
        return pasted.triage(text, name, ignore=silent, judged=session.judge)


# ------------------------------------------------------------------------------------------------ the arguments


def _plan(python: str | None, request: Request, limit: float | None, training: Training) -> Plan:
    import os

    from gpudoctor.doctor import Plan
    from gpudoctor.probes.target_choice import NotAnInterpreter, choose

    if python is not None and not isinstance(python, str | os.PathLike):
        raise TypeError(f"python must be a path, not {type(python).__name__}")
    chosen = sys.executable if python is None else os.fspath(python)
    if not chosen:
        raise ValueError("this program does not know its interpreter: name one with python=")
    try:
        return Plan(choose(chosen, os.environ).executable, request, limit, training)
    except NotAnInterpreter as error:
        raise ValueError(f"python={python!r}: {error}") from error


def _frameworks(names: str | Iterable[str]) -> tuple[FrameworkName, ...]:
    listed = (names,) if isinstance(names, str) else tuple(names)
    for name in listed:
        if name not in FRAMEWORKS:
            raise ValueError(f"{name!r} is no framework that gpudoctor knows: {', '.join(FRAMEWORKS)}")
    return tuple(name for name in FRAMEWORKS if name in listed)


def _training(
    device: Any = "all", seconds: Any = None, batch_size: Any = None, precision: Any = "fp32", deep: Any = False
) -> Training:
    from gpudoctor.doctor import Training

    if precision not in get_args(Precision):
        raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, not {precision!r}")
    batch = _number("batch_size", batch_size, 1, _LARGEST_BATCH)
    if batch is not None and not isinstance(batch_size, int):
        raise TypeError("batch_size must be a whole number")
    return Training(
        choice=_device(device),
        seconds=_number("seconds", seconds, 1),
        batch=batch_size,
        precision=precision,
        deep=_flag("deep", deep),
    )


def _device(device: Any) -> Choice:
    number = isinstance(device, int) and not isinstance(device, bool) and device >= 0
    if not number and device not in ("all", "cpu"):
        raise ValueError(f"device must be 'all', 'cpu' or the index of a GPU, not {device!r}")
    chosen: Choice = device
    return chosen


def _number(name: str, value: Any, least: float, most: float = LONGEST_TIME_LIMIT) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{name} must be between {least:g} and {most:g}, not {value!r}")
    return float(value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return value


def _silenced(ignore: Iterable[str], by: str) -> Mapping[str, str]:
    """The rules to silence, each with where that was said."""
    listed = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    if not listed:
        return {}
    from gpudoctor import plugins, rules

    known = frozenset((*rules.names(), *plugins.rule_names()))
    for name in listed:
        if name not in known:
            raise ValueError(f"no rule is named {name!r}.{near(str(name), known)}")
    return dict.fromkeys(listed, by)
