"""Whole outputs of the shared set of reports, kept as files: ``python -m tests.render.whole`` writes them anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gpudoctor.findings import Report
from gpudoctor.render import Format, Options, render
from tests import reports

FOLDER = Path(__file__).with_name("expected")
REPORTS: tuple[Callable[[], Report], ...] = (*reports.ALL, reports.timed)
ENDINGS: dict[Format, str] = {"junit": "xml", "openmetrics": "prom"}


def shown(make: Callable[[], Report], format: Format) -> str:  # noqa: A002
    """The report as it leaves the machine."""
    return render(make(), format, options=Options())


def kept(make: Callable[[], Report], format: Format) -> Path:  # noqa: A002
    """The file that holds what it must be."""
    return FOLDER / f"{make.__name__}.{ENDINGS[format]}"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for one in REPORTS:
        for form in ENDINGS:
            kept(one, form).write_text(shown(one, form), "utf-8")
