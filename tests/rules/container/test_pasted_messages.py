"""What container runtimes and schedulers print, in other words than the cases: pasted text in, the first cause out."""

from __future__ import annotations

import pytest

from tests.good import outcome, verdict
from tests.intake.pastes import facts

NO_LIBCUDA = "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory"
SMI = (
    "$ docker exec web nvidia-smi\n"
    "+---------------------------------------------------------------------------------------+\n"
    "| NVIDIA-SMI 535.129.03             Driver Version: 535.129.03   CUDA Version: {:<8} |\n"
    "|-----------------------------------------+----------------------+----------------------+\n"
)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            (
                "docker: Error response from daemon: could not select device driver 'nvidia' with capabilities: "
                "[[compute utility]]."
            ),
            "container-no-gpu-access",
        ),
        ("E0101 main.go:1 error starting NVML: ERROR_LIBRARY_NOT_FOUND", "container-no-gpu-access"),
        (
            "INFO:    Could not find any nv files on this host!\n# R35 (release), REVISION: 4.1",
            "container-no-gpu-access",
        ),
        (
            (
                "deploy:\n  resources:\n    reservations:\n      devices:\n        - driver: nvidia\n"
                f"          capabilities: [gpu, utility]\n{NO_LIBCUDA}"
            ),
            "container-driver-capabilities",
        ),
        (SMI.format("N/A") + NO_LIBCUDA, "container-driver-capabilities"),
        (
            (
                "docker: Error response from daemon: failed to create task: nvidia-container-cli: requirement error: "
                "unsatisfied condition: cuda>=12.6, please update your driver to a newer version, or use an "
                "earlier cuda container: unknown."
            ),
            "driver-too-old-for-cuda",
        ),
        (
            "nvidia-docker | Error: unsupported CUDA version: driver 8.0 < image 9.0",
            "driver-too-old-for-cuda",
        ),
        (
            (
                "Warning  FailedScheduling  default-scheduler  0/3 nodes are available: 1 node(s) had taints, "
                "2 Insufficient nvidia.com/mig-1g.5gb."
            ),
            "scheduler-no-gpu-allocated",
        ),
        (
            "nvidia-container-cli: initialization error: WSL environment detected but no adapters were found: unknown",
            "wsl-unsupported",
        ),
        (
            "$ docker run --runtime nvidia dustynv/l4t-pytorch:r36.2.0\nJetPack 5.1.2\nRuntimeError: no CUDA",
            "jetson-container-mismatch",
        ),
        (
            (
                "$ sudo snap install docker\n"
                "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open "
                "shared object file: no such file or directory: unknown"
            ),
            "sandboxed-app",
        ),
    ],
)
def test_each_sentence_names_its_cause(text: str, cause: str) -> None:
    assert verdict(facts(text))[1] == cause


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (SMI.format("12.2") + NO_LIBCUDA, "container-driver-capabilities"),
        (SMI.format("N/A"), "container-driver-capabilities"),
        (f"capabilities: [gpu, compute, utility]\n{NO_LIBCUDA}", "container-driver-capabilities"),
        (f"capabilities: [gpu]\n{NO_LIBCUDA}", "container-driver-capabilities"),
        ("0/3 nodes are available: 3 Insufficient cpu, 3 Insufficient memory.", "scheduler-no-gpu-allocated"),
        ("$ docker run --runtime nvidia dustynv/l4t-pytorch:r35.2.1\nJetPack 5.1.2", "jetson-container-mismatch"),
        ("INFO:    Could not find any nv files on this host!", "container-no-gpu-access"),
        ("$ sudo snap install docker\ndocker: Error response from daemon: pull access denied", "sandboxed-app"),
    ],
)
def test_its_neighbours_do_not(text: str, rule: str) -> None:
    assert outcome(facts(text), rule) != "found"
