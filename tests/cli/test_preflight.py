"""``gpudoctor preflight`` as a container's entrypoint, a prologue or a CI step meets it, on the lab's machines."""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.cli.run import ROOT, Ran, command, environ, files_below, gpudoctor, imitated_torch, survivors, wait_until
from tests.lab.drivers.fake import HANG, FakeGpu, Machine, describe, error, install
from tests.lab.drivers.needs import need_compiler


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty folder to run in, without a project's file above it."""
    (tmp_path / "home" / ".git").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def lab(tmp_path: Path) -> dict[str, str]:
    """The variables under which one healthy H100 is seen."""
    return machine(tmp_path, Machine())


def machine(tmp_path: Path, described: Machine) -> dict[str, str]:
    need_compiler()
    return install(tmp_path / "machine", described)


def at_leisure(usual: Ran, least: int) -> int:
    """Whole seconds that are enough for what a usual run does, also on a machine that is slow or busy."""
    return max(least, math.ceil(4 * usual.seconds))


def preflight(home: Path, *arguments: str, **extra: str) -> Ran:
    return gpudoctor("preflight", *arguments, home=home, **extra)


# ------------------------------------------------------------------------------------------------- fit and not fit


def test_a_fit_place_is_quiet(home: Path, lab: dict[str, str]) -> None:
    before = files_below(home)
    ran = preflight(home, "--require", "gpus>=1,vram>=79GiB,capability>=9.0,gpu~=H100,driver>=550,cuda>=12.4", **lab)
    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "")
    assert files_below(home) == before


def test_without_a_requirement_a_usable_gpu_is_required(home: Path, lab: dict[str, str]) -> None:
    assert preflight(home, **lab).code == 0
    without = preflight(home)
    assert without.code == 1
    assert "gpus>=1" in without.stderr


def test_a_place_that_is_not_fit_says_cause_and_fix_in_a_few_lines_on_stderr(home: Path, lab: dict[str, str]) -> None:
    ran = preflight(home, "--require", "mig=on", **lab)
    assert (ran.code, ran.stdout) == (1, "")
    assert ran.stderr.splitlines() == [
        "gpudoctor: not fit for this job: requirement-not-met",
        "  This machine does not meet mig=on: GPU 0 (NVIDIA H100 80GB HBM3): MIG is off.",
        "  Fix: Switch MIG on for GPU 0",
        "    sudo nvidia-smi -i 0 -mig 1",
        "    A GPU without it cannot be switched.",
        f"  More: {shlex.join([sys.executable, '-m', 'gpudoctor'])} explain requirement-not-met",
    ]


def test_a_fault_is_not_fit_even_where_all_requirements_hold(home: Path, tmp_path: Path) -> None:
    ran = preflight(home, "-r", "gpus>=1", **machine(tmp_path, Machine(gpus=(FakeGpu(remapped=(0, 2, True, True)),))))
    assert ran.code == 1
    assert ran.stderr.startswith("gpudoctor: not fit for this job: gpu-hardware-fault\n")


def test_a_broken_machine_shows_its_cause_and_what_was_required(home: Path, tmp_path: Path) -> None:
    refuses = Machine(faults={"cuInit": error(802)})
    ran = preflight(home, "-r", "gpus>=1", **machine(tmp_path, refuses))
    assert ran.code == 1
    assert ran.stderr.splitlines()[0] == "gpudoctor: not fit for this job: fabric-manager-not-running"
    assert "Required: gpus>=1 (CUDA shows no GPUs)" in ran.stderr


def test_warnings_are_let_pass_unless_they_are_not(home: Path, tmp_path: Path) -> None:
    waiting = machine(tmp_path, Machine(gpus=(FakeGpu(mig_mode=(False, True)),)))
    assert preflight(home, "-r", "gpus>=1", **waiting).code == 0
    strict = preflight(home, "-r", "gpus>=1,no-warnings", **waiting)
    assert strict.code == 1
    assert "mig-misconfigured" in strict.stderr


