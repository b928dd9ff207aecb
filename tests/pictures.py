"""The README's pictures: ``python -m tests.pictures`` writes them to docs/pictures, from reports that the tests share.

The terminal's are SVG and made by Python alone; the page's are PNG and need a Chromium. ``sources.json`` beside them
keeps the hash of the page that each PNG shows, and a test says when one is no longer what the code makes.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.style import Style as RichStyle
from rich.text import Text

from gpudoctor.findings import Report
from gpudoctor.privacy import redact_report
from gpudoctor.render.html import html_report
from gpudoctor.render.html.markup import Markup, element
from gpudoctor.render.page import Style
from gpudoctor.render.terminal import terminal
from tests.browser.chrome import NoBrowserError, Tab, browser, program
from tests.render.pages import old_gpu, trained

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
SOURCES = FOLDER / "sources.json"

TERMINALS = {"terminal-healthy.svg": trained}
PAGES = {
    "page-broken.png": (old_gpu, 1100, "#jobs", False),
    "page-healthy.png": (trained, 1100, ".job + .job", True),
    "page-phone.png": (old_gpu, 390, "#jobs", False),
}
"""The report, the width, what the picture ends before, dark or light."""

# --------------------------------------------------------------------------------------------------- terminal

_COLUMNS = 92
_LETTER, _LINE, _EDGE, _HEAD = 8.4, 20.0, 16.0, 40.0
_STYLE = """
.ground { fill: #15181b; }
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #e7eaed;
  white-space: pre; }
.head { fill: #a4aeb8; }
.bold { font-weight: 700; }
.dim { fill: #a4aeb8; }
.green { fill: #62cd80; }
.red { fill: #ff8f85; }
.yellow { fill: #e9b251; }
.magenta { fill: #cfa4ee; }
.cyan { fill: #7db8f5; }
"""


def terminal_svg(report: Report, command: str) -> str:
    """A terminal's report as it looks there, under the command that printed it."""
    lines = Text.from_ansi(terminal(report, Style(width=_COLUMNS, colour=True))).split("\n")
    while lines and not lines[-1].plain.strip():
        lines.pop()
    widest = max(_COLUMNS, *(line.cell_len for line in lines))
    width, height = 2 * _EDGE + widest * _LETTER, _HEAD + len(lines) * _LINE + _EDGE
    drawn = element(
        "svg",
        element("style", Markup(_STYLE)),
        element("rect", width=width, height=height, rx=8, class_="ground"),
        element("text", f"$ {command}", x=_EDGE, y=26, class_="head"),
        *(part for place, line in enumerate(lines) for part in _line(line, _HEAD + place * _LINE + 14)),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=f"gpudoctor on a terminal: {' '.join(' '.join(line.plain for line in lines).split())}",
    )
    return drawn.html


_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


def _line(line: Text, y: float) -> Iterator[Markup]:
    column = 0
    for piece in line.render(Console(width=400, color_system=None)):
        room = len(piece.text)
        if piece.text.strip():
            start = len(piece.text) - len(piece.text.lstrip())
            words = piece.text.strip()
            x, style = _EDGE + (column + start) * _LETTER, piece.style
            yield element("text", words, x=x, y=y, textLength=len(words) * _LETTER, class_=_classes(style))
        column += room


def _classes(style: RichStyle | None) -> str | None:
    if style is None:
        return None
    names = [name for name, on in (("bold", style.bold), ("dim", style.dim)) if on]
    if style.color and style.color.number is not None:
        names.append(_COLOURS[style.color.number % 8])
    return " ".join(names) or None


# ------------------------------------------------------------------------------------------------------ pages

_UNSEEN = re.compile(r'(?s)<section id="(rules|facts)".*?</section>|<footer.*?</footer>')


def page(report: Report) -> str:
    """The page that is photographed."""
    return html_report(redact_report(report))


def source(report: Report) -> str:
    """The hash of what a picture shows of a page: not of the rules and the facts, which stand further down."""
    seen = re.sub(r"sha256-[\w+/=]*", "", _UNSEEN.sub("", page(report)))
    return hashlib.sha256(seen.encode()).hexdigest()


def _photograph(folder: Path) -> None:
    with browser() as started:
        tab = Tab(started)
        for name, (make, width, until, dark) in PAGES.items():
            file = folder / f"{name}.html"
            file.write_text(page(make()), "utf-8")
            tab.open(file, width=width, height=900, dark=dark, phone=width < 600)
            end = f"document.querySelector('{until}').getBoundingClientRect().top + scrollY"
            tab.screenshot(FOLDER / name, height=int(tab.evaluate(end)) - 16)
            file.unlink()


def main() -> int:
    """Write all pictures. 2 where there is no browser for the pages: those are then as they were."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in TERMINALS.items():
        (FOLDER / name).write_text(terminal_svg(make(), "gpudoctor diagnose"), "utf-8")
    try:
        program()
    except NoBrowserError as error:
        print(f"The pages are as they were: {error}", file=sys.stderr)  # noqa: T201 - a command of its own
        return 2
    _photograph(FOLDER)
    SOURCES.write_text(
        json.dumps({name: source(make()) for name, (make, *_) in PAGES.items()}, indent=1) + "\n", "utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
