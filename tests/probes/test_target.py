"""Which interpreter is looked at, what it says, and what anything else in its place becomes."""

from __future__ import annotations

import ast
import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpudoctor.children import Limits
from gpudoctor.facts import (
    Build,
    CudnnCopies,
    CudnnCopy,
    Frameworks,
    Interpreter,
    Missing,
    OtherEnvironments,
    Package,
    Packages,
    Pins,
    Shadows,
    UnmetPin,
)
from gpudoctor.probes.target import TargetAnswer, collect
from gpudoctor.probes.target_choice import NotAnInterpreter, Target, choose
from gpudoctor.world import World
from tests.cli.run import BUSY, wait_until
from tests.made_environment import Made, install, install_cuda_torch, make, put

# ------------------------------------------------------------------------------------------------- which interpreter


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """An empty environment."""
    return make(tmp_path / "environment")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is looked at too."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def test_the_named_interpreter_comes_before_the_active_environment(made: Made, tmp_path: Path) -> None:
    other = make(tmp_path / "other")
    active = {"VIRTUAL_ENV": str(other.root), "CONDA_PREFIX": str(other.root)}
    assert choose(made.python, active) == Target(made.python, "--python")


def test_the_active_virtual_environment_comes_before_condas(made: Made, tmp_path: Path) -> None:
    conda = make(tmp_path / "conda")
    variables = {"VIRTUAL_ENV": str(made.root), "CONDA_PREFIX": str(conda.root)}
    assert choose(None, variables) == Target(made.python, "$VIRTUAL_ENV")
    assert choose(None, {**variables, "VIRTUAL_ENV": ""}) == Target(conda.python, "$CONDA_PREFIX")


def test_without_any_it_is_our_own() -> None:
    assert choose(None, {}) == Target(sys.executable, "gpudoctor's own")


def test_the_folder_of_an_environment_is_its_interpreter(made: Made) -> None:
    assert choose(str(made.root), {}) == Target(made.python, "--python")
    assert choose(os.path.relpath(made.root), {}) == Target(made.python, "--python")


def test_a_link_stays_a_link_since_it_is_what_makes_a_virtual_environment(made: Made) -> None:
    assert choose(os.path.relpath(made.python), {}) == Target(made.python, "--python")


def test_a_bare_name_is_looked_up_on_path(made: Made) -> None:
    assert choose("python", {"PATH": f"/nowhere:{made.root}/bin"}) == Target(made.python, "--python")


def test_what_cannot_be_an_interpreter_is_one_sentence(made: Made, tmp_path: Path) -> None:
    put(tmp_path, {"notes.txt": "", "folder/x": ""})
    (tmp_path / "dangling").symlink_to("/nowhere/python")
    put(tmp_path, {"shut/bin/python": "", "based/lib/x": ""})
    (tmp_path / "based/bin").mkdir()
    (tmp_path / "based/bin/python").symlink_to("python3")
    (tmp_path / "based/bin/python3").symlink_to("/nowhere/python3.9")
    os.mkfifo(tmp_path / "pipe")
    cases = {
        str(tmp_path / "absent"): f"There is no {tmp_path}/absent.",
        str(tmp_path / "notes.txt"): f"{tmp_path}/notes.txt is not executable.",
        str(tmp_path / "notes.txt" / "x"): f"There is no {tmp_path}/notes.txt/x.",
        str(tmp_path / "folder"): f"{tmp_path}/folder is a folder without a Python interpreter in it.",
        str(tmp_path / "dangling"): f"{tmp_path}/dangling is a link to /nowhere/python, which does not exist.",
        str(tmp_path / "based"): f"{tmp_path}/based/bin/python is a link to /nowhere/python3.9, which does not exist.",
        str(tmp_path / "shut"): f"{tmp_path}/shut/bin/python is not executable.",
        str(tmp_path / "pipe"): f"{tmp_path}/pipe is not a program.",
        "no-such-python": "There is no no-such-python on PATH and none in this folder.",
        "": "--python needs the path of a Python interpreter or of an environment.",
        "a\0b": "--python needs the path of a Python interpreter or of an environment.",
        "/x/\x1b[31m\nred": "There is no /x/?[31m?red.",
        "/" + "x" * 5000: None,
    }
    for python, sentence in cases.items():
        with pytest.raises(NotAnInterpreter) as refused:
            choose(python, {"PATH": str(made.root / "bin")})
        if sentence is not None:
            assert str(refused.value) == sentence


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_a_variable_that_points_nowhere_is_one_sentence(variable: str, tmp_path: Path) -> None:
    with pytest.raises(NotAnInterpreter) as refused:
        choose(None, {variable: str(tmp_path / "gone")})
    assert str(refused.value) == (
        f"${variable} is {tmp_path}/gone, where there is no Python to look at; name one with --python."
    )