def test_a_silenced_rule_does_not_stop_the_job(home: Path, tmp_path: Path) -> None:
    sick = machine(tmp_path, Machine(gpus=(FakeGpu(remapped=(0, 2, True, True)),)))
    assert preflight(home, "--ignore", "gpu-hardware-fault", **sick).code == 0
    assert preflight(home, "--ignore", "gpu-hardware-falt", **sick).code == 2


def test_verbose_says_what_was_found(home: Path, lab: dict[str, str]) -> None:
    ran = preflight(home, "-v", "-r", "gpus>=1,vram>=40GiB", **lab)
    assert ran.code == 0
    assert ran.stderr.splitlines()[:2] == ["  gpus>=1: met: CUDA shows 1 GPU", "  vram>=40GiB: met: 80.0 GiB"]


def test_the_environment_is_looked_at_where_a_requirement_concerns_it(home: Path, lab: dict[str, str]) -> None:
    ran = preflight(home, "-r", "torch>=2.6", "--python", sys.executable, **lab)
    assert ran.code == 1
    assert ran.stderr.startswith("gpudoctor: not fit for this job: torch-not-installed\n")
    assert "Required: torch>=2.6 (PyTorch is not installed" in ran.stderr


@pytest.mark.parametrize(
    ("variables", "cause"),
    [
        ({"IMITATION_LIES": "falls-back"}, "smoke-ran-on-cpu"),
        ({"IMITATION_LIES": "wrong-numbers"}, "smoke-wrong-results"),
        ({"IMITATION_FAULT": "train:raise"}, "smoke-failed"),
    ],
)
def test_smoke_trains_and_a_framework_that_does_not_is_the_cause(
    home: Path, tmp_path: Path, lab: dict[str, str], variables: dict[str, str], cause: str
) -> None:
    site = imitated_torch(tmp_path / "site")
    extra = {**lab, **variables, "PYTHONPATH": f"{ROOT}{os.pathsep}{site}"}
    ran = preflight(home, "-r", "torch>=2.6,smoke", "--", "echo", "ran", **extra)
    assert (ran.code, ran.stdout) == (1, ""), ran.stderr
    assert ran.stderr.startswith(f"gpudoctor: not fit for this job: {cause}")
    assert "Required: smoke (PyTorch " in ran.stderr


def test_without_smoke_no_framework_is_imported(home: Path, tmp_path: Path, lab: dict[str, str]) -> None:
    site = imitated_torch(tmp_path / "site")
    extra = {**lab, "IMITATION_FAULT": "import:crash", "PYTHONPATH": f"{ROOT}{os.pathsep}{site}"}
    ran = preflight(home, "-r", "torch>=2.6,torch-cuda>=12.4", "-v", **extra)
    assert (ran.code, ran.stderr.splitlines()[0]) == (0, "  torch>=2.6: met: PyTorch 9.9.9+cu130")


# ------------------------------------------------------------------------------------------------- undetermined


def hanging(tmp_path: Path) -> dict[str, str]:
    return machine(tmp_path, Machine(faults={"nvmlInitWithFlags": HANG}))


def test_where_it_cannot_be_told_the_command_does_not_run(home: Path, tmp_path: Path) -> None:
    seconds = at_leisure(preflight(home, "--", "true", **machine(tmp_path / "sound", Machine())), least=4)
    ran = preflight(home, "--time-limit", str(seconds), "--", "echo", "ran", **hanging(tmp_path))
    assert (ran.code, ran.stdout) == (3, "")
    assert ran.stderr.startswith("gpudoctor: it cannot be told whether this place is fit for the job\n")
    assert "nvmlInit" in ran.stderr


def test_unless_it_is_to_run_all_the_same(home: Path, tmp_path: Path) -> None:
    arguments = ("--time-limit", "4", "--on-unknown", "run", "--", "echo", "ran")
    ran = preflight(home, *arguments, **hanging(tmp_path))
    assert (ran.code, ran.stdout) == (0, "ran\n")
    assert "it cannot be told" in ran.stderr


# ------------------------------------------------------------------------------------------------- the command


