"""Lines of text in the making for a terminal: width, glyphs and colours, and everything escaped in one place."""

from __future__ import annotations

import io
import itertools
import re

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text

from gpudoctor.facts import Record
from gpudoctor.render import text
from gpudoctor.render.summary import Mark
from gpudoctor.words import called

WIDEST = 110
"""Lines of prose are not drawn wider than this on a wider terminal."""
_NARROWEST = 24


class Style(Record, frozen=True, kw_only=True):
    """What the terminal can show, as the command line decided it.

    ``colour`` also means that control sequences may be written; ``unicode`` False restricts all to ASCII.
    """

    width: int = 80
    colour: bool = False
    unicode: bool = True
    verbose: bool = False


class Calls(Record, frozen=True, kw_only=True):
    """How the reader calls gpudoctor: ``program`` here, ``there`` on the machine that the report is about.

    ``ticket`` makes the ticket of this very report; empty where there is nothing to call for it.
    """

    program: str = "gpudoctor"
    there: str = "gpudoctor"
    ticket: str = "gpudoctor diagnose --ticket"

    def on_the_machine(self, command: str) -> str:
        """A command of a report as it is typed on its machine."""
        return called(command, self.there)


_GLYPHS = {Mark.OK: "✓", Mark.FAULT: "✗", Mark.WARNING: "!", Mark.UNKNOWN: "?", Mark.NOTE: "–"}
_ASCII_GLYPHS = {Mark.OK: "ok", Mark.FAULT: "FAIL", Mark.WARNING: "!", Mark.UNKNOWN: "?", Mark.NOTE: "-"}
_COLOURS = {
    Mark.OK: "green",
    Mark.FAULT: "bold red",
    Mark.WARNING: "yellow",
    Mark.UNKNOWN: "magenta",
    Mark.NOTE: "dim",
}


def styled(words: str, style: str) -> Text:
    """Text in that style, which text appended to it does not inherit."""
    return Text.assemble((words, style))


def _breaks(words: str, room: int) -> list[int]:
    """Where lines of that many columns begin. A word that is too long is broken, an address is not: it is copied."""
    found, column = [], 0
    for match in re.finditer(r"\S+\s*", words):
        word = match[0].rstrip()
        if column and column + cell_len(word) > room:
            found.append(match.start())
            column = 0
        pieces = [word] if "://" in word else chop_cells(word, room) or [word]
        ends = list(itertools.accumulate(map(len, pieces), initial=match.start()))
        found += ends[1:-1]
        column += cell_len(pieces[-1]) + len(match[0]) - len(word)
    return found


class Page:
    """Lines of text in the making. All text that comes in is escaped here, and nowhere drawn past this class."""

    def __init__(self, style: Style, calls: Calls | None = None) -> None:
        self.style = style
        self.calls = calls or Calls()
        self.width = max(_NARROWEST, min(style.width, WIDEST))
        self.narrow = self.width < 64
        self._lines: list[Text] = []
        self._console = Console(
            file=io.StringIO(),
            width=max(style.width, _NARROWEST),
            color_system="standard" if style.colour else None,
            force_terminal=style.colour,
            force_jupyter=False,  # it would show what it draws, beside giving it as text
            no_color=not style.colour,
            legacy_windows=False,
            markup=False,
            highlight=False,
            emoji=False,
            _environ={},
        )

    def prose(self, words: str, style: str = "") -> Text:
        """Words of any origin as one line of text that is safe to show."""
        shown = text.shorten(text.words(words), text.LINE_LIMIT)
        return styled(shown if self.style.unicode else text.ascii_only(shown), style)

    def exact(self, words: str, style: str = "") -> Text:
        """A command: one line, unchanged but for characters that cannot be seen."""
        shown = text.escape(words)
        return styled(shown if self.style.unicode else text.exact_ascii(shown), style)

    def command(self, words: str) -> Text:
        """A command for the machine that the report is about."""
        return self.exact(self.calls.on_the_machine(words), "bold")

    def glyph(self, mark: Mark) -> Text:
        glyphs = _GLYPHS if self.style.unicode else _ASCII_GLYPHS
        return styled(glyphs[mark], _COLOURS[mark])

    def marked(self, mark: Mark, words: str, style: str = "") -> Text:
        return self.glyph(mark) + Text(" ") + self.prose(words, style)

    def blank(self) -> None:
        if self._lines and self._lines[-1].plain:
            self._lines.append(Text())

    def wrapped(self, content: Text, *, first: Text, hang: int) -> None:
        """A paragraph after ``first``; its further lines begin ``hang`` columns in."""
        self._lines += self._wrap(content, first, hang, self.width)

    def _wrap(self, content: Text, first: Text, hang: int, width: int) -> list[Text]:
        if first.cell_len > hang:  # the label is the beginning of the paragraph, not a column beside it
            indent = len(first.plain) - len(first.plain.lstrip())
            first, content = first[:indent], first[indent:] + content
        pieces = self._pieces(content, max(width - hang, 10))
        return [first + pieces[0], *(Text(" " * hang) + piece for piece in pieces[1:])]

    def _pieces(self, content: Text, room: int) -> list[Text]:
        pieces = list(content.divide(_breaks(content.plain, room))) or [Text()]
        for piece in pieces:
            piece.rstrip()
        return pieces

    def paragraph(self, content: Text, indent: int = 2, hang: int | None = None) -> None:
        self.wrapped(content, first=Text(" " * indent), hang=indent if hang is None else hang)

    def padded(self, label: str, width: int) -> Text:
        """A label, filled with spaces to that many columns."""
        shown = self.prose(label, "bold")
        return shown + Text(" " * (width - shown.cell_len))

    def beside(self, content: Text, state: Text, *, first: Text, column: int) -> None:
        """A paragraph in a column of that width, and a state beside its first line."""
        pieces = self._pieces(content, column)
        self._lines.append(first + pieces[0] + Text(" " * (column - pieces[0].cell_len + 2)) + state)
        self._lines += [Text(" " * first.cell_len) + piece for piece in pieces[1:]]

    def line(self, content: Text) -> None:
        """A line that is never wrapped."""
        self._lines.append(content)

    def with_aside(self, content: Text, aside: Text, *, first: Text, hang: int) -> None:
        """A paragraph with a short text at the right end of its last line, or below it where it does not fit."""
        lines = self._wrap(content, first, hang, self.width)
        room = self.width - lines[-1].cell_len - aside.cell_len
        if room >= 2:
            lines[-1] = lines[-1] + Text(" " * room) + aside
        elif aside:
            lines += self._wrap(aside, Text(" " * hang), hang, self.width)
        self._lines += lines

    def text(self) -> str:
        while self._lines and not self._lines[-1].plain:
            self._lines.pop()
        with self._console.capture() as captured:
            for line in self._lines:
                line.rstrip()
                self._console.print(line, soft_wrap=True)
        return captured.get()
