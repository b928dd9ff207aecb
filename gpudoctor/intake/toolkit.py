"""``nvcc --version``, ``cat version.txt`` and version.json of a CUDA toolkit, cudnn_version.h, ``ls /usr/local``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor.intake import words
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, Trust

_RELEASE = re.compile(r"release (\d{1,2}\.\d{1,2})(?:, V(\d{1,2}\.\d{1,2}\.\d{1,4}))?")
_HEADER = re.compile(r"#define CUDNN_(MAJOR|MINOR|PATCHLEVEL) (\d{1,3})")
_NVCC_LINES = ("nvcc: NVIDIA", "Copyright (c) 20", "Built on ", "Build cuda_", "Cuda compilation tools")


def read_nvcc(paste: Paste) -> Iterator[Piece]:
    """The compiler's version, and lines that nvcc prints around it."""
    if "Cuda compilation tools" in paste.text:
        for position in tuple(paste.free()):
            text = paste.texts[position]
            if not text.startswith(_NVCC_LINES):
                continue
            paste.take(position)
            found = _RELEASE.search(text) if text.startswith("Cuda comp") else None
            if found:
                full = found[2] if found[2] and not found[2].endswith(".0.0") else found[1]
                yield Said("toolkit.nvcc", full, paste.where(position), Trust.SHOWN)
    for position in tuple(paste.holding("CUDA Version ")):
        text = paste.texts[position]
        if re.fullmatch(r"CUDA Version \d{1,2}\.\d{1,2}(?:\.\d{1,4})?", text):  # version.txt; NVIDIA's image banner: ==
            paste.take(position)
            yield Said("toolkit", words.cuda(text) or "", paste.where(position), Trust.SHOWN)
    yield from _cudnn_header(paste)


def _cudnn_header(paste: Paste) -> Iterator[Piece]:
    parts: dict[str, str] = {}
    for position in tuple(paste.holding("#define CUDNN_")) or tuple(paste.holding("define CUDNN_")):
        found = _HEADER.search("#" + paste.texts[position].lstrip("#"))
        if found:
            paste.take(position)
            parts.setdefault(found[1], found[2])
            if len(parts) == 3:
                version = f"{parts['MAJOR']}.{parts['MINOR']}.{parts['PATCHLEVEL']}"
                yield Said("cudnn", version, paste.where(position), Trust.SHOWN)
                return
