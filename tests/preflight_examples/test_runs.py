"""The examples of docs/preflight run as they stand, on machines that the fake driver libraries describe.

Only paths are put in place: gpudoctor's, and the interpreter's. Docker, Kubernetes, Slurm, GitHub, GitLab and
systemd are not here; what they would start is.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import stat
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import gpudoctor
from gpudoctor.matrix import data_folder
from tests.lab.drivers.fake import Machine, gpus, install
from tests.lab.drivers.needs import need_compiler
from tests.preflight_examples.pages import EXAMPLES, ROOT
from tests.preflight_examples.tools import documents, instructions

pytest_plugins = ("pytester",)

PROGRAM = "/opt/gpudoctor/bin/gpudoctor"
FIT = Machine(gpus=gpus(8))
UNFIT = Machine(gpus=())
CAUSE = "no-nvidia-gpu"


@dataclass(frozen=True)
class Start:
    """What a place would start: the command line and its own variables."""

    argv: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """A machine with gpudoctor installed. ``folder`` is for the run's own files."""

    folder: Path
    variables: Mapping[str, str]

    def run(self, argv: Sequence[str | Path], **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command line here, with nothing else in its environment."""
        return subprocess.run(
            [str(part) for part in argv],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env={**self.variables, **variables},
            stdin=subprocess.DEVNULL,
            timeout=120,
        )

    def start(self, start: Start) -> subprocess.CompletedProcess[str]:
        """Run what a place would start, with paths of this machine in place of an image's."""
        argv = [self._path(part) for part in start.argv]
        return self.run(argv, **{name: _little_memory(value) for name, value in start.variables.items()})

    def _path(self, part: str) -> str:
        paths = {PROGRAM: self.folder / "gpudoctor", "/usr/bin/python3": Path(sys.executable)}
        return str(paths.get(part, _little_memory(part)))


def _little_memory(text: str) -> str:
    """/dev/shm is this machine's own, however small."""
    return re.sub(r"shm>=\d+GiB", "shm>=1KiB", text)


On = Callable[[Machine], Place]


@pytest.fixture
def on(tmp_path: Path) -> On:
    """Makes machines with gpudoctor's command, ``python`` and the job ``train.py``, each in a folder of its own."""
    need_compiler()
    names = (f"machine{number}" for number in itertools.count())

    def make(machine: Machine) -> Place:
        folder = tmp_path / next(names)
        variables = install(folder / "lab", machine)
        command(folder / "gpudoctor", f'exec env PYTHONPATH={ROOT} {sys.executable} -m gpudoctor "$@"')
        tools = folder / "bin"
        tools.mkdir()
        (tools / "python").symlink_to(sys.executable)
        (tools / "gpudoctor").symlink_to(folder / "gpudoctor")
        shutil.copy(EXAMPLES / "docker" / "train.py", folder)
        return Place(folder, {**variables, "PATH": f"{tools}:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"})

    return make


def command(path: Path, *lines: str) -> Path:
    """A shell script in the place of a program."""
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


# ------------------------------------------------------------------------------------ what the places would start


@dataclass(frozen=True)
class Image:
    """What a Dockerfile says of the start of its containers."""

    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    health: tuple[str, ...]
    variables: Mapping[str, str]


def image(name: str) -> Image:
    """What an example's Dockerfile says last of each."""
    read = instructions(EXAMPLES / "docker" / name)
    last = {one["cmd"].lower(): tuple(one["value"]) for one in read}
    words = iter([word for one in read if one["cmd"].lower() == "env" for word in one["value"]])
    variables = {key: value.strip('"') for key, value in zip(words, words, strict=True)}
    return Image(last["entrypoint"], last["cmd"], last["healthcheck"][1:], variables)


def starts() -> Iterator[tuple[str, Start]]:
    """All command lines of the examples that are neither scripts nor the distroless image's, by place."""
    docker = image("Dockerfile")
    yield "docker", Start((*docker.entrypoint, *docker.command), docker.variables)
    yield "docker health", Start(docker.health, docker.variables)
    for name in ("compose.yaml", "compose.check-first.yaml"):
        for service, told in documents(EXAMPLES / "compose" / name)[0]["services"].items():
            if told["image"] == "trainer":
                variables = {**docker.variables, **told.get("environment", {})}
                yield f"compose {service} {name}", Start((*docker.entrypoint, *told["command"]), variables)
    for path in sorted((EXAMPLES / "kubernetes").iterdir()):
        for place, container in containers(path):
            variables = {one["name"]: one["value"] for one in container.get("env", ())}
            yield f"{place} {path.name}", Start((*container["command"], *container["args"]), variables)
            if "readinessProbe" in container:
                yield f"probe {path.name}", Start(tuple(container["readinessProbe"]["exec"]["command"]), variables)
    job = documents(EXAMPLES / "gitlab" / ".gitlab-ci.yml")[0]["gpu-tests"]
    yield "gitlab", Start(("/bin/sh", "-ec", job["script"][0].replace(PROGRAM, "gpudoctor")), job["variables"])
    for path in sorted((EXAMPLES / "systemd").iterdir()):
        (line,) = re.findall(r"^Exec\w+=(.*)$", path.read_text("utf-8"), re.MULTILINE)
        yield f"systemd {path.name}", Start(tuple(shlex.split(line.replace("/run/gpu-preflight/", ""))))


def containers(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The containers of a manifest that check."""
    (manifest,) = documents(path)
    spec = manifest["spec"] if manifest["kind"] == "Pod" else manifest["spec"]["template"]["spec"]
    for kind in ("initContainers", "containers"):
        for container in spec.get(kind, ()):
            if container["command"] == [PROGRAM]:
                yield kind, container


def test_every_command_line_starts_the_job_on_a_fit_machine_alone(on: On) -> None:
    found = dict(starts())
    assert len(found) == 11
    fit, unfit = on(FIT), on(UNFIT)
    for name, start in found.items():
        awake = Start(tuple("true" if part == "sleep" else part for part in start.argv), start.variables)
        ran = fit.start(awake)
        assert (name, ran.returncode, ran.stderr) == (name, 0, "")
        assert (name, "training as process" in ran.stdout) == (name, "train.py" in start.argv)
        began = time.monotonic()
        ran = unfit.start(awake)
        assert (name, ran.returncode, ran.stdout) == (name, 1, "")
        assert (name, CAUSE in ran.stderr) == (name, True)
        assert time.monotonic() - began < 60, f"{name}: waiting cannot help here"


def test_the_job_of_the_image_is_the_process_that_the_entrypoint_was(on: On) -> None:
    place, docker = on(FIT), image("Dockerfile")
    argv = [str(place.folder / "gpudoctor"), *docker.entrypoint[1:], *docker.command]
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True, cwd=place.folder, env={**place.variables, **docker.variables}
    )
    stdout, _ = process.communicate(timeout=120)
    assert stdout == f"training as process {process.pid}\n"


def test_without_a_shell_on_the_path_the_folder_of_the_distroless_image_does_the_same(on: On) -> None:
    distroless = image("Dockerfile.distroless")
    for machine, code in ((FIT, 0), (UNFIT, 1)):
        place = on(machine)
        folder = the_folder_that_pip_made(place.folder / "opt")
        paths = {"/opt/gpudoctor": str(folder), "/usr/bin/python3": sys.executable, "/app/train.py": "train.py"}
        empty = {"PATH": str(place.folder / "nothing"), **distroless.variables}
        for argv in ((*distroless.entrypoint, *distroless.command), distroless.health):
            variables = {**install_only(place), **empty}
            ran = subprocess.run(
                [paths.get(part, part) for part in argv],
                capture_output=True,
                text=True,
                check=False,
                cwd=place.folder,
                env=variables,
                timeout=120,
            )
            assert (ran.returncode, CAUSE in ran.stderr) == (code, bool(code)), ran.stderr
            assert ("training as process" in ran.stdout) is (code == 0 and argv != distroless.health)


def install_only(place: Place) -> dict[str, str]:
    """The variables of the machine itself."""
    return {name: place.variables[name] for name in ("LD_LIBRARY_PATH", "GPUDOCTOR_LAB_MACHINE")}


def the_folder_that_pip_made(folder: Path) -> Path:
    """What ``pip install --target`` and the printf of the Dockerfile leave: packages side by side, and a start."""
    folder.mkdir()
    packages = Path(sysconfig.get_paths()["purelib"])
    (folder / "gpudoctor").symlink_to(Path(gpudoctor.__file__).parent)
    for name in ("msgspec", "packaging", "pynvml.py"):
        (folder / name).symlink_to(packages / name)
    # pip puts the data inside the package; here it lies beside it, as in a checkout.
    (folder / "compat_matrix").symlink_to(data_folder())
    (line,) = re.findall(r"printf '([^']+)' > /opt/gpudoctor/__main__\.py", dockerfile("Dockerfile.distroless"))
    (folder / "__main__.py").write_text(line.replace("\\n", "\n"))
    return folder


def dockerfile(name: str) -> str:
    """The text of an example's Dockerfile."""
    return (EXAMPLES / "docker" / name).read_text("utf-8")


# ----------------------------------------------------------------------------------------------------------- Slurm

PROLOG = EXAMPLES / "slurm" / "prolog.sh"


def prologue(place: Place, **variables: str) -> tuple[int, str]:
    """Run the prologue as slurmd does: without a search path. Its exit code and what it told the log."""
    log = place.folder / "log"
    slurm = {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_GPUS": "0,1",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "GPUDOCTOR": str(place.folder / "gpudoctor"),
        "GPUDOCTOR_REPORTS": str(place.folder / "reports"),
    }
    logger = command(place.folder / "logger", f"exec cat >>{log}")
    script = place.folder / "prolog.sh"
    # The system's own logger would write into this machine's log.
    script.write_text(PROLOG.read_text("utf-8").replace("| logger ", f"| {logger} "))
    ran = subprocess.run(
        ["/bin/bash", script],
        capture_output=True,
        text=True,
        check=False,
        env={**install_only(place), **slurm, **variables},
        cwd="/",
        timeout=120,
    )
    assert ran.stdout == ""
    return ran.returncode, (log.read_text("utf-8") if log.exists() else "") + ran.stderr


def test_the_prologue_lets_a_job_start_on_a_fit_node_and_says_nothing(on: On) -> None:
    place = on(FIT)
    assert prologue(place) == (0, "")
    assert json.loads((place.folder / "reports" / "prolog.json").read_text("utf-8"))["status"] == "healthy"


def test_the_prologue_drains_an_unfit_node_and_tells_the_log_why(on: On) -> None:
    place = on(UNFIT)
    code, told = prologue(place)
    assert code == 1
    assert told.startswith(f"job 4711: node drained: gpudoctor: not fit for this job: {CAUSE}\n")
    assert json.loads((place.folder / "reports" / "prolog.json").read_text("utf-8"))["cause"]["rule"] == CAUSE


def test_the_prologue_looks_at_the_whole_node_whatever_the_job_was_given(on: On) -> None:
    place = on(FIT)
    assert prologue(place, CUDA_VISIBLE_DEVICES="0", GPUDOCTOR_REQUIRE="gpus>=8") == (0, "")
    assert prologue(place, CUDA_VISIBLE_DEVICES="0", GPUDOCTOR_REQUIRE="gpus>=9")[0] == 1


def test_a_job_without_gpus_is_not_looked_at(on: On) -> None:
    place = on(UNFIT)
    assert prologue(place, SLURM_JOB_GPUS="") == (0, "")
    assert not (place.folder / "reports").exists()


def test_a_wrong_requirement_drains_no_node(on: On) -> None:
    code, told = prologue(on(FIT), GPUDOCTOR_REQUIRE="gpu>=1")
    assert code == 0
    assert told.startswith("job 4711: the check itself failed (2), the job starts: gpudoctor: ")


@pytest.mark.parametrize(
    ("lines", "code", "told"),
    [
        (("exit 3",), 1, "node drained, the GPUs do not answer (3)"),
        (("exec sleep 60",), 1, "node drained, the GPUs do not answer (124)"),
        (("trap '' TERM", "while :; do sleep 1; done"), 1, "node drained, the GPUs do not answer (137)"),
        (("exit 126",), 0, "the check itself failed (126), the job starts"),
        (("exit 7",), 0, "the check itself failed (7), the job starts"),
    ],
)
def test_the_prologue_tells_a_node_at_fault_from_a_fault_of_its_own(
    on: On, lines: tuple[str, ...], code: int, told: str
) -> None:
    place = on(FIT)
    (place.folder / "gpudoctor").unlink()
    command(place.folder / "gpudoctor", *lines)
    assert prologue(place, GPUDOCTOR_SECONDS="0.5") == (code, f"job 4711: {told}: \n")


def test_a_node_without_gpudoctor_takes_jobs(on: On) -> None:
    code, told = prologue(on(FIT), GPUDOCTOR="/nowhere/gpudoctor")
    assert (code, told.startswith("job 4711: the check itself failed (127), the job starts: ")) == (0, True)


def test_a_folder_that_cannot_be_written_keeps_the_report_and_nothing_else(on: On) -> None:
    place = on(UNFIT)
    assert prologue(place, GPUDOCTOR_REPORTS="/proc/gpudoctor")[0] == 1
    assert prologue(on(FIT), GPUDOCTOR_REPORTS="/proc/gpudoctor") == (0, "")


def test_without_a_system_log_slurmd_hears_it(on: On) -> None:
    place = on(UNFIT)
    ran = subprocess.run(
        ["/bin/bash", "-c", f"logger() {{ return 1; }}; . {PROLOG}"],
        capture_output=True,
        text=True,
        check=False,
        env={
            **install_only(place),
            "SLURM_JOB_GPUS": "0",
            "GPUDOCTOR": str(place.folder / "gpudoctor"),
            "GPUDOCTOR_REPORTS": str(place.folder / "reports"),
        },
        timeout=120,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"gpudoctor: node drained: gpudoctor: not fit for this job: {CAUSE}\n")


@pytest.mark.parametrize(("machine", "code", "steps"), [(FIT, 0, 2), (UNFIT, 1, 1)], ids=["fit", "unfit"])
def test_a_batch_job_checks_each_node_once_and_only_then_trains(
    on: On, machine: Machine, code: int, steps: int
) -> None:
    place = on(machine)
    step = (
        f'echo "$*" >>{place.folder}/steps',
        'while [ "${1#--}" != "$1" ]; do shift; done',  # srun's own options
        'program=$1; shift; set -- $(echo "$@" | sed "s/--require nccl[^ ]*//")',  # there is no PyTorch here
        'exec "$program" "$@"',
    )
    command(place.folder / "bin" / "srun", *step)
    ran = place.run(["/bin/bash", EXAMPLES / "slurm" / "job.sbatch"], SLURM_JOB_NUM_NODES="2")
    called = (place.folder / "steps").read_text().splitlines()
    assert (ran.returncode, len(called)) == (code, steps), ran.stderr
    assert called[0].startswith(
        "--nodes=2 --ntasks-per-node=1 --ntasks=2 --label gpudoctor preflight --require gpus>=4"
    )
    assert (CAUSE in ran.stderr, "training as process" in ran.stdout) == (bool(code), not code)


# ---------------------------------------------------------------------------------------------------- GitHub Actions


def action(place: Place, *, installed: bool = True, **inputs: str) -> tuple[subprocess.CompletedProcess[str], str, str]:
    """Run the action's step as a runner does, gpudoctor installed or not: the run, the summary, the outputs."""
    temporary = place.folder / "temporary"
    temporary.mkdir()
    if installed:
        (temporary / "gpudoctor" / "bin").mkdir(parents=True)
        (temporary / "gpudoctor" / "bin" / "gpudoctor").symlink_to(place.folder / "gpudoctor")
    told = documents(EXAMPLES / "github" / "action.yml")[0]
    defaults = {name: one.get("default", "") for name, one in told["inputs"].items()}
    (step,) = told["runs"]["steps"]
    values = {**defaults, **{name.replace("_", "-"): value for name, value in inputs.items()}}
    environ = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: values[found[1]], value)
        for name, value in step["env"].items()
    }
    summary, output = place.folder / "summary.md", place.folder / "output"
    ran = place.run(
        ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        **environ,
        RUNNER_TEMP=str(temporary),
        GITHUB_ACTION_PATH=str(EXAMPLES / "github"),
        GITHUB_STEP_SUMMARY=str(summary),
        GITHUB_OUTPUT=str(output),
    )
    return ran, summary.read_text("utf-8"), output.read_text("utf-8") if output.exists() else ""


