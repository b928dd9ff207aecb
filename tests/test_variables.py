"""Which environment variables are looked at: by name, on a machine and in a paste alike."""

from __future__ import annotations

import pytest

from gpudoctor import variables
from gpudoctor.intake.variables import matters


@pytest.mark.parametrize(
    "name", ["CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG", "LD_LIBRARY_PATH", "TF_ENABLE_X", "SNAP"]
)
def test_what_matters_on_a_machine_matters_in_a_paste(name: str) -> None:
    assert variables.matters(name)
    assert matters(name)


@pytest.mark.parametrize(
    "name", ["TF_VAR_password_file", "TF_LOG", "NVIDIA_API_KEY", "CUDA_AUTH", "PATH", "HOME", "PS1"]
)
def test_what_is_anothers_or_may_be_a_secret_is_never_read(name: str) -> None:
    assert not variables.matters(name)
    assert not matters(name)


def test_a_paste_tells_of_the_job_too_and_an_error_is_no_variable() -> None:
    assert matters("SLURM_JOB_GPUS")
    assert not variables.matters("SLURM_JOB_GPUS")
    assert not matters("SLURM_JWT_TOKEN")
    assert not matters("CUDA_ERROR_NO_DEVICE")
