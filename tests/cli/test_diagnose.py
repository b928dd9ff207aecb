"""``gpudoctor diagnose`` end to end, as a program: real frameworks, fake drivers, hostile environments."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpudoctor.cli.app import run
from gpudoctor.cli.signals import terminable
from tests.cli.run import (
    BUSY,
    ROOT,
    children_of,
    command,
    environ,
    files_below,
    gpudoctor,
    imitated_torch,
    survivors,
    wait_until,
)
from tests.lab.drivers.fake import HANG, SEGV, FakeGpu, Machine, error, gpus, install
from tests.lab.drivers.needs import need_compiler

RESULTS = {"proved", "ran-on-cpu", "failed", "hung", "not-run"}


def driver(folder: Path, machine: Machine) -> dict[str, str]:
    need_compiler()
    return install(folder / "driver", machine)


def rules(report: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {f["rule"]: (f["severity"], f["because_of"]) for f in report["findings"]}


def built_for_cuda(python: Path) -> bool:
    """What the environment's own torch/version.py says."""
    version = next(python.parent.parent.glob("lib/python*/site-packages/torch/version.py"))
    values: dict[str, Any] = {}
    exec(version.read_text("utf-8"), values)  # noqa: S102 - the suite's own environment
    return values["cuda"] is not None


# ------------------------------------------------------------------------------------------ real frameworks


def test_without_a_gpu_the_cause_is_that_and_a_cpu_build_follows_from_it(torch_python: Path, tmp_path: Path) -> None:
    ran = gpudoctor("diagnose", "--python", str(torch_python), "--format", "json", home=tmp_path)
    report = ran.report
    assert (ran.code, ran.cause, report["status"]) == (1, "no-nvidia-gpu", "broken")
    assert rules(report)["no-nvidia-gpu"] == ("error", None)
    if not built_for_cuda(torch_python):
        assert rules(report)["torch-cpu-build"] == ("info", "no-nvidia-gpu")
    assert [(job["framework"], job["result"]) for job in report["smoke"]] == [("torch", "not-run")]


