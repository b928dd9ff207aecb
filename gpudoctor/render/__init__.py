"""Report → text. Every renderer is a pure function; what it needs to know beyond the report is in :class:`Options`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec

from gpudoctor.findings import Report
from gpudoctor.render.page import Calls, Style
from gpudoctor.wire import FailOn

if TYPE_CHECKING:
    from gpudoctor.privacy import Identity

Format = Literal["terminal", "json", "markdown", "html", "junit", "openmetrics"]


class Options(msgspec.Struct, frozen=True):
    """How to render: ``redact`` holds for every format but the terminal's, ``fail_on`` decides the exit code told.

    ``identity`` are the names to hide that no pattern knows; ``compact`` puts a JSON report on one line.
    ``calls`` are for the terminal's format: the others may be read where gpudoctor is called otherwise.
    """

    style: Style = Style()
    fail_on: FailOn = "error"
    redact: bool = True
    identity: Identity | None = None
    compact: bool = False
    calls: Calls = Calls()


def render(report: Report, format: Format, *, options: Options) -> str:  # noqa: A002 - the option's own name
    """The report in that format. What leaves the machine is redacted first, then rendered."""
    return renderer(format)(report, options)


def renderer(format: Format) -> Callable[[Report, Options], str]:  # noqa: A002
    """What renders that format, all that it needs being imported: nothing of the other formats is."""
    return _RENDERERS[format]()


def _terminal() -> Callable[[Report, Options], str]:
    from gpudoctor.render.terminal import terminal

    return lambda report, options: terminal(report, options.style, options.calls)


def _json() -> Callable[[Report, Options], str]:
    from gpudoctor.render.json import json_report

    return lambda report, options: json_report(
        _shown(report, options), fail_on=options.fail_on, compact=options.compact
    )


def _markdown() -> Callable[[Report, Options], str]:
    from gpudoctor.render.markdown import markdown

    return lambda report, options: markdown(_shown(report, options))


def _html() -> Callable[[Report, Options], str]:
    from gpudoctor.render.html import html_report

    return lambda report, options: html_report(_shown(report, options))


def _junit() -> Callable[[Report, Options], str]:
    from gpudoctor.render.junit import junit

    return lambda report, options: junit(_shown(report, options), fail_on=options.fail_on)


def _openmetrics() -> Callable[[Report, Options], str]:
    from gpudoctor.render.openmetrics import openmetrics

    return lambda report, options: openmetrics(_shown(report, options), identities=not options.redact)


def _shown(report: Report, options: Options) -> Report:
    if not options.redact:
        return report
    from gpudoctor.privacy import Identity, redact_report

    return redact_report(report, options.identity or Identity())


_RENDERERS: dict[Format, Callable[[], Callable[[Report, Options], str]]] = {
    "terminal": _terminal,
    "json": _json,
    "markdown": _markdown,
    "html": _html,
    "junit": _junit,
    "openmetrics": _openmetrics,
}
