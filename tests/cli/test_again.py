"""The commands that a report prints: they lead to the gpudoctor that was called, and make this very report again."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gpudoctor.cli import called
from gpudoctor.facts import encode
from tests import reports
from tests.cli.run import environ, gpudoctor

_MODULE = shlex.join([sys.executable, "-m", "gpudoctor"])


def _last(stdout: str, label: str) -> str:
    (line,) = (line for line in stdout.splitlines() if line.startswith(f"  {label}: "))
    return line.partition(": ")[2]


@pytest.mark.parametrize(
    ("typed", "ticket"),
    [
        (("diagnose", "--quick"), "diagnose --quick --ticket"),
        (
            (
                "diagnose",
                "--quick",
                "--framework",
                "torch",
                "--framework=jax",
                "--allow-cpu",
                "--python",
                sys.executable,
            ),
            f"diagnose --quick --python {sys.executable} --framework torch --framework jax --allow-cpu --ticket",
        ),
        (
            (
                "diagnose",
                "-v",
                "--quick",
                "--fail-on",
                "never",
                "--ignore",
                "gpu-lost",
                "--time-limit",
                "60",
                "--no-redact",
            ),
            "diagnose --quick --time-limit 60.0 --ignore gpu-lost --ticket",
        ),
    ],
)
def test_the_ticket_that_a_report_names_is_made_by_the_same_look(
    tmp_path: Path, typed: tuple[str, ...], ticket: str
) -> None:
    ran = gpudoctor(*typed, home=tmp_path)
    assert _last(ran.stdout, "Ticket") == f"{_MODULE} {ticket}"


def test_the_printed_command_makes_a_ticket_with_the_same_facts_and_cause(tmp_path: Path) -> None:
    (tmp_path / "my facts.json").write_bytes(encode(reports.broken().facts))
    typed = ("diagnose", "--from-facts", "my facts.json", "--framework", "torch")
    shown = _last(gpudoctor(*typed, home=tmp_path).stdout, "Ticket")
    assert shown == f"{_MODULE} diagnose --framework torch --from-facts 'my facts.json' --ticket"
    printed = subprocess.run(
        shlex.split(shown), cwd=tmp_path, env=environ(tmp_path), capture_output=True, text=True, check=False
    )
    report = json.loads(gpudoctor(*typed, "--format", "json", home=tmp_path).stdout)
    assert f"**Cause:** `{report['cause']['rule']}`" in printed.stdout
    assert report["facts"]["request"]["required"] == ["torch"]


def test_training_again_keeps_its_choices(tmp_path: Path) -> None:
    ran = gpudoctor("smoke", "--device", "0", "--seconds", "5", "--precision", "bf16", "--deep", home=tmp_path)
    assert _last(ran.stdout, "Ticket") == (
        f"{_MODULE} smoke --device 0 --seconds 5.0 --precision bf16 --deep --format markdown"
    )


def test_a_pasted_ticket_asks_for_no_other_one(tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_bytes(encode(reports.broken().facts))
    (tmp_path / "ticket.md").write_text(
        gpudoctor("diagnose", "--from-facts", "facts.json", "--ticket", home=tmp_path).stdout
    )
    ran = gpudoctor("triage", "ticket.md", home=tmp_path)
    assert ran.code == 1
    assert "Ticket:" not in ran.stdout


def test_commands_for_another_machine_name_the_program_of_that_machine(tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_bytes(encode(reports.broken().facts))
    ran = gpudoctor("diagnose", "--from-facts", "facts.json", home=tmp_path)
    assert "  Verify   gpudoctor diagnose " in ran.stdout
    assert f"  More: {_MODULE} explain " in ran.stdout


def test_the_program_is_named_as_it_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "my env" / "gpudoctor"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(stat.S_IRWXU)
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.setenv("PATH", os.defpath)
    assert called.program() == f"'{script}'"
    monkeypatch.setenv("PATH", str(script.parent))
    assert called.program() == "gpudoctor"
    monkeypatch.setattr(sys, "argv", ["/usr/lib/python3/gpudoctor/__main__.py"])
    assert called.program() == _MODULE
    monkeypatch.setattr(sys, "argv", ["/usr/bin/pytest"])
    assert called.program() == "gpudoctor"
