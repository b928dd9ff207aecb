"""Looking through all that was printed at once, so that a rule speaks once however often a line is repeated."""

from __future__ import annotations

import re
from typing import NamedTuple

from gpudoctor.facts import CudaDriver, Nvml, Wsl
from gpudoctor.findings import Evidence
from gpudoctor.rules._texts import compiled, lists_no_gpu, possible, search
from gpudoctor.views import Printed

SILENT = "nothing that was printed says so"


class Heard(NamedTuple):
    """What a pattern matched, where, and the match itself."""

    text: str
    evidence: Evidence
    match: re.Match[str]


def heard(printed: Printed | None, *patterns: str) -> Heard | None:
    """The first line that a pattern fits, else the first of the kernel's sentences; letter case is ignored."""
    if printed is None:
        return None
    if printed.lines and possible(patterns, printed.low):
        asked = [pattern for pattern in patterns if possible((pattern,), printed.low)]
        for line in printed.lines:
            for pattern in asked:
                match = search(pattern, line.text)
                if match:
                    return Heard(match[0], Evidence(fact="message", value=match[0], source=line.source), match)
    return _in_sentences(printed.sentences, patterns) if printed.sentences else None


def _in_sentences(sentences: str, patterns: tuple[str, ...]) -> Heard | None:
    low = sentences.lower()
    for pattern in patterns if possible(patterns, low) else ():
        match = compiled(pattern).search(sentences)
        if match:
            return Heard(match[0], Evidence(fact="message", value=match[0], source="kernel log"), match)
    return None


def works(cuda: CudaDriver | None) -> bool:
    """Whether the CUDA driver was asked here and offers a GPU: then no line of a log says that it cannot."""
    return cuda is not None and cuda.code == 0 and bool(cuda.count)


def unknown_error(cuda: CudaDriver) -> bool:
    """Whether CUDA ended with its unknown error: 999, and 30 for the runtime before CUDA 10.1."""
    return cuda.code in (30, 999) or cuda.result in ("30", "999")


def nvml_fails(nvml: Nvml | None) -> bool:
    """Whether NVML is known not to work. Pasted text often shows a driver's version and not how NVML ended."""
    return nvml is not None and nvml.result not in ("NVML_SUCCESS", "not-shown")


def gpu_is_missed(printed: Printed | None) -> bool:
    """Whether somebody expected a GPU: TensorFlow's start-up lines about a missing driver come on every machine."""
    if printed is None:
        return False
    return any(lists_no_gpu(line.text) for line in printed.lines) or heard(printed, *_MISSED) is not None


_MISSED = (
    r"is_available\(\)[^\n]{0,20}False",
    r"Successfully opened dynamic library libcuda",
    r"CUDA_ERROR_NO_DEVICE|no CUDA-capable device is detected|No CUDA GPUs are available",
    r"(?:RuntimeError|AssertionError|ImportError|OSError): ",
)


def in_wsl(wsl: Wsl | None, printed: Printed | None) -> bool:
    """Whether this is WSL, or the text speaks of it where nothing shows it."""
    if wsl is not None:
        return wsl.version is not None
    return heard(printed, r"\bWSL ?[12]?\b") is not None
