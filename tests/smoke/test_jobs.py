"""Jobs in real frameworks, and in imitations that lie, hang and crash at every stage."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from gpudoctor.children import Limits
from gpudoctor.facts import FrameworkName, Gpu, GpuProcess, Imported, Message, MigInstance, MigInstances, Missing, Smoke
from gpudoctor.smoke.jobs import Event, Jobs, Known, Plan, Target, child_environ, patience
from gpudoctor.smoke.places import Choice
from gpudoctor.smoke.told import Device
from tests.cli.run import BUSY, wait_until
from tests.smoke.required import REQUIRED

IMITATIONS = Path(__file__).parents[1] / "lab" / "imitations"
GPU = Gpu(source="test", index=3, name="Imitation GPU")


class Seen(NamedTuple):
    """What a witness sees."""

    used: int | None
    processes: tuple[GpuProcess, ...] = ()
    listed: int | None = 0


def our_children() -> set[int]:
    """Processes whose parent is this one, by proc_pid_stat(5)."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid():
                found.add(int(entry.name))
    return found


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test here leaves no process and no temporary folder."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    before = our_children()
    yield
    wait_until(lambda: our_children() <= before, "no process is left", 10)
    assert list(temporary.iterdir()) == []


def plan(
    *frameworks: FrameworkName,
    executable: str = sys.executable,
    device: Device = "gpu",
    environ: dict[str, str] | None = None,
    seconds: float = 60,
    idle: float | None = 30,
    steps: int = 40,
) -> Plan:
    return Plan(
        executable=executable,
        frameworks=frameworks or ("torch",),
        environ={**os.environ, "PYTHONPATH": str(IMITATIONS), **(environ or {})},
        limits=Limits.within(seconds, idle),
        decide=lambda *_: device,
        steps=steps,
    )


def run(wanted: Plan, report: Callable[[Event], None] = lambda _: None) -> Known:
    with Jobs(wanted, report) as jobs:
        jobs.run((GPU,))
        return jobs.known()


def imitate(lies: str = "claims-cuda", fault: str = "nowhere:nothing", **options: object) -> Plan:
    return plan(environ={"IMITATION_LIES": lies, "IMITATION_FAULT": fault}, **options)  # type: ignore[arg-type]


def with_witness(wanted: Plan, *seen: Seen | Missing) -> Plan:
    sights = iter(seen)
    return replace(wanted, witness=lambda *_: next(sights))


def replace(wanted: Plan, **changes: object) -> Plan:
    return Plan(**{**{name: getattr(wanted, name) for name in Plan.__dataclass_fields__}, **changes})


def smoke(known: Known) -> Smoke:
    assert len(known.smokes) == 1
    return known.smokes[0]


def ending(known: Known) -> tuple[str, str, str | None, str | None]:
    job = smoke(known)
    return job.result, job.stage, job.ended, job.error


# --------------------------------------------------------------------------------------- real frameworks


def check_a_real_job(known: Known, name: FrameworkName) -> None:
    job = smoke(known)
    imported = known.imported[name]
    assert isinstance(imported, Imported)
    assert imported.ok
    assert imported.ended is None
    assert imported.error is None
    assert (job.framework, job.device, job.gpu) == (name, "cpu", None)
    assert (job.result, job.stage, job.ended, job.error) == ("ran-on-cpu", "done", None, None)
    losses = [loss for loss in job.loss if loss is not None]
    assert 30 <= len(losses) == len(job.loss) <= 40
    assert losses[0] > 2
    assert losses[-1] < 0.1
    for measure in (job.accuracy, job.precision, job.recall, job.f1):
        assert measure is not None
        assert 0.95 < measure <= 1
    assert job.examples_per_second is not None
    assert job.examples_per_second > 100
    assert job.seconds is not None
    recorded = [*REQUIRED[:-1], "optimiser-on-device", REQUIRED[-1], "repeatable"]
    assert [(proof.name, proof.holds) for proof in job.proofs] == [(name, True) for name in recorded]
    assert tuple(proof.name for proof in job.proofs if proof.required) == REQUIRED
    assert msgspec.json.decode(msgspec.json.encode(job), type=Smoke) == job


