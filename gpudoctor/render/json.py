"""The report as JSON: one object, ASCII only, so that no console and no log collector can break it."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from gpudoctor.findings import Report
from gpudoctor.wire import FailOn, to_wire


def json_report(report: Report, *, fail_on: FailOn = "error", compact: bool = False) -> str:
    """The report in the wire format, ending with a line feed; ``compact`` puts it on one line.

    Valid JSON whatever the report holds: NaN and infinities are null, lone surrogates are shown as escapes.
    """
    plain = _clean(msgspec.to_builtins(to_wire(report, fail_on=fail_on), order="deterministic"))
    if compact:
        return json.dumps(plain, allow_nan=False, separators=(",", ":")) + "\n"
    return json.dumps(plain, allow_nan=False, indent=2) + "\n"


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
