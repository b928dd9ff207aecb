"""A probe: how much room the folder for checkpoints has. It looks and does not judge."""

from __future__ import annotations

import os

from gpudoctor.facts import Extra
from gpudoctor.world import World


def look(world: World) -> Extra:
    """Bytes free where ``SCRATCH`` points, else in /tmp. Raises OSError where that cannot be asked."""
    folder = world.environ.get("SCRATCH", "/tmp")
    room = os.statvfs(world.at(folder))
    return Extra(
        name="scratch-space",
        source="statvfs",
        values={"folder": folder, "free": room.f_bavail * room.f_frsize},
    )
