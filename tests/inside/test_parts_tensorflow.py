"""TensorFlow's parts, in the real TensorFlow on the CPU: right ones hold, wrong ones do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inside.array_parts import check_that_all_are_told, check_that_few_wrong_numbers_are_found

pytestmark = pytest.mark.framework

NOT_PUBLIC = [
    "matrix-product-int8",
    "matrix-product-fp8",
    "copy-to-gpu-pinned",
    "copy-from-gpu-pinned",
    "copy-inside-gpu",
]


def test_every_part_is_told_and_what_the_cpu_can_do_holds(tensorflow_python: Path) -> None:
    check_that_all_are_told(tensorflow_python, "tensorflow", NOT_PUBLIC)


def test_few_wrong_numbers_among_many_are_found(tensorflow_python: Path) -> None:
    check_that_few_wrong_numbers_are_found(tensorflow_python, "tensorflow", "TensorFlowParts")