def test_an_active_environment_whose_base_python_is_gone_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to("/nowhere/python3.9")
    with pytest.raises(NotAnInterpreter) as refused:
        choose(None, {"VIRTUAL_ENV": str(tmp_path / "venv")})
    assert str(refused.value) == (
        f"$VIRTUAL_ENV is {tmp_path}/venv, and {tmp_path}/venv/bin/python is a link to /nowhere/python3.9, which does "
        "not exist. Name another with --python."
    )


# --------------------------------------------------------------------------------------------- a whole good answer


def look(python: str, seconds: float = 60, **environ: str) -> TargetAnswer:
    """The facts, under an environment without PYTHON* variables of the suite's own."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    variables |= {"HOME": "/nonexistent", **environ}
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYENV_ROOT"):
        variables.pop(name, None)
    return collect(World(environ=variables), python, Limits.within(seconds))


WHEELS = {"nvidia-cudnn-cu12": "9.5.1.17", "nvidia-nccl-cu12": "2.26.2", "triton": "3.3.1"}
UNREADABLE = Missing("unreadable", "it does not answer as a Python interpreter does", "interpreter under test")


@pytest.fixture
def good(made: Made) -> Made:
    """An environment with a CUDA torch and all that it pins."""
    install_cuda_torch(made.site)
    for name, version in {**WHEELS, "nvidia-cublas-cu12": "12.6.4.1"}.items():
        made.install(name, version)
    put(made.site, {"nvidia/cudnn/lib/libcudnn.so.9": ""})
    return made


def test_a_made_environment_is_told_whole(good: Made) -> None:
    found = look(good.python)
    assert isinstance(found.interpreter, Interpreter)
    assert isinstance(found.packages, Packages)
    assert isinstance(found.frameworks, Frameworks)
    assert msgspec.structs.replace(found.interpreter, path=(), libc=None, platform=None, architecture=None) == (
        Interpreter(
            source=f"sys, sysconfig and pyvenv.cfg of {good.python}",
            executable=good.python,
            version=".".join(map(str, sys.version_info[:3])),
            implementation=sys.implementation.name,
            prefix=str(good.root),
            base_prefix=sys.base_prefix,
            environment="venv",
            environment_path=str(good.root),
            tool="pip",
            pip=False,
        )
    )
    assert found.packages.copies("triton") == (
        Package(
            name="triton",
            version="3.3.1",
            location=str(good.site),
            installer="pip",
            tags=("py3-none-any",),
            missing_files=0,
        ),
    )
    assert found.packages.total == 5
    assert found.pins == Pins(source="Requires-Dist of the installed packages", unmet=())
    assert isinstance(found.shadows, Shadows)
    assert (found.shadows.files, found.shadows.standard) == ((), ())
    assert isinstance(found.other_environments, OtherEnvironments)
    installed = {framework.name: framework.installed for framework in found.frameworks.frameworks}
    assert installed == {"torch": True, "tensorflow": False, "jax": False}
    build = found.frameworks.frameworks[0].build
    assert isinstance(build, Build)
    assert (build.cuda, build.cudnn, build.nccl) == ("12.6", "9.5.1.17", "2.26.2")
    assert found.cudnn_wheels == CudnnCopies(
        source="packages of the interpreter under test",
        copies=(CudnnCopy(path=str(good.site / "nvidia/cudnn"), version="9.5.1.17", brought_by="nvidia-cudnn-cu12"),),
    )


def test_the_facts_survive_json(good: Made) -> None:
    found = look(good.python)
    for value in (found.interpreter, found.packages, found.pins, found.shadows, found.frameworks, found.cudnn_wheels):
        assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


def test_one_wheel_removed_is_one_unmet_pin(good: Made) -> None:
    (good.site / "nvidia_nccl_cu12-2.26.2.dist-info").rename(good.root / "away")
    pins = look(good.python).pins
    assert isinstance(pins, Pins)
    assert pins.unmet == (UnmetPin(package="torch", requirement="nvidia-nccl-cu12==2.26.2", found=None),)


def test_a_local_torch_file_is_told_beside_the_installed_build(good: Made) -> None:
    Path("torch.py").write_text("raise SystemExit\n")
    Path("json.py").write_text("raise SystemExit\n")
    found = look(good.python)
    assert isinstance(found.shadows, Shadows)
    assert found.shadows.files == (os.path.abspath("torch.py"),)
    assert found.shadows.standard == (os.path.abspath("json.py"),)
    assert isinstance(found.frameworks, Frameworks)
    assert found.frameworks.frameworks[0].installed


def test_leftovers_are_packages_without_metadata(made: Made) -> None:
    put(made.site, {"torch/__init__.py": "", "torch/version.py": "__version__ = '2.1.0'\n", "~umpy/x.so": ""})
    packages = look(made.python).packages
    assert isinstance(packages, Packages)
    assert packages.packages == (
        Package(name="torch", version="2.1.0", location=str(made.site), metadata=False),
        Package(name="~umpy", version=None, location=str(made.site), metadata=False),
    )


@pytest.mark.parametrize(
    ("lines", "folder", "tool"),
    [
        ({"uv": "0.9.1"}, "environment", "uv"),
        ({"virtualenv": "20.30.0"}, "environment", "virtualenv"),
        ({}, "environment", "pip"),
        ({}, "pypoetry/virtualenvs/ml-x-py3.11", "poetry"),
        ({}, ".local/share/virtualenvs/ml-x", "pipenv"),
        ({}, ".pixi/envs/default", "pixi"),
    ],
)
def test_the_tool_is_known_by_what_it_left(lines: dict[str, str], folder: str, tool: str, tmp_path: Path) -> None:
    made = make(tmp_path / folder)
    made.config(**lines)
    found = look(made.python).interpreter
    assert isinstance(found, Interpreter)
    assert (found.environment, found.tool) == ("venv", tool)
    assert found.project == (str(tmp_path) if tool == "pixi" else None)


@pytest.mark.parametrize(
    ("files", "folder", "tool", "ruled"),
    [
        (["uv.lock", "pyproject.toml"], ".venv", "uv", True),
        (["poetry.lock"], ".venv", "poetry", True),
        (["pdm.lock"], "venv", "pdm", True),
        (["uv.lock", "poetry.lock"], ".venv", "uv", True),
        (["pyproject.toml", "requirements.txt"], ".venv", "pip", False),
        # An environment with a name of its own beside a lock file: the tools would not touch it.
        (["uv.lock"], "env-of-ann", "pip", False),
    ],
)
def test_a_lock_file_beside_the_environment_rules_over_it(
    files: list[str], folder: str, tool: str, ruled: bool, tmp_path: Path
) -> None:
    made = make(tmp_path / folder)
    put(tmp_path, dict.fromkeys(files, ""))
    found = look(made.python).interpreter
    assert isinstance(found, Interpreter)
    assert (found.tool, found.project) == (tool, str(tmp_path) if ruled else None)


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONINSPECT": "1"},
        {"PYTHONIOENCODING": "utf-16"},
        {"PYTHONSTARTUP": "/nonexistent"},
        {"PYTHONUNBUFFERED": "1"},
    ],
    ids=str,
)
def test_variables_of_the_user_do_not_stop_it(variables: dict[str, str], good: Made) -> None:
    found = look(good.python, 20, **variables)
    assert isinstance(found.interpreter, Interpreter)


def test_a_failed_start_does_not_wait_for_input(tmp_path: Path) -> None:
    found = look(script(tmp_path, "echo ${PYTHONINSPECT-not set}; exit 1"), PYTHONINSPECT="1")
    assert found.interpreter == Missing("crashed", "exit code 1 before it answered; it printed: not set", WHERE)


def test_it_leaves_no_file(good: Made, tmp_path: Path) -> None:
    Path("sitecustomize.py").write_text("")
    put(good.site, {"sitecustomize.py": "import helper\n", "helper.py": ""})
    before = sorted(tmp_path.rglob("*"))
    look(good.python, HOME=str(tmp_path))
    assert sorted(tmp_path.rglob("*")) == before


# ------------------------------------------------------------------------------------------ anything else in its place


def script(tmp_path: Path, body: str, first: str = "#!/bin/sh\n") -> str:
    """A program in the place of an interpreter."""
    path = tmp_path / "python"
    path.write_text(first + body)
    path.chmod(0o755)
    return str(path)


def said(message: object) -> str:
    """A program that answers one message."""
    return f"echo {shlex.quote('@gpudoctor ' + msgspec.json.encode(message).decode())}"


WHERE = "interpreter under test"
OTHER_FORM = "its answer has another form: "


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ("true", Missing("unreadable", "it does not answer as a Python interpreter does", WHERE)),
        (
            "echo Usage: something",
            Missing(
                "unreadable", "it does not answer as a Python interpreter does; it printed: Usage: something", WHERE
            ),
        ),
        (
            "echo '@gpudoctor {not json'",
            Missing(
                "unreadable", "it does not answer as a Python interpreter does; it printed: @gpudoctor {not json", WHERE
            ),
        ),
        ("exit 3", Missing("crashed", "exit code 3 before it answered", WHERE)),
        ("echo broken >&2; exit 1", Missing("crashed", "exit code 1 before it answered; it printed: broken", WHERE)),
        ("kill -SEGV $$", Missing("crashed", "signal SIGSEGV before it answered", WHERE)),
        ("exec yes", Missing("crashed", "it prints without end", WHERE)),
        (said({"too_old": "2.7.18"}), Missing("unreadable", "Python 2.7.18; 3.6 or newer can be looked at", WHERE)),
        (
            said({"too_old": 2}),
            Missing("unreadable", OTHER_FORM + "Expected `str`, got `int` - at `$.too_old`", WHERE),
        ),
        (
            said({}),
            Missing("unreadable", OTHER_FORM + "Object missing required field `broken`", WHERE),
        ),
        (
            said({"broken": {"x": 1}}),
            Missing("unreadable", OTHER_FORM + "Expected `str`, got `int` - at `$.broken[...]`", WHERE),
        ),
        ("echo '@gpudoctor " + "[" * 20_000 + "'", None),
        ("head -c 100000 /dev/urandom", None),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_a_program_that_is_no_python_is_not_knowing(body: str, missing: Missing | None, tmp_path: Path) -> None:
    found = look(script(tmp_path, body))
    facts = [found.interpreter, found.packages, found.pins, found.shadows, found.frameworks, found.cudnn_wheels]
    if missing is None:
        assert all(isinstance(fact, Missing) and fact.kind == "unreadable" for fact in facts)
    else:
        assert facts == [missing] * 6
    assert isinstance(found.other_environments, OtherEnvironments)


def test_a_file_that_is_no_program_is_not_knowing(tmp_path: Path) -> None:
    found = look(script(tmp_path, "", "\x7fELF garbage"))
    assert found.interpreter == Missing("unreadable", "it cannot be started: Exec format error", WHERE)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc to look for what is left")
def test_an_interpreter_that_hangs_ends_within_the_limit_and_leaves_nothing(tmp_path: Path) -> None:
    started = time.monotonic()
    found = look(script(tmp_path, f"echo $$ > {tmp_path}/pid; sleep 600 & sleep 600"), seconds=3)
    assert found.interpreter == Missing("timed-out", "no answer after 3 s", WHERE)
    assert time.monotonic() - started < 3 + BUSY
    group = int((tmp_path / "pid").read_text())
    wait_until(lambda: alive(group) == [], "the group is dead", 10)


def alive(group: int) -> list[str]:
    """Processes of a group that still run; one that only waits to be reaped is dead (proc_pid_stat(5))."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[2] == str(group) and fields[0] not in "ZX":
                found.append(entry.name)
    return found


