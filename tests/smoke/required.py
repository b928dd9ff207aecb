"""What a job must show of itself before any witness counts."""

from __future__ import annotations

REQUIRED = (
    "weights-changed",
    "loss-fell",
    "parameters-on-device",
    "gradients-on-device",
    "outputs-on-device",
    "matches-cpu",
)
