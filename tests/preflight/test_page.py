"""docs/preflight.md shows what the program shows, and names all that it knows."""

from __future__ import annotations

from pathlib import Path

from gpudoctor.cli.preflight import _FLAGS, _VALUES
from gpudoctor.preflight.judged import request_for
from gpudoctor.preflight.requirements import NAMES, parse
from gpudoctor.preflight.sentences import refusal
from gpudoctor.report import judge
from tests.good import GOOD, change

PAGE = (Path(__file__).parents[2] / "docs" / "preflight.md").read_text("utf-8")


def test_the_refusal_of_the_page_is_what_is_shown() -> None:
    shown = refusal(judge(change(GOOD, request=request_for(parse("vram>=80GiB")))))
    assert f"```\n{shown}```" in PAGE


def test_every_requirement_and_option_is_on_the_page() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert [name for name in NAMES if not any(f"`{name}" in row for row in rows)] == []
    options = [name for name in (*_VALUES, *_FLAGS) if name.startswith("--") and name != "--help"]
    assert [name for name in options if name not in PAGE] == []
