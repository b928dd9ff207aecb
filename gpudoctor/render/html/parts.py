"""Pieces that several sections share: marks, headings, prose, commands, tables, folded text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gpudoctor.findings import Evidence, Report
from gpudoctor.render import text
from gpudoctor.render.html.markup import NOTHING, Content, Markup, element, joined
from gpudoctor.render.summary import Mark

GLYPHS = {Mark.OK: "✓", Mark.FAULT: "✗", Mark.WARNING: "!", Mark.UNKNOWN: "?", Mark.NOTE: "–"}
_SPOKEN = {Mark.OK: "sound", Mark.FAULT: "fault", Mark.WARNING: "warning", Mark.UNKNOWN: "not known", Mark.NOTE: "note"}


@dataclass(frozen=True)
class Place:
    """Where the report is drawn: a page of its own with its script, or a piece of somebody else's page.

    A piece holds no ids, no script and no control that needs one, and its headings begin lower.
    """

    report: Report
    page: bool = True

    def heading(self, level: int, *words: Content, class_: str | None = None) -> Markup:
        """A heading of that level on a page."""
        return element(f"h{level if self.page else level + 2}", *words, class_=class_)

    def commands(self, commands: Sequence[str], what: str = "command") -> Markup:
        """Commands, each on its own with its button; several have one more for all together."""
        blocks = [self._command(command, what) for command in commands]
        if len(blocks) < 2 or not self.page:
            return joined(*blocks)
        every = _button("Copy all", f"Copy all {len(blocks)} commands", all_=True)
        return element("div", *blocks, every, class_="commands")

    def _command(self, command: str, what: str) -> Markup:
        shown = element("pre", element("code", *_words(command)))
        spoken = f"Copy {what}: {text.shorten(text.words(command), 80)}"
        return element("div", shown, _button("Copy", spoken) if self.page else None, class_="command")


def _words(command: str) -> Iterable[Content]:
    for word in re.split("( +)", command):
        yield word if not word.strip() else element("span", word, class_="word")


def _button(words: str, spoken: str, *, all_: bool = False) -> Markup:
    """Hidden until the script shows it: without a script it could do nothing."""
    copies = "all" if all_ else "one"
    return element("button", words, type="button", class_="copy", aria_label=spoken, data_copy=copies, hidden=True)


def mark(mark: Mark, words: str | None = None) -> Markup:
    """The sign, which a screen reader speaks where no words stand beside it."""
    sign = element("span", GLYPHS[mark], class_="sign", aria_hidden="true")
    spoken = element("span", f"{_SPOKEN[mark]}: ", class_="spoken") if words is None else joined(" ", words)
    return element("span", sign, spoken, class_=f"mark {mark.value}")


def prose(words: str, class_: str | None = None) -> Markup:
    """A paragraph for each line that says something."""
    lines = [text.words(line) for line in words.splitlines()]
    return joined(*(element("p", text.shorten(line, 2000), class_=class_) for line in lines if line))


def capital(words: str) -> str:
    """With a capital first letter."""
    return words[:1].upper() + words[1:]


def folded(title: Content, *content: Content, class_: str | None = None, is_open: bool = False) -> Markup:
    """Text behind a title that opens it."""
    return element("details", element("summary", title), *content, class_=class_, open=is_open)


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Content]], class_: str | None = None) -> Markup:
    """A table whose first column names its rows; each cell knows its column, for screens too narrow for columns."""
    head = element("thead", element("tr", *(element("th", one, scope="col") for one in heads)))
    body = [element("tr", *_cells(heads, row)) for row in rows]
    titled = element("caption", caption, class_="spoken")
    return element("table", titled, head, element("tbody", *body), class_=class_)


def _cells(heads: Sequence[str], row: Sequence[Content]) -> Iterable[Markup]:
    yield element("th", row[0], scope="row")
    for head, cell in zip(heads[1:], row[1:], strict=True):
        yield element("td", cell, data_head=head)


def evidence(items: Sequence[Evidence]) -> Markup:
    """The facts that a finding rests on, each with where it was read."""
    if not items:
        return NOTHING
    rows = [(item.fact, _exact(item.value), item.source) for item in items]
    return table("Evidence", ("Fact", "Value", "Source"), rows, class_="evidence")


def _exact(value: str) -> Markup:
    return element("code", text.shorten(value, 2000))
