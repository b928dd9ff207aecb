"""Writes gpudoctor/rules/pieces.json: ``python -m tests.rules.pieces``."""

from __future__ import annotations

import json
from pathlib import Path

from gpudoctor.rules import _texts
from tests.test_linear import patterns

PLACE = Path(_texts.__file__).with_name("pieces.json")


def text() -> str:
    """What every match of each pattern of our rules contains, as the file holds it."""
    ours = sorted({one.pattern for one in patterns() if one.where.startswith("rules/")})
    return json.dumps({pattern: _texts.worked_out(pattern) for pattern in ours}, indent=0, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PLACE.write_text(text(), "utf-8")
