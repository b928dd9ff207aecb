"""A gpudoctor report or facts.json within a text: its facts exactly as they were."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from gpudoctor.facts import COLLECTED, SCHEMA, Facts
from gpudoctor.intake.paste import normalise

_MOST_TRIES = 20


def facts_in(text: str) -> Facts | None:
    """The facts of the first gpudoctor JSON in a text, None if there is none that can be read."""
    if f'"{SCHEMA}"' not in text:
        return None
    start, decoder = text.find("{"), json.JSONDecoder()
    for _ in range(_MOST_TRIES):
        if start < 0:
            return None
        facts = _facts(_object(decoder, text, start))
        if facts is not None:
            return facts
        start = text.find("{", start + 1)
    return None


def _object(decoder: json.JSONDecoder, text: str, start: int) -> Any:
    try:
        return decoder.raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        return None


def _clean(value: Any) -> Any:
    """JSON can carry control characters as escapes: texts are cleaned as any paste is. Raises RecursionError."""
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() else normalise(value)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value


def _facts(value: Any) -> Facts | None:
    if not isinstance(value, dict):
        return None
    if value.get("schema") == COLLECTED:
        return _collected(value)
    told = value if value.get("schema") == SCHEMA else value.get("facts")
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        return None
    try:
        return msgspec.convert(_clean(told), Facts)
    except (msgspec.ValidationError, RecursionError):
        return None


def _collected(value: dict[str, Any]) -> Facts | None:
    """What the standalone collector prints with ``--plain``."""
    from gpudoctor.collector.told import facts_of

    try:
        return facts_of(json.dumps(_clean(value)))
    except (ValueError, RecursionError):
        return None
