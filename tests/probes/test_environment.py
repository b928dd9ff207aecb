from __future__ import annotations

from pathlib import Path

import pytest

from gpudoctor.facts import Environment
from gpudoctor.probes.environment import environment
from gpudoctor.world import World


def variables(environ: dict[str, str]) -> Environment:
    return environment(World(Path("/nowhere"), environ))


def test_only_variables_that_matter_are_kept_sorted() -> None:
    environ = {
        "XLA_FLAGS": "--xla_gpu_cuda_data_dir=/usr/local/cuda",
        "CUDA_VISIBLE_DEVICES": "",
        "HOME": "/home/me",
        "AWS_REGION": "eu",
        "LD_LIBRARY_PATH": "/usr/local/cuda/lib64",
        "PYTHONSTARTUP": "/home/me/.pythonrc",
        "MY_CUDA_HOME": "/x",
        "KERAS_BACKEND": "jax",
    }
    assert variables(environ) == Environment(
        source="environment of gpudoctor's process",
        variables={
            "CUDA_VISIBLE_DEVICES": "",
            "KERAS_BACKEND": "jax",
            "LD_LIBRARY_PATH": "/usr/local/cuda/lib64",
            "XLA_FLAGS": "--xla_gpu_cuda_data_dir=/usr/local/cuda",
        },
    )


@pytest.mark.parametrize(
    "name",
    ["NVIDIA_API_KEY", "TORCH_HUB_TOKEN", "TF_PASSWORD", "JAX_client_secret", "NCCL_CREDENTIALS", "CUDA_AUTH_HEADER"],
)
def test_a_name_that_looks_like_a_secrets_is_left_out_with_its_value(name: str) -> None:
    assert variables({name: "hunter2"}).variables == {}


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert variables({"CUDA_HOME": "/opt/\udcff"}).variables == {"CUDA_HOME": "/opt/�"}


@pytest.mark.parametrize("name", ["TF_VAR_db", "TF_CLI_CONFIG_FILE", "TF_LOG", "TF_LOG_PATH", "TF_WORKSPACE"])
def test_terraforms_variables_are_not_tensorflows(name: str) -> None:
    assert variables({name: "correct horse", "TF_GPU_ALLOCATOR": "x"}).variables == {"TF_GPU_ALLOCATOR": "x"}