def test_an_interpreter_that_answers_and_hangs_is_not_waited_for(good: Made) -> None:
    put(good.site, {"sitecustomize.py": "import atexit, time; atexit.register(time.sleep, 600)\n"})
    started = time.monotonic()
    assert isinstance(look(good.python).interpreter, Interpreter)
    assert time.monotonic() - started < 60


# ----------------------------------------------------------------------------------------- an answer with holes in it


@pytest.fixture
def answering(good: Made, tmp_path: Path) -> Callable[..., TargetAnswer]:
    """The facts from a good answer in which some parts are changed."""
    from gpudoctor.probes.target_look import ask

    whole = ask(World(environ={"PATH": os.environ["PATH"]}), good.python, Limits.within(60))
    assert not isinstance(whole, Missing)
    (tmp_path / "answers").mkdir()

    def changed(**parts: Any) -> TargetAnswer:
        message = {**msgspec.to_builtins(whole), **parts}
        (tmp_path / "answers" / "text").write_text("@gpudoctor " + msgspec.json.encode(message).decode() + "\n")
        return look(script(tmp_path, f"cat {tmp_path}/answers/text"))

    return changed


def test_a_part_that_broke_is_missing_and_the_others_stand(answering: Callable[..., TargetAnswer]) -> None:
    found = answering(shadows=None, broken={"shadows": "ValueError: no such thing"})
    assert found.shadows == Missing("crashed", "ValueError: no such thing", f"{WHERE}, shadows")
    assert isinstance(found.packages, Packages)
    assert isinstance(found.frameworks, Frameworks)


