"""The report as JSON: one object, ASCII only, so that no console and no log collector can break it."""

from __future__ import annotations

import codecs
import json
import math
from functools import lru_cache
from typing import Any

import msgspec

from gpudoctor.findings import Report
from gpudoctor.wire import FailOn, ReportWire, to_wire


def json_report(report: Report, *, fail_on: FailOn = "error", compact: bool = False) -> str:
    """The report in the wire format, ending with a line feed; ``compact`` puts it on one line.

    Valid JSON whatever the report holds: NaN and infinities are null, lone surrogates are shown as escapes.
    """
    wire = to_wire(report, fail_on=fail_on)
    if compact:
        return _compact(wire) + "\n"
    return indented(wire)


def indented(wire: msgspec.Struct) -> str:
    """A value of the wire format as indented JSON in ASCII, ending with a line feed."""
    plain = _clean(msgspec.to_builtins(wire, order="deterministic"))
    return json.dumps(plain, allow_nan=False, indent=2) + "\n"


def _compact(wire: ReportWire) -> str:
    """On one line, as fast as it goes: many reports a second are printed so."""
    try:
        text = msgspec.json.encode(wire, order="deterministic").decode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate
        plain = _clean(msgspec.to_builtins(wire, order="deterministic"))
        return json.dumps(plain, allow_nan=False, separators=(",", ":"))
    # Outside its strings JSON is ASCII, so whatever is not stands in one, and may be written as an escape.
    return text if text.isascii() else text.encode("ascii", _ESCAPING).decode("ascii")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - what the codec raises
    return _escape(error.object[error.start : error.end]), error.end


@lru_cache(maxsize=256)
def _escape(text: str) -> str:
    return json.dumps(text)[1:-1]


_ESCAPING = "gpudoctor.json"
codecs.register_error(_ESCAPING, _escaped)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value
