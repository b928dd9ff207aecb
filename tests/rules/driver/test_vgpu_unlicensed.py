from __future__ import annotations

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict, with_gpu

RULE = "vgpu-unlicensed"


def test_a_vgpu_without_a_licence_is_a_warning_while_cuda_works() -> None:
    facts = with_gpu(modes={"virtualization": "vgpu", "vgpu_license": "unlicensed"})
    assert (verdict(facts), found(facts, RULE).severity.value) == (("warnings", RULE), "warning")


def test_it_is_the_cause_where_cuda_is_refused() -> None:
    refused = f.CudaDriver(source="libcuda", result="CUDA_ERROR_DEVICE_UNAVAILABLE", code=46)
    facts = change(with_gpu(modes={"vgpu_license": "unlicensed"}), cuda=refused, smokes=())
    assert verdict(facts) == ("broken", RULE)


def test_a_licensed_one_and_a_whole_gpu_are_none() -> None:
    assert outcome(with_gpu(modes={"vgpu_license": "licensed"}), RULE) == "passed"
    assert outcome(change(), RULE) == "not-applicable"


def test_the_words_of_nvidia_smi_and_of_the_service() -> None:
    bare = change(cuda=f.NOT_IN_PASTE, gpus=f.NOT_IN_PASTE, smokes=())
    assert found(says("License Status                    : Unlicensed (Restricted)", bare), RULE)
    assert found(says("Oct 12 17:22:37 host nvidia-gridd: Failed to acquire license from 10.0.0.1", bare), RULE)
    assert outcome(says("License Status : Licensed", bare), RULE) != "found"
