from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_gpu

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
