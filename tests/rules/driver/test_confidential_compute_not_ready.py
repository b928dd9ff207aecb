from __future__ import annotations

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict, with_gpu

RULE = "confidential-compute-not-ready"


def test_the_missing_ready_state_is_the_cause() -> None:
    dead = f.CudaDriver(source="libcuda", result="CUDA_ERROR_SYSTEM_NOT_READY", code=802)
    facts = change(with_gpu(modes={"confidential": "not-ready"}), cuda=dead, smokes=())
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, RULE).fixes[0].commands[0] == "sudo nvidia-smi conf-compute -srs 1"


def test_a_mode_that_is_on_and_ready_is_none() -> None:
    assert outcome(with_gpu(modes={"confidential": "on"}), RULE) == "passed"


def test_the_mode_on_a_host_that_finds_no_device() -> None:
    blind = change(gpus={"gpus": ()}, cuda=f.NOT_IN_PASTE, nvml={"driver": None}, smokes=())
    assert found(says("cc_mode: on", blind), RULE).confidence.value == "likely"
    assert outcome(says("cc_mode: on"), RULE) == "not-applicable"


def test_the_tools_own_word_for_it() -> None:
    text = "Confidential Compute GPUs Ready state: not-ready"
    assert found(says(text, change(cuda=f.NOT_IN_PASTE)), RULE).confidence.value == "certain"
