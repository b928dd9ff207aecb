"""What a test does where the fake driver libraries cannot be built."""

from __future__ import annotations

import os

import pytest

from tests.lab.drivers.build import NoCompilerError, compiler


def need_compiler() -> None:
    """Skip the test and say why where there is no C compiler; under CI=true that is a failure."""
    try:
        compiler()
    except NoCompilerError as why:
        if os.environ.get("CI") == "true":
            pytest.fail(str(why))
        pytest.skip(str(why))
