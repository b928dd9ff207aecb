"""Every fault at every place that gpudoctor looks at, and what its report then says: one table, which drives the tests.

A cell is what the report on an otherwise good machine comes to: the name of the rule that is its cause, ``unknown``
(nothing is called healthy, and what could not be seen is named), ``named`` (the rest is judged, and what could not be
seen is named), ``whole`` (nothing is lost), ``refused`` (wrong usage: one sentence and exit code 2), or why that fault
cannot happen there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Fault = Literal[
    "missing", "denied", "hang", "crash", "garbage", "empty", "truncated", "endless", "not UTF-8", "slow", "refused start"
]
FAULTS: dict[Fault, str] = {
    "missing": "the file, library or package is not there",
    "denied": "it is there and may not be used",
    "hang": "it never answers and uses no processor",
    "crash": "the process dies by a signal",
    "garbage": "it answers something else",
    "empty": "it answers nothing, or is an empty file",
    "truncated": "it ends in the middle",
    "endless": "it gives a gigabyte, or prints without end",
    "not UTF-8": "it answers bytes that are no text",
    "slow": "it answers late",
    "refused start": "no process can be started (fork is refused, or the program cannot run)",
}

Place = Literal[
    "system files",
    "driver files",
    "container files",
    "toolkit files",
    "loader's files",
    "NVML",
    "one GPU in NVML",
    "libcuda",
    "Python under test",
    "witness (NVML)",
    "witness (CUDA)",
    "record (NVML)",
    "import torch",
    "import tensorflow",
    "import jax",
    "stage init",
    "stage copy",
    "stage compute",
    "stage train",
    "stage verify",
    "stage parts",
    "plug-in",
]


@dataclass(frozen=True)
class Never:
    """The fault cannot happen there."""

    why: str


Cell = str | Never

_NO_FILE = Never("a call, not a file")
_IN_PROCESS = Never("it runs in the process that the stage before it has started")
_NO_TEXT = Never("it answers no text")


def _row(**cells: Cell) -> dict[Fault, Cell]:
    return {fault: cells[fault.replace(" ", "_").replace("-", "").lower()] for fault in FAULTS}
