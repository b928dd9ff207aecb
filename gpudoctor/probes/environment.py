"""The environment variables that matter to GPU computing."""

from __future__ import annotations

from gpudoctor.facts import Environment
from gpudoctor.probes.reading import printable
from gpudoctor.variables import matters
from gpudoctor.world import World


def environment(world: World) -> Environment:
    """By name only, sorted. A name that looks like a secret's is left out with its value, whatever its prefix."""
    names = sorted(name for name in world.environ if matters(name))
    return Environment(
        source="environment of gpudoctor's process",
        variables={printable(name): printable(world.environ[name]) for name in names},
    )