def test_a_fit_place_becomes_the_command(home: Path, lab: dict[str, str]) -> None:
    argv = command("preflight", "-r", "gpus>=1", "--", "sh", "-c", "echo $$; exit 7")
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=home, env=environ(home, **lab))
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output.decode().strip()) == (7, str(process.pid))


def test_a_place_that_is_not_fit_does_not(home: Path, lab: dict[str, str]) -> None:
    ran = preflight(home, "-r", "gpus>=2", "--", "echo", "ran", **lab)
    assert (ran.code, ran.stdout) == (1, "")


@pytest.mark.parametrize(("name", "code"), [("no-such-command", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_be_started(home: Path, lab: dict[str, str], name: str, code: int) -> None:
    ran = preflight(home, "--", name, **lab)
    assert (ran.code, ran.stdout) == (code, "")
    assert ran.stderr.startswith(f"gpudoctor: {name}: ")


def test_the_command_reads_what_was_on_standard_input_and_has_its_own_words(home: Path, lab: dict[str, str]) -> None:
    argv = command("preflight", "--", "sh", "-c", 'cat; echo "$@"', "sh", "--require", "x", "--")
    done = subprocess.run(argv, input="for you\n", capture_output=True, text=True, cwd=home, env=environ(home, **lab))
    assert done.stdout == "for you\n--require x --\n"


def test_streams_that_were_closed_are_closed_for_the_command(home: Path, lab: dict[str, str]) -> None:
    look = "import os, sys; os.write(2, ' '.join(sorted(os.listdir('/proc/self/fd'))).encode())"
    shell = f'exec {" ".join(command("preflight"))} -- {sys.executable} -S -c "{look}" <&- >&-'
    done = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, text=True, cwd=home, env=environ(home, **lab))
    assert (done.returncode, done.stderr) == (0, "0 2"), "0 is the folder that is listed"


def _as_process_1() -> list[str]:
    unshare = shutil.which("unshare")
    options = ["--fork", "--pid", "--mount-proc", *(() if os.geteuid() == 0 else ("--user", "--map-root-user"))]
    if unshare is None or subprocess.run([unshare, *options, "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare cannot make a PID namespace here")
    return [unshare, *options]


def test_as_process_1_of_a_container_it_leaves_the_command_alone(home: Path, lab: dict[str, str]) -> None:
    look = "echo $$; cat /proc/[0-9]*/stat | cut -d' ' -f2,4; exit 5"
    argv = [*_as_process_1(), *command("preflight", "--", "sh", "-c", look)]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=home, env=environ(home, **lab), timeout=60)
    first, *others = done.stdout.splitlines()
    assert (done.returncode, first) == (5, "1"), done.stderr
    assert {line.split()[0] for line in others} <= {"(sh)", "(cat)", "(cut)"}, others


# ---------------------------------------------------------------------------------------------- where it comes from


def test_requirements_come_from_file_variable_and_option_and_the_nearest_counts(
    home: Path, lab: dict[str, str]
) -> None:
    (home / "pyproject.toml").write_text('[tool.gpudoctor.preflight]\nrequire = ["gpus>=8", "vram>=16GiB"]\n')
    eight = preflight(home, **lab)
    assert (eight.code, "gpus>=8" in eight.stderr) == (1, True)
    assert preflight(home, **lab, GPUDOCTOR_REQUIRE="gpus>=1").code == 0
    assert preflight(home, "-r", "gpus>=2", **lab, GPUDOCTOR_REQUIRE="gpus>=1").code == 1
    more = preflight(home, **lab, GPUDOCTOR_REQUIRE="gpus>=1\nshm>=900TiB")
    assert (more.code, "shm>=900TiB" in more.stderr) == (1, True)


def test_the_file_says_how_to_wait_and_what_to_do_where_it_cannot_be_told(home: Path, tmp_path: Path) -> None:
    (home / "gpudoctor.toml").write_text('time-limit = 4\n[preflight]\nrequire = "gpus>=1"\non-unknown = "run"\n')
    ran = preflight(home, "--", "echo", "ran", **hanging(tmp_path))
    assert (ran.code, ran.stdout) == (0, "ran\n")


@pytest.mark.parametrize(
    ("arguments", "extra", "sentence"),
    [
        (("-r", "gpuss>=1"), {}, "--require: 'gpuss>=1' is no requirement. Did you mean gpus?"),
        ((), {"GPUDOCTOR_REQUIRE": "vram>=40"}, "GPUDOCTOR_REQUIRE: vram: '40' is no size with a unit"),
        (("--requir", "x"), {}, "No such option: --requir Did you mean --require?"),
        (("--wait", "soon"), {}, "--wait: 'soon' is no length of time; write it as 60s or 5m."),
        (("--wait",), {}, "Option '--wait' requires an argument."),
        (("--verbose=1",), {}, "Option '--verbose' does not take a value."),
        (("gpus>=1",), {}, "preflight takes no argument 'gpus>=1'; a command comes after '--', a requirement after"),
        (("--",), {}, "There is no command after '--'."),
        (("--on-unknown", "go"), {}, "Invalid value for '--on-unknown': 'go' is not one of 'stop', 'run'."),
        (("--report", "/no/such/folder/r.json"), {}, "'--report': /no/such/folder/r.json cannot be written"),
        (("-r", "torch", "--python", "/no/such/python"), {}, "Invalid value for '--python': There is no"),
        (("--time-limit", "0"), {}, "Invalid value for --time-limit: must be between 1 and 86400 seconds"),
        (("--allow-cpu",), {}, "--allow-cpu leaves nothing to check"),
    ],
)
def test_wrong_usage_is_one_sentence_before_any_look(
    home: Path, arguments: tuple[str, ...], extra: dict[str, str], sentence: str
) -> None:
    ran = preflight(home, *arguments, **extra)
    assert (ran.code, ran.stdout) == (2, "")
    assert sentence in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert ran.stderr.startswith("gpudoctor: ")


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ('requre = ["gpus>=1"]', "gpudoctor knows no setting 'preflight.requre'. Close to it: require."),
        ('require = ["gpuss>=1"]', "pyproject.toml: 'gpuss>=1' is no requirement."),
        ("require = 3", "preflight.require: Expected"),
        ('on-unknown = "go"', "preflight.on-unknown: Invalid enum value 'go'"),
        ('wait = "soon"', "preflight.wait: 'soon' is no length of time"),
    ],
)
def test_a_wrong_file_is_wrong_usage(home: Path, table: str, sentence: str) -> None:
    (home / "pyproject.toml").write_text(f"[tool.gpudoctor.preflight]\n{table}\n")
    ran = preflight(home)
    assert (ran.code, ran.stdout) == (2, "")
    assert sentence in ran.stderr


