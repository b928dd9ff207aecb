from __future__ import annotations

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, with_gpu

RULE = "imex-not-ready"


def imex(state: str) -> f.Services:
    return f.Services(source="systemd", services=(f.Service(name="nvidia-imex", state=state),))


RACK = with_gpu(name="NVIDIA GB200")


def test_a_rack_without_its_service_is_warned() -> None:
    assert found(change(RACK, services=imex("inactive")), RULE).severity.value == "warning"


def test_a_service_that_runs_or_cannot_be_seen_is_none() -> None:
    assert outcome(change(RACK, services=imex("active")), RULE) == "passed"
    assert outcome(change(RACK, services=imex("unknown")), RULE) == "passed"


def test_other_machines_need_no_imex() -> None:
    assert outcome(change(services=imex("not-found")), RULE) == "not-applicable"


def test_a_refused_fabric_handle_is_an_error_but_not_on_a_geforce() -> None:
    text = "[CUDA_ERROR_NOT_PERMITTED] operation not permitted in expression cuMemCreate(&handle, size, &prop, 0 )"
    bare = change(gpus=f.NOT_IN_PASTE, cuda=f.NOT_IN_PASTE)
    assert found(says(text, bare), RULE).severity.value == "error"
    assert outcome(says(text, with_gpu(name="NVIDIA GeForce RTX 4090")), RULE) == "not-applicable"
