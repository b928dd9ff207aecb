"""A difference on a terminal and as JSON."""

from __future__ import annotations

import itertools
import json
import sys
from typing import Literal

import msgspec
from rich.text import Text

from gpudoctor.difference import Change, Difference, Side
from gpudoctor.render import text
from gpudoctor.render.json import indented
from gpudoctor.render.page import Page, Style
from gpudoctor.render.summary import Mark
from gpudoctor.wire import described

SCHEMA: Literal["gpudoctor.difference/1"] = "gpudoctor.difference/1"

_MARKS = {"healthy": Mark.OK, "warnings": Mark.WARNING, "broken": Mark.FAULT, "undetermined": Mark.UNKNOWN}
_MOST_SHOWN = 40  # of the changes that explain nothing, unless all are asked for


def terminal(found: Difference, style: Style) -> str:
    """The difference as text, ending with a line feed."""
    page = Page(style)
    for label, side in (("Before", found.before), ("After", found.after)):
        _side(page, label, side)
    page.blank()
    explaining = [change for change in found.changes if change.explains]
    for rule, changes in itertools.groupby(explaining, key=lambda change: change.explains):
        page.paragraph(page.prose(f"With the other side's value, {rule} would not be found:", "bold"))
        _changes(page, list(changes))
    causes = {side.cause for side in (found.before, found.after)} - {None}
    if causes and not explaining and found.before.cause != found.after.cause:
        page.paragraph(page.prose(f"No single difference explains {text.listed(sorted(filter(None, causes)))}."))
        page.blank()
    others = [change for change in found.changes if not change.explains]
    if others:
        page.paragraph(page.prose("Other differences" if explaining else "Differences", "bold"))
        shown = others if style.verbose else others[:_MOST_SHOWN]
        _changes(page, shown)
        if len(shown) < len(others):
            page.paragraph(page.prose(f"… and {len(others) - len(shown)} more (--verbose)"))
    if found.alike:
        page.paragraph(page.prose("Nothing that was compared differs."))
    if found.uncompared:
        page.blank()
        page.paragraph(page.prose(f"Not compared, as one side does not tell: {', '.join(found.uncompared)}.", "dim"))
    return page.text()


def _side(page: Page, label: str, side: Side) -> None:
    cause = f": {side.cause}" if side.cause else ""
    when = f", {side.created}" if side.created else ""
    told = page.marked(_MARKS.get(side.status, Mark.UNKNOWN), f"{side.status}{cause}")
    page.paragraph(page.padded(label, 8) + page.prose(f"{text.name(side.name)}{when}") + Text("  ") + told)


def _changes(page: Page, changes: list[Change]) -> None:
    for change in changes:
        before, after = (
            text.shorten(value) if value is not None else "absent" for value in (change.before, change.after)
        )
        page.paragraph(page.prose(f"{change.what}: {before} → {after}"), indent=4, hang=6)
    page.blank()


class DifferenceWire(msgspec.Struct, frozen=True, kw_only=True):
    """The difference as JSON: ``before`` is the first file, ``after`` the second, what explains a cause comes first.

    ``uncompared`` names what one of them did not look at.
    """

    schema: Literal["gpudoctor.difference/1"]
    before: Side
    after: Side
    changes: tuple[Change, ...]
    uncompared: tuple[str, ...]


def as_json(found: Difference) -> str:
    """The difference as indented JSON in ASCII, whatever its values hold."""
    wire = DifferenceWire(
        schema=SCHEMA, before=found.before, after=found.after, changes=found.changes, uncompared=found.uncompared
    )
    return indented(wire)


def schema_text() -> str:
    """The JSON Schema of that, as it is published in ``docs/difference.schema.json``."""
    return json.dumps(described("gpudoctor difference", DifferenceWire), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
