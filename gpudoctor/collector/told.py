"""What the standalone collector brought home, as facts: the second half of the look, done here."""

from __future__ import annotations

import msgspec

from gpudoctor.collector.look import Collected
from gpudoctor.doctor import with_environment
from gpudoctor.facts import Facts
from gpudoctor.probes.target import told


def facts_of(data: bytes | str) -> Facts:
    """The facts that ``gpudoctor diagnose --quick`` would have found there. Raises ValueError for anything else."""
    collected = msgspec.json.decode(data, type=Collected)
    return with_environment(collected.facts, told(collected.looked))
