"""The ``version=`` entry of a kernel module file: section .modinfo of an ELF file, read without the rest of it."""

from __future__ import annotations

import struct
from typing import BinaryIO

_MOST_SECTIONS = 1 << 16
_MOST_BYTES = 1 << 20


def module_version(file: BinaryIO) -> str | None:
    """The version that a 64-bit little-endian kernel module gives itself, None if it gives none or is no such file."""
    try:
        info = _section(file, b".modinfo")
    except (struct.error, OverflowError, ValueError):
        return None
    entries = (info or b"").split(b"\0")
    return next((e[8:].decode("ascii", "replace") for e in entries if e.startswith(b"version=")), None)


def _section(file: BinaryIO, wanted: bytes) -> bytes | None:
    """Layout: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.sheader.html"""
    header = file.read(64)
    if header[:6] != b"\x7fELF\x02\x01":
        return None
    table, width, count, names_index = struct.unpack("<Q10xHHH", header[40:64])
    if width != 64 or count > _MOST_SECTIONS or names_index >= count:
        return None
    file.seek(table)
    sections = list(struct.iter_unpack("<II8x8xQQ24x", file.read(width * count)))
    names = _content(file, *sections[names_index][2:]) if names_index < len(sections) else b""
    for name, _, offset, size in sections:
        if names[name : name + len(wanted) + 1] == wanted + b"\0":
            return _content(file, offset, size)
    return None


def _content(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(min(size, _MOST_BYTES))
