"""What ``gpudoctor diagnose`` says of an environment, as a user runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.run import environ, run_in
from tests.lab.environments.broken import bound_by_modes

# What follows from the machine that runs the suite, which has no GPU, and from the builds that a suite can afford.
_OF_THE_MACHINE = frozenset({"no-nvidia-gpu", "torch-cpu-build", "tf-cpu-build", "jax-cpu-build"})


@dataclass(frozen=True)
class Judged:
    """The verdict: exit code, status, the cause's rule, and of each other finding its severity and explanation."""

    code: int
    status: str
    cause: str | None
    others: dict[str, tuple[str, str | None]]


@dataclass(frozen=True)
class Ran:
    """One run. ``report`` is the whole JSON report, private data left in."""

    judged: Judged
    report: dict[str, Any]

    def finding(self, rule: str) -> dict[str, Any]:
        """The one finding of a rule."""
        (found,) = [one for one in self.report["findings"] if one["rule"] == rule]
        assert isinstance(found, dict)
        return found

    def commands(self, rule: str) -> list[str]:
        """What the finding of a rule says to type."""
        return [line for fix in self.finding(rule)["fixes"] for line in fix["commands"]]

    def package(self, name: str) -> dict[str, Any]:
        """The first copy of a package that was seen."""
        found = next(one for one in self.report["facts"]["packages"]["packages"] if one["name"] == name)
        assert isinstance(found, dict)
        return found


def diagnose(python: str | Path, home: Path, *arguments: str, **variables: str) -> Ran:
    """``gpudoctor diagnose --allow-cpu`` on the environment of that interpreter, in a home of its own."""
    return _diagnosed(python, home, arguments, variables, None)


def diagnose_bound_by_modes(python: str | Path, home: Path, *arguments: str) -> Ran:
    """The same as a user whom file modes bind."""
    return _diagnosed(python, home, arguments, {}, bound_by_modes)


def _diagnosed(
    python: str | Path,
    home: Path,
    arguments: tuple[str, ...],
    variables: dict[str, str],
    before: Callable[[], None] | None,
) -> Ran:
    home.mkdir(exist_ok=True)
    words = ("diagnose", "--allow-cpu", "--python", str(python), "--format", "json", "--no-redact", *arguments)
    ran = run_in(home, words, environ(home, **variables), before)
    assert "Traceback" not in ran.stderr, ran.stderr
    report = ran.report
    others = {
        one["rule"]: (one["severity"], one["because_of"])
        for one in report["findings"]
        if one["rule"] != ran.cause and one["rule"] not in _OF_THE_MACHINE
    }
    return Ran(Judged(ran.code, report["status"], ran.cause, others), report)


def broken(cause: str, **others: tuple[str, str | None]) -> Judged:
    """The verdict on an environment in which nothing can be trained, for that cause.

    A framework that does not import follows from it.
    """
    named = {rule.replace("_", "-"): value for rule, value in others.items()}
    return Judged(1, "broken", cause, {"framework-import-failed": ("error", cause), **named})
