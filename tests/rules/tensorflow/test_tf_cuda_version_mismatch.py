from __future__ import annotations

import pytest

from gpudoctor import facts as f
from gpudoctor.relations import CudaVersion
from gpudoctor.rules._libraries import Library, brings, serves
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework

RULE = "tf-cuda-version-mismatch"
PASTE = f.Facts(origin="paste")
BUILD = {"version": "2.4.1", "cuda": "11.0", "cudnn": "8.0"}


def nvcc(version: str) -> f.Toolkits:
    return f.Toolkits(source="line 2", toolkits=(f.Toolkit(path="nvcc", version=version, nvcc=version),))


def missing(name: str) -> str:
    return f"Could not load dynamic library '{name}'; dlerror: {name}: cannot open shared object file"


@pytest.mark.parametrize(
    ("text", "installed"),
    [
        (missing("libcudart.so.10.1"), "10.2"),
        (missing("libcusolver.so.10"), "11.2"),
        ("ImportError: libcublas.so.9.0: cannot open shared object file: No such file or directory", "9.1"),
        ("cudart64_101.dll not found", "10.2"),
        ("Could not load dynamic library 'cusolver64_10.dll'; dlerror: cusolver64_10.dll not found", "11.1"),
    ],
)
def test_a_name_that_the_installed_cuda_has_not_is_the_cause(text: str, installed: str) -> None:
    facts = says(text, change(PASTE, toolkits=nvcc(installed)))
    assert verdict(facts)[1] == RULE
    assert found(facts, RULE).confidence.value == "certain"


def test_the_toolkits_that_have_the_library_are_named() -> None:
    facts = says(missing("libcusolver.so.10"), change(PASTE, toolkits=nvcc("11.2")))
    assert found(facts, RULE).title == (
        "TensorFlow opens libcusolver.so.10, which CUDA 10.1 to 11.0 has and CUDA 11.2 has not."
    )
    assert found(facts, "tf-cuda-libs-missing").because_of == RULE


def test_a_toolkit_that_has_the_library_means_that_it_is_not_found() -> None:
    facts = says(missing("libcudart.so.11.0"), change(PASTE, toolkits=nvcc("11.4")))
    assert findings(facts, RULE) == ()
    assert verdict(facts)[1] == "tf-cuda-libs-missing"


def test_without_any_cuda_that_is_seen_it_is_not_judged() -> None:
    assert findings(says(missing("libcudart.so.10.1"), PASTE), RULE) == ()


def test_an_import_error_of_a_newer_name_may_be_another_programs() -> None:
    text = "ImportError: libcudart.so.11.0: cannot open shared object file: No such file or directory"
    assert findings(says(text, change(PASTE, toolkits=nvcc("12.1"))), RULE) == ()


def test_a_release_that_lists_no_gpu_beside_another_cuda_is_likely() -> None:
    no_device = {"available": False, "devices": ()}
    facts = change(
        with_framework("tensorflow", change(only("tensorflow"), smokes=()), build=BUILD, imported=no_device),
        packages={"packages": ()},
        toolkits=nvcc("11.2"),
    )
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, RULE).title == "TensorFlow 2.4.1 was built with CUDA 11.0; CUDA 11.2 is installed."
    assert outcome(change(facts, toolkits=nvcc("11.0")), RULE) == "passed"


def test_a_gpu_in_the_list_says_that_all_is_well() -> None:
    assert findings(says(missing("libcudart.so.10.1"), change(GOOD, toolkits=nvcc("10.2")), "tensorflow"), RULE) == ()


@pytest.mark.parametrize(
    ("cuda", "name", "has"),
    [
        ("9.0", "libcublas.so.9.0", True),
        ("10.1", "libcublas.so.10", True),
        ("10.1", "libcublas.so.10.1", False),
        ("11.0", "libcusolver.so.10", True),
        ("11.1", "libcusolver.so.10", False),
        ("11.8", "libcudart.so.11.0", True),
        ("11.8", "libcufft.so.10", True),
        ("12.4", "libcufft.so.11", True),
        ("12.4", "cudart64_12.dll", True),
        ("11.2", "cudart64_110.dll", True),
    ],
)
def test_names_of_the_libraries_by_toolkit(cuda: str, name: str, has: bool) -> None:
    library = Library.parse(name)
    assert library is not None
    assert brings(CudaVersion.parse(cuda), library) is has


def test_a_toolkit_serves_a_build_when_every_name_is_the_same() -> None:
    assert serves(CudaVersion(11, 8), CudaVersion(11, 2))
    assert not serves(CudaVersion(11, 2), CudaVersion(11, 0))
    assert not serves(CudaVersion(15, 0), CudaVersion(15, 0))
