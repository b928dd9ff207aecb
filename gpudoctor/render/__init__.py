"""Report → text. Every renderer is a pure function; what it needs to know beyond the report is in :class:`Options`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from gpudoctor.findings import Report
from gpudoctor.privacy import Identity, redact_report
from gpudoctor.render.json import json_report
from gpudoctor.render.page import Style
from gpudoctor.render.terminal import terminal
from gpudoctor.wire import FailOn

Format = Literal["terminal", "json", "markdown", "html", "junit", "openmetrics"]


@dataclass(frozen=True)
class Options:
    """How to render: ``redact`` holds for every format but the terminal's, ``fail_on`` decides the exit code told.

    ``identity`` are the names to hide that no pattern knows; ``compact`` puts a JSON report on one line.
    """

    style: Style = field(default_factory=Style)
    fail_on: FailOn = "error"
    redact: bool = True
    identity: Identity = field(default_factory=Identity)
    compact: bool = False


def render(report: Report, format: Format, *, options: Options) -> str:  # noqa: A002 - the option's own name
    """The report in that format. What leaves the machine is redacted first, then rendered."""
    return _RENDERERS[format](report, options)


def _terminal(report: Report, options: Options) -> str:
    return terminal(report, options.style)


def _json(report: Report, options: Options) -> str:
    return json_report(_shown(report, options), fail_on=options.fail_on, compact=options.compact)


def _markdown(report: Report, options: Options) -> str:
    from gpudoctor.render.markdown import markdown

    return markdown(_shown(report, options))


def _html(report: Report, options: Options) -> str:
    from gpudoctor.render.html import html_report

    return html_report(_shown(report, options))


def _junit(report: Report, options: Options) -> str:
    from gpudoctor.render.junit import junit

    return junit(_shown(report, options), fail_on=options.fail_on)


def _openmetrics(report: Report, options: Options) -> str:
    from gpudoctor.render.openmetrics import openmetrics

    return openmetrics(_shown(report, options), identities=not options.redact)


def _shown(report: Report, options: Options) -> Report:
    return redact_report(report, options.identity) if options.redact else report


_RENDERERS: dict[Format, Callable[[Report, Options], str]] = {
    "terminal": _terminal,
    "json": _json,
    "markdown": _markdown,
    "html": _html,
    "junit": _junit,
    "openmetrics": _openmetrics,
}