def test_without_markers_only_the_pins_are_missing(answering: Callable[..., TargetAnswer]) -> None:
    found = answering(markers=None, broken={"markers": "KeyError: 'x'"})
    assert found.pins == Missing("crashed", "KeyError: 'x'", f"{WHERE}, markers")
    assert isinstance(found.packages, Packages)


def test_broken_packages_never_mean_that_nothing_is_installed(answering: Callable[..., TargetAnswer]) -> None:
    found = answering(packages=None, orphans=None, broken={"packages": "OSError: x"})
    missing = Missing("crashed", "OSError: x", f"{WHERE}, packages")
    assert (found.packages, found.pins, found.frameworks) == (missing, missing, missing)


CLOSED = Missing("unreadable", "/closed: Permission denied", "sys.path")


def test_a_closed_folder_hides_what_may_lie_in_it(answering: Callable[..., TargetAnswer]) -> None:
    found = answering(unreadable=[["/closed", "Permission denied"]])
    assert (found.packages, found.pins) == (CLOSED, CLOSED)
    assert isinstance(found.frameworks, Frameworks)
    assert [framework.name for framework in found.frameworks.frameworks] == ["torch"], "the others are not known"
    assert isinstance(found.interpreter, Interpreter)


def test_a_closed_folder_where_nothing_was_found_is_no_absence(answering: Callable[..., TargetAnswer]) -> None:
    found = answering(packages=[], texts={}, unreadable=[["/closed", "Permission denied"]])
    assert found.frameworks == CLOSED


