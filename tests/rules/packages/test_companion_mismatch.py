from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework

RULE = "companion-mismatch"
PASTE = f.Facts(origin="paste")


def beside(version: str, *packages: tuple[str, str]) -> f.Facts:
    listed = tuple(f.Package(name=name, version=one, location="/lib") for name, one in packages)
    facts = change(only("torch"), packages=f.Packages(source="pip list", packages=listed), smokes=())
    return with_framework("torch", facts, build={"version": version})


def test_a_torchvision_of_another_torch_is_the_cause() -> None:
    facts = beside("2.4.0+cu121", ("torchvision", "0.20.1+cu124"))
    assert verdict(facts) == ("broken", RULE)
    finding = found(facts, RULE)
    assert finding.title == "torchvision 0.20.1+cu124 belongs to torch 2.5.1; torch 2.4.0+cu121 is installed."
    assert finding.fixes[0].commands == ("/home/ann/venv/bin/python -m pip install --no-deps torchvision==0.19.0",)


def test_the_pair_of_one_release_passes() -> None:
    assert (
        outcome(beside("2.5.1+cu124", ("torchvision", "0.20.1+cu124"), ("torchaudio", "2.5.1+cu124")), RULE) == "passed"
    )


def test_a_patch_release_apart_is_no_mismatch() -> None:
    assert outcome(beside("2.0.0+cu118", ("torchvision", "0.15.2+cu118")), RULE) == "passed"


def test_another_minor_of_cuda_is_a_warning_and_another_major_an_error() -> None:
    assert found(beside("2.5.1+cu124", ("torchvision", "0.20.1+cu121")), RULE).severity.value == "warning"
    assert found(beside("2.5.1+cu124", ("torchvision", "0.20.1+cu118")), RULE).severity.value == "error"


def test_the_xformers_of_this_torch_passes_and_another_is_a_warning() -> None:
    assert outcome(beside("2.8.0+cu128", ("xformers", "0.0.32.post2")), RULE) == "passed"
    assert found(beside("2.1.0+cu121", ("xformers", "0.0.22")), RULE).severity.value == "warning"


def test_the_torch_in_a_flash_attn_wheels_name_must_be_this_one() -> None:
    assert (
        found(beside("2.4.0+cu121", ("flash-attn", "2.5.5+cu118torch2.2cxx11abiTRUE")), RULE).severity.value == "error"
    )
    assert findings(beside("2.2.0+cu118", ("flash-attn", "2.5.5+cu118torch2.2cxx11abiTRUE")), RULE) == ()


def test_a_nightly_is_not_judged() -> None:
    assert outcome(beside("2.9.0.dev20250725+cu128", ("torchvision", "0.20.1")), RULE) == "skipped"


@pytest.mark.parametrize(
    "text",
    [
        "RuntimeError: operator torchvision::nms does not exist",
        (
            "WARNING[XFORMERS]: xFormers can't load C++/CUDA extensions. xFormers was built for: PyTorch 2.0.1 "
            "(you have 2.1.0+cu121)"
        ),
        "mmcv/_ext.cpython-37m-x86_64-linux-gnu.so: undefined symbol: _ZNK2at6Tensor7is_cudaEv",
        "OSError: torchaudio/lib/libtorchaudio.so: undefined symbol: _ZNK3c107SymBool10guard_boolEPKcl",
        "OSError: libtorch_hip.so: cannot open shared object file: No such file or directory",
    ],
)
def test_the_loader_or_the_companion_says_so(text: str) -> None:
    assert verdict(says(text, PASTE))[1] == RULE


def test_a_symbol_of_another_library_is_another_matter() -> None:
    text = "ImportError: /x/libcusparse.so.12: undefined symbol: __nvJitLinkComplete_12_4, version libnvJitLink.so.12"
    assert findings(says(text, PASTE), RULE) == ()
    assert findings(GOOD, RULE) == ()


