from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, says, verdict, with_framework

RULE = "tf-libdevice-missing"
PASTE = f.Facts(origin="paste")


def test_xlas_words_about_libdevice_are_the_cause() -> None:
    text = (
        "Can't find libdevice directory ${CUDA_DIR}/nvvm/libdevice. This may result in compilation or runtime failures"
    )
    facts = says(text, PASTE, "tensorflow")
    assert (verdict(facts)[1], found(facts, RULE).severity.value) == (RULE, "error")


def test_ptxas_alone_is_a_warning() -> None:
    text = "Couldn't get ptxas version string: INTERNAL: Couldn't invoke ptxas --version"
    assert found(says(text, PASTE), RULE).severity.value == "warning"


def test_a_toolkit_elsewhere_is_named_to_xla() -> None:
    toolkit = f.Toolkit(path="/opt/cuda", version="11.8", nvcc="11.8")
    facts = says("libdevice not found at ./libdevice.10.bc", change(toolkits={"toolkits": (toolkit,)}), "jax")
    assert found(facts, RULE).fixes[0].commands == ("export XLA_FLAGS=--xla_gpu_cuda_data_dir=/opt/cuda",)


def test_in_conda_the_package_with_ptxas_is_installed() -> None:
    conda = {"environment": "conda", "prefix": "/opt/conda/envs/tf"}
    facts = says("libdevice not found at ./libdevice.10.bc", change(interpreter=conda), "tensorflow")
    assert found(facts, RULE).fixes[0].commands == (
        "conda install --prefix /opt/conda/envs/tf --channel conda-forge cuda-nvcc",
    )


def with_jax(cuda: str) -> f.Facts:
    """The good machine with JAX beside TensorFlow, which is built for CUDA 12."""
    build = f.Build(
        source="wheel metadata",
        version="0.10.0",
        distribution="jax",
        location="/home/ann/venv",
        accelerator="cuda",
        cuda=cuda,
    )
    return with_framework("jax", installed=True, build=build)


@pytest.mark.parametrize(("cuda", "wheels"), [("12.9", 1), ("13.0", 0)])
def test_words_that_either_of_two_frameworks_may_have_said_are_one_finding(cuda: str, wheels: int) -> None:
    finding = found(says("libdevice not found at ./libdevice.10.bc", with_jax(cuda)), RULE)
    assert finding.about.framework is None
    assert sum("nvidia-cuda-nvcc-cu12" in " ".join(fix.commands) for fix in finding.fixes) == wheels


def test_the_framework_that_says_it_is_the_one_that_is_cured() -> None:
    finding = found(says("libdevice not found at ./libdevice.10.bc", with_jax("13.0"), "tensorflow"), RULE)
    assert finding.about.framework == "tensorflow"
    assert "nvidia-cuda-nvcc-cu12" in finding.fixes[0].commands[0]


def test_a_machine_without_a_toolkit_is_healthy() -> None:
    assert findings(GOOD, RULE) == ()
