"""Environments of real packages from the index, each with one thing broken, judged by real imports in a child.

No package is downloaded for them: what replaces one comes from another environment of the suite.
"""

from __future__ import annotations

from pathlib import Path

from tests.lab.environments.broken import linked, replace, site_of
from tests.lab.environments.judged import Judged, broken, diagnose

# ------------------------------------------------------------------------------------------------- NumPy's two ABIs


def test_an_old_tensorflow_beside_numpy_2(old_tensorflow_python: Path, torch_python: Path, tmp_path: Path) -> None:
    made = linked(old_tensorflow_python, tmp_path / "env")
    replace(made, "numpy", site_of(torch_python))
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == broken("numpy-abi-mismatch")
    assert ran.commands("numpy-abi-mismatch") == [f"{made.python} -m pip install 'numpy<2'"]


# ------------------------------------------------------------------------------------------------ TensorFlow's Keras


def test_keras_2_under_a_tensorflow_that_needs_keras_3(
    tensorflow_python: Path, old_tensorflow_python: Path, tmp_path: Path
) -> None:
    made = linked(tensorflow_python, tmp_path / "env")
    replace(made, "keras", site_of(old_tensorflow_python))
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == broken("keras-mismatch")
    assert ran.commands("keras-mismatch") == [f"{made.python} -m pip install 'keras>=3'"]


def test_keras_3_under_a_tensorflow_of_keras_2_that_trains_all_the_same(
    tensorflow_python: Path, old_tensorflow_python: Path, tmp_path: Path
) -> None:
    made = linked(old_tensorflow_python, tmp_path / "env")
    for name in ("keras", "optree", "namex", "rich", "markdown-it-py", "mdurl", "pygments"):
        replace(made, name, site_of(tensorflow_python))
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == Judged(0, "warnings", "keras-mismatch", {})
    assert ran.report["smoke"][0]["result"] == "ran-on-cpu"
    assert ran.commands("keras-mismatch") == [f"{made.python} -m pip install 'keras<2.16,>=2.15'"]


# ----------------------------------------------------------------------------------------------- a file named torch


def test_a_script_named_torch_in_the_working_directory(torch_python: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import torch\n\nprint(torch.rand(2))\n")
    ran = diagnose(torch_python, tmp_path)
    assert ran.judged == broken("local-file-shadows")
    assert str(tmp_path / "torch.py") in ran.finding("local-file-shadows")["title"]


# ------------------------------------------------------------------------------------------------------- near misses


def test_a_copy_by_links_trains_like_its_original(torch_python: Path, tmp_path: Path) -> None:
    made = linked(torch_python, tmp_path / "env")
    assert diagnose(made.python, tmp_path / "home").judged == Judged(0, "healthy", None, {})


def test_an_old_tensorflow_with_what_it_asked_for(old_tensorflow_python: Path, tmp_path: Path) -> None:
    assert diagnose(old_tensorflow_python, tmp_path).judged == Judged(0, "healthy", None, {})