def test_a_library_of_another_cuda_is_looked_for_by_an_extension() -> None:
    text = "ImportError: libcudart.so.11.0: cannot open shared object file: No such file or directory"
    twelve = with_framework(
        "torch", change(only("torch"), pins=f.NOT_IN_PASTE), build={"version": "2.4.0+cu121", "cuda": "12.1"}
    )
    assert "An extension looks for libcudart.so.11.0" in found(says(text, twelve), RULE).title
    eleven = with_framework("torch", twelve, build={"version": "2.4.0+cu118", "cuda": "11.8"})
    assert findings(says(text, eleven), RULE) == ()


@pytest.mark.parametrize(
    "text",
    [
        "CUDA SETUP: Required library version not found: libbitsandbytes_cuda118.so. Maybe you need to compile it?",
        "Could not find the bitsandbytes CUDA binary at PosixPath('/x/bitsandbytes/libbitsandbytes_cuda124.so')",
    ],
)
def test_bitsandbytes_without_a_library_for_this_cuda(text: str) -> None:
    assert verdict(says(text, f.Facts(origin="paste")))[1] == RULE


PROVIDER = (
    "FAIL : Failed to load library libonnxruntime_providers_cuda.so with error: libcublasLt.so.11: cannot open shared "
    "object file: No such file or directory"
)


def test_a_provider_for_another_cuda_than_the_one_installed() -> None:
    twelve = f.Toolkit(path="/usr/local/cuda", version="12.1", nvcc="12.1.66", found_by="nvcc")
    facts = change(PASTE, toolkits=f.Toolkits(source="nvcc", toolkits=(twelve,)))
    assert found(says(PROVIDER, facts), RULE).title == (
        "libonnxruntime_providers_cuda.so was made for the CUDA that has libcublasLt.so.11; CUDA 12.1 is installed."
    )
    assert findings(says(PROVIDER.replace("libcublasLt.so.11", "libcublasLt.so.12"), facts), RULE) == ()
    assert findings(says(PROVIDER, PASTE), RULE) == ()


@pytest.mark.parametrize(
    "text",
    [
        "UserWarning: Specified provider 'CUDAExecutionProvider' is not in available provider names.",
        "Specified provider ‘CUDAExecutionProvider’ is not in available provider names.",  # noqa: RUF001 - as pasted
        "['CUDAExecutionProvider'] does not contain a subset of available providers ['CPUExecutionProvider']",
        "ValueError: Asked to use CUDAExecutionProvider as an ONNX Runtime execution provider, but the available",
    ],
)
def test_onnxruntime_has_not_the_cuda_that_a_program_asked_for(text: str) -> None:
    finding = found(says(text, PASTE), RULE)
    assert finding.title == "The onnxruntime that is imported is a build without CUDA."
    (fix,) = finding.fixes
    assert fix.title == "Remove every onnxruntime, then: Install the onnxruntime that has CUDA"
    assert [command.split(" pip ")[1] for command in fix.commands] == [
        "uninstall -y onnxruntime onnxruntime-gpu",
        "install onnxruntime-gpu",
    ]
    assert findings(says(text.replace("CUDAEx", "CoreMLEx"), PASTE), RULE) == ()


def test_onnxruntime_twice_is_another_rules_finding() -> None:
    text = "Specified provider 'CUDAExecutionProvider' is not in available provider names."
    one = f.Package(name="onnxruntime", version="1.23.2", location="/lib")
    other = f.Package(name="onnxruntime-gpu", version="1.23.2", location="/lib")
    facts = change(PASTE, packages=f.Packages(source="pip list", packages=(one, other)))
    assert findings(says(text, facts), RULE) == ()
    assert found(says(text, facts), "duplicate-install")
    alone = change(PASTE, packages=f.Packages(source="pip list", packages=(one,)))
    assert found(says(text, alone), RULE).fixes[0].commands[0].endswith(" onnxruntime")


def test_an_operator_of_torchvision_is_missing_by_its_words_of_old() -> None:
    assert found(says("RuntimeError: No such operator torchvision::nms", PASTE), RULE)
