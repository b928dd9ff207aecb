from __future__ import annotations

from gpudoctor import facts as f
from tests.good import change, found, outcome, says, verdict, without_gpu
from tests.rules.driver.test_driver_not_loaded import UNLOADED

RULE = "scheduler-no-gpu-allocated"
JOB = f.Scheduler(source="environment", name="slurm", job="4711")
NO_DEVICE = f.CudaDriver(source="libcuda", result="CUDA_ERROR_NO_DEVICE", code=100, version="13.0")


def test_a_job_without_a_gpu_is_the_cause() -> None:
    facts = change(UNLOADED, scheduler=JOB)
    assert verdict(facts) == ("broken", RULE)
    assert "--gres=gpu:1" in found(facts, RULE).fixes[0].note


def test_on_a_node_without_any_gpu_it_explains_that_too() -> None:
    assert verdict(change(without_gpu(), scheduler=JOB)) == ("broken", RULE)


def test_a_job_with_a_gpu_has_another_trouble() -> None:
    job = f.Scheduler(source="environment", name="slurm", job="4711", gpus="0")
    assert outcome(change(UNLOADED, scheduler=job), RULE) == "passed"


def test_outside_a_job_it_does_not_apply() -> None:
    assert outcome(change(), RULE) == "not-applicable"


def test_slurms_word_for_no_gpu() -> None:
    hidden = change(environment={"variables": {"CUDA_VISIBLE_DEVICES": "NoDevFiles"}}, cuda=NO_DEVICE, smokes=())
    assert found(change(hidden, scheduler=JOB), RULE).confidence.value == "certain"
    assert verdict(hidden) == ("broken", "cuda-visible-devices")


def test_a_command_that_asks_for_none() -> None:
    bare = change(cuda=f.NOT_IN_PASTE, gpus=f.NOT_IN_PASTE, scheduler=f.NOT_IN_PASTE, smokes=())
    text = says("RuntimeError: No CUDA GPUs are available", bare)
    assert found(says("srun --pty python train.py", text), RULE).confidence.value == "likely"
    assert outcome(says("srun --gres=gpu:1 --pty python train.py", text), RULE) != "found"


def test_slurms_variables_without_a_gpu_among_them() -> None:
    bare = change(cuda=f.NOT_IN_PASTE, gpus=f.NOT_IN_PASTE, scheduler=f.NOT_IN_PASTE, smokes=())
    text = says("No devices were found", bare)
    job = change(text, environment={"variables": {"SLURM_JOB_ID": "4711"}})
    assert found(job, RULE).confidence.value == "likely"
    given = change(text, environment={"variables": {"SLURM_JOB_ID": "4711", "SLURM_JOB_GPUS": "0"}})
    assert outcome(given, RULE) != "found"
