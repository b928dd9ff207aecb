"""The notebook of the docs, executed: ``python -m tests.notebook`` writes its outputs anew."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.environments import environment

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
_LIMIT_SECONDS = 600

_PROGRAM = """\
import sys
import nbformat
from nbclient import NotebookClient

book = nbformat.read(sys.argv[1], as_version=4)
client = NotebookClient(book, timeout=300, kernel_name="python3", record_timing=False)
client.execute(cwd=sys.argv[2])
sys.stdout.write(nbformat.writes(book))
"""

Notebook = dict[str, Any]


def kept() -> Notebook:
    """The notebook as it lies in the docs."""
    read: Notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    return read


def executed(python: Path) -> Notebook:
    """The same with the outputs of this machine. Raises AssertionError with the kernel's words where a cell fails."""
    with tempfile.TemporaryDirectory() as folder:
        jupyter = {f"JUPYTER_{name}_DIR": folder for name in ("CONFIG", "DATA", "RUNTIME")}
        done = subprocess.run(
            [str(python), "-c", _PROGRAM, str(NOTEBOOK), folder],
            capture_output=True,
            text=True,
            env={**os.environ, **jupyter, "IPYTHONDIR": folder, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
            timeout=_LIMIT_SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    made: Notebook = json.loads(done.stdout)
    made["metadata"] = kept()["metadata"]
    return made


def shape(notebook: Notebook) -> list[list[Any]]:
    """Of every cell the kinds of its outputs."""
    return [[_kind(output) for output in cell.get("outputs", ())] for cell in notebook["cells"]]


def _kind(output: dict[str, Any]) -> Any:
    kind = output["output_type"]
    return (kind, output["name"]) if kind == "stream" else (kind, sorted(output.get("data", ())))


def told(cell: dict[str, Any]) -> str:
    """All text of a cell's outputs."""
    parts: list[str] = []
    for output in cell.get("outputs", ()):
        for text in (output.get("text", ""), *output.get("data", {}).values()):
            parts.append(text if isinstance(text, str) else "".join(text))
    return "\n".join(parts)


if __name__ == "__main__":
    book = executed(environment("notebook"))
    NOTEBOOK.write_text(json.dumps(book, indent=1, ensure_ascii=False) + "\n", "utf-8")
