from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework

RULE = "library-path-shadowing"
PASTE = f.Facts(origin="paste")
LED = change(
    PASTE, environment=f.Environment(source="line 1", variables={"LD_LIBRARY_PATH": "/usr/local/cuda-12.1/lib64"})
)
OWN = f.MappedLibrary(
    name="libcudnn.so.9",
    path="/home/ann/venv/lib/python3.12/site-packages/nvidia/cudnn/lib/libcudnn.so.9",
    owner="nvidia-cudnn-cu13",
)
SYSTEM = f.MappedLibrary(name="libcudnn.so.9", path="/usr/lib/x86_64-linux-gnu/libcudnn.so.9")


def test_a_system_copy_that_was_mapped_although_the_wheel_has_one_is_a_warning() -> None:
    facts = with_framework("torch", only("torch"), imported={"libraries": (SYSTEM,)})
    finding = found(facts, RULE)
    assert (finding.severity.value, finding.evidence[0].value) == ("warning", "/usr/lib/x86_64-linux-gnu/libcudnn.so.9")


def test_the_wheels_own_copy_passes() -> None:
    assert outcome(with_framework("torch", only("torch"), imported={"libraries": (OWN,)}), RULE) == "passed"


def test_a_library_that_no_wheel_brings_may_come_from_the_system() -> None:
    own = f.MappedLibrary(name="libcuda.so.1", path="/usr/lib/x86_64-linux-gnu/libcuda.so.1")
    assert findings(with_framework("torch", only("torch"), imported={"libraries": (own,)}), RULE) == ()


def test_a_stub_of_libcuda_that_the_loader_takes_is_an_error() -> None:
    stub = f.LibraryFile(path="/opt/cuda-12.1/lib64/stubs/libcuda.so.1", kind="stub")
    assert found(change(libcuda={"taken": stub}), RULE).severity.value == "error"


@pytest.mark.parametrize(
    "text",
    [
        (
            "RuntimeError: cuDNN version incompatibility: PyTorch was compiled  against (8, 7, 0) but found "
            "runtime version (8, 2, 4)"
        ),
        "RuntimeError: cuDNN version mismatch: PyTorch was compiled against 7003 but linked against 7300",
        (
            "Could not load library libcudnn_cnn_train.so.8. Error: "
            "/usr/local/cuda/lib64/libcudnn_cnn_train.so.8: undefined "
            "symbol: _ZN5cudnn3cnn34layerNormFwd, version libcudnn_cnn_infer.so.8"
        ),
        "RuntimeError: cuDNN error: CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH",
        "You are using ptxas 8.x, but TF requires ptxas 9.x (and strongly prefers >= 9.2.88).",
    ],
)
def test_versions_that_disagree_are_certain(text: str) -> None:
    assert found(says(text, PASTE), RULE).confidence.value == "certain"


def test_both_cudnn_versions_are_named() -> None:
    text = "cuDNN version incompatibility: PyTorch was compiled  against (8, 7, 0) but found runtime version (8, 2, 4)"
    assert found(says(text, PASTE), RULE).detail == "Built for cuDNN 8.7.0, loaded 8.2.4."


def test_a_symbol_of_another_nvjitlink_is_the_cause_and_the_wheels_its_consequence() -> None:
    text = "ImportError: libcusparse.so.12: undefined symbol: __nvJitLinkComplete_12_4, version libnvJitLink.so.12"
    facts = says(text, LED)
    assert verdict(facts)[1] == RULE
    assert found(facts, RULE).fixes[0].commands == ("unset LD_LIBRARY_PATH",)
    assert [finding.because_of for finding in findings(facts, "nvidia-wheels-mismatch")] == [RULE]


def test_pins_that_are_not_met_explain_the_symbol_better() -> None:
    text = "ImportError: libcusparse.so.12: undefined symbol: __nvJitLinkComplete_12_4, version libnvJitLink.so.12"
    pin = f.UnmetPin(package="torch", requirement="nvidia-nvjitlink-cu12==12.4.127", found="12.1.105")
    assert findings(says(text, change(PASTE, pins=f.Pins(source="Requires-Dist", unmet=(pin,)))), RULE) == ()


def test_a_library_that_jax_cannot_load_is_this_only_where_a_variable_leads_elsewhere() -> None:
    text = "RuntimeError: Unable to load cuSPARSE. Is it installed?"
    assert found(says(text, LED), RULE).confidence.value == "likely"
    assert findings(says(text, PASTE), RULE) == ()


def test_a_loaders_trace_shows_where_a_library_came_from() -> None:
    traced = "calling init: /usr/local/cuda-12.1/lib64/libnvJitLink.so.12"
    assert found(says(traced, PASTE), RULE).confidence.value == "certain"
    own = "calling init: /home/ann/venv/lib/python3.12/site-packages/nvidia/nvjitlink/lib/libnvJitLink.so.12"
    assert findings(says(own, PASTE), RULE) == ()


def test_a_variable_alone_is_nothing() -> None:
    assert findings(change(GOOD, environment={"variables": {"LD_LIBRARY_PATH": "/usr/local/cuda/lib64"}}), RULE) == ()


def test_the_drivers_library_without_a_number_is_not_where_cudnn_looks() -> None:
    text = "Could not load library libcudnn_cnn_infer.so.8. Error: libcuda.so: cannot open shared object file"
    wsl = change(PASTE, wsl=f.Wsl(source="line 1", version=2))
    facts = says(text, wsl)
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, RULE).fixes[0].commands == ("export LD_LIBRARY_PATH=/usr/lib/wsl/lib",)
    assert findings(facts, "driver-not-installed") == ()
    assert findings(says(text.replace("libcuda.so:", "libnvrtc.so:"), wsl), RULE) == ()


def test_caffe2_compares_cudnn_in_its_own_words() -> None:
    text = (
        "RuntimeError: [enforce fail at common_cudnn.h:108] cuDNN compiled (7102) and runtime (7005) versions mismatch"
    )
    assert found(says(text, PASTE), RULE).confidence.value == "certain"
