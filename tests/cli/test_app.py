"""All commands by name, each of which imports itself alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gpudoctor.cli.app import COMMANDS
from tests.cli.run import environ, gpudoctor


def test_the_page_of_help_lists_every_command_with_its_summary(tmp_path: Path) -> None:
    ran = gpudoctor("--help", home=tmp_path, COLUMNS="200")
    assert (ran.code, ran.stderr) == (0, "")
    for name, command in COMMANDS.items():
        assert any(name in line and command.summary in line for line in ran.stdout.splitlines())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_page_of_help_of_its_own(tmp_path: Path, name: str) -> None:
    ran = gpudoctor(name, "--help", home=tmp_path)
    assert (ran.code, ran.stderr) == (0, "")
    assert f"gpudoctor {name}" in ran.stdout


def test_a_command_that_does_not_exist_is_wrong_usage(tmp_path: Path) -> None:
    ran = gpudoctor("diagnos", home=tmp_path)
    assert (ran.code, ran.stdout) == (2, "")
    assert "diagnos" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--help"], {"gpudoctor.facts", "gpudoctor.engine", "gpudoctor.matrix", "rich.console", "msgspec"}),
        (["diagnose", "--help"], {"gpudoctor.engine", "gpudoctor.matrix", "gpudoctor.render", "rich.console"}),
    ],
)
def test_help_imports_nothing_that_it_does_not_use(tmp_path: Path, arguments: list[str], unwanted: set[str]) -> None:
    program = (
        "import sys\nfrom gpudoctor.cli.app import run\n"
        f"try:\n    run({arguments!r})\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ(tmp_path), capture_output=True, text=True, check=True
    )
    assert unwanted & set(done.stderr.split()) == set()
