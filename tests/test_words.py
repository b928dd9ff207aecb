"""Words that several rooms share."""

from __future__ import annotations

import pytest

from gpudoctor.words import called


@pytest.mark.parametrize(
    ("command", "typed"),
    [
        ("gpudoctor diagnose --quick", "python -m gpudoctor diagnose --quick"),
        ("gpudoctor", "python -m gpudoctor"),
        ("gpudoctor-extra run", "gpudoctor-extra run"),
        ("sudo gpudoctor", "sudo gpudoctor"),
    ],
)
def test_only_commands_of_gpudoctor_follow_how_it_is_called(command: str, typed: str) -> None:
    assert called(command, "python -m gpudoctor") == typed
