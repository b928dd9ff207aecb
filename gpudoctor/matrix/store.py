"""Finding and reading the files of ``compat_matrix/``. Each file is read when first asked for, and once."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from gpudoctor.matrix.records import Record

RecordT = TypeVar("RecordT", bound=Record)


def data_folder() -> Path:
    """The folder of the data: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "compat_matrix"
    return inside if inside.is_dir() else package.parent / "compat_matrix"


def read(folder: Path, name: str, row: type[RecordT]) -> tuple[RecordT, ...]:
    """The records of one file, in file order. Raises if a line does not fit the schema."""
    lines = (folder / f"{name}.jsonl").read_bytes()
    return tuple(msgspec.json.Decoder(row).decode_lines(lines))