@pytest.mark.parametrize("name", ["torch", "tensorflow"])
def test_where_the_cpu_is_allowed_the_job_really_trains_there(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    python = request.getfixturevalue(f"{name}_python")
    ran = gpudoctor("diagnose", "--allow-cpu", "--python", str(python), "--format", "json", home=tmp_path)
    (job,) = ran.report["smoke"]
    assert (ran.code, ran.cause) == (0, None)
    assert ran.report["status"] in ("healthy", "warnings")
    assert (job["framework"], job["device"], job["gpu"], job["result"], job["stage"]) == (
        name,
        "cpu",
        None,
        "ran-on-cpu",
        "done",
    )
    assert job["loss"][-1] < job["loss"][0] / 5
    assert min(job["accuracy"], job["precision"], job["recall"], job["f1"]) > 0.9
    assert job["examples_per_second"] > 0


def test_the_terminal_says_plainly_that_the_cpu_did_it(torch_python: Path, tmp_path: Path) -> None:
    ran = gpudoctor("diagnose", "--allow-cpu", "--python", str(torch_python), home=tmp_path)
    assert ran.code == 0
    assert ran.stdout.splitlines()[0] == "✓ Training works on the CPU, with PyTorch. No GPU was used."
    assert "the CPU trained, not a GPU" in ran.stdout
    assert "\x1b" not in ran.stdout


def test_a_cpu_build_beside_a_working_driver_is_the_cause(torch_python: Path, tmp_path: Path) -> None:
    """Pitfall 1."""
    if built_for_cuda(torch_python):
        pytest.skip("this index serves a CUDA build of torch")
    ran = gpudoctor(
        *("diagnose", "--quick", "--python", str(torch_python), "--format", "json"),
        home=tmp_path,
        **driver(tmp_path, Machine()),
    )
    assert (ran.code, ran.cause) == (1, "torch-cpu-build")
    (fix,) = ran.report["findings"][0]["fixes"]
    assert fix["commands"][0].startswith(f"{torch_python} -m pip install torch==")


def test_caches_and_byte_code_are_left_nowhere(torch_python: Path, tmp_path: Path) -> None:
    """Pitfall 30: no file but what the command line names."""
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    gpudoctor("diagnose", "--allow-cpu", "--python", str(torch_python), home=home, TMPDIR=str(temporary))
    assert (files_below(home), files_below(temporary)) == (set(), set())


def test_quick_imports_no_framework(torch_python: Path, tmp_path: Path) -> None:
    ran = gpudoctor("diagnose", "--quick", "--python", str(torch_python), "--format", "json", home=tmp_path)
    torch = next(one for one in ran.report["facts"]["frameworks"]["frameworks"] if one["name"] == "torch")
    assert torch["imported"]["kind"] == "not-asked"
    assert ran.report["smoke"] == []


# -------------------------------------------------------------------------------------------- fake drivers


def quick(tmp_path: Path, machine: Machine, *arguments: str, **extra: str) -> Any:
    return gpudoctor(
        *("diagnose", "--quick", "--format", "json", *arguments),
        home=tmp_path,
        **{**driver(tmp_path, machine), **extra},
    )


def test_a_library_newer_than_the_module_is_a_mismatch(tmp_path: Path) -> None:
    """Pitfall 10: NVML 18 is not "no driver"."""
    ran = quick(tmp_path, Machine(faults={"nvmlInit_v2": error(18), "nvmlInitWithFlags": error(18)}))
    assert ran.report["facts"]["nvml"]["result"] == "NVML_ERROR_LIB_RM_VERSION_MISMATCH"


def test_a_gpu_that_hangs_nvml_is_named_and_the_others_are_judged(tmp_path: Path) -> None:
    """Pitfalls 23 and 27."""
    machine = Machine(gpus=gpus(4))
    third = replace(machine.gpus[3], faults={"nvmlDeviceGetHandleByIndex_v2": HANG})
    ran = quick(tmp_path, replace(machine, gpus=(*machine.gpus[:3], third)), "--time-limit", "20")
    assert ran.seconds < 20 + BUSY
    assert [gpu["capability"]["fact"] for gpu in ran.report["facts"]["gpus"]["gpus"]] == [
        "gpu-capability",
        "gpu-capability",
        "gpu-capability",
        "missing",
    ]
    assert ran.report["status"] == "undetermined"
    assert ran.code == 3


def test_a_crash_inside_nvml_takes_nothing_with_it(tmp_path: Path) -> None:
    ran = quick(tmp_path, Machine(gpus=(FakeGpu(faults={"nvmlDeviceGetName": SEGV}),)))
    assert ran.report["facts"]["cuda"]["result"] == "CUDA_SUCCESS"
    assert ran.code in (0, 3)


def test_cuda_visible_devices_that_hides_all_is_the_cause(tmp_path: Path) -> None:
    """Pitfall 12."""
    machine = Machine(faults={"cuInit": error(100)})
    ran = quick(tmp_path, machine, CUDA_VISIBLE_DEVICES="-1")
    assert (ran.code, ran.cause) == (1, "cuda-visible-devices")


# ------------------------------------------------------------------------ frameworks that lie, hang or crash


def imitation(tmp_path: Path) -> dict[str, str]:
    """An environment in which the imitation is installed as a CUDA build of torch."""
    site = imitated_torch(tmp_path / "site")
    return {"PYTHONPATH": f"{ROOT}{os.pathsep}{site}"}


def imitated(tmp_path: Path, *arguments: str, fault: str = "", lies: str = "", **extra: str) -> Any:
    return gpudoctor(
        *("diagnose", "--format", "json", "--framework", "torch", *arguments),
        home=tmp_path,
        **imitation(tmp_path),
        **({"IMITATION_FAULT": fault} if fault else {}),
        **({"IMITATION_LIES": lies} if lies else {}),
        **{**driver(tmp_path, Machine()), **extra},
    )


@pytest.mark.parametrize(
    ("lies", "cause"),
    [
        ("falls-back", "smoke-ran-on-cpu"),
        ("wrong-numbers", "smoke-wrong-results"),
        ("not-a-number", "smoke-wrong-results"),
    ],
)
def test_a_framework_that_lies_is_never_proved_and_gets_its_rule(tmp_path: Path, lies: str, cause: str) -> None:
    ran = imitated(tmp_path, lies=lies)
    assert (ran.code, ran.cause) == (1, cause)
    assert [job["result"] for job in ran.report["smoke"]] != ["proved"]


def test_a_framework_that_claims_cuda_without_a_witness_is_not_proved(tmp_path: Path) -> None:
    ran = imitated(tmp_path, lies="claims-cuda")
    assert [job["result"] for job in ran.report["smoke"]] != ["proved"]
    assert ran.report["status"] != "healthy"


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("import:crash", "framework-import-failed"),
        ("import:exit", "framework-import-failed"),
        ("import:raise", "framework-import-failed"),
        ("copy:crash", "smoke-failed"),
        ("compute:exit", "smoke-failed"),
        ("train:raise", "smoke-failed"),
    ],
)
def test_a_framework_that_fails_is_a_finding_with_its_stage_and_no_traceback(
    tmp_path: Path, fault: str, cause: str
) -> None:
    ran = imitated(tmp_path, fault=fault)
    assert (ran.code, ran.cause) == (1, cause)
    assert "Traceback" not in ran.stdout + ran.stderr
    stage = fault.partition(":")[0]
    assert ran.report["smoke"][0]["stage"] == stage


