from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, says, verdict

RULE = "cuda-home-missing"
PASTE = f.Facts(origin="paste")


@pytest.mark.parametrize(
    "text",
    [
        "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root.",
        "RuntimeError: Not compiled with GPU support",
        "/bin/sh: 1: /usr/local/cuda/bin/nvcc: not found",
        "CMake Error: No CMAKE_CUDA_COMPILER could be found.",
        "FileNotFoundError: [Errno 2] No such file or directory: '/usr/local/cuda/bin/nvcc'",
    ],
)
def test_a_build_without_a_toolkit_is_the_cause(text: str) -> None:
    assert verdict(says(text, PASTE))[1] == RULE


def test_a_toolkit_that_is_there_is_named_in_the_command() -> None:
    toolkit = f.Toolkit(path="/usr/local/cuda-12.4", version="12.4")
    text = "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root."
    finding = found(says(text, change(toolkits={"toolkits": (toolkit,)})), RULE)
    assert finding.fixes[0].commands == ("export CUDA_HOME=/usr/local/cuda-12.4",)


def test_no_toolkit_and_no_variable_are_healthy_while_nothing_is_compiled() -> None:
    """Pitfalls 9 and 13."""
    assert findings(GOOD, RULE) == ()
    assert findings(says("CUDA runtime version: Could not collect"), RULE) == ()


def test_pytorchs_cmake_files_say_it_to_a_program_in_cpp() -> None:
    text = "Your installed Caffe2 version uses CUDA but I cannot find the CUDA"
    assert verdict(says(text, PASTE)) == ("broken", RULE)
    assert findings(says("Your installed Caffe2 version uses CUDA", PASTE), RULE) == ()


@pytest.mark.parametrize(
    "text",
    [
        "numba.cuda.cudadrv.error.NvvmSupportError: libNVVM cannot be found. Do `conda install cudatoolkit`:",
        "OSError: library nvvm not found",
        "FileNotFoundError: Could not find module 'nvvm.dll' (or one of its dependencies).",
    ],
)
def test_a_program_that_compiles_as_it_runs_needs_a_toolkit_too(text: str) -> None:
    finding = found(says(text, PASTE), RULE)
    assert finding.title == "A program that compiles for the GPU as it runs finds no CUDA toolkit."


def test_a_library_of_another_compiler_is_none() -> None:
    assert findings(says("OSError: library svml not found", PASTE), RULE) == ()
