from __future__ import annotations

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict, with_gpu
from tests.rules.container.test_wsl_unsupported import WSL

RULE = "wsl-gpu-in-tcc-mode"
BLOCKED = "Failed to initialize NVML: GPU access blocked by the operating system"


def listed(name: str, model: str | None) -> f.Facts:
    gpu = f.Gpu(source="line 3", index=0, name=name, modes=f.GpuModes(source="line 3", model=model))
    return change(WSL, gpus=f.Gpus(source="line 3", gpus=(gpu,)))


def test_the_driver_model_that_windows_shows_is_enough() -> None:
    facts = listed("NVIDIA L40S", "TCC")
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, RULE).fixes[0].where == "host"


def test_wddm_is_what_wsl_needs() -> None:
    assert outcome(listed("NVIDIA L40S", "WDDM"), RULE) == "passed"


def test_blocked_access_is_likely_it_for_a_data_centre_gpu_and_not_for_a_geforce() -> None:
    assert found(says(BLOCKED, listed("NVIDIA L40S", None)), RULE).confidence.value == "likely"
    assert outcome(says(BLOCKED, listed("NVIDIA GeForce RTX 2080 Ti", None)), RULE) == "passed"


def test_outside_wsl_tcc_is_a_good_mode() -> None:
    assert outcome(with_gpu(modes={"model": "TCC"}), RULE) == "not-applicable"
