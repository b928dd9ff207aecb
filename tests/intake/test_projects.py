"""Lists of the tools that rule over a project: pixi and poetry."""

from __future__ import annotations

import pytest

from gpudoctor import facts as f
from gpudoctor.pasted import triage
from tests.intake.pastes import facts, told
from tests.intake.test_packages import listed

PIXI = """\
$ pixi list
Package      Version  Build                           Size       Kind   Source
libtorch     2.8.0    cuda129_mkl_hc64f9c6_301        836.2 MiB  conda  https://conda.anaconda.org/conda-forge/
numpy        2.2.1    py313ha4a2180_0                 6.2 MiB    conda  numpy
python       3.13.1   h4f43103_105_cp313              12.3 MiB   conda  python-3.13.1-h4f43103_105_cp313.conda
pytorch      2.8.0    cuda129_mkl_py313_h392364f_301  24 MiB     conda  https://conda.anaconda.org/conda-forge/
einops       0.8.0                                    125.1 KiB  pypi   einops-0.8.0-py3-none-any.whl
"""

POETRY = """\
$ poetry show
einops             0.8.0        A new flavour of deep learning operations
filelock           3.13.1       A platform independent file lock.
nvidia-cudnn-cu12  8.9.2.26     cuDNN runtime libraries
tensorrt       (!) 10.0.1       TensorRT Metapackage
torch              2.2.1+cu121  Tensors and Dynamic neural networks in Python with strong GPU acceleration
"""


def _conda(text: str) -> list[tuple[str, str, str, str | None]]:
    packages = facts(text).packages
    assert isinstance(packages, f.Packages)
    return [(one.name, one.version, one.build, one.channel) for one in packages.conda]


@pytest.mark.parametrize(
    "text", [PIXI, PIXI.partition("Source\n")[2], PIXI.replace("Package ", "Name    ", 1)], ids=["table", "grep", "new"]
)
def test_pixi_lists_what_conda_and_what_pip_packages_are(text: str) -> None:
    assert _conda(text) == [
        ("libtorch", "2.8.0", "cuda129_mkl_hc64f9c6_301", "conda-forge"),
        ("numpy", "2.2.1", "py313ha4a2180_0", None),
        ("pytorch", "2.8.0", "cuda129_mkl_py313_h392364f_301", "conda-forge"),
    ]
    assert ("einops", "0.8.0", "pip") in listed(text)
    seen = facts(text)
    torch = seen.framework("torch")
    assert torch is not None
    assert told(torch.build, "source", "location") == {
        "distribution": "torch",
        "version": "2.8.0",
        "accelerator": "cuda",
        "cuda": "12.9",
        "channel": "conda",
        "installer": "conda",
    }
    assert isinstance(seen.interpreter, f.Interpreter)
    assert (seen.interpreter.version, seen.interpreter.tool) == ("3.13.1", "pixi")


def test_every_row_of_a_list_is_recognised() -> None:
    for text in (PIXI, POETRY):
        reading = triage(text.encode(), "-").reading
        assert reading is not None
        assert reading.recognised == reading.lines == len(text.splitlines())


def test_poetry_lists_what_is_installed_and_not_what_is_only_locked() -> None:
    assert listed(POETRY) == [
        ("einops", "0.8.0", None),
        ("filelock", "3.13.1", None),
        ("nvidia-cudnn-cu12", "8.9.2.26", None),
        ("torch", "2.2.1+cu121", None),
    ]


def test_poetry_shows_newer_releases_and_trees_and_one_package() -> None:
    latest = "$ poetry show --latest\ntorch  2.2.1  2.7.0  Tensors and Dynamic neural networks\n"
    tree = (
        "$ poetry show --tree\ntorch 2.2.1 Tensors\n├── filelock *\n├── fsspec *\n└── jinja2 *\nxformers 0.0.25 Fast\n"
    )
    one = "$ poetry show torch\n name         : torch\n version      : 2.2.1\n description  : Tensors\n"
    assert [(name, version) for name, version, _ in listed(latest)] == [("torch", "2.2.1")]
    assert [(name, version) for name, version, _ in listed(tree)] == [("torch", "2.2.1"), ("xformers", "0.0.25")]
    assert [(name, version) for name, version, _ in listed(one)] == [("torch", "2.2.1")]


def test_a_size_in_a_sentence_about_conda_is_no_package() -> None:
    text = (
        "numpy 2.2 takes 6.2 MiB conda says so and more\nCUDA 12.4 with 8.0 GiB pypi\ntorch 2.1 8 GiB conda x y z w\n"
    )
    assert isinstance(facts(text).packages, f.Missing) or _conda(text) == []


def test_the_fix_for_a_project_speaks_its_tool() -> None:
    text = (
        PIXI.replace("cuda129_mkl_py313_h392364f_301", "cpu_mkl_py313_h0f4f5cd_101").replace(
            "cuda129_mkl_hc64f9c6_301", "cpu_mkl_hf6ddc5a_101"
        )
        + "$ nvidia-smi -L\nGPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-1c2d3e4f-0000-1111-2222-333344445555)\n"
        + "Driver Version: 580.65.06   CUDA Version: 13.0\n>>> torch.cuda.is_available()\nFalse\n"
    )
    report = triage(text.encode(), "-")
    assert report.cause is not None
    assert report.cause.rule == "torch-cpu-build"
    assert report.findings[0].fixes[0].commands[0].startswith("pixi add ")