def test_the_action_is_content_with_a_fit_runner(on: On) -> None:
    place = on(FIT)
    ran, summary, output = action(place, require="gpus>=1\nvram>=16GiB\n")
    report = place.folder / "temporary" / "gpudoctor-preflight.json"
    assert (ran.returncode, ran.stdout, ran.stderr, summary) == (0, "", "", "### ✓ GPU preflight\n")
    assert output == f"report={report}\n"
    assert json.loads(report.read_text("utf-8"))["status"] == "healthy"


def test_the_action_puts_the_cause_on_the_summary_page(on: On) -> None:
    ran, summary, output = action(on(UNFIT))
    assert ran.returncode == 1
    assert summary == f"### ✗ GPU preflight (exit code 1)\n```text\n{ran.stderr}```\n"
    assert ran.stderr.startswith(f"gpudoctor: not fit for this job: {CAUSE}\n")
    assert output.startswith("report=")


def test_the_action_goes_on_with_an_undetermined_runner_where_that_is_wanted(on: On) -> None:
    place = on(FIT)
    (place.folder / "gpudoctor").unlink()
    # Exit code 3, unless the command may run all the same.
    command(place.folder / "gpudoctor", 'case "$*" in *"--on-unknown run "*"-- true") exit 0;; esac; exit 3')
    assert action(place, on_unknown="run")[0].returncode == 0
    shutil.rmtree(place.folder / "temporary")
    assert action(place)[0].returncode == 3


