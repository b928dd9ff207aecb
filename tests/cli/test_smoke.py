"""``gpudoctor smoke`` end to end, as a program: real frameworks on the CPU, imitations on described GPUs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.cli.run import ROOT, gpudoctor, imitated_torch, survivors
from tests.lab.drivers.fake import Machine, gpus, install
from tests.lab.drivers.needs import need_compiler


@pytest.mark.framework
def test_on_the_cpu_only_what_is_asked_for_trains_and_that_is_enough(torch_python: Path, tmp_path: Path) -> None:
    options = ("--device", "cpu", "--framework", "torch", "--batch-size", "32", "--seconds", "200")
    ran = gpudoctor("smoke", *options, "--python", str(torch_python), "--format", "json", home=tmp_path)
    (job,) = ran.report["smoke"]
    assert (ran.code, ran.cause) == (0, None)
    assert (job["framework"], job["device"], job["result"], job["stage"]) == ("torch", "cpu", "ran-on-cpu", "done")
    assert job["parts"] == []
    assert job["perceptron"]["images"] == "32x32x3"
    assert min(job["accuracy"], job["perceptron"]["accuracy"]) > 0.9


@pytest.mark.framework
def test_a_deep_run_on_the_cpu_checks_every_part_and_two_processes_together(torch_python: Path, tmp_path: Path) -> None:
    options = ("--device", "cpu", "--deep", "--seconds", "200")
    ran = gpudoctor("smoke", *options, "--python", str(torch_python), "--format", "json", home=tmp_path)
    (job,) = ran.report["smoke"]
    held = {part["name"]: part["holds"] for part in job["parts"]}
    assert {"matrix-product-fp32", "convolution-fp32", "fft", "solver", "random-numbers"} <= {
        name for name, holds in held.items() if holds
    }
    assert False not in held.values()
    together = ran.report["facts"]["collectives"]
    assert (together["backend"], together["processes"], together["ended"]) == ("gloo", 2, None)
    assert [(one["name"], one["holds"]) for one in together["collectives"]] == [
        ("all-reduce", True),
        ("all-gather", True),
        ("broadcast", True),
    ]


@pytest.mark.framework
def test_a_number_format_that_the_networks_train_in_is_told(torch_python: Path, tmp_path: Path) -> None:
    options = ("--device", "cpu", "--precision", "bf16", "--seconds", "200")
    ran = gpudoctor("smoke", *options, "--python", str(torch_python), "--format", "json", home=tmp_path)
    (job,) = ran.report["smoke"]
    assert (job["precision_mode"], job["result"]) == ("bf16", "ran-on-cpu")


def test_an_imitation_on_two_described_gpus_is_found_out_on_both(tmp_path: Path) -> None:
    need_compiler()
    drivers = install(tmp_path / "driver", Machine(gpus=gpus(2)))
    marker = f"GPUDOCTOR_TEST_{os.getpid()}_{time.monotonic_ns()}"
    environ = {**drivers, "IMITATION_DEVICES": "2", marker: "1"}
    site = imitated_torch(tmp_path / "site")
    environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{site}"
    ran = gpudoctor("smoke", "--framework", "torch", "--format", "json", home=tmp_path, **environ)
    report = ran.report
    assert [(job["device"], job["gpu"], job["result"]) for job in report["smoke"]] == [
        ("cuda:0", 0, "ran-on-cpu"),
        ("cuda:1", 1, "ran-on-cpu"),
    ]
    assert (ran.code, report["status"], ran.cause) == (1, "broken", "smoke-ran-on-cpu")
    assert survivors(marker) == []


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--device", "gpu0"), "gpu0"),
        (("--seconds", "0"), "--seconds"),
        (("--batch-size", "0"), "--batch-size"),
        (("--precision", "fp8"), "--precision"),
    ],
)
def test_wrong_usage_is_said_before_any_look(tmp_path: Path, options: tuple[str, ...], word: str) -> None:
    ran = gpudoctor("smoke", *options, home=tmp_path)
    assert (ran.code, ran.stdout) == (2, "")
    assert word in ran.stderr