@pytest.mark.framework
def test_pytorch_really_trains_on_the_cpu(torch_python: Path) -> None:
    known = run(plan(executable=str(torch_python), device="cpu", environ={"PYTHONPATH": ""}, steps=200, seconds=200))
    check_a_real_job(known, "torch")


@pytest.mark.framework
def test_tensorflow_really_trains_on_the_cpu(tensorflow_python: Path) -> None:
    environ = {"PYTHONPATH": ""}
    wanted = plan(
        "tensorflow", executable=str(tensorflow_python), device="cpu", environ=environ, steps=200, seconds=200
    )
    check_a_real_job(run(wanted), "tensorflow")


@pytest.mark.framework
def test_jax_really_trains_on_the_cpu(jax_python: Path) -> None:
    environ = {"PYTHONPATH": "", "JAX_PLATFORMS": "cpu"}
    wanted = plan("jax", executable=str(jax_python), device="cpu", environ=environ, steps=200, seconds=200)
    check_a_real_job(run(wanted), "jax")


@pytest.mark.framework
@pytest.mark.parametrize("stage", ["import", "train", "verify"])
def test_a_stopped_pytorch_is_hung_at_its_stage(torch_python: Path, stage: str) -> None:
    def stop(event: Event) -> None:
        if event.stage == stage and (stage != "train" or event.step):
            (child,) = our_children() - before
            os.kill(child, signal.SIGSTOP)

    before, began = our_children(), time.monotonic()
    known = run(
        plan(executable=str(torch_python), device="cpu", environ={"PYTHONPATH": ""}, idle=3, steps=500), report=stop
    )
    assert ending(known) == ("hung", stage, "hung", "no sign of work")
    assert time.monotonic() - began < 3 + 4 * BUSY