def test_a_hang_ends_within_the_time_limit_and_leaves_no_process(tmp_path: Path) -> None:
    marker = f"GPUDOCTOR_TEST_{os.getpid()}_{time.monotonic_ns()}"
    ran = imitated(tmp_path, "--time-limit", "15", fault="train:hang", **{marker: "1"})
    assert ran.seconds < 15 + BUSY
    assert (ran.code, ran.cause) == (1, "smoke-hang")
    assert ran.report["smoke"][0]["stage"] == "train"
    assert survivors(marker) == []


def test_a_stopped_job_ends_within_the_time_limit(torch_python: Path, tmp_path: Path) -> None:
    """SIGSTOP of the smoke child: a report that says which stage, nothing left behind."""
    marker = f"GPUDOCTOR_TEST_{os.getpid()}_{time.monotonic_ns()}"
    started = time.monotonic()
    arguments = ("diagnose", "--allow-cpu", "--python", str(torch_python), "--format", "json", "--time-limit", "40")
    with subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, env=environ(tmp_path, **{marker: "1"}), cwd=tmp_path
    ) as run:
        jobs: list[int] = []

        def seen() -> bool:
            jobs.extend(pid for pid in children_of(marker) if pid != run.pid and _maps_torch(pid))
            return bool(jobs)

        wait_until(seen, "the job is there", 60)
        os.kill(jobs[0], signal.SIGSTOP)
        stdout, _ = run.communicate(timeout=120)
    assert time.monotonic() - started < 40 + BUSY
    report = json.loads(stdout)
    assert report["cause"]["rule"] in ("smoke-hang", "framework-import-failed")
    assert report["smoke"][0]["stage"] in ("import", "init", "copy", "compute", "train", "verify")
    assert survivors(marker) == []


def _maps_torch(pid: int) -> bool:
    try:
        return "libtorch_cpu" in Path(f"/proc/{pid}/maps").read_text("utf-8", "replace")
    except OSError:
        return False


