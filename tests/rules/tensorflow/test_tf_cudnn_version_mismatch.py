from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, says, verdict, with_framework

RULE = "tf-cudnn-version-mismatch"
PASTE = f.Facts(origin="paste")
COMPARED = (
    "Loaded runtime CuDNN library: 8.0.5 but source was compiled with: 8.1.0.  CuDNN library needs to have matching "
    "major version and equal or higher minor version."
)


def cudnn(version: str) -> f.CudnnCopies:
    return f.CudnnCopies(source="line 4", copies=(f.CudnnCopy(path="", version=version, brought_by="system"),))


def test_the_frameworks_own_comparison_is_certain() -> None:
    facts = says(COMPARED, PASTE)
    assert verdict(facts)[1] == RULE
    assert found(facts, RULE).title == "cuDNN 8.0.5 is loaded; the framework was compiled with 8.1.0."


def test_a_package_of_cudnn_is_replaced_with_the_right_minor() -> None:
    package = f.Package(name="nvidia-cudnn-cu12", version="9.1.0.70", location="/lib")
    text = "Loaded runtime CuDNN library: 9.1.0 but source was compiled with: 9.3.0."
    fix = found(says(text, change(packages={"packages": (package,)})), RULE).fixes[0]
    assert fix.commands == ("/home/ann/venv/bin/python -m pip install 'nvidia-cudnn-cu12<10,>=9.3'",)


def test_the_failed_initialisation_is_its_consequence() -> None:
    facts = says("XlaRuntimeError: FAILED_PRECONDITION: DNN library initialization failed.", says(COMPARED, PASTE))
    assert verdict(facts)[1] == RULE
    assert found(facts, "gpu-memory-held").because_of == RULE


def test_another_major_under_another_name_is_not_found() -> None:
    text = "Could not load dynamic library 'libcudnn.so.7'; dlerror: libcudnn.so.7: cannot open shared object file"
    facts = says(text, change(PASTE, cudnn=cudnn("8.0.4")), "tensorflow")
    assert verdict(facts)[1] == RULE
    assert found(facts, RULE).title == "cuDNN 7 is needed (libcudnn.so.7); cuDNN 8.0.4 is installed."


def test_the_same_major_that_is_not_found_is_another_matter() -> None:
    text = "Could not load dynamic library 'libcudnn.so.8'; dlerror: libcudnn.so.8: cannot open shared object file"
    facts = says(text, change(PASTE, cudnn=cudnn("8.1.0")), "tensorflow")
    assert findings(facts, RULE) == ()
    assert verdict(facts)[1] == "tf-cuda-libs-missing"


def test_a_cudnn_older_than_tested_counts_only_where_no_gpu_is_listed() -> None:
    build = {"version": "2.12.0", "cuda": "11.8", "cudnn": "8.6"}
    facts = with_framework(
        "tensorflow", change(only("tensorflow"), cudnn=cudnn("8.4.1")), build=build, imported={"devices": ()}
    )
    assert found(says("GPUs: []", facts, "tensorflow"), RULE).confidence.value == "likely"
    assert findings(facts, RULE) == ()
    assert findings(GOOD, RULE) == ()


def test_jax_compares_in_its_own_words_and_other_libraries_are_another_matter() -> None:
    text = "Found cuDNN version 8600, but JAX was built against version 8906, which is newer."
    assert (
        found(says(text, PASTE, "jax"), RULE).title == "cuDNN 8.6.0 is loaded; the framework was compiled with 8.9.6."
    )
    assert findings(says(text.replace("cuDNN", "cuSPARSE"), PASTE, "jax"), RULE) == ()
