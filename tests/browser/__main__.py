"""Looks at every page of the tests in a headless Chromium: ``python -m tests.browser [FOLDER]``.

At the size of a phone and of a desktop, light and dark. Screenshots go to FOLDER, else to a temporary one.
Without a browser it ends with 2, and says so: that is no pass.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gpudoctor.findings import Report
from gpudoctor.privacy import redact_report
from gpudoctor.render.html import html_report
from tests.browser.checks import CHECKS, FAULTS
from tests.browser.chrome import NoBrowserError, Tab, browser, program
from tests.render.pages import PAGES

SIZES = {"phone": (390, 844), "small": (360, 740), "desktop": (1280, 900)}


def main(arguments: list[str]) -> int:
    """The exit code: 0 where all pages are right, 1 where one is not, 2 where there is no browser."""
    folder = Path(arguments[0]) if arguments else Path(tempfile.mkdtemp(prefix="gpudoctor-pages-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        program()
    except NoBrowserError as error:
        print(f"NOT RUN: {error}", file=sys.stderr)  # noqa: T201 - a command of its own
        return 2
    failed = passed = 0
    for name, faults in (*_self(folder), *_looks(folder)):
        failed += bool(faults)
        passed += not faults
        for fault in faults:
            print(f"FAILED {name}: {fault}")  # noqa: T201
    print(f"Screenshots: {folder}\n{passed} passed, {failed} failed")  # noqa: T201
    return 1 if failed else 0


def _looks(folder: Path) -> Iterator[tuple[str, list[str]]]:
    with browser() as started:
        tab = Tab(started)
        for name, make in PAGES.items():
            for size in SIZES:
                for dark in (False, True):
                    look = f"{name}-{size}-{'dark' if dark else 'light'}"
                    yield look, _look(tab, make(), size, dark, folder / look)


def _self(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Every check is worth something: it finds a fault in a page that is made of faults."""
    page = folder / "faults.html"
    page.write_text(FAULTS, "utf-8")
    with browser() as started:
        tab = Tab(started)
        tab.open(page, width=390, height=844)
        for check in CHECKS:
            yield f"check-{check.__name__}", [] if list(check(tab)) else ["finds no fault in a page made of faults"]


def _look(tab: Tab, report: Report, size: str, dark: bool, path: Path) -> list[str]:
    page = path.with_suffix(".html")
    page.write_text(html_report(redact_report(report)), "utf-8")
    width, height = SIZES[size]
    tab.open(page, width=width, height=height, dark=dark, phone=size != "desktop")
    tab.screenshot(path.with_suffix(".png"))
    # The ways of the keyboard are those of the size, not of the colours.
    checks = CHECKS if not dark else [check for check in CHECKS if check.__name__ in ("console", "requests")]
    return [fault for check in checks for fault in check(tab)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
