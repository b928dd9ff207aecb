from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework

RULE = "cuda-toolkit-mismatch"
PASTE = f.Facts(origin="paste")
NVCC_9 = f.Toolkits(
    source="nvcc --version", toolkits=(f.Toolkit(path="/usr/local/cuda-9.1", version="9.1.85", nvcc="9.1.85"),)
)


@pytest.mark.parametrize(
    "text",
    [
        "The detected CUDA version (11.8) mismatches the version that was used to compile PyTorch (12.4).",
        "DeepSpeed Op Builder: Installed CUDA version 12.2 does not match the version torch was compiled with 11.7",
        "RuntimeError: Cuda extensions are being compiled with a version of Cuda that does not match the version used",
        "nvcc fatal   : Unsupported gpu architecture 'compute_120'",
    ],
)
def test_a_build_that_compares_the_versions_is_certain(text: str) -> None:
    assert verdict(says(text, PASTE))[1] == RULE
    assert found(says(text, PASTE), RULE).confidence.value == "certain"


def test_both_versions_are_named() -> None:
    text = "The detected CUDA version (11.8) mismatches the version that was used to compile PyTorch (12.4)."
    assert found(says(text, PASTE), RULE).title == (
        "An extension is compiled with CUDA 11.8, and the framework was built with CUDA 12.4."
    )


def test_another_nvcc_alone_is_healthy() -> None:
    """Pitfall 13."""
    assert findings(change(GOOD, toolkits=NVCC_9), RULE) == ()


def test_a_failed_compilation_counts_only_beside_a_toolkit_of_another_major() -> None:
    text = "error: command '/usr/local/cuda-9.1/bin/nvcc' failed with exit code 1"
    facts = says(text, change(only("torch"), toolkits=NVCC_9), "torch")
    assert found(facts, RULE).confidence.value == "likely"
    same = with_framework("torch", facts, build={"cuda": "9.0"})
    assert outcome(same, RULE) == "passed"


def test_where_the_frameworks_cuda_is_not_known_it_is_possible_and_says_what_settles_it() -> None:
    finding = found(says("error: command 'nvcc' failed with exit status 2", change(PASTE, toolkits=NVCC_9)), RULE)
    assert (finding.confidence.value, finding.settled_by[0]) == (
        "possible",
        'python -c "import torch; print(torch.version.cuda)"',
    )


def test_a_message_whose_versions_were_not_filled_in_is_the_same() -> None:
    text = (
        "RuntimeError: ('The detected CUDA version (%s) mismatches the version that was used to compilePyTorch (%s). "
        "Please make sure to use the same CUDA versions.', '12.8', '13.0')"
    )
    assert verdict(says(text, PASTE))[1] == RULE


def test_an_architecture_that_no_gpu_here_has_is_the_builds_own_wish() -> None:
    text = "nvcc fatal   : Unsupported gpu architecture 'compute_110'"
    gpus = f.Gpus(
        source="line 2",
        gpus=(f.Gpu(source="line 2", index=0, name="A100", capability=f.GpuCapability(source="line 2", value="8.0")),),
    )
    assert findings(says(text, change(PASTE, gpus=gpus)), RULE) == ()
