"""The environment variables that matter to GPU computing, on a machine and in a paste."""

from __future__ import annotations

import re

PREFIXES = (
    "CUBLAS_", "CUDA_", "CUDNN_", "CUPY_", "GPU_DEVICE_", "HIP_", "HSA_", "JAX_", "NCCL_", "NUMBA_CUDA_", "NVIDIA_",
    "PYTORCH_", "ROCR_", "TF_", "TORCHINDUCTOR_", "TORCH_", "TRITON_", "XLA_", "ZE_",
)  # fmt: skip
NAMES = frozenset(
    {
        "CONDA_DEFAULT_ENV", "CONDA_PREFIX", "FLATPAK_ID", "KERAS_BACKEND", "LD_LIBRARY_PATH", "LD_PRELOAD",
        "MAMBA_ROOT_PREFIX", "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONPATH", "SNAP", "SNAP_NAME", "VIRTUAL_ENV",
    }
)  # fmt: skip
# Terraform's variables begin like TensorFlow's, and hold what operators put there:
# https://developer.hashicorp.com/terraform/cli/config/environment-variables
_FOREIGN = ("TF_CLI_", "TF_LOG", "TF_VAR_", "TF_WORKSPACE")
_SECRET = re.compile(r"TOKEN|KEY|PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|AUTH", re.IGNORECASE)


def matters(name: str) -> bool:
    """Whether a variable concerns GPU computing and its name does not look like a secret's, whatever its prefix."""
    concerns = name in NAMES or (name.startswith(PREFIXES) and not name.startswith(_FOREIGN))
    return concerns and not looks_secret(name)


def looks_secret(name: str) -> bool:
    """Whether a variable of that name may hold a secret."""
    return _SECRET.search(name) is not None
