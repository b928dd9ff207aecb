from __future__ import annotations

import re
from typing import Any

import pytest

from gpudoctor import facts as f
from gpudoctor.preflight.requirements import parse
from gpudoctor.report import judge
from tests.good import (
    GIB,
    GOOD,
    change,
    findings,
    found,
    outcome,
    shown,
    verdict,
    with_framework,
    with_gpu,
    without_gpu,
)

RULE = "requirement-not-met"


def requiring(text: str, facts: f.Facts = GOOD) -> f.Facts:
    return change(facts, request={"requirements": tuple(one.text for one in parse(text))})


def test_a_sound_machine_that_has_less_is_told_so_with_the_near_miss() -> None:
    facts = requiring("vram>=80GiB")
    assert verdict(facts) == ("broken", RULE)
    finding = found(facts, RULE)
    assert finding.title == "This machine does not meet vram>=80GiB: GPU 0 (NVIDIA H100 80GB HBM3): 79.6 GiB."
    assert finding.detail == (
        "The driver keeps some back, and sellers count in GB: 79.6 GiB are 85.5 GB; "
        "vram>=79GiB or vram>=85GB would hold"
    )


def test_no_build_is_advised_that_would_not_meet_the_requirement_either() -> None:
    (fix,) = found(requiring("torch>=99"), RULE).fixes
    assert (fix.title, fix.commands) == ("Change the requirement torch>=99", ())
    assert re.fullmatch(r"No release that is known here meets it; the newest one is 2\.\d+\.\d+\.", fix.note)


def test_what_the_machine_has_is_passed_with_what_was_seen() -> None:
    facts = requiring("gpus>=1, vram>=80GB, torch>=2.6")
    assert verdict(facts) == ("healthy", None)
    assert findings(facts, RULE) == ()
    (one,) = (one for one in judge(facts).outcomes if one.rule == RULE)
    assert (one.outcome, one.why) == (
        "passed",
        "gpus>=1: CUDA shows 1 GPU; vram>=80GB: 79.6 GiB; torch>=2.6: PyTorch 2.13.0+cu130",
    )


def test_where_nothing_is_required_it_does_not_apply() -> None:
    assert outcome(GOOD, RULE) == "not-applicable"


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (without_gpu(), "no-nvidia-gpu"),
        (
            change(
                kernel_driver={"version": None, "flavour": None},
                kernel_modules={"loaded": ()},
                nvml=f.Nvml(source="NVML", result="NVML_ERROR_DRIVER_NOT_LOADED"),
                gpus={"gpus": ()},
                cuda={"result": "CUDA_ERROR_NO_DEVICE", "code": 100, "count": None, "names": ()},
                smokes=(),
            ),
            "driver-not-loaded",
        ),
    ],
)
def test_a_broken_machine_shows_its_cause_and_this_follows_from_it(facts: f.Facts, cause: str) -> None:
    report = judge(requiring("gpus>=1, vram>=16GiB", facts))
    assert report.cause is not None
    assert report.cause.rule == cause
    (finding,) = report.findings_of(RULE)
    assert finding.because_of == cause


def test_a_fault_elsewhere_does_not_explain_a_gpu_that_is_too_small() -> None:
    sick = with_framework("torch", build={"accelerator": "cpu", "cuda": None, "version": "2.13.0+cpu"})
    report = judge(requiring("vram>=141GB", change(sick, smokes=())))
    assert ("torch-cpu-build", "error", None) in shown(report)
    assert (RULE, "error", None) in shown(report)


def test_a_requirement_that_cannot_be_judged_leaves_the_machine_undetermined() -> None:
    facts = requiring("vram>=16GiB", with_gpu(memory=f.Missing("timed-out", "no answer", "nvmlDeviceGetMemoryInfo")))
    report = judge(facts)
    assert (report.status, [one.what for one in report.unknown]) == ("undetermined", ["whether vram>=16GiB holds"])
    assert outcome(facts, RULE) == "skipped"


def test_facts_that_no_requirement_needs_are_not_essential() -> None:
    fields = ("interpreter", "packages", "pins", "shadows", "frameworks")
    unasked: dict[str, Any] = dict.fromkeys(fields, f.NOT_ASKED)
    assert judge(requiring("gpus>=1", change(smokes=(), **unasked))).status == "healthy"
    assert judge(change(smokes=(), **unasked)).status == "undetermined"
    assert judge(requiring("torch", change(smokes=(), **unasked))).status == "undetermined"


@pytest.mark.parametrize(
    ("text", "facts", "fix", "commands"),
    [
        ("driver>=590", GOOD, "Install NVIDIA driver 590 or newer", None),
        ("mig=on", GOOD, "Switch MIG on for GPU 0", ("sudo nvidia-smi -i 0 -mig 1",)),
        ("shm>=100GiB", GOOD, "Enlarge /dev/shm", ("sudo mount -o remount,size=102400m /dev/shm",)),
        (
            "shm>=100GiB",
            change(container={"engine": "docker"}),
            "Start the container with --shm-size=102400m, or --ipc=host",
            (),
        ),
        ("gpus>=2", GOOD, "Run the job where gpus>=2 holds, or change the requirement", ()),
        (
            "free-vram>=70GiB",
            with_gpu(memory={"used": 60 * GIB, "free": 20 * GIB}),
            "See who holds the memory, and end what is no longer wanted",
            ("nvidia-smi",),
        ),
    ],
)
def test_the_fix_is_the_one_for_this_requirement_and_place(
    text: str, facts: f.Facts, fix: str, commands: tuple[str, ...] | None
) -> None:
    first = found(requiring(text, facts), RULE).fixes[0]
    assert first.title == fix
    assert commands is None or first.commands == commands


def test_the_torch_that_is_installed_instead_meets_the_requirement() -> None:
    old = with_framework("torch", build={"version": "2.4.0+cu121", "cuda": "12.1"})
    fix = found(requiring("torch>=2.6,<2.7", old), RULE).fixes[0]
    assert "torch==2.6.0" in fix.commands[0]
