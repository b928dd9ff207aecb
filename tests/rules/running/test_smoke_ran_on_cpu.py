from __future__ import annotations

import msgspec

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, outcome, proved, verdict, with_framework

RULE = "smoke-ran-on-cpu"


def on_cpu(device: str) -> f.Facts:
    proof = f.Proof(name="parameters-on-device", holds=False, detail="parameters on cpu", required=True)
    job = msgspec.structs.replace(proved("torch"), result="ran-on-cpu", device=device, proofs=(proof,))
    return change(GOOD, smokes=(job, proved("tensorflow")))


def test_a_job_that_said_gpu_and_computed_on_the_cpu_is_the_cause() -> None:
    assert verdict(on_cpu("cuda:0")) == ("broken", RULE)
    assert found(on_cpu("cuda:0"), RULE).title == "PyTorch said cuda:0 and computed on the CPU."


def test_a_job_that_was_meant_for_the_cpu_is_none() -> None:
    assert (
        outcome(
            change(GOOD, smokes=(msgspec.structs.replace(proved("torch"), device="cpu", result="ran-on-cpu"),)), RULE
        )
        != "found"
    )


def test_a_framework_that_lists_no_gpu_beside_a_counting_driver_is_likely() -> None:
    facts = with_framework("torch", change(smokes=()), imported={"available": False, "devices": ()})
    assert found(facts, RULE).confidence.value == "likely"


def test_a_cpu_build_explains_it() -> None:
    facts = with_framework(
        "torch", change(smokes=()), build={"accelerator": "cpu"}, imported={"available": False, "devices": ()}
    )
    assert findings(facts, RULE) == ()
