"""A wheel built from the checkout, installed in an empty environment elsewhere, does the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import gpudoctor

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    _pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gpudoctor command of an environment that holds the wheel and what it needs, nothing else."""
    venv = tmp_path_factory.mktemp("elsewhere") / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    _pip(str(venv / "bin" / "python"), "install", str(wheel))
    return venv / "bin" / "gpudoctor"


_OURS = {"gpudoctor", "msgspec", "nvidia-ml-py", "packaging", "rich", "tomli", "typer"}
_THEIRS = {"annotated-doc", "markdown-it-py", "mdurl", "pygments", "shellingham", "typing-extensions"}


def _pip(python: str, *arguments: str) -> None:
    done = subprocess.run(
        [python, "-m", "pip", *arguments], capture_output=True, text=True, check=False, env=_environ()
    )
    if done.returncode == 0:
        return
    reason = f"pip {arguments[0]}: {done.stderr.strip().splitlines()[-1:]}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def _run(command: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command, *arguments], capture_output=True, text=True, check=False, env=_environ(), cwd=command.parent
    )


def test_the_wheel_holds_package_knowledge_and_in_target_scripts_and_nothing_of_the_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"gpudoctor/compat_matrix/torch.jsonl", "gpudoctor/inside/collect.py", "gpudoctor/py.typed"} <= set(names)
    assert {f"gpudoctor/render/html/{name}" for name in ("tokens.css", "report.css", "page.css", "page.js")} <= set(
        names
    )
    assert not [name for name in names if name.startswith(("tests", "docs", "compat_matrix"))]


def test_it_brings_little_and_nothing_that_a_project_pins_for_itself(command: Path) -> None:
    listed = subprocess.run(
        [command.parent / "python", "-m", "pip", "list", "--format", "json"],
        capture_output=True,
        check=True,
        env=_environ(),
    )
    brought = {package["name"].lower().replace("_", "-") for package in json.loads(listed.stdout)}
    assert brought - {"pip", "setuptools"} <= _OURS | _THEIRS


def test_the_installed_command_says_its_version(command: Path) -> None:
    assert _run(command, "--version").stdout == f"gpudoctor {gpudoctor.__version__}\n"


def test_the_installed_command_diagnoses_and_judges_with_its_matrix(command: Path) -> None:
    report = json.loads(_run(command, "diagnose", "--quick", "--format", "json").stdout)
    assert report["schema"] == "gpudoctor.report/1"
    assert not [outcome for outcome in report["outcomes"] if outcome["outcome"] == "crashed"]


def test_the_installed_command_knows_the_matrix(command: Path) -> None:
    answer = json.loads(_run(command, "matrix", "torch", "2.6.0", "--format", "json").stdout)
    assert answer["release"] == "2.6.0"
