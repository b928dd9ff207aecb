from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, verdict, with_framework, without_gpu

RULE = "other-accelerator"
AMD = f.PciDevice(address="0000:03:00.0", vendor="1002", device="740c", driver="amdgpu", name="Instinct MI250X")
ROCM = with_framework(
    "torch",
    only("torch", change(without_gpu(), pci={"devices": (AMD,)})),
    build={"accelerator": "rocm", "cuda": None, "version": "2.6.0+rocm6.2.4"},
)


def test_a_rocm_build_on_an_amd_gpu_is_outside_the_field_and_not_broken() -> None:
    facts = change(ROCM, request={"quick": True})
    assert verdict(facts)[0] != "broken"
    assert {finding.severity.value for finding in findings(facts, RULE)} == {"info"}


def test_a_cuda_build_on_an_amd_gpu_lacks_an_nvidia_gpu() -> None:
    facts = change(without_gpu(), pci={"devices": (AMD,)})
    assert verdict(facts) == ("broken", "no-nvidia-gpu")
    assert found(facts, RULE).severity.value == "info"


def test_beside_an_nvidia_gpu_it_says_nothing() -> None:
    assert outcome(GOOD, RULE) == "not-applicable"


def test_a_processors_own_graphics_is_no_accelerator() -> None:
    intel = f.PciDevice(address="0000:00:02.0", vendor="8086", device="9a49", driver="i915", name="Iris Xe")
    assert outcome(change(without_gpu(), pci={"devices": (intel,)}), RULE) == "not-applicable"
