"""Builds the fake driver libraries with the machine's C compiler, once: kept in a cache folder outside the tree."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.environments import Unmakeable, environment

HERE = Path(__file__).parent
SOURCES = {"libnvidia-ml.so.1": "nvml.c", "libcuda.so.1": "cuda.c"}


class NoCompilerError(Exception):
    """This machine has no C compiler that the laboratory knows."""


def compiler() -> tuple[str, ...]:
    """The command of a C compiler: $CC, cc, gcc, clang, or the one in the package ziglang, which is installed in an
    environment of the suite's own where it is not there. Raises NoCompilerError."""
    for name in filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")):
        found = shutil.which(name)
        if found:
            return (found,)
    if importlib.util.find_spec("ziglang"):
        return (sys.executable, "-m", "ziglang", "cc")
    try:
        return (str(environment("compiler")), "-m", "ziglang", "cc")
    except Unmakeable as why:
        raise NoCompilerError(f"no C compiler: install gcc or clang, or the Python package ziglang ({why})") from why


def cache_folder() -> Path:
    """Where built libraries stay between runs: the user's cache folder, a temporary one where that is read-only."""
    chosen = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpudoctor-tests" / "drivers"
    try:
        chosen.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="gpudoctor-drivers-"))
    return chosen


def build(soname: str, without: Sequence[str] = ()) -> Path:
    """The built library of that name, lacking the functions in ``without`` as an older driver does."""
    command = (*compiler(), "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-std=gnu11")
    source = HERE / SOURCES[soname]
    texts = (*command, soname, *sorted(without), source.read_text(), (HERE / "lab.h").read_text())
    name = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]
    built = cache_folder() / f"{name}.so"
    if not built.exists():
        with tempfile.TemporaryDirectory() as folder:
            _compile(command, soname, source, without, Path(folder), built)
    return built


def _compile(
    command: Sequence[str], soname: str, source: Path, without: Sequence[str], folder: Path, built: Path
) -> None:
    output = folder / soname
    arguments = [*command, f"-Wl,-soname,{soname}", "-o", str(output), str(source), "-ldl"]
    if without:
        script = folder / "exports"
        script.write_text(f"{{ local: {' '.join(f'{function};' for function in without)} }};\n")
        arguments.append(f"-Wl,--version-script={script}")
    subprocess.run(arguments, check=True)
    # Another process may build the same one: whoever renames last wins, and both are whole.
    partial = built.with_suffix(f".{os.getpid()}")
    shutil.copy(output, partial)
    partial.replace(built)
