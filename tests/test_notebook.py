"""The notebook of the docs: it runs, and what it shows is what gpudoctor shows."""

from __future__ import annotations

import getpass
import platform
from pathlib import Path

import pytest

from tests.notebook import Notebook, executed, kept, shape, told

RICH = ("execute_result", ["text/html", "text/plain"])


@pytest.fixture(scope="module")
def made(notebook_python: Path) -> Notebook:
    """The notebook with the outputs of this machine."""
    return executed(notebook_python)


def test_it_runs_and_what_is_kept_has_the_shape_of_what_comes(made: Notebook) -> None:
    """Written anew with: python -m tests.notebook"""
    assert shape(kept()) == shape(made)
    assert all(cell["outputs"] for cell in kept()["cells"] if cell["cell_type"] == "code")


def test_a_report_shows_itself_once_and_rich() -> None:
    shapes = dict(zip((cell["id"] for cell in kept()["cells"]), shape(kept()), strict=True))
    assert (shapes["look"], shapes["text"]) == ([RICH], [RICH])


def test_what_is_the_same_everywhere_is_as_it_is_kept(made: Notebook) -> None:
    same = [
        (before["id"], told(before), told(after))
        for before, after in zip(kept()["cells"], made["cells"], strict=True)
        if "same-everywhere" in before["metadata"].get("tags", ())
    ]
    assert [name for name, _, _ in same] == ["fix"]
    for _, before, after in same:
        assert before == after
    verdicts = [_text(notebook, "text")[:2] for notebook in (kept(), made)]
    assert verdicts[0] == verdicts[1]
    assert verdicts[0][1].strip() == "torch-arch-unsupported"


def _text(notebook: Notebook, name: str) -> list[str]:
    """The lines of a cell's plain text."""
    (cell,) = (cell for cell in notebook["cells"] if cell["id"] == name)
    text = cell["outputs"][0]["data"]["text/plain"]
    return (text if isinstance(text, str) else "".join(text)).splitlines()


def test_a_fault_of_a_cell_is_a_fault_of_the_test(
    notebook_python: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken.ipynb").write_text(
        '{"cells": [{"cell_type": "code", "execution_count": null, "id": "a", "metadata": {}, "outputs": [],'
        ' "source": ["import gpudoctor\\n", "gpudoctor.diagnose(quick=1)"]}],'
        ' "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    )
    monkeypatch.setattr("tests.notebook.NOTEBOOK", tmp_path / "broken.ipynb")
    with pytest.raises(AssertionError, match="quick must be True or False, not 1"):
        executed(notebook_python)


def test_nothing_private_is_shown(made: Notebook) -> None:
    private = {str(Path.home()), platform.node(), f"/{getpass.getuser()}/"}
    for notebook in (kept(), made):
        text = "\n".join(told(cell) for cell in notebook["cells"])
        assert [word for word in private if len(word) > 3 and word in text] == []
