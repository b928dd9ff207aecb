"""The reasons that NVML gives for low clocks, in words; those of an idle GPU are none."""

from __future__ import annotations

REASONS = {
    "sw-thermal-slowdown": "thermal slowdown by software",
    "hw-thermal-slowdown": "thermal slowdown by hardware",
    "hw-slowdown": "slowdown by hardware",
    "hw-power-brake-slowdown": "power brake",
    "sw-power-cap": "power cap",
    "applications-clocks-setting": "clocks that were fixed",
    "sync-boost": "clocks held equal with another GPU's",
    "board-limit": "limit of the board",
    "reliability": "limit for reliability",
}