def test_help_names_every_requirement_and_option(home: Path) -> None:
    from gpudoctor.cli.preflight import _FLAGS, _VALUES
    from gpudoctor.preflight.requirements import NAMES

    ran = preflight(home, "--help")
    assert ran.code == 0
    assert [name for name in (*NAMES, *_FLAGS, *_VALUES) if name not in ran.stdout] == []
    assert max(map(len, ran.stdout.splitlines())) <= 80
    assert "preflight" in gpudoctor("--help", home=home).stdout


# ------------------------------------------------------------------------------------------------- waiting


def test_a_machine_that_comes_up_is_waited_for(home: Path, tmp_path: Path) -> None:
    starting = Machine(faults={"cuInit": error(802)})
    variables = machine(tmp_path, starting)
    argv = command("preflight", "--wait", "5m", "--", "echo", "ran")
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=home, env=environ(home, **variables)
    )
    assert process.stderr is not None
    waiting = process.stderr.readline().decode()
    assert waiting.startswith("gpudoctor: waiting for the fabric manager to set up NVSwitch, for at most ")
    description = Path(variables["GPUDOCTOR_LAB_MACHINE"])
    description.write_text(describe(replace(starting, faults={})), "ascii")
    output, errors = process.communicate(timeout=400)
    assert (process.returncode, output, errors) == (0, b"ran\n", b"")


