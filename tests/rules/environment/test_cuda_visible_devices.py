from __future__ import annotations

import msgspec
import pytest

from gpudoctor import facts as f
from gpudoctor.rules.environment.cuda_visible_devices import visible
from tests.good import GOOD, H100, change, findings, found, outcome, says, verdict

RULE = "cuda-visible-devices"
NONE = f.CudaDriver(source="libcuda", result="CUDA_ERROR_NO_DEVICE", code=100, version="13.0")
SECOND = msgspec.structs.replace(H100, index=1, uuid="GPU-99999999-5e43-4c0e-9d6b-0c3c4f1d2a10")


def hidden(value: str) -> f.Facts:
    return change(GOOD, environment={"variables": {"CUDA_VISIBLE_DEVICES": value}}, cuda=NONE, smokes=())


@pytest.mark.parametrize("value", ["", "-1", "none", "NoDevFiles", "1", "GPU-deadbeef", " ", "0,0"])
def test_a_value_that_names_no_gpu_hides_them_all(value: str) -> None:
    """Pitfall 12."""
    assert verdict(hidden(value)) == ("broken", RULE)
    assert found(hidden(value), RULE).fixes[0].commands == ("unset CUDA_VISIBLE_DEVICES",)


def test_the_reason_quotes_the_value() -> None:
    assert found(hidden("1"), RULE).detail == "GPUs count from 0 here to 0; 1 does not exist."
    assert found(hidden("GPU-deadbeef"), RULE).detail == "No GPU or MIG instance here has the UUID GPU-deadbeef."


@pytest.mark.parametrize("value", ["0", "GPU-6f1a0ed3", H100.uuid])
def test_a_value_that_names_a_gpu_passes(value: str) -> None:
    assert outcome(change(environment={"variables": {"CUDA_VISIBLE_DEVICES": value}}), RULE) == "passed"


def test_an_unset_variable_is_not_applicable() -> None:
    assert outcome(GOOD, RULE) == "not-applicable"


@pytest.mark.parametrize(
    ("value", "count"), [("0,1", 2), ("1,0", 2), ("0,7,1", 1), ("1,-1,0", 1), ("0,0", 0), ("GPU-", 0), ("GPU-9", 1)]
)
def test_entries_count_up_to_the_first_that_is_none(value: str, count: int) -> None:
    assert len(visible(value, (H100, SECOND))) == count


def test_a_mig_instance_is_named_by_its_uuid() -> None:
    mig = f.MigInstances(source="NVML", instances=(f.MigInstance(uuid="MIG-1c2d"),))
    assert visible("MIG-1c2d", (msgspec.structs.replace(H100, mig=mig),)) == ("MIG-1c2d",)


def test_where_a_gpu_is_not_required_hiding_it_is_no_fault() -> None:
    facts = change(hidden("-1"), request={"allow_cpu": True})
    assert found(facts, RULE).severity.value == "info"


BARE = change(gpus=f.NOT_IN_PASTE, cuda=f.NOT_IN_PASTE, nvml=f.NOT_IN_PASTE, smokes=())
SAYS_NONE = "RuntimeError: No CUDA GPUs are available"


def hiding(value: str) -> f.Facts:
    return change(BARE, environment={"variables": {"CUDA_VISIBLE_DEVICES": value}})


@pytest.mark.parametrize("value", ["all", "-1", "", "NoDevFiles", "cuda:0"])
def test_a_value_that_can_name_no_gpu_needs_no_list_of_them(value: str) -> None:
    assert found(hiding(value), RULE).severity.value == "warning"
    assert found(says(SAYS_NONE, hiding(value)), RULE).severity.value == "error"


@pytest.mark.parametrize("value", ["7", "2,3", "GPU-6f1a0ed3", "7 (set in the script)"])
def test_a_value_that_may_not_exist_counts_beside_cudas_word(value: str) -> None:
    assert found(says(SAYS_NONE, hiding(value)), RULE).confidence.value == "likely"
    assert findings(hiding(value), RULE) == ()


def test_gpu_0_exists_wherever_there_is_one() -> None:
    assert findings(says(SAYS_NONE, hiding("0")), RULE) == ()


def test_gpus_that_a_framework_lists_under_the_value_are_counted_anew() -> None:
    facts = hidden("1")
    assert found(facts, RULE).severity.value == "error"
    log = "I tensorflow/core/common_runtime/gpu/gpu_device.cc:1105] Found device 0 with properties:"
    assert findings(says(log, facts), RULE) == ()


MIG = "MIG-377e0049-554c-540b-93c6-d0976f8426cb"


@pytest.mark.parametrize(
    ("value", "unknown"), [(MIG, {"mig": f.NOT_IN_PASTE}), ("GPU-deadbeef", {"uuid": None}), (f"0,{MIG}", {})]
)
def test_a_uuid_is_not_judged_where_not_all_of_them_are_known(value: str, unknown: dict[str, object]) -> None:
    gpu = msgspec.structs.replace(H100, **{"mig": f.NOT_IN_PASTE, **unknown})
    facts = change(hidden(value), gpus={"gpus": (gpu,)}, cuda=f.NOT_IN_PASTE)
    assert outcome(facts, RULE) == "skipped"


def test_a_uuid_that_is_none_of_those_known_hides_every_gpu() -> None:
    none = msgspec.structs.replace(H100, mig=f.MigInstances(source="NVML", instances=()))
    assert found(change(hidden(MIG), gpus={"gpus": (none,)}), RULE).detail.endswith(f"has the UUID {MIG}.")
