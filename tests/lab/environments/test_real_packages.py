"""Environments of real packages from the index, each with one thing broken, judged by real imports in a child."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.environments.broken import cut, discard, info, linked, own, remove, replace, site_of
from tests.lab.environments.judged import Judged, broken, diagnose

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="libraries by their names on Linux")
HEALTHY = Judged(0, "healthy", None, {})

Package = Callable[[str], Path]


# ------------------------------------------------------------------------------------------------- NumPy's two ABIs


def test_an_old_tensorflow_beside_numpy_2(old_tensorflow_python: Path, torch_python: Path, tmp_path: Path) -> None:
    made = linked(old_tensorflow_python, tmp_path / "env")
    replace(made, "numpy", site_of(torch_python))
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == broken("numpy-abi-mismatch")
    assert ran.commands("numpy-abi-mismatch") == [f"{made.python} -m pip install 'numpy<2'"]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="ml-dtypes for NumPy 1 has no wheels for this Python")
def test_an_extension_made_for_numpy_1_beside_numpy_2(jax_python: Path, package: Package, tmp_path: Path) -> None:
    made = linked(jax_python, tmp_path / "env")
    replace(made, "ml-dtypes", package("ml-dtypes-for-numpy-1"))
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == broken("numpy-abi-mismatch")
    (command,) = ran.commands("numpy-abi-mismatch")
    assert command.startswith(f"{made.python} -m pip install 'ml-dtypes>=0.")


def test_torch_without_numpy_trains_and_is_told_to_install_it(torch_python: Path, tmp_path: Path) -> None:
    made = linked(torch_python, tmp_path / "env")
    remove(made, "numpy")
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == Judged(0, "warnings", "numpy-abi-mismatch", {})
    assert ran.commands("numpy-abi-mismatch") == [f"{made.python} -m pip install numpy"]


# -------------------------------------------------------------------------------- TensorFlow's Keras and protobuf


def test_keras_2_under_a_tensorflow_that_needs_keras_3(
    tensorflow_python: Path, package: Package, tmp_path: Path
) -> None:
    made = linked(tensorflow_python, tmp_path / "env")
    replace(made, "keras", package("keras-2"))
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == broken("keras-mismatch")
    assert ran.commands("keras-mismatch") == [f"{made.python} -m pip install 'keras>=3'"]


def test_a_tensorflow_without_keras(tensorflow_python: Path, tmp_path: Path) -> None:
    made = linked(tensorflow_python, tmp_path / "env")
    remove(made, "keras")
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == broken("keras-mismatch")
    assert ran.finding("keras-mismatch")["title"].endswith(" needs Keras, which is not installed.")
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


def test_protobuf_4_under_a_tensorflow_that_needs_a_newer_one(
    tensorflow_python: Path, package: Package, tmp_path: Path
) -> None:
    made = linked(tensorflow_python, tmp_path / "env")
    replace(made, "protobuf", package("protobuf-4"))
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == broken("protobuf-mismatch")
    (command,) = ran.commands("protobuf-mismatch")
    assert command.startswith(f"{made.python} -m pip install 'protobuf<")
    assert ">=6" in command


def test_a_protobuf_too_new_for_a_tensorflow_that_complains_and_trains(
    tensorflow_python: Path, old_tensorflow_python: Path, tmp_path: Path
) -> None:
    made = linked(old_tensorflow_python, tmp_path / "env")
    replace(made, "protobuf", site_of(tensorflow_python))
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == Judged(0, "warnings", "protobuf-mismatch", {})
    assert ran.report["smoke"][0]["result"] == "ran-on-cpu"
    (command,) = ran.commands("protobuf-mismatch")
    assert ",<5" in command


# ------------------------------------------------------------------------------------------------- jax and jaxlib


def test_a_jax_older_than_its_jaxlib(jax_python: Path, package: Package, tmp_path: Path) -> None:
    made = linked(jax_python, tmp_path / "env")
    replace(made, "jax", package("old-jax"))
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == broken("jax-plugin-mismatch")
    assert ran.finding("jax-plugin-mismatch")["title"] == "jax and jaxlib do not pair."
    assert ran.commands("jax-plugin-mismatch") == [f"{made.python} -m pip install jax==0.4.38"]


def test_a_jax_without_jaxlib(jax_python: Path, tmp_path: Path) -> None:
    made = linked(jax_python, tmp_path / "env")
    remove(made, "jaxlib")
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == broken("incomplete-install")
    (command,) = ran.commands("incomplete-install")
    assert command.startswith(f"{made.python} -m pip install 'jaxlib")


# --------------------------------------------------------------------------------- lost files and libraries cut off


@pytest.mark.parametrize("library", ["torch/lib/libc10.so", "numpy/_core/_multiarray_umath.*.so"])
def test_a_library_cut_in_half(library: str, torch_python: Path, tmp_path: Path) -> None:
    """The loader maps more than there is, and the process dies by SIGBUS without a word."""
    made = linked(torch_python, tmp_path / "env")
    name = library.partition("/")[0]
    own(made.site / name)
    (path,) = made.site.glob(library)
    cut(path)
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == broken("incomplete-install")
    assert ran.package(name)["damaged"] == [str(path.relative_to(made.site))]
    assert ran.finding("framework-import-failed")["detail"] == "signal SIGBUS"
    assert ran.commands("incomplete-install")[0].startswith(
        f"{made.python} -m pip install --force-reinstall --no-deps {name}=="
    )


def test_a_library_of_which_only_the_beginning_is_left(jax_python: Path, tmp_path: Path) -> None:
    made = linked(jax_python, tmp_path / "env")
    own(made.site / "jaxlib")
    cut(made.site / "jaxlib/_jax.so", 0.001)
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == broken("incomplete-install")
    assert ran.finding("framework-import-failed")["detail"].endswith("jaxlib/_jax.so: file too short")


def test_a_library_that_is_gone(torch_python: Path, tmp_path: Path) -> None:
    made = linked(torch_python, tmp_path / "env")
    own(made.site / "torch")
    next((made.site / "torch").glob("_C.*.so")).unlink()
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == broken("incomplete-install")
    assert ran.finding("framework-import-failed")["detail"] == "ImportError: Failed to load PyTorch C extensions:"


def test_a_folder_of_the_package_that_is_gone(torch_python: Path, tmp_path: Path) -> None:
    made = linked(torch_python, tmp_path / "env")
    own(made.site / "torch")
    shutil.rmtree(made.site / "torch/nn")
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == broken("incomplete-install")
    assert ran.finding("incomplete-install")["title"].startswith("torch 2.13.0")
    assert "torch/nn/__init__.py and " in ran.finding("incomplete-install")["title"]


def test_metadata_of_a_package_whose_folder_is_gone(torch_python: Path, tmp_path: Path) -> None:
    made = linked(torch_python, tmp_path / "env")
    discard(made.site / "torch")
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == broken("incomplete-install", wrong_interpreter=("error", "incomplete-install"))


def test_a_package_whose_metadata_is_gone_trains_all_the_same(torch_python: Path, tmp_path: Path) -> None:
    made = linked(torch_python, tmp_path / "env")
    discard(info(made, "torch"))
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == HEALTHY
    assert ran.package("torch")["metadata"] is False


def test_a_package_whose_record_is_gone_and_which_does_not_import(torch_python: Path, tmp_path: Path) -> None:
    """Without RECORD nothing tells what lacks; the failed import is all that is known."""
    made = linked(torch_python, tmp_path / "env")
    own(made.site / "torch")
    own(info(made, "torch"))
    (info(made, "torch") / "RECORD").unlink()
    shutil.rmtree(made.site / "torch/nn")
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == Judged(1, "broken", "framework-import-failed", {})
    assert ran.finding("framework-import-failed")["detail"] == "ModuleNotFoundError: No module named 'torch.nn'"


# ----------------------------------------------------------------------------------------- two of them, and another


def test_a_tensorflow_recorded_in_two_releases(
    tensorflow_python: Path, old_tensorflow_python: Path, tmp_path: Path
) -> None:
    """An upgrade that ended between unpacking the new files and removing the old metadata."""
    made = linked(tensorflow_python, tmp_path / "env")
    old = next(site_of(old_tensorflow_python).glob("tensorflow*-2.15.1.dist-info"))
    (made.site / old.name).symlink_to(old)
    ran = diagnose(made.python, tmp_path / "home")
    assert ran.judged == Judged(
        0,
        "warnings",
        "duplicate-install",
        {
            "keras-mismatch": ("warning", "duplicate-install"),
            "protobuf-mismatch": ("warning", "duplicate-install"),
        },
    )


def test_a_script_named_torch_in_the_working_directory(torch_python: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import torch\n\nprint(torch.rand(2))\n")
    ran = diagnose(torch_python, tmp_path)
    assert ran.judged == broken("local-file-shadows")
    assert str(tmp_path / "torch.py") in ran.finding("local-file-shadows")["title"]


# ------------------------------------------------------------------------------------------------------- near misses


def test_an_old_tensorflow_with_what_it_asked_for(old_tensorflow_python: Path, tmp_path: Path) -> None:
    assert diagnose(old_tensorflow_python, tmp_path).judged == HEALTHY
