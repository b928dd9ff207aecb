from __future__ import annotations

import pytest

from tests.good import change, found, outcome, says, verdict, with_gpu

RULE = "gpu-throttled"


@pytest.mark.parametrize("reason", ["sw-thermal-slowdown", "hw-thermal-slowdown", "hw-power-brake-slowdown"])
def test_heat_and_power_brake_are_a_warning(reason: str) -> None:
    facts = with_gpu(clocks={"throttle": (reason,), "temperature": 92})
    assert verdict(facts) == ("warnings", RULE)
    assert found(facts, RULE).severity.value == "warning"


@pytest.mark.parametrize("reasons", [(), ("gpu-idle",), ("gpu-idle", "sw-power-cap"), ("applications-clocks-setting",)])
def test_idling_and_settings_are_none(reasons: tuple[str, ...]) -> None:
    assert outcome(with_gpu(clocks={"throttle": reasons}), RULE) == "passed"


def test_the_power_cap_of_a_busy_gpu_is_normal_and_crawling_at_it_is_not() -> None:
    busy = {"throttle": ("sw-power-cap",), "sm_clock": 1700, "sm_clock_max": 1980}
    assert outcome(with_gpu(clocks=busy), RULE) == "passed"
    assert "power cap" in found(with_gpu(clocks={**busy, "sm_clock": 210}), RULE).title


def test_the_words_of_nvidia_smi_are_enough() -> None:
    text = "SW Thermal Slowdown                          : Active"
    assert found(says(text), RULE).confidence.value == "likely"
    assert outcome(says(text.replace("Active", "Not Active")), RULE) == "passed"
    assert outcome(change(), RULE) == "passed"
