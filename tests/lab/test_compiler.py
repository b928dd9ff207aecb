"""Where a machine has no C compiler, the fake driver libraries are built with one from the package index."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments import home
from tests.lab.drivers.build import NoCompilerError, compiler
from tests.lab.drivers.fake import FakeGpu, Machine, install

_CALLS = """
import pynvml
pynvml.nvmlInit()
print(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0)), hasattr(pynvml.nvmlLib, "nvmlDeviceGetFanSpeed"))
"""


@pytest.fixture
def no_compiler_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with Python and pip alone; what it builds lies in a cache of its own."""
    monkeypatch.setenv("GPUDOCTOR_TEST_ENVS", str(home()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)


@pytest.mark.usefixtures("no_compiler_of_the_machine")
def test_the_compiler_of_the_package_index_builds_libraries_that_answer(tmp_path: Path) -> None:
    try:
        assert compiler()[1:] == ("-m", "ziglang", "cc")
    except NoCompilerError as why:
        if os.environ.get("CI") == "true":
            pytest.fail(str(why))
        pytest.skip(str(why))
    machine = Machine(gpus=(FakeGpu(name="NVIDIA L4"),), without=("nvmlDeviceGetFanSpeed",))
    environ = {**os.environ, **install(tmp_path / "machine", machine)}
    argv = [sys.executable, "-c", _CALLS]
    told = subprocess.run(argv, env=environ, check=True, capture_output=True, text=True)
    assert told.stdout.split("\n")[0] == "NVIDIA L4 False"
