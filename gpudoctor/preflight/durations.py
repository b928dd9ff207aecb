"""Lengths of time as people write them: ``60``, ``60s``, ``2m``, ``1m30s``, ``1h``."""

from __future__ import annotations

import re

LONGEST_SECONDS = 86400.0

_DURATION = re.compile(r"(?:([0-9]{1,2})h)?(?:([0-9]{1,4})m)?(?:([0-9]{1,5}(?:\.[0-9]{1,3})?)s?)?")


def seconds(text: str) -> float:
    """The seconds that a text means, at most a day. Raises ValueError with a sentence for the user."""
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None or not any(found.groups()):
        raise ValueError(f"{text!r} is no length of time; write it as 60s or 5m.")
    hours, minutes, rest = (float(part or 0) for part in found.groups())
    total = hours * 3600 + minutes * 60 + rest
    if total > LONGEST_SECONDS:
        raise ValueError(f"{text!r} is longer than a day.")
    return total
