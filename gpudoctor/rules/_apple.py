"""Which Macs have a GPU of Apple's own."""

from __future__ import annotations

import re

from gpudoctor.facts import System


def apple_silicon(system: System) -> bool:
    """Whether it is a Mac with Apple silicon, by its architecture or by the name that somebody gives to it."""
    if system.os != "macos":
        return False
    if system.architecture is not None:
        return system.architecture in ("arm64", "aarch64")
    return bool(re.search(r"\bM\d\b|\bApple [Ss]ilicon\b", system.name or ""))
