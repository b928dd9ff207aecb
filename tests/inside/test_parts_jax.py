"""JAX's parts, in the real JAX on the CPU: right ones hold, wrong ones do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inside.array_parts import check_that_all_are_told, check_that_few_wrong_numbers_are_found

pytestmark = pytest.mark.framework

NOT_PUBLIC = ["matrix-product-fp8", "copy-to-gpu-pinned", "copy-from-gpu-pinned", "sparse-product"]


def test_every_part_is_told_and_what_the_cpu_can_do_holds(jax_python: Path) -> None:
    check_that_all_are_told(jax_python, "jax", NOT_PUBLIC)


def test_few_wrong_numbers_among_many_are_found(jax_python: Path) -> None:
    check_that_few_wrong_numbers_are_found(jax_python, "jax", "JaxParts")
