"""A report as it shows itself: as HTML in a notebook, as text everywhere else."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import Any, get_args

from gpudoctor.findings import Report
from gpudoctor.privacy import Identity, identify, redact_report
from gpudoctor.render import Format, Options, render
from gpudoctor.render.page import Calls, Style

_WIDTH = 100
_CALLS = Calls(ticket='report.render("markdown")')


@dataclass(frozen=True, repr=False)
class View:
    """What a report shows, without what must not leave the machine unless that was asked for."""

    report: Report

    def __str__(self) -> str:
        return render(self.report, "terminal", options=Options(style=Style(width=_WIDTH), calls=_CALLS))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from gpudoctor.render.html import fragment

        return fragment(self.report)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What Jupyter and Colab ask for: both forms of the same."""
        return {"text/plain": str(self), "text/html": self._repr_html_()}


def view(report: Report, *, redact: bool) -> View:
    """The report to be looked at. What a notebook shows leaves the machine with the notebook, so it is redacted."""
    return View(redact_report(report, _identity(report)) if redact else report)


def as_text(report: Report, format: Format, *, redact: bool) -> str:  # noqa: A002 - the option's own name
    """The report in one of the formats of the command line. Raises ValueError for another one."""
    if format not in get_args(Format):
        raise ValueError(f"{format!r} is no format of a report: {', '.join(get_args(Format))}")
    options = Options(style=Style(width=_WIDTH), redact=redact, identity=_identity(report), calls=_CALLS)
    shown = view(report, redact=redact).report if format == "terminal" else report
    return render(shown, format, options=options)


def _identity(report: Report) -> Identity:
    """The caller's names; ~ in a text from another machine is the home folder of whoever wrote it."""
    environ = os.environ if report.source == "machine" else {k: v for k, v in os.environ.items() if "USER" in k}
    return identify(environ, platform.node())
