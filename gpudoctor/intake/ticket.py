"""A ticket that gpudoctor wrote: its facts exactly as they were, or, where they are damaged, the rest of the text."""

from __future__ import annotations

from typing import NamedTuple

from gpudoctor import ticket
from gpudoctor.facts import Facts


class Ticket(NamedTuple):
    """``facts`` of a whole block; else None, and ``rest`` is what people read of the text."""

    facts: Facts | None
    rest: str


def ticket_in(text: str) -> Ticket | None:
    """What a ticket within a text tells, None where the text holds none."""
    found = ticket.find(text)
    if found is None:
        return None
    return Ticket(found.facts, text if found.facts else ticket.visible(text))
