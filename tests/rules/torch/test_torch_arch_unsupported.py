from __future__ import annotations

import msgspec

from gpudoctor import facts as f
from tests.good import GOOD, H100, change, findings, found, only, outcome, says, verdict, with_framework, with_gpu

RULE = "torch-arch-unsupported"
TORCH = change(only("torch"), smokes=())


def test_a_volta_gpu_has_no_code_in_a_cuda_13_build_and_gets_an_older_variant() -> None:
    """Pitfalls 5 and 19."""
    facts = with_gpu(TORCH, name="Tesla V100-SXM2-16GB", capability="7.0")
    assert verdict(facts) == ("broken", RULE)
    finding = found(facts, RULE)
    assert (finding.confidence.value, finding.detail) == ("certain", "It was compiled for 7.5 8.0 8.6 9.0 10.0 12.0.")
    assert "--index-url https://download.pytorch.org/whl/cu126" in finding.fixes[0].commands[0]


def test_an_ada_gpu_runs_code_for_8_6() -> None:
    """Pitfall 4."""
    assert outcome(with_gpu(TORCH, name="NVIDIA GeForce RTX 4090", capability="8.9"), RULE) == "passed"


def test_a_blackwell_gpu_is_not_reached_by_an_older_build() -> None:
    old = {"version": "2.5.1+cu124", "cuda": "12.4", "targets": ("sm_50", "sm_60", "sm_70", "sm_80", "sm_86", "sm_90")}
    facts = with_gpu(TORCH, name="NVIDIA GeForce RTX 5090", capability="12.0")
    assert verdict(with_framework("torch", facts, build=old, imported={"targets": ()})) == ("broken", RULE)


def test_of_two_gpus_the_one_that_is_not_reached_is_named() -> None:
    """Pitfall 11."""
    old = msgspec.structs.replace(
        H100, index=1, name="Tesla P100", capability=f.GpuCapability(source="NVML", value="6.0")
    )
    finding = found(change(TORCH, gpus={"gpus": (H100, old)}), RULE)
    assert (finding.about.gpu, "Tesla P100" in finding.title) == (1, True)


def test_ptx_alone_may_work_and_is_a_warning_until_a_job_has_trained() -> None:
    ptx = with_framework("torch", TORCH, build={"targets": ("sm_80", "compute_80")}, imported={"targets": ()})
    assert (found(ptx, RULE).severity.value, found(ptx, RULE).confidence.value) == ("warning", "likely")
    proved = with_framework(
        "torch", only("torch"), build={"targets": ("sm_80", "compute_80")}, imported={"targets": ()}
    )
    assert outcome(proved, RULE) == "passed"


def test_a_build_that_does_not_say_is_not_judged() -> None:
    facts = with_framework("torch", TORCH, build={"targets": ()}, imported={"targets": ()})
    assert outcome(facts, RULE) == "skipped"


def test_the_imported_frameworks_own_list_counts_more_than_the_metadata() -> None:
    facts = with_framework("torch", TORCH, build={"targets": ("sm_75",)})
    assert outcome(facts, RULE) == "passed"


def test_torchs_own_warning_is_certain_and_the_bare_cuda_text_is_likely() -> None:
    bare = change(GOOD, frameworks=f.NOT_IN_PASTE, gpus=f.NOT_IN_PASTE)
    own = "NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the current PyTorch installation."
    assert found(says(own, bare), RULE).confidence.value == "certain"
    text = "RuntimeError: CUDA error: no kernel image is available for execution on the device"
    assert found(says(text, bare), RULE).confidence.value == "likely"
    assert findings(says("an image of a kernel"), RULE) == ()


def test_a_release_whose_newest_cuda_knows_no_such_gpu_came_before_it() -> None:
    facts = with_gpu(TORCH, name="NVIDIA GeForce RTX 3080", capability="8.6")
    old = {"version": "1.1.0", "cuda": None, "accelerator": "unknown", "targets": ()}
    before = with_framework("torch", facts, build=old, imported={"targets": (), "devices": ()})
    assert "came before NVIDIA GeForce RTX 3080" in found(before, RULE).title
    turing = with_gpu(before, name="NVIDIA GeForce RTX 2080 Ti", capability="7.5")
    assert findings(turing, RULE) == ()


def test_a_bare_cuda_text_without_pytorch_in_sight_is_not_judged() -> None:
    bare = change(GOOD, frameworks=f.NOT_IN_PASTE, gpus=f.NOT_IN_PASTE)
    assert findings(says("no kernel image is available for execution on the device", bare), RULE) == ()


def test_a_quotation_that_was_cut_short_is_understood() -> None:
    paste = f.Facts(origin="paste")
    assert (
        found(says('libtorch fails with "no kernel image is available..."', paste), RULE).confidence.value == "likely"
    )
    assert findings(says("no kernel package is available for torch", paste), RULE) == ()
