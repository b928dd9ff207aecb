from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gpudoctor.facts import CudnnCopies, CudnnCopy, Missing, Toolkit, Toolkits
from gpudoctor.probes.at_host import look
from gpudoctor.probes.toolkit import cudnn, toolkits
from tests.probes.roots import ENVIRON, GOOD, RICH, UNREADABLE, Content, Link, changed, write_root

TOOLKITS = "/usr/local, environment variables, PATH, conda environment"
CUDNN = "library folders of system, toolkits and conda"


def toolkits_of(
    tmp_path: Path, changes: Mapping[str, Content | None], environ: Mapping[str, str] | None = None
) -> Toolkits | Missing:
    return look(toolkits, write_root(tmp_path, changed(GOOD, changes), environ))


def cudnn_of(
    tmp_path: Path, changes: Mapping[str, Content | None], environ: Mapping[str, str] | None = None
) -> CudnnCopies | Missing:
    return look(cudnn, write_root(tmp_path, changed(GOOD, changes), environ))


def test_no_toolkit_at_all_is_known_absence(tmp_path: Path) -> None:
    assert toolkits_of(tmp_path, {}) == Toolkits(source=TOOLKITS, toolkits=())


def test_each_toolkit_is_listed_once_with_every_way_that_leads_to_it(tmp_path: Path) -> None:
    assert look(toolkits, write_root(tmp_path, RICH, ENVIRON)) == Toolkits(
        source=TOOLKITS,
        toolkits=(
            Toolkit(
                path="/usr/local/cuda-12.4",
                version="12.4.1",
                nvcc="/usr/local/cuda-12.4/bin/nvcc",
                found_by="CUDA_HOME, /usr/local",
            ),
            Toolkit(
                path="/usr/local/cuda-11.8",
                version="11.8",
                nvcc="/usr/local/cuda-11.8/bin/nvcc",
                found_by="PATH, /usr/local",
            ),
            Toolkit(path="/usr/local/cuda-10.2", version="10.2.89", found_by="/usr/local"),
            Toolkit(path="/opt/conda", version="12.1.105", nvcc="/opt/conda/bin/nvcc", found_by="conda"),
        ),
    )


HOME = "/opt/cuda-x"


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"version.json": '{"cuda": {"name": "CUDA SDK", "version": "13.0.3"}}'}, "13.0.3"),
        ({"version.json": '{"cuda": {"name": "CUDA SDK", "version": "11.8.20220929"}}'}, "11.8"),
        ({"version.json": "[]", "include/cuda.h": "#define CUDA_VERSION 12060\n"}, "12.6"),
        ({"version.txt": "CUDA Version 9.0.176\nCUDA Patch Version 9.0.176.4\n"}, "9.0.176"),
        ({"targets/sbsa-linux/include/cuda.h": "#define CUDA_VERSION 12080\n", "bin/nvcc": ""}, "12.8"),
        ({"bin/nvcc": ""}, None),
    ],
)
def test_the_version_comes_from_the_toolkits_own_files(
    tmp_path: Path, files: Mapping[str, str], version: str | None
) -> None:
    changes = {f"{HOME}/{name}": content for name, content in files.items()}
    nvcc = f"{HOME}/bin/nvcc" if "bin/nvcc" in files else None
    assert toolkits_of(tmp_path, changes, {"CUDA_HOME": HOME}) == Toolkits(
        source=TOOLKITS, toolkits=(Toolkit(path=HOME, version=version, nvcc=nvcc, found_by="CUDA_HOME"),)
    )


def test_a_folder_that_only_names_a_version_is_believed_last(tmp_path: Path) -> None:
    found = toolkits_of(tmp_path, {"/usr/local/cuda-12.2/lib64/libcudart.so": ""})
    assert found == Toolkits(
        source=TOOLKITS, toolkits=(Toolkit(path="/usr/local/cuda-12.2", version="12.2", found_by="/usr/local"),)
    )


def test_a_folder_with_only_the_compatibility_driver_is_no_toolkit(tmp_path: Path) -> None:
    found = toolkits_of(tmp_path, {"/usr/local/cuda-12.2/compat/libcuda.so.1": ""})
    assert found == Toolkits(source=TOOLKITS, toolkits=())


