"""Bring the matrix up to date with the package index that pip is configured for.

    python compat_matrix/refresh.py                    report what is new or has changed
    python compat_matrix/refresh.py --write            also write it, hand-checked rows excepted
    python compat_matrix/refresh.py --agreement        count the rows whose CUDA, cuDNN, NCCL equal the wheels'
    python compat_matrix/refresh.py torch jax          only these tables
    python compat_matrix/refresh.py --deep torch       also re-read the architecture flags of known releases

A row is compared only in the fields that upstream tells. A row with ``"hand_checked": true`` is never written:
the difference is reported instead, and a person decides. Needs gpudoctor's dependencies and pip.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from packaging.version import Version

FOLDER = Path(__file__).resolve().parent
sys.path.append(str(FOLDER.parent))  # run as a script, only this folder is on the path

from compat_matrix import upstream  # noqa: E402
from compat_matrix.wheels import Index, PipIndex, Recorder  # noqa: E402

Row = dict[str, Any]
_FALSE_BY_DEFAULT = frozenset({"pypi_default", "yanked", "and_cuda_exact"})
_TAIL = ("note", "verified", "hand_checked", "source", "checked")
_NOT_COMPARED = {*_TAIL, *upstream.ONLY_FOR_NEW}


class Change(NamedTuple):
    """One field of a known row in which upstream differs."""

    row: tuple[str, ...]
    field: str
    ours: Any
    theirs: Any
    kept: bool

    def __str__(self) -> str:
        fate = "KEPT, hand-checked" if self.kept else "changed"
        return f"{' '.join(self.row)}: {self.field}: {self.ours!r} → {self.theirs!r} ({fate})"


class Merge(NamedTuple):
    """A table after the comparison."""

    rows: list[Row]
    added: list[tuple[str, ...]]
    changes: list[Change]


def merge(ours: Sequence[Row], theirs: Iterable[Row], keys: Sequence[str], today: str) -> Merge:
    """Bring upstream's rows into a table; rows that are hand-checked stay as they are, and that is reported."""
    table = {_identity(row, keys): dict(row) for row in ours}
    added: list[tuple[str, ...]] = []
    changes: list[Change] = []
    for row in theirs:
        identity = _identity(row, keys)
        known = table.get(identity)
        if known is None:
            table[identity] = {**row, "checked": today}
            added.append(identity)
            continue
        found = [
            Change(identity, field, known.get(field), value, bool(known.get("hand_checked")))
            for field, value in row.items()
            if field not in _NOT_COMPARED and _differ(known.get(field), value)
        ]
        changes += found
        if found and not known.get("hand_checked"):
            table[identity] = {**known, **{c.field: c.theirs for c in found}, "checked": today}
    return Merge([_ordered(row) for row in sorted(table.values(), key=_sort_key(keys))], added, changes)


def _identity(row: Row, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(row[key]) for key in keys)


def _differ(ours: Any, theirs: Any) -> bool:
    """Absent, empty and false are the same: the data leaves defaults out. So are clauses in another order."""
    if isinstance(ours, str) and isinstance(theirs, str):
        return sorted(ours.split(",")) != sorted(theirs.split(","))
    return ours != theirs and bool(ours or theirs)


def _sort_key(keys: Sequence[str]) -> Callable[[Row], tuple[Any, ...]]:
    def place(row: Row) -> tuple[Any, ...]:
        return tuple(_sortable(key, row[key]) for key in keys)

    return place


def _sortable(key: str, value: Any) -> Any:
    if key in ("release", "version", "toolkit"):
        return Version(value)
    return upstream.PLATFORMS.index(value) if key == "platform" else _variant(value) if key == "variant" else value


def _variant(variant: str) -> int:
    return int(variant.removeprefix("cu")) if variant != "cpu" else 0


def _ordered(row: Row) -> Row:
    """The row without defaults, its origin last."""
    kept = {f: v for f, v in row.items() if f not in _TAIL and v not in (None, [], {}, "")}
    plain = {f: v for f, v in kept.items() if v is not False or f not in _FALSE_BY_DEFAULT}
    return plain | {field: row[field] for field in _TAIL if field in row}


def read_table(folder: Path, name: str) -> list[Row]:
    """The rows of a data file as plain JSON."""
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def write_table(folder: Path, name: str, rows: Iterable[Row]) -> None:
    """One record a line."""
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


class Options(NamedTuple):
    """What a run does."""

    folder: Path
    tables: tuple[str, ...]
    write: bool
    deep: bool
    today: str


def refresh(index: Index, options: Options, say: Callable[[str], None]) -> int:
    """Compare, report, and write if asked. Returns the number of rows that are new or differ."""
    total = 0
    for name, reader in upstream.READERS.items():
        if options.tables and name not in options.tables:
            continue
        known = {table: read_table(options.folder, table) for table in reader.tables}
        for table, rows in reader.read(index, known, options.deep).items():
            result = merge(known[table], rows, reader.tables[table], options.today)
            _report(table, result, say)
            total += len(result.added) + len(result.changes)
            if options.write:
                write_table(options.folder, table, result.rows)
    return total


def _report(table: str, result: Merge, say: Callable[[str], None]) -> None:
    say(f"{table}: {len(result.rows)} rows, {len(result.added)} new, {len(result.changes)} differ")
    for identity in result.added:
        say(f"  new: {' '.join(identity)}")
    for change in result.changes:
        say(f"  {change}")


def agreement(index: Index, folder: Path, say: Callable[[str], None]) -> int:
    """Compare CUDA, cuDNN and NCCL of every readable wheel with the matrix. Returns the disagreements."""
    agreed = disagreed = 0
    for framework in ("torch", "tensorflow"):
        counts = dict.fromkeys(("cuda", "cudnn", "nccl"), 0)
        for claim in upstream.claims(index, framework, read_table(folder, f"{framework}_builds"), folder):
            if claim.ours == claim.theirs:
                counts[claim.field] += 1
                continue
            disagreed += 1
            say(f"  DISAGREE {claim}")
        agreed += sum(counts.values())
        say(f"{framework}: agreed " + ", ".join(f"{field} {count}" for field, count in counts.items()))
    say(f"agreed {agreed}, disagreed {disagreed}")
    return disagreed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[[], *upstream.READERS], help="only these")
    parser.add_argument("--write", action="store_true", help="write what is new or changed")
    parser.add_argument("--deep", action="store_true", help="re-read what is slow, for known releases too")
    parser.add_argument("--agreement", action="store_true", help="only count agreed and disagreed rows")
    parser.add_argument("--record", type=Path, metavar="FILE", help="keep the index's answers, for tests")
    given = parser.parse_args(arguments)
    index: Index = PipIndex()
    recorder = Recorder(index)
    if given.agreement:
        return 1 if agreement(index, FOLDER, _say) else 0
    today = datetime.date.today().isoformat()
    options = Options(FOLDER, tuple(given.tables), given.write, given.deep, today)
    refresh(recorder if given.record else index, options, _say)
    if given.record:
        given.record.write_text(json.dumps(recorder.recording, indent=1), encoding="utf-8")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