def _default_signals() -> None:
    """A shell starts what it puts into the background with SIGINT ignored, nohup with SIGHUP: not so for our child."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupt_still_prints_the_report_so_far(tmp_path: Path, number: signal.Signals, code: int) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    marker = f"GPUDOCTOR_TEST_{os.getpid()}_{time.monotonic_ns()}"
    reached = tmp_path / "reached"
    variables = {
        **environ(tmp_path, **driver(tmp_path, Machine())),
        **imitation(tmp_path),
        "IMITATION_FAULT": "train:hang",
        "IMITATION_REACHED": str(reached),
        "TMPDIR": str(temporary),
        marker: "1",
    }
    with subprocess.Popen(
        command("diagnose", "--format", "json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=variables,
        preexec_fn=_default_signals,
    ) as run:
        wait_until(reached.exists, "the job trains")
        run.send_signal(number)
        stdout, stderr = run.communicate(timeout=60)
    assert run.returncode == code
    report = json.loads(stdout)
    assert report["facts"]["gpus"]["gpus"][0]["name"] == "NVIDIA H100 80GB HBM3"
    assert b"Traceback" not in stderr
    assert survivors(marker) == []
    assert files_below(temporary) == set()


def test_a_signal_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminable():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


# ---------------------------------------------------------------------------------- the interpreter under test


def fake_python(folder: Path, text: str) -> Path:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "echo garbage; head -c 100000 /dev/urandom",
        "exit 3",
        "kill -SEGV $$",
        "cat > /dev/null; echo '@gpudoctor [1,2]'",
        "cat > /dev/null; echo '@gpudoctor {\"interpreter\": 7}'",
        "yes",
    ],
)
def test_an_interpreter_that_talks_nonsense_is_undetermined_or_worse_but_never_a_crash(
    tmp_path: Path, text: str
) -> None:
    python = fake_python(tmp_path, text)
    ran = gpudoctor("diagnose", "--python", str(python), "--format", "json", home=tmp_path)
    assert ran.report["facts"]["interpreter"]["fact"] == "missing"
    assert ran.code in (1, 3)
    assert "Traceback" not in ran.stdout + ran.stderr


def test_an_interpreter_that_hangs_ends_within_the_time_limit(tmp_path: Path) -> None:
    python = fake_python(tmp_path, "sleep 600")
    ran = gpudoctor("diagnose", "--python", str(python), "--format", "json", "--time-limit", "8", home=tmp_path)
    assert ran.seconds < 8 + BUSY
    assert ran.report["facts"]["interpreter"]["kind"] == "timed-out"


def test_an_environment_without_any_framework_says_so(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "empty"], check=True)
    ran = gpudoctor("diagnose", "--allow-cpu", "--python", str(tmp_path / "empty"), home=tmp_path)
    assert ran.code == 0
    assert "No PyTorch, TensorFlow or JAX is installed in" in ran.stdout


def test_the_active_virtual_environment_is_the_default(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    ran = gpudoctor("diagnose", "--quick", "--format", "json", "--no-redact", home=tmp_path, VIRTUAL_ENV=str(venv))
    assert ran.report["facts"]["interpreter"]["prefix"] == str(venv)


def test_local_files_named_like_the_standard_library_hurt_nobody(tmp_path: Path) -> None:
    for name in ("json.py", "re.py", "os.py", "typing.py", "msgspec.py", "torch.py", "ctypes.py"):
        (tmp_path / name).write_text("raise RuntimeError('shadowed')\n")
    ran = gpudoctor("diagnose", "--quick", "--format", "json", home=tmp_path)
    assert ran.report["facts"]["interpreter"]["fact"] == "interpreter"


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--python", "/nonexistent/python"], "/nonexistent/python"),
        (["--python", "/etc"], "/etc"),
        (["--bogus"], "No such option: --bogus"),
        (["--format", "yaml"], "'yaml' is not one of"),
        (["--framework", "caffe"], "'caffe' is not one of"),
        (["--time-limit", "0"], "must be between 1 and 86400 seconds"),
        (["--time-limit", "nan"], "must be between 1 and 86400 seconds"),
        (["--from-facts", "/nonexistent.json"], "No such file"),
        (["-o", "/nonexistent/report.json"], "cannot be written"),
        (["surplus"], "surplus"),
    ],
)
def test_wrong_usage_is_one_sentence_on_stderr_and_exit_code_2(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    ran = gpudoctor("diagnose", *arguments, home=tmp_path)
    assert (ran.code, ran.stdout) == (2, "")
    assert sentence in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1


def test_no_command_at_all_is_wrong_usage(tmp_path: Path) -> None:
    ran = gpudoctor(home=tmp_path)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr == "gpudoctor: no command was given; gpudoctor --help lists them\n"


@pytest.mark.parametrize("arguments", ["--version", "--help", "matrix torch 2.6.0", "rules"])
def test_what_cannot_be_printed_is_one_sentence_and_no_traceback(tmp_path: Path, arguments: str) -> None:
    line = " ".join(command(*arguments.split()))
    done = subprocess.run(
        ["/bin/sh", "-c", f"{line} > /dev/full"], env=environ(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "gpudoctor: the output could not be written: No space left on device\n"


def test_a_file_without_facts_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text('{"schema": "gpudoctor.facts/1", "nvml": 7}')
    ran = gpudoctor("diagnose", "--from-facts", "facts.json", home=tmp_path)
    assert (ran.code, ran.stdout) == (2, "")
    assert "facts.json holds no facts" in ran.stderr


# ------------------------------------------------------------------------------------------------- output


def test_saved_facts_give_the_same_report_again(tmp_path: Path) -> None:
    """facts.json is a bug report, a test fixture and a corpus case at once."""
    variables = driver(tmp_path, Machine(gpus=gpus(2)))
    first = gpudoctor(
        *("diagnose", "--quick", "--format", "json", "--save-facts", "facts.json"), home=tmp_path, **variables
    )
    again = gpudoctor("diagnose", "--from-facts", "facts.json", "--format", "json", home=tmp_path)
    changed = {"seconds", "hidden"}
    assert {k: v for k, v in again.report.items() if k not in changed} == {
        k: v for k, v in first.report.items() if k not in changed
    }


@pytest.mark.parametrize("place", ["doctor.collect", "plugins.judge", "render.json.to_wire", "privacy.redact_report"])
def test_a_fault_of_our_own_is_still_a_valid_report(
    place: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Pitfalls 21 and 26."""

    module, _, name = f"gpudoctor.{place}".rpartition(".")
    sound = getattr(importlib.import_module(module), name)
    calls = []

    def fails(*arguments: object, **more: object) -> object:
        calls.append(arguments)
        if len(calls) > 1:
            return sound(*arguments, **more)
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(f"gpudoctor.{place}", fails)
    assert run(["diagnose", "--quick", "--format", "json"]) == 3
    report = json.loads(capfd.readouterr().out)
    assert report["status"] == "undetermined"
    assert "a fault of ours" in report["unknown"][0]["why"]


