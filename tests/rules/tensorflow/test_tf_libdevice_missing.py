from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, says, verdict

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


def test_a_machine_without_a_toolkit_is_healthy() -> None:
    assert findings(GOOD, RULE) == ()
