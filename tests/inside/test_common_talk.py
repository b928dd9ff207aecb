"""The talk of a framework's child: its source, its words for errors, and the files that are mapped into it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpudoctor.children import MARK
from gpudoctor.facts import FrameworkName
from gpudoctor.smoke import jobs
from tests.inside.joined import common
from tests.lab.drivers.fake import GIB, Machine, install, prints


@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax"])
def test_every_program_is_ascii_and_ends_in_its_own_call(name: FrameworkName) -> None:
    program = jobs.program(name)
    assert program.isascii()
    assert program.endswith(f"\nmain({MARK!r}, Framework)\n")


def test_the_child_marks_stages_as_the_parent_reads_them() -> None:
    from gpudoctor.smoke.told import STAGE_MARK

    assert f'"\\n{STAGE_MARK}%s\\n"' in common()


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
    assert job.free_gpu_memory() is None


def printed_by(asked: str, environ: Mapping[str, str]) -> str:
    """What an interpreter of its own prints that runs these lines behind the common ones."""
    return subprocess.run(
        [sys.executable, "-"],
        input=common() + asked,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


ASKED = """
import ctypes
cuda = ctypes.CDLL("libcuda.so.1")
before = free_gpu_memory()
cuda.cuInit(0)
print(json.dumps([before, free_gpu_memory(), free_gpu_memory(), first_gpu_address()]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory maps are Linux's")
def test_the_drivers_free_memory_is_asked_on_the_first_gpu(tmp_path: Path) -> None:
    gpu = replace(Machine().gpus[0], memory=(80 * GIB, GIB, 9 * GIB), context_memory=0)
    environ = {**os.environ, **install(tmp_path, Machine(gpus=(gpu,)))}
    before, free, again, address = json.loads(printed_by(ASKED, environ).splitlines()[-1])
    assert (before, free, again) == (None, 70 * GIB, 70 * GIB)
    assert address is not None


@pytest.mark.skipif(sys.platform != "linux", reason="memory maps are Linux's")
def test_a_wait_for_the_first_gpu_is_asleep_where_the_driver_takes_the_wish(tmp_path: Path) -> None:
    asked = "import ctypes\nwait_asleep()\ncuda = ctypes.CDLL('libcuda.so.1')\ncuda.cuInit(0)\nwait_asleep()\n"
    for faults, printed in (({"cuDevicePrimaryCtxSetFlags_v2": prints("asked once")}, "asked once"), ({}, "")):
        environ = {**os.environ, **install(tmp_path / (printed or "quiet"), Machine(faults=faults))}
        assert printed_by(asked, environ) == printed
