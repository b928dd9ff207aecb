"""What the standalone collector brought home, as facts: the second half of the look, done here."""

from __future__ import annotations

import msgspec

from gpudoctor.collector.look import Collected
from gpudoctor.doctor import with_environment
from gpudoctor.facts import Facts, Missing
from gpudoctor.probes.target import TargetAnswer, told
from gpudoctor.probes.target_look import Looked


def facts_of(data: bytes | str) -> Facts:
    """The facts that ``gpudoctor diagnose --quick`` would have found there. Raises ValueError for anything else."""
    collected = msgspec.json.decode(data, type=Collected)
    return with_environment(collected.facts, _environment(collected.looked))


def _environment(looked: Looked) -> TargetAnswer | Missing:
    try:
        return told(looked)
    except Exception as error:  # as in a look at this machine: what breaks it is a fact, whatever its kind
        return Missing("crashed", f"{type(error).__name__}: {error}")