def test_waiting_ends_with_what_is_wrong(home: Path, tmp_path: Path) -> None:
    starting = machine(tmp_path, Machine(faults={"cuInit": error(802)}))
    seconds = at_leisure(preflight(home, **starting), least=2)
    ran = preflight(home, "--wait", f"{seconds}s", **starting)
    assert ran.code == 1
    assert [line for line in ran.stderr.splitlines() if "waiting" in line or "not fit" in line][1:] == [
        "gpudoctor: not fit for this job: fabric-manager-not-running"
    ]


def test_where_waiting_cannot_help_it_stops_at_once(home: Path, lab: dict[str, str]) -> None:
    ran = preflight(home, "--wait", "5m", "-r", "gpus>=2", **lab)
    assert (ran.code, "waiting" in ran.stderr) == (1, False)
    assert ran.seconds < 60


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_wait(home: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    variables = environ(home, **machine(tmp_path, Machine(faults={"cuInit": error(802)})), PREFLIGHT_TEST=str(home))
    process = subprocess.Popen(command("preflight", "--wait", "5m"), stderr=subprocess.PIPE, cwd=home, env=variables)
    assert process.stderr is not None
    assert b"waiting" in process.stderr.readline()
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == code
    assert survivors(f"PREFLIGHT_TEST={home}") == []


# ------------------------------------------------------------------------------------------------- reports


def schema() -> Any:
    return json.loads((ROOT / "docs" / "report.schema.json").read_text())


@pytest.mark.parametrize(("requirement", "code", "status"), [("gpus>=1", 0, "healthy"), ("gpus>=2", 1, "broken")])
def test_the_report_is_that_of_diagnose_and_keeps_the_requirements(
    home: Path, lab: dict[str, str], requirement: str, code: int, status: str
) -> None:
    ran = preflight(home, "-r", requirement, "--report", "report.json", **lab)
    report = json.loads((home / "report.json").read_text())
    jsonschema.validate(report, schema())
    assert (ran.code, report["exit_code"], report["status"]) == (code, code, status)
    assert report["facts"]["request"]["requirements"] == [requirement]
    assert report["quick"] is True


def test_saved_facts_are_judged_again_with_the_same_requirements(home: Path, lab: dict[str, str]) -> None:
    assert preflight(home, "-r", "gpus>=2,no-warnings", "--save-facts", "facts.json", **lab).code == 1
    again = gpudoctor("diagnose", "--from-facts", "facts.json", "--format", "json", home=home)
    assert (again.code, again.cause) == (1, "requirement-not-met")
    assert again.report["facts"]["request"]["requirements"] == ["gpus>=2", "no-warnings"]


def test_in_kubernetes_the_reason_is_left_as_the_termination_message(
    home: Path, tmp_path: Path, lab: dict[str, str]
) -> None:
    message = tmp_path / "termination-log"
    message.write_text("old")
    shell = f"mount --bind {message} /dev/termination-log && exec {' '.join(command('preflight', '-r', 'mig=on'))}"
    unshare = shutil.which("unshare")
    if os.geteuid() or unshare is None or not _can_mount(unshare):
        pytest.skip("a mount namespace is needed, which this user cannot make")
    for extra, left in (({}, "old"), ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "gpudoctor: not fit for this job: ")):
        done = subprocess.run(
            [unshare, "--mount", "/bin/sh", "-c", f"touch /dev/termination-log; {shell}"],
            capture_output=True, text=True, cwd=home, env=environ(home, **lab, **extra), timeout=60,
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert message.read_text().startswith(left)
    assert message.read_text() == done.stderr


def _can_mount(unshare: str) -> bool:
    return subprocess.run([unshare, "--mount", "true"], capture_output=True, check=False).returncode == 0


# ------------------------------------------------------------------------------------------------- bare places


def test_without_home_shell_or_path_and_without_rights_it_is_the_same(lab: dict[str, str]) -> None:
    variables = {**lab, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    variables["NVIDIA_DRIVER_CAPABILITIES"] = "compute,utility"
    argv = [*_without_rights(), *command("preflight", "-r", "gpus>=1,vram>=16GiB")]
    done = subprocess.run(argv, capture_output=True, text=True, env=variables, cwd="/", timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _without_rights() -> list[str]:
    """Where this is root: a user namespace in which it is nobody, has no capability, and cannot read the kernel log."""
    if os.geteuid() != 0:
        return []
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "--user", "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare cannot make a user namespace here")
    return [unshare, "--user"]


def test_with_a_read_only_root_it_is_the_same(home: Path, lab: dict[str, str]) -> None:
    unshare = shutil.which("unshare")
    if os.geteuid() or unshare is None or not _can_mount(unshare):
        pytest.skip("a mount namespace is needed, which this user cannot make")
    run = " ".join(command("preflight", "-r", "'gpus>=1'", "--", "sh", "-c", "'touch /x 2>&1; echo ran'"))
    remount = "mount -o remount,ro,bind / && for m in /tmp /var /home; do mount -o remount,ro,bind $m 2>/dev/null; done"
    done = subprocess.run(
        [unshare, "--mount", "/bin/sh", "-c", f"{remount}; exec {run}"],
        capture_output=True, text=True, cwd=home, env=environ(home, **lab), timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Read-only file system" in done.stdout
    assert done.stdout.endswith("ran\n")


def test_in_a_folder_that_was_removed_it_is_the_same(home: Path, lab: dict[str, str]) -> None:
    shell = f"mkdir gone && cd gone && rmdir ../gone && exec {shlex.join(command('preflight', '--', 'echo', 'ran'))}"
    done = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, text=True, cwd=home, env=environ(home, **lab))
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")


def test_without_any_other_program_it_is_the_same(home: Path, lab: dict[str, str]) -> None:
    """As in an image without a shell: /usr/bin and /usr/sbin are empty, and PATH names nothing else."""
    unshare = shutil.which("unshare")
    if os.geteuid() or unshare is None or not _can_mount(unshare) or sys.executable.startswith("/usr/bin"):
        pytest.skip("a mount namespace is needed, and an interpreter that does not lie among the other programs")
    became = [sys.executable, "-S", "-c", "import os; print(sorted(os.listdir('/usr/bin')))"]
    argv = shlex.join(command("preflight", "-r", "gpus>=1,shm>=1MiB", "--", *became))
    hide = "mount -t tmpfs none /usr/sbin && mount -t tmpfs none /usr/bin"
    done = subprocess.run(
        [unshare, "--mount", "/bin/sh", "-c", f"{hide} && exec {argv}"],
        capture_output=True, text=True, cwd=home, env={**environ(home, **lab), "PATH": "/usr/bin"}, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_nothing_is_imported_that_a_fit_place_does_not_need(home: Path, lab: dict[str, str]) -> None:
    program = (
        "import sys; from gpudoctor.cli.preflight import run; assert run(['-r', 'gpus>=1']) == 0; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=home, env=environ(home, **lab), timeout=60
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert not loaded & {
        "typer",
        "click",
        "rich",
        "argparse",
        "gpudoctor.report",
        "gpudoctor.rules",
        "gpudoctor.doctor",
    }


RUNS = int(os.environ.get("GPUDOCTOR_PREFLIGHT_RUNS", "10"))


def test_many_runs_leave_nothing_behind(home: Path, tmp_path: Path, lab: dict[str, str]) -> None:
    """``GPUDOCTOR_PREFLIGHT_RUNS=1000`` runs it as often."""
    mark = f"PREFLIGHT_RUNS_{os.getpid()}"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    variables = {**lab, "TMPDIR": str(temporary), mark: "1"}
    shared = set(os.listdir("/dev/shm"))
    before = files_below(home)
    for index in range(RUNS):
        arguments = ("-r", "gpus>=1" if index % 2 else "gpus>=2", *(("--", "true") if index % 3 else ()))
        assert preflight(home, *arguments, **variables).code == (0 if index % 2 else 1)
    assert survivors(f"{mark}=1") == []
    assert files_below(home) == before
    assert files_below(temporary) == set()
    # Other tests of this machine have files there as well, each for its own time.
    new = set(os.listdir("/dev/shm")) - shared
    wait_until(lambda: not new & set(os.listdir("/dev/shm")), f"these are gone: {new}")