# -------------------------------------------------------------------------------------------------- real frameworks


def version_file(python: Path) -> dict[str, Any]:
    """What the environment's torch/version.py says, read by other means than ours."""
    path = next((python.parent.parent / "lib").glob("python3*/site-packages/torch/version.py"))
    tree = ast.parse(path.read_text())
    said: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            name = node.targets[0] if isinstance(node, ast.Assign) else node.target
            said[ast.unparse(name)] = ast.literal_eval(node.value)
    return said


def test_a_real_torch_is_what_its_version_file_says(torch_python: Path) -> None:
    truth = version_file(torch_python)
    found = look(str(torch_python))
    assert isinstance(found.frameworks, Frameworks)
    build = found.frameworks.frameworks[0].build
    assert isinstance(build, Build)
    assert (build.version, build.cuda, build.debug) == (truth["__version__"], truth["cuda"], truth["debug"])
    assert build.version.startswith("2.13.0")
    is_cuda = truth["cuda"] is not None
    assert build.accelerator == ("cuda" if is_cuda else "metal" if sys.platform == "darwin" else "cpu")
    assert bool(build.targets) == is_cuda
    assert (build.cudnn is not None) == is_cuda
    assert (build.channel, build.installer, build.requires_python) == ("release", "pip", ">=3.10")
    assert isinstance(found.pins, Pins)
    assert found.pins.unmet == ()
    assert isinstance(found.packages, Packages)
    assert found.packages.version("torch") == truth["__version__"]
    assert {package.missing_files for package in found.packages.copies("torch")} == {0}
    assert all(package.metadata for package in found.packages.packages)


