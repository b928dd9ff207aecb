"""Who held the memory when an allocation failed, read from what PyTorch prints with the error."""

from __future__ import annotations

import re
from typing import NamedTuple

from gpudoctor.rules._texts import search
from gpudoctor.views import Printed

GIB = float(1 << 30)
_UNITS = {"B": 1.0, "KIB": 1024.0, "MIB": 1024.0**2, "GIB": GIB, "TIB": 1024.0**4}
_SIZE = r"([\d.]{1,12}) ?(bytes|[KMGT]iB)"
_TOTAL = rf"{_SIZE} total capacity|total capaci?ty of {_SIZE}"
_FREE = rf"{_SIZE} free|of which {_SIZE} is free"
_OWN = rf"{_SIZE} reserved in total by PyTorch|this process has {_SIZE} memory in use"
_ALLOCATED = rf"{_SIZE} already allocated"
_CACHED = rf"{_SIZE} cached"

# What CUDA itself, cuDNN and cuBLAS take in a process beside the framework's allocator.
_CONTEXT = 1.0 * GIB


class Shares(NamedTuple):
    """Bytes of a GPU: in all, of the process that failed, and of everybody else."""

    total: float
    own: float
    others: float

    @property
    def held(self) -> bool | None:
        """Whether others hold what is missing; None where both hold a good part."""
        if self.others > 0.35 * self.total and self.own < 0.6 * self.total:
            return True
        return False if self.own > 0.6 * self.total or self.others < 0.15 * self.total else None


def shares(text: str) -> Shares | None:
    """The three numbers of PyTorch's message, in any of its forms; None for another message."""
    total, free = _size(_TOTAL, text), _size(_FREE, text)
    if total is None or free is None:
        return None
    own = _size(_OWN, text)
    if own is None:
        # Up to 1.3 the message counts what is cached beside what is allocated.
        own = (_size(_ALLOCATED, text) or 0.0) + (_size(_CACHED, text) or 0.0)
    context = 0.0 if "this process has" in text else _CONTEXT
    return Shares(total, own, max(total - free - own - context, 0.0))


def with_numbers(printed: Printed) -> bool:
    """Whether any line tells who held the memory: what the others say of the same failure is less."""
    return any("capaci" in line.text and shares(line.text) is not None for line in printed.lines)


def _size(pattern: str, text: str) -> float | None:
    match = search(pattern, text)
    if match is None:
        return None
    number, unit = [group for group in match.groups() if group][:2]
    if not re.fullmatch(r"\d{1,9}(?:\.\d{1,6})?", number):
        return None
    return float(number) * _UNITS["B" if unit.lower() == "bytes" else unit.upper()]


def shown(size: float) -> str:
    """Bytes as GiB with one decimal."""
    return f"{size / GIB:.1f} GiB"
