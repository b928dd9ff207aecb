"""The part of a framework's child that needs no framework: images, measures, words, mapped files."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gpudoctor import smoke
from gpudoctor.children import MARK

SOURCE = Path(smoke.__file__).with_name("inside") / "common_job.py"


@pytest.fixture(scope="module")
def job() -> Any:
    names: dict[str, Any] = {"__name__": "common_job"}
    exec(compile(SOURCE.read_text("ascii"), str(SOURCE), "exec"), names)  # noqa: S102 - as the child does
    return SimpleNamespace(**names)


def test_every_program_is_ascii_and_ends_in_its_own_call() -> None:
    for name in ("torch", "tensorflow", "jax"):
        program = smoke.program(name)
        assert program.isascii()
        assert program.endswith(f"\nmain({MARK!r}, Framework)\n")


def test_the_child_marks_stages_as_the_parent_reads_them() -> None:
    from gpudoctor.smoke_facts import STAGE_MARK

    assert f'"\\n{STAGE_MARK}%s\\n"' in SOURCE.read_text()


def test_images_are_the_same_every_time_and_every_class_is_there(job: Any) -> None:
    one, other = job.Images(), job.Images()
    assert vars(one) == vars(other)
    assert len(one.templates) == 250
    assert {len(image) for image in (*one.templates, *one.noises)} == {28 * 28}
    for kinds, noises, labels in (one.trained, one.held_out):
        assert len(kinds) == len(noises) == len(labels)
        assert set(labels) == set(range(10))
    assert (len(one.trained[2]), len(one.held_out[2])) == (2048, 512)


def test_held_out_images_share_no_noise_with_those_learned(job: Any) -> None:
    images = job.Images()
    assert set(images.trained[1]) & set(images.held_out[1]) == set()


def test_noise_is_nearly_normal(job: Any) -> None:
    values = job.Chance(1).normals(20000)
    mean = sum(values) / len(values)
    assert abs(mean) < 0.03
    assert sum((value - mean) ** 2 for value in values) / len(values) == pytest.approx(1, abs=0.03)


def test_weights_fit_the_network(job: Any) -> None:
    assert [len(values) for values in job.first_weights()] == [3 * 3 * 16, 16, 3 * 3 * 16 * 32, 32, 7 * 7 * 32 * 10, 10]


def test_scores_by_hand(job: Any) -> None:
    # Class 0: 2 of 3 found, 2 of 2 guesses right. Class 1: 1 of 1 found, 1 of 2 guesses right. Others: none.
    scores = job.scores([0, 0, 1, 1], [0, 0, 0, 1])
    assert scores == {
        "accuracy": 0.75,
        "precision": pytest.approx((1 + 0.5) / 10),
        "recall": pytest.approx((2 / 3 + 1) / 10),
        "f1": pytest.approx((0.8 + 2 / 3) / 10),
    }


def test_perfect_guesses_score_one(job: Any) -> None:
    labels = list(range(10)) * 3
    assert job.scores(labels, labels) == {"accuracy": 1.0, "precision": 1.0, "recall": 1.0, "f1": 1.0}


@pytest.mark.parametrize(
    ("found", "expected", "far"),
    [
        ([[3.0, 4.0]], [[3.0, 4.0]], 0.0),
        ([[3.0, 4.5]], [[3.0, 4.0]], 0.1),
        ([[1.0], [2.2]], [[1.0], [2.0]], 0.1),
        ([[0.5]], [[0.0]], 0.5),
        ([[math.nan], [1.0]], [[1.0], [1.0]], math.inf),
        ([[math.inf]], [[1.0]], math.inf),
        ([[1.0]], [[1.0], [1.0]], math.inf),
        ([[1.0, 2.0]], [[1.0]], math.inf),
    ],
)
def test_distance_is_the_worst_share(
    job: Any, found: list[list[float]], expected: list[list[float]], far: float
) -> None:
    assert job.distance(found, expected) == pytest.approx(far)


def test_the_product_of_the_test_matrices_is_right(job: Any) -> None:
    left, right, product = job.matrices()
    size = len(left)
    for i, j in ((0, 0), (5, 17), (size - 1, size - 1)):
        assert product[i * size + j] == sum(left[i][k] * right[k][j] for k in range(size))


TENSORFLOW = """Traceback (most recent call last):
  File "/x/pywrap_tensorflow.py", line 62, in <module>
    from tensorflow.python._pywrap_tensorflow_internal import *
ImportError: libcublas.so.11: cannot open shared object file: No such file or directory


Failed to load the native TensorFlow runtime.
See https://www.tensorflow.org/install/errors for some common causes and solutions.
If you need help, create an issue at https://github.com/tensorflow/tensorflow/issues and include the entire stack."""

NUMPY = """

IMPORTANT: PLEASE READ THIS FOR ADVICE ON HOW TO SOLVE THIS ISSUE!

Importing the numpy C-extensions failed. This error can happen for
many reasons, often due to issues with your setup or how NumPy was
installed.

Original error was: No module named 'numpy.core._multiarray_umath'
"""

CUDA = """CUDA error: no kernel image is available for execution on the device
CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be incorrect.
For debugging consider passing CUDA_LAUNCH_BLOCKING=1"""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError(), "ValueError"),
        (RuntimeError(CUDA), "RuntimeError: CUDA error: no kernel image is available for execution on the device"),
        (
            ImportError(TENSORFLOW),
            "ImportError: libcublas.so.11: cannot open shared object file: No such file or directory",
        ),
        (ImportError(NUMPY), "ImportError: No module named 'numpy.core._multiarray_umath'"),
        (RuntimeError("x" * 900), f"RuntimeError: {'x' * 500}"),
    ],
)
def test_an_exception_is_one_meaningful_line(job: Any, error: Exception, words: str) -> None:
    assert job.words(error) == words


def test_the_standard_library_is_found_without_what_lies_around(job: Any) -> None:
    home = os.path.dirname(os.__file__)
    path = ["", "/somewhere", home, f"{home}/lib-dynload", f"{home}/site-packages", f"{home}/dist-packages"]
    assert job._standard_library(path) == [home, f"{home}/lib-dynload"]


@pytest.mark.skipif(sys.platform != "linux", reason="memory maps are Linux's")
def test_no_cuda_library_is_mapped_here_and_that_is_known(job: Any) -> None:
    assert job.mapped_libraries() == []
    assert job.loaded_cudnn() is None
    assert job.loaded_nccl() is None
    assert job.first_gpu_address() is None