@pytest.mark.parametrize(("package", "installed"), [("", ROOT), ("./vendor/gpudoctor", "./vendor/gpudoctor")])
def test_the_action_installs_what_it_is_told_or_its_own_checkout(on: On, package: str, installed: Path | str) -> None:
    place = on(FIT)
    pip = command(place.folder / "pip", f'echo "$*" >>{place.folder}/installed')
    # python3 -m venv FOLDER
    command(
        place.folder / "bin" / "python3",
        f'mkdir -p "$3/bin" && ln -s {pip} "$3/bin/python" && ln -s {place.folder}/gpudoctor "$3/bin/gpudoctor"',
    )
    ran, _, _ = action(place, installed=False, package=package)
    assert (ran.returncode, ran.stderr) == (0, "")
    *options, last = (place.folder / "installed").read_text().split()
    assert options == ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    assert (Path(last).resolve() if package == "" else last) == installed


def test_text_from_a_workflow_is_no_program(on: On) -> None:
    place = on(FIT)
    ran, _, output = action(place, require='gpus>=1"; touch broken; echo "')
    assert (ran.returncode, output) == (2, "")
    assert not (place.folder / "broken").exists()


# ------------------------------------------------------------------------------------------------------------ pytest


T4 = Machine(gpus=gpus(1, name="Tesla T4", capability=(7, 5), memory=(15 << 30, 450 << 20, 0), mig_mode=None))


def test_the_example_of_a_test_suite_and_the_reasons_on_its_page(
    pytester: pytest.Pytester, on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("PYTEST_ADDOPTS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    shutil.copy(EXAMPLES / "pytest" / "test_training.py", pytester.path)
    said = set()
    for machine, outcomes in (
        (FIT, {"passed": 3}),
        (Machine(), {"passed": 2, "skipped": 1}),
        (T4, {"passed": 1, "skipped": 2}),
        (UNFIT, {"passed": 1, "skipped": 2}),
    ):
        for name, value in install_only(on(machine)).items():
            monkeypatch.setenv(name, value)
        ran = pytester.runpytest_subprocess("-p", "gpudoctor.pytest_plugin", "--strict-markers", "-rs")
        ran.assert_outcomes(**outcomes)
        said |= {line for line in ran.stdout.lines if line.startswith("SKIPPED")}
    page = (ROOT / "docs" / "preflight" / "pytest.md").read_text("utf-8")
    shown = re.findall(r"^SKIPPED .*$", page, re.MULTILINE)
    assert len(shown) == 3
    assert set(shown) <= said