def test_with_o_stdout_is_empty(tmp_path: Path) -> None:
    ran = gpudoctor("diagnose", "--quick", "--format", "json", "-o", "report.json", home=tmp_path)
    assert ran.stdout == ""
    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["schema"] == "gpudoctor.report/1"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_a_console_without_our_glyphs_gets_plain_words(tmp_path: Path, encoding: str) -> None:
    """Pitfall 22."""
    ran = gpudoctor("diagnose", "--quick", home=tmp_path, PYTHONIOENCODING=encoding)
    assert ran.code in (0, 1, 3)
    assert "\\u" not in ran.stdout
    assert ran.stdout.isascii() or encoding != "ascii"


def test_fail_on_decides_the_exit_code(tmp_path: Path) -> None:
    variables = driver(tmp_path, Machine(faults={"cuInit": error(100)}))
    extra = {**variables, "CUDA_VISIBLE_DEVICES": "-1"}
    assert gpudoctor("diagnose", "--quick", "--fail-on", "never", home=tmp_path, **extra).code == 0
    assert gpudoctor("diagnose", "--quick", home=tmp_path, **extra).code == 1


def test_a_reader_that_goes_away_is_no_error_of_ours(tmp_path: Path) -> None:
    line = " ".join(command("diagnose", "--quick", "--format", "json"))
    done = subprocess.run(
        ["/bin/sh", "-c", f"{line} | head -c 1"], env=environ(tmp_path), capture_output=True, check=False, cwd=tmp_path
    )
    assert done.stderr == b""