def test_debians_toolkit_is_found_behind_its_wrapper(tmp_path: Path) -> None:
    changes: dict[str, Content | None] = {
        "/usr/bin/nvcc": '#!/bin/sh\n\nexec /usr/lib/nvidia-cuda-toolkit/bin/nvcc "$@"\n',
        "/usr/lib/nvidia-cuda-toolkit/bin/nvcc": b"\x7fELF",
        "/usr/include/cuda.h": "#define CUDA_VERSION 11080\n",
    }
    found = toolkits_of(tmp_path, changes, {"PATH": "/nowhere:relative:/usr/bin"})
    toolkit = Toolkit(
        path="/usr/lib/nvidia-cuda-toolkit",
        version="11.8",
        nvcc="/usr/lib/nvidia-cuda-toolkit/bin/nvcc",
        found_by="PATH, /usr/lib",
    )
    assert found == Toolkits(source=TOOLKITS, toolkits=(toolkit,))


@pytest.mark.parametrize("value", ["", "relative/cuda", "/gone", "/usr/local/cuda:/usr/local/cuda-11"])
def test_a_variable_that_names_no_toolkit_adds_none(tmp_path: Path, value: str) -> None:
    assert toolkits_of(tmp_path, {}, {"CUDA_HOME": value}) == Toolkits(source=TOOLKITS, toolkits=())


def test_a_conda_environment_without_cuda_is_no_toolkit(tmp_path: Path) -> None:
    changes = {"/opt/conda/conda-meta/numpy-1.26.4-py312h8442bc7_0.json": "{}"}
    assert toolkits_of(tmp_path, changes, {"CONDA_PREFIX": "/opt/conda"}) == Toolkits(source=TOOLKITS, toolkits=())


def test_an_unreadable_folder_is_missing(tmp_path: Path) -> None:
    assert toolkits_of(tmp_path, {"/usr/local": UNREADABLE}) == Missing(
        "unreadable", "Too many levels of symbolic links", "/usr/local"
    )


def test_no_cudnn_at_all_is_known_absence(tmp_path: Path) -> None:
    assert cudnn_of(tmp_path, {}) == CudnnCopies(source=CUDNN, copies=())


def test_each_copy_is_counted_once_and_says_who_brought_it(tmp_path: Path) -> None:
    system: dict[str, Content | None] = {
        "/usr/lib/x86_64-linux-gnu/libcudnn.so.9.1.0": "",
        "/usr/lib/x86_64-linux-gnu/libcudnn.so.9": Link("libcudnn.so.9.1.0"),
        "/usr/lib/x86_64-linux-gnu/libcudnn_graph.so.9": "",
    }
    assert look(cudnn, write_root(tmp_path, changed(RICH, system), ENVIRON)) == CudnnCopies(
        source=CUDNN,
        copies=(
            CudnnCopy(path="/usr/lib/x86_64-linux-gnu/libcudnn.so.9.1.0", version="9.1.0", brought_by="system"),
            CudnnCopy(path="/usr/local/cuda-12.4/lib64/libcudnn.so.9", version="9.1.0", brought_by="toolkit"),
            CudnnCopy(path="/opt/conda/lib/libcudnn.so.8.9.7", version="8.9.7", brought_by="conda"),
        ),
    )


def test_a_header_of_another_major_says_nothing_of_a_library(tmp_path: Path) -> None:
    changes: dict[str, Content | None] = {
        "/usr/lib64/libcudnn.so.8": "",
        "/usr/include/cudnn_version.h": "#define CUDNN_MAJOR 9\n#define CUDNN_MINOR 1\n#define CUDNN_PATCHLEVEL 0\n",
    }
    copy = CudnnCopy(path="/usr/lib64/libcudnn.so.8", version=None, brought_by="system")
    assert cudnn_of(tmp_path, changes) == CudnnCopies(source=CUDNN, copies=(copy,))


def test_a_link_to_nowhere_is_no_copy(tmp_path: Path) -> None:
    assert cudnn_of(tmp_path, {"/usr/lib64/libcudnn.so.8": Link("gone.so")}) == CudnnCopies(source=CUDNN, copies=())
