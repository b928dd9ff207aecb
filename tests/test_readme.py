"""The README shows what the program shows, and CI runs what the README says."""

from __future__ import annotations

import subprocess
from pathlib import Path

from gpudoctor.cli.app import COMMANDS
from gpudoctor.render.page import Style
from gpudoctor.render.terminal import terminal
from gpudoctor.report import judge
from tests.good import change, only, with_gpu

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_the_broken_machine_of_the_readme_is_what_the_terminal_shows() -> None:
    facts = with_gpu(change(only("torch"), smokes=()), name="Tesla V100-SXM2-16GB", capability="7.0")
    shown, _, _ = terminal(judge(facts), Style(width=100)).partition("\n\n  Machine")
    assert f"```\n{shown}\n```" in README


def test_ci_runs_the_readmes_test_command_as_it_stands() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    function = script[script.index("readme_command() {") : script.index("tests=$(")]
    done = subprocess.run(
        ["/bin/bash", "-c", f"{function}\nreadme_command test"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() in README
    assert done.stdout.strip().endswith("-m pytest -n auto")


def test_every_option_in_the_readme_exists() -> None:
    assert {"diagnose", "triage", "explain", "rules", "matrix"} <= set(COMMANDS)
    assert all(f"gpudoctor {name}" in README for name in COMMANDS)
