"""``systemctl status`` and the services that GPUs need."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor.facts import Service, Services
from gpudoctor.intake import words
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece

_UNIT = re.compile(r"(?:[●○×*] )?((?:nvidia|docker|containerd|slurmd|dcgm)[\w@.-]{0,40})\.service(?: - .{0,100})?$")
_STATE = re.compile(r"Active: (\w{1,20})")
_NOT_FOUND = re.compile(
    r"Unit ((?:nvidia|docker|dcgm)[\w@-]{0,40})(?:\.service)? (?:could not be found|not found|not loaded)"
)
_FAILED = re.compile(
    r"(?:Job for |Failed to start |unit )((?:nvidia|dcgm)[\w@-]{0,40})\.service\b.{0,40}(?:failed|exited|error)"
)
_STATED = re.compile(r"(nvidia-(?:fabricmanager|persistenced|imex|gridd|powerd|dcgm|mps))(?:\.service)?: (.{1,120})")
_WORDS = (
    ("not installed", "not-found"), ("not found", "not-found"), ("missing", "not-found"), ("inactive", "inactive"),
    ("not running", "inactive"), ("stopped", "inactive"), ("dead", "inactive"), ("fail", "failed"),
    ("active", "active"),     ("running", "active"),
)  # fmt: skip


def read_services(paste: Paste) -> Iterator[Piece]:
    """Every service state that systemd prints, and what people state under a service's name."""
    for mark in (".service", "nvidia-"):
        for position in tuple(paste.holding(mark)):
            if paste.taken[position] or position in paste.commands:
                continue
            service = _service(paste, position)
            if service is not None:
                yield Services(source=paste.where(position), services=(service,))


def _service(paste: Paste, position: int) -> Service | None:
    text = paste.texts[position]
    unit = _UNIT.match(text)
    if unit:
        return _status(paste, position, unit[1])
    absent = _NOT_FOUND.search(text)
    if absent:
        return Service(name=absent[1], state="not-found")
    failed = _FAILED.search(text)
    if failed:
        return Service(name=failed[1], state="failed")
    stated = _STATED.match(text)
    if stated:
        state = next((state for word, state in _WORDS if word in stated[2].lower()), None)
        if state:
            paste.take(position)
            return Service(name=stated[1], state=state, version=words.driver(stated[2]))
    return None


def _status(paste: Paste, start: int, name: str) -> Service | None:
    """The block below ``● nvidia-fabricmanager.service``: its state; the log lines in it stay to be read."""
    for position in range(start + 1, min(start + 12, len(paste))):
        text = paste.texts[position]
        if position in paste.commands or _UNIT.match(text):
            break
        state = _STATE.match(text)
        if state:
            paste.take(start, position)
            return Service(name=name, state=state[1])
    return None