@pytest.mark.framework
def test_a_job_in_pytorch_leaves_no_file(torch_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    for folder in (home, here):
        folder.mkdir()
    monkeypatch.chdir(here)
    environment = torch_python.parent.parent
    before = {*environment.rglob("*")}
    run(plan(executable=str(torch_python), device="cpu", environ={"PYTHONPATH": "", "HOME": str(home)}))
    assert [*home.rglob("*"), *here.rglob("*")] == []
    assert {*environment.rglob("*")} == before


@pytest.mark.framework
def test_a_job_in_tensorflow_leaves_no_file(
    tensorflow_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    for folder in (home, here):
        folder.mkdir()
    monkeypatch.chdir(here)
    environ = {"PYTHONPATH": "", "HOME": str(home)}
    run(plan("tensorflow", executable=str(tensorflow_python), device="cpu", environ=environ))
    assert [*home.rglob("*"), *here.rglob("*")] == []


@pytest.mark.framework
def test_a_gpu_job_in_pytorch_without_a_gpu_fails_at_its_start(torch_python: Path) -> None:
    environ = {"PYTHONPATH": "", "CUDA_VISIBLE_DEVICES": "-1"}
    job = smoke(run(plan(executable=str(torch_python), device="gpu", environ=environ)))
    assert (job.device, job.result, job.stage, job.ended) == ("cuda:0", "failed", "init", "exception")
    assert job.error is not None
    assert "\n" not in job.error


# -------------------------------------------------------------------------------------------- who is proved


def test_a_framework_that_only_claims_the_gpu_is_not_proved() -> None:
    job = smoke(run(imitate()))
    assert (job.device, job.gpu, job.result, job.stage) == ("cuda:0", 3, "not-run", "done")
    assert job.error == (
        "trained, but nobody outside torch could see it on the GPU: profiler-kernels: none seen; "
        "outside-process: not asked: no witness; outside-memory: not asked: no witness"
    )


def test_a_gpu_whose_memory_does_not_move_ran_nothing() -> None:
    job = smoke(run(with_witness(imitate(), Seen(1 << 30), Seen(1 << 30))))
    assert (job.result, job.stage) == ("ran-on-cpu", "done")
    assert job.error == (
        "nothing ran on the GPU: profiler-kernels: none seen; "
        "outside-process: the driver lists 0 processes, not this one by number; "
        "outside-memory: memory in use on the GPU went up by 0 MiB, the job holds 300 MiB"
    )


def test_memory_that_does_not_move_contradicts_nothing_where_others_use_the_gpu() -> None:
    job = smoke(run(with_witness(imitate(), Seen(1 << 30, listed=1), Seen(1 << 30, listed=1))))
    assert job.result == "not-run"


def test_a_witness_that_cannot_look_proves_nothing() -> None:
    blind = Missing("timed-out", "no answer", "nvmlInit")
    assert smoke(run(with_witness(imitate(), blind, blind))).result == "not-run"


def test_the_witness_is_asked_about_this_gpu_and_these_processes() -> None:
    asked: list[tuple[tuple[int, ...], Target]] = []

    def witness(pids: tuple[int, ...], target: Target) -> Missing:
        asked.append((pids, target))
        return Missing("unreadable")

    before = our_children()
    pids: set[int] = set()
    run(replace(imitate(), witness=witness), lambda _: pids.update(our_children() - before))
    assert asked == [(tuple(pids), Target(3, None, None))] * 2


def test_tensors_that_stay_on_the_cpu_ran_on_the_cpu() -> None:
    job = smoke(run(imitate("falls-back")))
    assert (job.result, job.stage) == ("ran-on-cpu", "done")
    assert job.error == "parameters-on-device does not hold: cpu"


def test_wrong_numbers_fail_at_verify() -> None:
    job = smoke(run(imitate("wrong-numbers")))
    matches = job.proof("matches-cpu")
    assert matches is not None
    assert matches.holds is False
    assert (job.result, job.stage, job.ended) == ("failed", "verify", None)
    assert job.error == (
        "matches-cpu does not hold: loss 2.3, on the CPU in float64 2.3; gradients differ by 2 of their size; "
        "perceptron: loss 2.3, on the CPU in float64 2.3; gradients differ by 2 of their size"
    )


def test_a_loss_that_is_no_number_fails_and_is_not_reported_as_one() -> None:
    job = smoke(run(imitate("not-a-number")))
    assert (job.result, job.stage) == ("failed", "verify")
    assert job.error == "loss-fell does not hold: from 2.3 to nan; perceptron: from 2.3 to nan"
    assert job.loss == pytest.approx((2.3, 2.3 * 0.9**2, 2.3 * 0.9**4))
    assert msgspec.json.decode(msgspec.json.encode(job), type=Smoke) == job


# ---------------------------------------------------------------------------------------- faults and stages

PLACES = {
    "import": "import",
    "list": "init",
    "init": "init",
    "copy": "copy",
    "compute": "compute",
    "train": "train",
    "verify": "verify",
    "hold": "verify",
}
FAULTS = {
    "crash": ("failed", "signal SIGSEGV", "signal SIGSEGV"),
    "exit": ("failed", "exit code 3", "exit code 3"),
    "raise": ("failed", "exception", "RuntimeError: CUDA error: imitated"),
}


@pytest.mark.parametrize("place", [place for place in PLACES if place not in ("list", "hold")])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_with_its_stage(place: str, fault: str) -> None:
    result, ended, error = FAULTS[fault]
    assert ending(run(imitate(fault=f"{place}:{fault}"))) == (result, PLACES[place], ended, error)


@pytest.mark.parametrize("place", PLACES)
def test_a_hang_is_told_with_its_stage_within_the_limit(place: str) -> None:
    began = time.monotonic()
    assert ending(run(imitate(fault=f"{place}:hang", idle=2))) == ("hung", PLACES[place], "hung", "no sign of work")
    assert time.monotonic() - began < 2 + 2 * BUSY


def test_a_process_that_works_is_not_hung() -> None:
    assert smoke(run(imitate(fault="compute:work", idle=2))).stage == "done"


def test_a_crash_while_importing_is_a_fact_about_the_import() -> None:
    imported = run(imitate(fault="import:crash")).imported["torch"]
    assert imported == Imported(
        source="import torch in a child process", ok=False, ended="signal SIGSEGV", error="signal SIGSEGV"
    )


def test_a_crash_while_listing_devices_keeps_what_the_import_told() -> None:
    known = run(imitate(fault="list:crash"))
    imported = known.imported["torch"]
    assert isinstance(imported, Imported)
    assert (imported.ok, imported.ended, imported.version, imported.cuda) == (
        True,
        "signal SIGSEGV",
        "9.9.9+imitation",
        "12.8",
    )
    assert imported.error == "after the import, at its first questions: signal SIGSEGV"
    assert ending(known)[:2] == ("failed", "init")


def test_an_imitation_says_of_itself_what_it_is_asked() -> None:
    imported = run(imitate()).imported["torch"]
    assert isinstance(imported, Imported)
    assert msgspec.structs.replace(imported, seconds=None) == Imported(
        source="import torch in a child process",
        ok=True,
        version="9.9.9+imitation",
        cuda="12.8",
        available=True,
        devices=(imported.devices[0],),
        targets=("sm_80", "sm_90", "compute_90"),
    )
    device = imported.devices[0]
    assert (device.name, device.capability, device.memory) == ("Imitation GPU", "9.0", 80 << 30)


def test_a_device_question_that_raises_costs_only_its_own_answer() -> None:
    known = run(imitate(fault="list:raise"))
    imported = known.imported["torch"]
    assert isinstance(imported, Imported)
    assert (imported.ok, imported.ended, imported.available) == (True, None, None)
    assert imported.warnings == ("torch.cuda.is_available(): RuntimeError: CUDA error: imitated",)


def test_a_numpy_that_does_not_fit_shows_at_the_import(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("")
    environ = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{IMITATIONS}", "IMITATION_FAULT": "numpy:raise"}
    known = run(replace(plan(environ=environ), train=False))
    text = "torch.zeros(1).numpy(): RuntimeError: CUDA error: imitated"
    imported = known.imported["torch"]
    assert isinstance(imported, Imported)
    assert (imported.ok, imported.warnings) == (True, (text,))
    assert known.messages == (Message(source="torch import, warning", text=text, framework="torch"),)


@pytest.mark.parametrize("fault", ["crash", "hang", "exit", "raise"])
def test_a_profiler_that_fails_refutes_nothing(fault: str) -> None:
    job = smoke(run(imitate(fault=f"profile:{fault}", idle=2)))
    kernels = job.proof("profiler-kernels")
    assert kernels is not None
    assert kernels.holds is None
    assert (job.result, job.stage) == ("not-run", "done")
    assert job.accuracy is not None


def test_a_refused_deterministic_mode_is_not_judged() -> None:
    repeatable = smoke(run(imitate(fault="repeat:raise"))).proof("repeatable")
    assert repeatable is not None
    assert (repeatable.holds, repeatable.detail) == (
        None,
        "in deterministic mode: RuntimeError: CUDA error: imitated",
    )


def test_garbage_on_standard_output_disturbs_nothing() -> None:
    assert smoke(run(imitate(fault="import:chat"))).stage == "done"


def test_site_hooks_that_print_disturb_nothing(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.stdout.write('hello without an end ')\n")
    environ = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{IMITATIONS}"}
    assert smoke(run(plan(environ=environ))).stage == "done"


def test_the_time_limit_ends_a_job_without_a_result() -> None:
    began = time.monotonic()
    assert ending(run(imitate()))[:2] == ("not-run", "done")
    seconds = max(4.0, 4 * (time.monotonic() - began))  # enough to come there, on a busy machine as well
    began = time.monotonic()
    known = run(imitate(fault="train:hang", seconds=seconds, idle=None))
    assert ending(known) == ("not-run", "train", "timed out", "the time limit came first, at stage train")
    assert time.monotonic() - began < seconds + BUSY


def test_the_time_limit_during_an_import_leaves_the_import_unknown() -> None:
    known = run(imitate(fault="import:hang", seconds=3, idle=None))
    assert known.imported == {"torch": Missing("timed-out", "the time limit came first", "torch import")}
    assert ending(known)[:2] == ("not-run", "import")


# -------------------------------------------------------------------------------------- the interpreter


def test_a_file_that_is_no_interpreter_is_unreadable(tmp_path: Path) -> None:
    known = run(plan(executable=str(tmp_path / "nothing")))
    assert known.imported == {"torch": Missing("unreadable", "No such file or directory", "start of the interpreter")}
    assert ending(known)[:2] == ("not-run", "start")


def test_an_interpreter_that_prints_garbage_crashed() -> None:
    echo = shutil.which("echo")
    assert echo
    (missing,) = run(plan(executable=echo)).imported.values()
    assert isinstance(missing, Missing)
    assert (missing.kind, missing.where) == ("crashed", "start of the interpreter")
    assert missing.detail.startswith("exit code 0: -c import sys;")


def test_a_local_json_does_not_kill_the_reporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemError('a local json')\n")
    monkeypatch.chdir(tmp_path)
    assert smoke(run(plan())).stage == "done"


@pytest.mark.parametrize("through", ["working directory", "PYTHONPATH"])
def test_a_local_json_breaks_the_framework_here_as_it_does_for_the_user(
    through: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local, site = tmp_path / "local", tmp_path / "site"
    for folder in (local, site):
        folder.mkdir()
    (local / "json.py").write_text("raise SystemError('a local json')\n")
    (site / "torch.py").write_text("import json\n")
    if through == "PYTHONPATH":
        environ = {"PYTHONPATH": f"{local}{os.pathsep}{site}"}
    else:
        monkeypatch.chdir(local)
        environ = {"PYTHONPATH": str(site)}
    (imported,) = run(plan(environ=environ)).imported.values()
    assert isinstance(imported, Imported)
    assert (imported.ok, imported.ended, imported.error) == (False, "exception", "SystemError: a local json")


def test_a_local_torch_is_what_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("")
    monkeypatch.chdir(tmp_path)
    (imported,) = run(plan()).imported.values()
    assert isinstance(imported, Imported)
    assert imported.error is not None
    assert "has no attribute '__version__'" in imported.error


def interpreters() -> list[Path]:
    return sorted(Path.home().glob(".pyenv/versions/3.*/bin/python")) or [Path(sys.executable)]


@pytest.mark.parametrize("executable", interpreters(), ids=lambda path: path.parent.parent.name)
def test_the_job_runs_in_every_python_3(executable: Path) -> None:
    job = smoke(run(plan(executable=str(executable))))
    assert (job.stage, job.error and job.error.partition(":")[0]) == (
        "done",
        "trained, but nobody outside torch could see it on the GPU",
    )


def test_the_users_own_warning_options_do_not_silence_the_report(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import warnings; warnings.warn('old driver'); raise ImportError('x')\n")
    environ = {"PYTHONPATH": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    known = run(plan(environ=environ))
    (imported,) = known.imported.values()
    assert isinstance(imported, Imported)
    assert imported.warnings == ("UserWarning: old driver",)
    assert known.messages == (
        Message(source="torch import, warning", text="UserWarning: old driver", framework="torch"),
        Message(source="torch import, exception", text="ImportError: x", framework="torch"),
    )


def test_what_a_framework_prints_is_a_message_with_its_stage(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(
        "import sys\n"
        "sys.stderr.write('2026-11-21 12:12:36.082415: W tensorflow/x.cc:1] Cannot dlopen some GPU libraries.\\n')\n"
        "sys.stderr.write('Traceback (most recent call last):\\n  File \"x.py\", line 1, in <module>\\n')\n"
        "raise SystemExit(4)\n"
    )
    known = run(plan(environ={"PYTHONPATH": str(tmp_path)}))
    text = "W tensorflow/x.cc:1] Cannot dlopen some GPU libraries."
    assert known.messages == (Message(source="torch import, stderr", text=text, framework="torch"),)
    assert ending(known) == ("failed", "import", "exit code 4", f"exit code 4: {text}")


# --------------------------------------------------------------------------------------------- the course


def test_jobs_take_turns() -> None:
    events: list[tuple[str, str]] = []
    known = run(plan("torch", "tensorflow", device="cpu"), lambda event: events.append(event[:2]))
    assert [job.framework for job in known.smokes] == ["torch", "tensorflow"]
    # The second framework is imported early and begins its job when the first is done.
    starts = [at for at, event in enumerate(events) if event == ("tensorflow", "init")]
    assert len(starts) == 2
    assert starts[0] < events.index(("torch", "train")) < events.index(("torch", "done")) < starts[1]


def several(*gpus: Gpu, choice: Choice = "all", fault: str = "nowhere:nothing", devices: int = 3) -> Known:
    environ = {"IMITATION_DEVICES": str(devices), "IMITATION_FAULT": fault}
    with Jobs(replace(plan(environ=environ), choice=choice, witness=lambda *_: Missing("unreadable"))) as jobs:
        jobs.run(gpus)
        return jobs.known()


def like(index: int, **changes: object) -> Gpu:
    return msgspec.structs.replace(GPU, index=index, uuid=f"GPU-{index}", **changes)


def test_every_gpu_has_its_job() -> None:
    known = several(like(0), like(1), like(2))
    assert [(job.device, job.gpu, job.stage) for job in known.smokes] == [
        ("cuda:0", 0, "done"),
        ("cuda:1", 1, "done"),
        ("cuda:2", 2, "done"),
    ]
    assert list(known.imported) == ["torch"]


def test_the_child_that_imported_takes_the_gpu_that_it_is_known_to_see_first() -> None:
    children: set[int] = set()
    environ = {"IMITATION_DEVICES": "2"}
    before = our_children()
    with Jobs(plan(environ=environ), lambda _: children.update(our_children() - before)) as jobs:
        jobs.run((like(0, name="Another GPU"), like(1)))
        known = jobs.known()
    assert [(job.device, job.gpu, job.stage) for job in known.smokes] == [("cuda:1", 1, "done"), ("cuda:0", 0, "done")]
    assert len(children) == 2


def test_one_gpu_may_be_chosen() -> None:
    known = several(like(0), like(1), like(2), choice=1)
    assert [(job.device, job.gpu, job.stage) for job in known.smokes] == [("cuda:1", 1, "done")]


def test_every_mig_instance_has_its_job() -> None:
    instances = MigInstances(source="test", instances=(MigInstance(uuid="MIG-a"), MigInstance(uuid="MIG-b")))
    known = several(like(0, mig=instances), devices=1)
    assert [(job.gpu, job.mig, job.stage) for job in known.smokes] == [(0, "MIG-a", "done"), (0, "MIG-b", "done")]


def test_a_gpu_that_the_framework_leaves_out_in_any_case_has_no_job() -> None:
    known = several(like(0), like(1), msgspec.structs.replace(GPU, index=2, uuid="GPU-shunned"), devices=2)
    assert [job.gpu for job in known.smokes] == [0, 1]
    text = "torch lists no device when GPU 2 is all that it sees"
    assert text in [message.text for message in known.messages]


def test_a_gpu_that_vanishes_when_it_is_alone_is_a_failure() -> None:
    known = several(like(0), msgspec.structs.replace(GPU, index=1, uuid="GPU-shunned"), devices=2)
    (_, job) = known.smokes
    assert (job.gpu, job.result, job.error) == (1, "failed", "torch lists no device when GPU 1 is all that it sees")


def test_a_crash_on_every_gpu_is_told_for_each() -> None:
    known = several(like(0), like(1), fault="train:crash")
    assert [(job.gpu, job.result, job.stage, job.ended) for job in known.smokes] == [
        (0, "failed", "train", "signal SIGSEGV"),
        (1, "failed", "train", "signal SIGSEGV"),
    ]


def test_the_seconds_of_all_jobs_end_a_job_that_does_not() -> None:
    known = run(replace(plan(environ={"IMITATION_FAULT": "train:work"}, idle=None), seconds=3))
    words = "the 3 s that were left for it were over (gpudoctor smoke --seconds gives more), at stage train"
    assert ending(known) == ("not-run", "train", "timed out", words)


def test_a_job_that_is_not_due_is_not_run_and_says_why() -> None:
    known = run(plan(device="skip"))
    assert ending(known) == ("not-run", "import", None, "no usable GPU here, and the CPU was not allowed")
    assert known.imported["torch"].ok  # type: ignore[union-attr]


def test_imports_alone_make_no_job() -> None:
    known = run(replace(plan(), train=False))
    assert known.smokes == ()
    assert isinstance(known.imported["torch"], Imported)


def test_an_interruption_keeps_what_was_known() -> None:
    def interrupt(event: Event) -> None:
        if event.step:
            raise KeyboardInterrupt

    with Jobs(imitate(), interrupt) as jobs:
        with pytest.raises(KeyboardInterrupt):
            jobs.run()
        known = jobs.known()
    job = smoke(known)
    assert (job.result, job.stage, job.ended) == ("not-run", "train", "interrupted")
    assert len(job.loss) == 2
    assert isinstance(known.imported["torch"], Imported)


def test_no_temporary_folder_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    known = run(plan())
    assert smoke(known).stage == "done"
    assert [(message.source, message.framework) for message in known.messages][:1] == [("gpudoctor", None)]


def test_caches_go_to_the_private_folder(tmp_path: Path) -> None:
    user = {"CUDA_CACHE_PATH": "/home/user/cache", "PYTHONFAULTHANDLER": "1", "OTHER": "kept"}
    environ = child_environ(user, "tensorflow", tmp_path)
    assert environ["OTHER"] == "kept"
    assert environ["KERAS_BACKEND"] == "tensorflow"
    assert "PYTHONFAULTHANDLER" not in environ
    for name in ("CUDA_CACHE_PATH", "TRITON_CACHE_DIR", "KERAS_HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "TMPDIR"):
        assert Path(environ[name]).parent == tmp_path
        assert Path(environ[name]).is_dir()


def test_the_cuda_cache_is_off_without_a_private_folder() -> None:
    environ = child_environ({"CUDA_CACHE_PATH": "/home/user/cache"}, "torch", None)
    assert environ["CUDA_CACHE_DISABLE"] == "1"
    assert "KERAS_BACKEND" not in environ


def test_jax_keeps_the_cpu_for_the_reference() -> None:
    def platforms(value: str) -> str | None:
        return child_environ({"JAX_PLATFORMS": value}, "jax", None).get("JAX_PLATFORMS")

    assert [platforms(value) for value in ("cuda", "cuda,cpu", "")] == ["cuda,cpu", "cuda,cpu", ""]


@pytest.mark.parametrize(("seconds", "idle"), [(1, 5), (5, 5), (20, 8), (150, 60), (3600, 60)])
def test_a_short_time_limit_never_makes_a_hang_of_a_slow_start(seconds: float, idle: float) -> None:
    assert patience(seconds).idle == idle
