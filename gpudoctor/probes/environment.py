"""The environment variables that matter to GPU computing."""

from __future__ import annotations

import re

from gpudoctor.facts import Environment
from gpudoctor.probes.reading import printable
from gpudoctor.world import World

_PREFIXES = (
    "CUBLAS_",
    "CUDA_",
    "CUDNN_",
    "CUPY_",
    "GPU_DEVICE_",
    "HIP_",
    "HSA_",
    "JAX_",
    "NCCL_",
    "NUMBA_CUDA_",
    "NVIDIA_",
    "PYTORCH_",
    "ROCR_",
    "TF_",
    "TORCHINDUCTOR_",
    "TORCH_",
    "TRITON_",
    "XLA_",
    "ZE_",
)
_NAMES = frozenset(
    {
        "CONDA_DEFAULT_ENV",
        "CONDA_PREFIX",
        "KERAS_BACKEND",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "MAMBA_ROOT_PREFIX",
        "PYTHONHOME",
        "PYTHONNOUSERSITE",
        "PYTHONPATH",
        "VIRTUAL_ENV",
    }
)
# Terraform's variables begin like TensorFlow's, and hold what operators put there:
# https://developer.hashicorp.com/terraform/cli/config/environment-variables
_FOREIGN = ("TF_CLI_", "TF_LOG", "TF_VAR_", "TF_WORKSPACE")
_SECRET = re.compile(r"TOKEN|KEY|PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|AUTH", re.IGNORECASE)


def environment(world: World) -> Environment:
    """By name only, sorted. A name that looks like a secret's is left out with its value, whatever its prefix."""
    names = sorted(name for name in world.environ if _matters(name) and not _SECRET.search(name))
    return Environment(
        source="environment of gpudoctor's process",
        variables={printable(name): printable(world.environ[name]) for name in names},
    )


def _matters(name: str) -> bool:
    return name in _NAMES or (name.startswith(_PREFIXES) and not name.startswith(_FOREIGN))
