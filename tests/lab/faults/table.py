"""Every fault and every place that gpudoctor looks at: the rows and columns of docs/faults.md.

What the report then comes to is found out by :mod:`tests.lab.faults.places`; here is only what can happen, and why the
rest cannot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Fault = Literal[
    "missing",
    "denied",
    "hang",
    "crash",
    "garbage",
    "empty",
    "truncated",
    "endless",
    "not UTF-8",
    "slow",
    "refused start",
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
    "deep memory",
    "peer copies",
    "launcher (torchrun)",
    "plug-in",
]


PLACES: tuple[Place, ...] = get_args(Place)


@dataclass(frozen=True)
class Never:
    """The fault cannot happen there."""

    why: str


_FILE = Never("a file does not run")
_READ = Never("a file that is read starts no process")
_CALL = Never("one call of a library that is whole")
_STAGE = Never("the framework was imported: it is there")
_PROCESS = Never("the process is there since the import")
_OTHERS = Never("see garbage: what is printed is not read as text")
_CHECKED = Never("a number, checked against the CPU's")
_WHOLE = Never("what a whole PyTorch answers late is in tests/collectives")

_FILES: tuple[Place, ...] = ("system files", "driver files", "container files", "toolkit files", "loader's files")
_STAGES: tuple[Place, ...] = tuple(place for place in PLACES if place.startswith("stage"))

NEVER: Mapping[tuple[Place, Fault], Never] = {
    **{(place, "crash"): _FILE for place in _FILES},
    **{(place, "refused start"): _READ for place in _FILES},
    **{("one GPU in NVML", fault): _CALL for fault in ("empty", "truncated")},
    **{(place, "missing"): _STAGE for place in _STAGES},
    **{(place, "empty"): _CHECKED for place in _STAGES},
    **{(place, "not UTF-8"): _OTHERS for place in _STAGES},
    **{(place, "refused start"): _PROCESS for place in _STAGES},
    ("launcher (torchrun)", "slow"): _WHOLE,
}


def cells() -> Iterator[tuple[Place, Fault]]:
    """Every fault that can happen, place by place."""
    return ((place, fault) for place in PLACES for fault in FAULTS if (place, fault) not in NEVER)
