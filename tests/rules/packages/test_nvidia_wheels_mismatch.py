from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework

RULE = "nvidia-wheels-mismatch"
PIN = f.UnmetPin(package="torch", requirement="nvidia-cudnn-cu13==9.20.0.48", found="9.10.2.21")
GONE = f.UnmetPin(package="torch", requirement="nvidia-nccl-cu13==2.29.7", found=None)
BROKEN = {"ok": False, "ended": "exception", "error": "ImportError: libnccl.so.2: cannot open shared object file"}


def test_a_missing_pin_under_a_failed_import_is_the_cause() -> None:
    facts = with_framework("torch", change(only("torch"), pins={"unmet": (GONE,)}, smokes=()), imported=BROKEN)
    assert verdict(facts) == ("broken", RULE)
    finding = found(facts, RULE)
    assert finding.fixes[0].commands == ("/home/ann/venv/bin/python -m pip install nvidia-nccl-cu13==2.29.7",)


def test_the_failed_import_is_its_consequence() -> None:
    facts = with_framework("torch", change(only("torch"), pins={"unmet": (GONE,)}, smokes=()), imported=BROKEN)
    assert found(facts, "framework-import-failed").because_of == RULE


def test_another_version_under_a_working_import_is_a_warning() -> None:
    assert found(change(pins={"unmet": (PIN,)}), RULE).severity.value == "warning"


def test_unmet_pins_of_other_packages_are_not_its_business() -> None:
    other = f.UnmetPin(package="torch", requirement="sympy>=1.13.3", found="1.12")
    assert findings(change(pins={"unmet": (other,)}), RULE) == ()


def test_met_pins_pass() -> None:
    assert outcome(GOOD, RULE) == "passed"


def test_the_loaders_words_without_a_list_of_packages_are_likely() -> None:
    text = "ImportError: libcudnn.so.9: cannot open shared object file: No such file or directory"
    assert found(says(text, change(pins=f.NOT_IN_PASTE)), RULE).confidence.value == "likely"
    assert findings(says(text), RULE) == ()


def test_a_library_that_pytorch_looks_for_in_vain_is_a_missing_wheel() -> None:
    paste = f.Facts(origin="paste")
    text = "ValueError: libnvrtc.so.*[0-9].*[0-9] not found in the system path ['/app']"
    assert verdict(says(text, paste))[1] == RULE
    assert verdict(says("Outdated cuSPARSE installation found.", paste))[1] == RULE


def test_a_name_with_a_toolkits_full_number_is_older_than_the_wheels() -> None:
    text = "ImportError: libcublas.so.9.0: cannot open shared object file: No such file or directory"
    assert findings(says(text, f.Facts(origin="paste")), RULE) == ()


@pytest.mark.parametrize("name", ["cublas64_12.dll", "libcublas.so.12"])
def test_ctranslate2_names_the_library_that_it_cannot_load(name: str) -> None:
    text = f"RuntimeError: Library {name} is not found or cannot be loaded"
    assert verdict(says(text, f.Facts(origin="paste")))[1] == RULE


@pytest.mark.parametrize(
    "text",
    [
        "Attempt to open cnn_infer failed: handle=0 error: libcudnn_cnn_infer.so.8: cannot open shared object file",
        "OSError: libcudart.so.10.1: cannot open shared object file: No such file or directory",
        "undefined symbol: cublasSetEnvironmentMode",
        "Found cuSPARSE version 12002, but JAX was built against version 12200, which is newer.",
        "ImportError: [address=0.0.0.0:44627, pid=1165786] libcudart.so.12: cannot open shared object file",
    ],
)
def test_the_loaders_words_are_known_in_any_programs_error(text: str) -> None:
    assert found(says(text, f.Facts(origin="paste")), RULE).confidence.value == "likely"


@pytest.mark.parametrize(
    "text",
    [
        "dlerror: libcudart.so.11.0: cannot open shared object file: No such file or directory",
        "undefined symbol: cuGetProcAddress_v2",
        "ImportError: libcudart.so.9.0: cannot open shared object file: No such file or directory",
    ],
)
def test_the_words_of_other_troubles_are_left_to_their_rules(text: str) -> None:
    assert findings(says(text, f.Facts(origin="paste")), RULE) == ()


def test_an_import_error_of_old_is_pytorchs_where_the_text_speaks_of_pytorch_alone() -> None:
    text = "ImportError: libcudart.so.9.0: cannot open shared object file: No such file or directory"
    torch = says("import torch", f.Facts(origin="paste"), "torch")
    assert verdict(says(text, torch)) == ("broken", RULE)
    assert verdict(says(text, says("import tensorflow", torch, "tensorflow")))[1] == "tf-cuda-libs-missing"


PADDLE = (
    "PreconditionNotMetError: The third-party dynamic library ({}) that Paddle depends on is not configured correctly."
)


@pytest.mark.parametrize(
    "text",
    [
        "Could not load library libcudnn_cnn_infer.so.8. Error code 126",
        "Could not locate cudnn_ops64_9.dll. Please make sure it is in your library path!",
        PADDLE.format("libcudnn.so"),
        PADDLE.format("cublas64_11.dll;cublas64_12.dll"),
    ],
)
def test_a_library_of_cuda_that_a_program_opens_late_is_missing(text: str) -> None:
    assert found(says(text, f.Facts(origin="paste")), RULE).confidence.value == "likely"


@pytest.mark.parametrize(
    "text",
    [
        PADDLE.format("libcuda.so"),
        PADDLE.format("libwarpctc.so"),
        "Could not locate zlibwapi.dll. Please make sure it is in your library path!",
    ],
)
def test_a_library_of_the_drivers_or_of_others_is_not_a_wheels(text: str) -> None:
    assert findings(says(text, f.Facts(origin="paste")), RULE) == ()
