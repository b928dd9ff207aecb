"""The maker of real environments: where they lie, when they are made again, and what it says when it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import environments
from tests.environments import Unmakeable, environment, part


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Environments of these tests lie in their own folder and are forgotten after each test."""
    monkeypatch.setenv("GPUDOCTOR_TEST_ENVS", str(tmp_path / "kept"))
    environments._outcome.cache_clear()
    environments._part.cache_clear()
    yield
    environments._outcome.cache_clear()
    environments._part.cache_clear()


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What would have been run."""
    seen: list[tuple[str, ...]] = []
    monkeypatch.setattr(environments, "_run", lambda *argv: make_folder(seen, argv))
    return seen


def make_folder(seen: list[tuple[str, ...]], argv: tuple[str, ...]) -> None:
    """What ``python -m venv`` leaves, as far as the maker cares."""
    seen.append(argv)
    if argv[1:3] == ("-m", "venv"):
        (Path(argv[3]) / "bin").mkdir(parents=True)


def test_an_environment_is_made_once(commands: list[tuple[str, ...]], tmp_path: Path) -> None:
    python = environment("torch")
    assert python.parent.parent.parent == tmp_path / "kept"
    install = (str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check")
    assert commands == [
        (sys.executable, "-m", "venv", str(python.parent.parent)),
        (*install, "torch==2.13.0", "numpy"),
    ]
    environments._outcome.cache_clear()
    assert environment("torch") == python
    assert len(commands) == 2, "the second run takes what the first one made"


def test_a_part_is_one_package_in_a_folder_without_what_it_requires(
    commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def install(*argv: str) -> None:
        commands.append(argv)
        Path(argv[-2]).mkdir()

    monkeypatch.setattr(environments, "_run", install)
    folder = part("keras-2")
    assert folder.parent == tmp_path / "kept"
    assert part("keras-2") == folder
    pip = (sys.executable, "-m", "pip", "install", "--no-input", "--disable-pip-version-check")
    assert commands == [(*pip, "--no-deps", "--only-binary", ":all:", "--target", str(folder), "keras==2.15.0")]


def test_other_requirements_are_another_environment(
    commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = environment("torch")
    environments._outcome.cache_clear()
    monkeypatch.setitem(environments.REQUIREMENTS, "torch", ("torch==2.12.0",))
    assert environment("torch") != first


def test_what_was_not_finished_is_made_again(commands: list[tuple[str, ...]]) -> None:
    python = environment("torch")
    folder = python.parent.parent
    (folder / ".complete").unlink()
    (folder / "half").write_text("")
    environments._outcome.cache_clear()
    environment("torch")
    assert len(commands) == 4
    assert not (folder / "half").exists()


def test_two_at_once_make_one(commands: list[tuple[str, ...]]) -> None:
    seen: list[object] = []

    def ask() -> None:
        seen.append(environments._outcome.__wrapped__("torch"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(commands) == 2
    assert len(set(seen)) == 1


def test_the_reason_is_pips_own_error_and_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def refused(*argv: str) -> None:
        tries.append(argv[0])
        output = "Looking in indexes\nERROR: No matching distribution found for torch==2.13.0\n[notice] A new pip\n"
        raise subprocess.CalledProcessError(1, argv, output=output)

    monkeypatch.setattr(environments, "_run", refused)
    for _ in range(2):
        with pytest.raises(Unmakeable) as why:
            environment("torch")
        assert str(why.value) == "torch==2.13.0 numpy: ERROR: No matching distribution found for torch==2.13.0"
    assert len(tries) == 1


def test_a_folder_that_cannot_be_written_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GPUDOCTOR_TEST_ENVS", str(tmp_path / "file"))
    with pytest.raises(Unmakeable, match=r"torch==2\.13\.0 numpy: .*File exists|Not a directory"):
        environment("torch")


_TEST_FILE = """
import pytest
from tests import environments
from tests.conftest import *

@pytest.fixture(autouse=True, scope="session")
def _refused():
    environments.REQUIREMENTS["torch"] = ("no-such-requirement===0",)
    environments._run = lambda *argv: (_ for _ in ()).throw(OSError("no network"))

def test_uses_a_framework(_refused, torch_python): ...
"""


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_an_unmakeable_environment_skips_with_its_reason_and_fails_in_ci(ci: str, outcome: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(_TEST_FILE)
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-rs",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        "test_it.py",
    ]
    environ = {**os.environ, "CI": ci, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert outcome in done.stdout
    assert "no torch environment: no-such-requirement===0: no network" in done.stdout