def test_a_real_tensorflow_is_a_cpu_build(tensorflow_python: Path) -> None:
    found = look(str(tensorflow_python))
    assert isinstance(found.frameworks, Frameworks)
    build = found.frameworks.frameworks[1].build
    assert isinstance(build, Build)
    info = next((tensorflow_python.parent.parent / "lib").glob("python3*/site-packages/tensorflow*-*.dist-info"))
    assert build.version == info.name.removesuffix(".dist-info").split("-")[1]
    assert build.distribution == info.name.split("-")[0].replace("_", "-")
    assert (build.accelerator, build.cuda, build.cudnn, build.targets) == ("cpu", None, None, ())
    assert isinstance(found.pins, Pins)
    assert found.pins.unmet == ()


def test_a_real_jax_is_a_cpu_build(jax_python: Path) -> None:
    found = look(str(jax_python))
    assert isinstance(found.frameworks, Frameworks)
    build = found.frameworks.frameworks[2].build
    assert isinstance(build, Build)
    assert (build.distribution, build.accelerator, build.channel) == ("jax", "cpu", "release")
    assert isinstance(found.pins, Pins)
    assert found.pins.unmet == ()


def test_a_second_torch_in_front_is_the_one_that_counts(torch_python: Path, tmp_path: Path) -> None:
    install_cuda_torch(tmp_path / "front", "2.6.0")
    found = look(str(torch_python), PYTHONPATH=str(tmp_path / "front"))
    assert isinstance(found.packages, Packages)
    front, installed = found.packages.copies("torch")
    assert (front.location, front.version) == (str(tmp_path / "front"), "2.6.0+cu126")
    assert installed.location.endswith("site-packages")
    assert isinstance(found.frameworks, Frameworks)
    build = found.frameworks.frameworks[0].build
    assert isinstance(build, Build)
    assert (build.version, build.accelerator) == ("2.6.0+cu126", "cuda")
    assert isinstance(found.pins, Pins)
    assert {pin.requirement for pin in found.pins.unmet} >= {"nvidia-cudnn-cu12==9.5.1.17", "triton==3.3.1"}


def test_a_package_of_that_name_elsewhere_is_not_installed(made: Made, tmp_path: Path) -> None:
    install(tmp_path / "not-on-path", "torch", "2.7.1")
    found = look(made.python)
    assert isinstance(found.frameworks, Frameworks)
    assert not any(framework.installed for framework in found.frameworks.frameworks)
