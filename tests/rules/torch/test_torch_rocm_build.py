from __future__ import annotations

from gpudoctor import facts as f
from tests.good import change, findings, found, only, outcome, says, verdict, with_framework, without_gpu

RULE = "torch-rocm-build"
ROCM = {"version": "2.6.0+rocm6.2", "accelerator": "rocm", "cuda": None, "targets": ()}
NO_DEVICE = {"available": False, "devices": (), "targets": (), "cuda": None}
FACTS = with_framework("torch", change(only("torch"), smokes=()), build=ROCM, imported=NO_DEVICE)


def test_a_rocm_build_beside_an_nvidia_gpu_is_the_cause() -> None:
    assert verdict(FACTS) == ("broken", RULE)
    assert "--index-url https://download.pytorch.org/whl/cu1" in found(FACTS, RULE).fixes[0].commands[0]


def test_with_amds_driver_loaded_it_may_be_meant_for_another_gpu() -> None:
    facts = change(FACTS, kernel_modules={"loaded": ("nvidia", "amdgpu")})
    assert found(facts, RULE).confidence.value == "likely"


def test_without_an_nvidia_gpu_it_is_nothing() -> None:
    facts = with_framework("torch", without_gpu(only("torch")), build=ROCM, imported=NO_DEVICE)
    assert findings(facts, RULE) == ()


def test_hips_own_words_are_not_believed_of_a_cuda_build() -> None:
    text = "RuntimeError: No HIP GPUs are available"
    assert findings(says(text), RULE) == ()
    assert found(says(text, change(frameworks=f.NOT_IN_PASTE)), RULE).confidence.value == "likely"


def test_a_cuda_build_is_not_asked() -> None:
    assert outcome(change(), RULE) == "not-applicable"
