"""Interpreters that are started before it is known what to ask them, so that they import while we do.

They look at nothing: each imports what its program will need and then waits for that program on standard input, as a
child of :mod:`gpudoctor.children` does. One that nobody takes is ended by :func:`dismiss`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping

# Isolated from PYTHON* variables and the working directory, without site hooks, writing no byte code.
OPTIONS = ("-I", "-S", "-B")

# Reads the length of a program in characters, then the program, then runs it; standard input stays open for
# instructions. sys.path[0] is '' as for any ``python -c``: the program's own business.
BOOTSTRAP = "import sys;exec(compile(sys.stdin.read(int(sys.stdin.readline())),'<gpudoctor>','exec'))"

_IMPORTS = {
    "nvml_child": "import ctypes, json\ntry:\n import pynvml\nexcept Exception:\n pass\n",
    "cuda_child": "import ctypes, json\n",
}

_waiting: dict[str, tuple[subprocess.Popen[bytes], dict[str, str]]] = {}


def import_path() -> list[str]:
    """Our import folders for such a child, the working directory last: nothing in it shadows an installed package."""
    try:
        here = os.getcwd()
    except OSError:  # it was removed
        here = ""
    absolute = [entry for entry in sys.path if os.path.isabs(entry)]
    return [entry for entry in absolute if entry != here] + [entry for entry in absolute if entry == here]


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that a child of our own interpreter gets: the user's, and no cache of compiled GPU code."""
    return {**environ, "CUDA_CACHE_DISABLE": "1"}


def start() -> None:
    """Start the interpreters for NVML and libcuda. Where one cannot be started, it is when it is needed."""
    path = f"import sys\nsys.path.extend(entry for entry in {import_path()!a} if entry not in sys.path)\n"
    environ = environment(os.environ)
    for name, imports in _IMPORTS.items():
        argv = [sys.executable, *OPTIONS, "-c", path + imports + BOOTSTRAP]
        with contextlib.suppress(OSError, ValueError):
            _waiting[name] = (_piped(argv, environ), environ)


def _piped(argv: list[str], environ: dict[str, str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=environ, start_new_session=True)


def take(name: str, environ: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
    """The interpreter that waits for this program, None where there is none or its variables are others."""
    process, variables = _waiting.pop(name, (None, {}))
    if process is None:
        return None
    if process.poll() is None and variables == environ:
        return process
    _end(process)
    return None


def dismiss() -> None:
    """End those that still wait."""
    while _waiting:
        _end(_waiting.popitem()[1][0])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()
