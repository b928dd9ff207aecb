"""What the standalone collector does where it runs: the looks of ``diagnose --quick``, side by side.

This module runs there itself, as do the probes: lowered to Python 3.6 by ``lower`` and loaded by inside/collector.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import msgspec
from msgspec.structs import replace

from gpudoctor import __version__
from gpudoctor.children import Limits
from gpudoctor.facts import COLLECTED, Facts, KernelLog, Missing, Request
from gpudoctor.privacy import identify, redact_around
from gpudoctor.probes.at_host import HOST_PROBES, look
from gpudoctor.probes.background import Background
from gpudoctor.probes.cuda_driver import cuda_driver, libcuda
from gpudoctor.probes.nvml import nvml
from gpudoctor.probes.target_look import Looked
from gpudoctor.probes.target_look import look as look_at_target
from gpudoctor.world import World

_IDLE_SECONDS = 60.0


class Collected(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag=COLLECTED):
    """What was seen: the facts of the machine, the answer of the interpreter, and what was hidden of it, by kind."""

    facts: Facts
    looked: Looked
    hidden: dict[str, int] = {}


def collect(world: World, executable: str, seconds: float) -> Collected:
    """Look at this machine and one Python environment for so many seconds at most."""
    patience, unhurried = Limits.within(seconds), Limits.within(seconds, _IDLE_SECONDS)
    target = Background(lambda: look_at_target(world, executable, unhurried))
    of_nvml = Background(lambda: nvml(world, patience))
    of_cuda = Background(lambda: cuda_driver(world, patience))
    host = Background(lambda: {name: look(probe, world) for name, probe in HOST_PROBES.items()})
    of_host = host.result(patience)
    found: dict[str, Any] = dict.fromkeys(HOST_PROBES, of_host) if isinstance(of_host, Missing) else dict(of_host)
    found["libcuda"] = look(libcuda, world)
    found["cuda"] = of_cuda.result(patience)
    answer = of_nvml.result(patience)
    found["nvml"], found["gpus"] = (answer, answer) if isinstance(answer, Missing) else (answer.nvml, answer.gpus)
    facts = Facts(
        gpudoctor=__version__,
        created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        request=Request(source="standalone collector", quick=True),
        **found,
    )
    looked = target.result(patience)
    return Collected(facts=facts, looked=_unanswered(executable, looked) if isinstance(looked, Missing) else looked)


def _unanswered(executable: str, missing: Missing) -> Looked:
    return Looked(
        executable=executable, answer=None, missing=missing, project=None, ruler=None, other_environments=missing
    )


def shortened(collected: Collected, step: int) -> tuple[Collected, str] | None:
    """The same without what is long and least needed, and what that is, in words; None where no step is left."""
    if step == 0:
        log = collected.facts.kernel_log
        lines = log.lines[-_KEPT_LINES:] if isinstance(log, KernelLog) else ()
        kept = replace(log, lines=lines) if isinstance(log, KernelLog) else log
        return replace(collected, facts=replace(collected.facts, kernel_log=kept)), "older kernel messages"
    answer = collected.looked.answer
    if step == 1 and answer is not None:
        copies = [replace(copy, requires=list(_without_extras(copy.requires))) for copy in answer.packages or ()]
        looked = replace(collected.looked, answer=replace(answer, packages=copies))
        return replace(collected, looked=looked), "requirements of extras"
    return None


_KEPT_LINES = 40


def _without_extras(requires: Iterable[str]) -> Iterator[str]:
    return (line for line in requires if "extra" not in line)


def redacted(collected: Collected, environ: Mapping[str, str], host: str) -> Collected:
    """The same without what must not leave the machine, as :mod:`gpudoctor.privacy` would have it."""
    clean, hidden = redact_around(collected, collected.facts, identify(environ, host))
    return replace(clean, hidden=hidden)
