"""The GPU slows itself down for heat or power.

## What it means
The GPU lowers its clocks below what it could run at. Training works, more slowly: a card that is too hot or short of
power can lose most of its speed. Idle GPUs lower their clocks too, which is no fault.

## Why it happens
Dust or a failed fan, air that cannot pass between cards, a power limit set too low, a laptop on battery, a power supply
or a cable that signals its limit.

## How to fix
Cool the card, check its power cables, run a laptop on mains, and set the power limit back to its default.

## How it is detected
The throttle reasons that NVML names: thermal or power-brake slowdown at any time; the power cap only where the clock is
far below what the GPU can do, since a busy GPU always runs at its power cap.

## Sources
- https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Gpu, GpuClocks
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, Passed, Severity, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard
from gpudoctor.rules._throttling import REASONS
from gpudoctor.views import Printed

RULE = Rule(severity=Severity.WARNING, masks=("smoke-slow",))

_BY_HEAT = frozenset({"sw-thermal-slowdown", "hw-thermal-slowdown"})
_BY_POWER = frozenset({"hw-power-brake-slowdown"})
_TOLD = ("sw-thermal-slowdown", "hw-thermal-slowdown", "hw-slowdown", "hw-power-brake-slowdown", "sw-power-cap")
_CURE = Run(
    title="Find out what heats the GPU or limits its power",
    argvs=(("nvidia-smi", "-q", "-d", "PERFORMANCE,TEMPERATURE,POWER,CLOCK"),),
    note="Check fans, dust, the gaps between cards and the power cables; on a laptop, mains and the power profile.",
)


@RULE.detector
def reasons_of_nvml(gpu: Gpu, clocks: GpuClocks) -> Verdict:
    """The reasons why the clocks are low now."""
    active = set(clocks.throttle)
    told = active & (_BY_HEAT | _BY_POWER)
    if not told and "gpu-idle" in active:
        return Passed("the GPU idles")
    if "hw-slowdown" in active:
        told.add("hw-slowdown")
    if "sw-power-cap" in active and _crawls(clocks):
        told.add("sw-power-cap")
    if not told:
        return Passed("no thermal or power slowdown")
    reasons = ", ".join(REASONS[name] for name in _TOLD if name in told)
    return Found(
        title=f"{gpu.name or f'GPU {gpu.index}'} is slowed down: {reasons}.",
        detail=_readings(clocks),
        evidence=(cite("throttle reasons", ", ".join(clocks.throttle), clocks), *_temperature(clocks)),
        remedies=(_CURE,),
    )


def _crawls(clocks: GpuClocks) -> bool:
    """Whether the clock is below half of the possible one."""
    return bool(clocks.sm_clock and clocks.sm_clock_max and clocks.sm_clock * 2 < clocks.sm_clock_max)


def _readings(clocks: GpuClocks) -> str:
    parts = [f"{clocks.temperature} °C" if clocks.temperature is not None else ""]
    parts += [f"{clocks.power:.0f} of {clocks.power_limit:.0f} W" if clocks.power and clocks.power_limit else ""]
    parts += [f"{clocks.sm_clock} of {clocks.sm_clock_max} MHz" if clocks.sm_clock and clocks.sm_clock_max else ""]
    return ", ".join(part for part in parts if part)


def _temperature(clocks: GpuClocks) -> tuple[Evidence, ...]:
    return (cite("temperature", f"{clocks.temperature} °C", clocks),) if clocks.temperature is not None else ()


@RULE.detector
def a_program_says_so(printed: Printed) -> Verdict:
    """``nvidia-smi -q`` shows an active thermal or power-brake slowdown."""
    hit = heard(
        printed,
        r"\b(?:SW Thermal|HW Thermal|HW Power Brake) Slowdown\s{0,30}:\s{0,4}Active\b",
        r"\bclocks_(?:throttle|event)_reasons\.(?:sw_thermal|hw_thermal|hw_power_brake)_slowdown\W{1,6}Active\b",
    )
    if hit is None:
        return NotApplicable(SILENT)
    return Found(
        title="The GPU is slowed down for heat or power.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(_CURE,),
        confidence=Confidence.LIKELY,
    )
