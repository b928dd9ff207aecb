from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework, with_gpu

RULE = "tf-arch-unsupported"
UNTRIED = change(only("tensorflow"), smokes=())


def test_ptx_alone_may_work_and_never_passes_until_the_job_says_so() -> None:
    new = with_gpu(UNTRIED, name="NVIDIA GeForce RTX 5090", capability="12.0")
    finding = found(new, RULE)
    assert (finding.severity.value, "which may work" in finding.title) == ("warning", True)
    assert outcome(with_gpu(only("tensorflow"), capability="12.0"), RULE) == "passed"


def test_ptx_for_the_gpus_own_capability_is_a_remark() -> None:
    assert found(UNTRIED, RULE).severity.value == "info"


def test_a_gpu_below_the_lowest_code_is_not_reached() -> None:
    facts = with_gpu(UNTRIED, name="NVIDIA GeForce GTX 980", capability="5.2")
    assert verdict(facts) == ("broken", RULE)


def test_a_gpu_with_machine_code_passes() -> None:
    assert outcome(GOOD, RULE) == "passed"


def test_tensorflows_own_refusal_is_certain() -> None:
    text = (
        "Ignoring visible gpu device (device: 0, name: GeForce GTX 660, pci bus id: 0000:01:00.0, "
        "compute capability: 3.0)"
        " with Cuda compute capability 3.0. The minimum required Cuda capability is 3.5."
    )
    bare = change(GOOD, frameworks=f.NOT_IN_PASTE, gpus=f.NOT_IN_PASTE)
    assert found(says(text, bare), RULE).confidence.value == "certain"
    assert findings(says("Adding visible gpu devices: 0"), RULE) == ()


def test_the_cuda_runtime_that_tensorflow_opened_may_be_older_than_the_gpu() -> None:
    ampere = with_gpu(change(UNTRIED, frameworks=f.NOT_IN_PASTE), name="GeForce RTX 3080", capability="8.6")
    assert verdict(says("Successfully opened dynamic library libcudart.so.10.1", ampere))[1] == RULE
    assert findings(says("Successfully opened dynamic library libcudart.so.11.0", ampere), RULE) == ()


def test_an_older_release_without_a_list_of_targets_came_before_the_gpu() -> None:
    ampere = with_gpu(UNTRIED, name="GeForce RTX 3090", capability="8.6")
    old = {"version": "1.15.0", "cuda": "10.0", "targets": ()}
    facts = with_framework("tensorflow", ampere, build=old, imported={"devices": (), "available": False})
    assert "came before GeForce RTX 3090" in found(facts, RULE).title


def test_a_kernel_image_that_is_invalid_is_not_believed_where_the_build_has_code() -> None:
    text = "CUDA runtime implicit initialization on GPU:0 failed. Status: device kernel image is invalid"
    assert found(says(text, f.Facts(origin="paste")), RULE).confidence.value == "likely"
    covered = with_framework("tensorflow", GOOD, build={"targets": ("sm_90",)})
    assert findings(says(text, covered, "tensorflow"), RULE) == ()
