"""Environments made by hand where no real package is needed: interpreters, places, permissions and metadata.

Only ``--quick`` judges them: their torch is the text that says what it is, and cannot be imported.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.run import ROOT, environ, gpudoctor, run_in
from tests.lab.drivers.fake import Machine
from tests.lab.drivers.fake import install as install_driver
from tests.lab.drivers.needs import need_compiler
from tests.lab.environments.broken import bound_by_modes, system_python
from tests.lab.environments.judged import Judged, diagnose, diagnose_bound_by_modes
from tests.made_environment import TORCH_CUDA_PINS, Made, install, install_cuda_torch, make, put, torch_files

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="modes, links and drivers as on Linux")

HEALTHY = Judged(0, "healthy", None, {})


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make(tmp_path / "env")


@pytest.fixture
def driver(tmp_path: Path) -> dict[str, str]:
    """The variables under which there is one healthy H100."""
    need_compiler()
    return install_driver(tmp_path / "driver", Machine())


def pinned(made: Made, **other: str) -> None:
    """PyTorch's CUDA wheel with what it pins; ``other`` names other versions, an empty one is left out."""
    install_cuda_torch(made.site)
    for line in TORCH_CUDA_PINS:
        name, version = line.partition(";")[0].split("==")
        version = other.get(name.replace("-", "_"), version)
        if version:
            made.install(name, version)


# -------------------------------------------------------------------------------------------- pins and companions


def test_a_cuda_wheel_with_what_it_pins_is_sound(made: Made, driver: dict[str, str], tmp_path: Path) -> None:
    pinned(made)
    assert diagnose(made.python, tmp_path / "home", "--quick", **driver).judged == HEALTHY


def test_a_cuda_wheel_beside_another_cudnn_and_without_cublas(
    made: Made, driver: dict[str, str], tmp_path: Path
) -> None:
    pinned(made, nvidia_cudnn_cu12="8.9.2.26", nvidia_cublas_cu12="")
    ran = diagnose(made.python, tmp_path / "home", "--quick", **driver)
    assert (ran.judged.cause, ran.judged.others) == ("nvidia-wheels-mismatch", {})
    (command,) = [line for line in ran.commands("nvidia-wheels-mismatch") if "ensurepip" not in line]
    assert command == f"{made.python} -m pip install nvidia-cudnn-cu12==9.5.1.17 nvidia-cublas-cu12==12.6.4.1"


def test_a_torchvision_of_another_torch(made: Made, driver: dict[str, str], tmp_path: Path) -> None:
    pinned(made)
    made.install("torchvision", "0.15.2")
    ran = diagnose(made.python, tmp_path / "home", "--quick", **driver)
    assert ran.judged == Judged(1, "broken", "companion-mismatch", {})
    assert ran.commands("companion-mismatch")[-1].endswith("install --no-deps torchvision==0.22.1")


def test_the_torchvision_of_this_torch_is_sound(made: Made, driver: dict[str, str], tmp_path: Path) -> None:
    pinned(made)
    made.install("torchvision", "0.22.1")
    assert diagnose(made.python, tmp_path / "home", "--quick", **driver).judged == HEALTHY


# -------------------------------------------------------------------------------------------------------- two copies


def test_a_second_torch_on_pythonpath(made: Made, driver: dict[str, str], tmp_path: Path) -> None:
    pinned(made)
    front = tmp_path / "front"
    install(front, "torch", "2.1.0+cu121", files=torch_files("2.1.0+cu121", "12.1", "sm_80 sm_90"))
    variables = {**driver, "PYTHONPATH": f"{ROOT}{os.pathsep}{front}"}
    ran = diagnose(made.python, tmp_path / "home", "--quick", **variables)
    assert (ran.judged.status, ran.judged.cause) == ("warnings", "duplicate-install")
    assert ran.finding("duplicate-install")["title"] == (
        "2 copies of torch are installed: torch 2.1.0+cu121, torch 2.7.1+cu126."
    )
    assert ran.commands("duplicate-install") == ["unset PYTHONPATH"]


def test_a_second_torch_in_the_users_folder(driver: dict[str, str], tmp_path: Path) -> None:
    made = system_python(tmp_path / "python")
    pinned(made)
    minor = made.site.parent.name
    install(tmp_path / "user/lib" / minor / "site-packages", "torch", "2.1.0", files=torch_files("2.1.0", "12.1"))
    ran = diagnose(made.python, tmp_path / "home", "--quick", PYTHONUSERBASE=str(tmp_path / "user"), **driver)
    assert (ran.judged.status, ran.judged.cause) == ("warnings", "duplicate-install")
    assert str(tmp_path / "user") in ran.finding("duplicate-install")["detail"]
    alone = diagnose(made.python, tmp_path / "home", "--quick", PYTHONUSERBASE=str(tmp_path / "nobody"), **driver)
    assert alone.judged == HEALTHY


def test_what_an_interrupted_pip_left_over_disturbs_nobody(made: Made, driver: dict[str, str], tmp_path: Path) -> None:
    pinned(made)
    put(made.site, {"~orch/__init__.py": "", "~orch-2.5.0.dist-info/METADATA": "Name: torch\nVersion: 2.5.0\n"})
    ran = diagnose(made.python, tmp_path / "home", "--quick", **driver)
    assert ran.judged == HEALTHY
    assert ran.package("~orch")["metadata"] is False


def test_metadata_of_random_bytes(made: Made, driver: dict[str, str], tmp_path: Path) -> None:
    pinned(made)
    (info,) = made.site.glob("torch-*.dist-info")
    for name in ("METADATA", "RECORD", "WHEEL"):
        (info / name).write_bytes(bytes(range(256)) * 8)
    ran = diagnose(made.python, tmp_path / "home", "--quick", **driver)
    assert ran.judged == HEALTHY
    assert ran.package("torch")["version"] == "2.7.1+cu126"


# ----------------------------------------------------------------------------------------------- what may not be read


@pytest.fixture
def closed(made: Made) -> Iterator[Made]:
    """An environment with the CUDA wheel; what a test closes is opened again at its end."""
    pinned(made)
    yield made
    for place in (made.root.parent, made.root, made.site, made.site / "torch", *made.site.glob("*.dist-info")):
        place.chmod(0o755)


def test_unreadable_site_packages_are_not_an_empty_environment(closed: Made, tmp_path: Path) -> None:
    closed.site.chmod(0)
    ran = diagnose_bound_by_modes(closed.python, tmp_path / "home")
    assert ran.judged == Judged(3, "undetermined", None, {})
    (unknown,) = ran.report["unknown"]
    assert unknown["what"] == "the installed frameworks"
    assert unknown["why"] == f"unreadable: sys.path: {closed.site}: Permission denied"


def test_an_unreadable_package_is_not_judged_by_its_metadata_alone(closed: Made, tmp_path: Path) -> None:
    (closed.site / "torch").chmod(0)
    ran = diagnose_bound_by_modes(closed.python, tmp_path / "home", "--quick")
    assert ran.judged == Judged(3, "undetermined", None, {})
    (unknown,) = ran.report["unknown"]
    assert unknown["what"] == "the build of PyTorch"
    assert "Permission denied" in unknown["why"]


def test_an_unreadable_package_that_is_imported_is_no_local_file(closed: Made, tmp_path: Path) -> None:
    """Python takes the folder for a namespace package, and finds nothing in it."""
    (closed.site / "torch").chmod(0)
    ran = diagnose_bound_by_modes(closed.python, tmp_path / "home")
    assert ran.judged == Judged(1, "broken", "framework-import-failed", {})
    assert ran.finding("framework-import-failed")["detail"].endswith("module 'torch' has no attribute '__version__'")


def test_requirements_that_cannot_be_read_are_not_called_met(closed: Made, tmp_path: Path) -> None:
    (info,) = closed.site.glob("torch-*.dist-info")
    info.chmod(0)
    ran = diagnose_bound_by_modes(closed.python, tmp_path / "home", "--quick")
    assert ran.report["facts"]["pins"]["kind"] == "unreadable"
    assert f"{info}: Permission denied" in ran.report["facts"]["pins"]["detail"]


# ------------------------------------------------------------------------------------------ interpreters that are none


@pytest.mark.parametrize("name", ["", "bin/python"])
def test_an_environment_whose_base_python_is_gone(made: Made, name: str, tmp_path: Path) -> None:
    """An upgrade of the distribution removes python3.9, and all environments of it are left with a dangling link."""
    (made.root / "bin/python").unlink()
    (made.root / "bin/python").symlink_to("python3.9")
    (made.root / "bin/python3.9").symlink_to("/opt/gone/bin/python3.9")
    ran = gpudoctor("diagnose", "--python", str(made.root / name), home=tmp_path)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr == (
        f"gpudoctor: Invalid value for --python: {made.root}/bin/python is a link to /opt/gone/bin/python3.9, which "
        "does not exist.\n"
    )


@pytest.mark.parametrize("closed_folder", ["", "env", "env/bin"])
def test_an_environment_under_a_folder_that_may_not_be_entered(
    closed: Made, closed_folder: str, tmp_path: Path
) -> None:
    folder = closed.root.parent / closed_folder
    folder.chmod(0)
    ran = run_in(Path("/"), ("diagnose", "--python", str(closed.root)), environ(tmp_path), bound_by_modes)
    folder.chmod(0o755)
    assert (ran.code, ran.stdout) == (2, "")
    assert re.search(
        rf"--python: {re.escape(str(closed.root))}\S* cannot be looked at: Permission denied\.", ran.stderr
    )


# ----------------------------------------------------------------------------------------- how packages are installed


def install_commands(python: str, home: Path, **environ: str) -> list[str]:
    """What is said to install where there is no framework."""
    ran = diagnose(python, home, "--quick", **environ)
    assert (ran.judged.status, ran.judged.cause) == ("warnings", "no-framework-installed")
    return [re.sub(r" torch==.*", " torch", line) for line in ran.commands("no-framework-installed")]


def test_a_virtual_environment_without_pip(made: Made, driver: dict[str, str], tmp_path: Path) -> None:
    bring, installs = install_commands(made.python, tmp_path / "home", **driver)
    assert (bring, installs) == (f"{made.python} -m ensurepip", f"{made.python} -m pip install torch")
    made.install("pip", "25.3", files={"pip/__init__.py": ""})
    assert install_commands(made.python, tmp_path / "home", **driver) == [installs]


def test_a_python_that_the_distribution_manages(driver: dict[str, str], tmp_path: Path) -> None:
    """PEP 668."""
    made = system_python(tmp_path / "python")
    (made.site.parent / "EXTERNALLY-MANAGED").write_text("[externally-managed]\nError=Use apt.\n")
    assert install_commands(made.python, tmp_path / "home", **driver) == [
        f"{made.python} -m venv .venv",
        ".venv/bin/python -m pip install torch",
    ]


def test_a_conda_environment(driver: dict[str, str], tmp_path: Path) -> None:
    made = system_python(tmp_path / "env")
    row = (
        '{"name": "pytorch", "version": "2.5.1", "build": "cpu_mkl_py311_0", "channel": "https://x.org/conda-forge/l"}'
    )
    put(made.root, {"conda-meta/pytorch-2.5.1-cpu_mkl_py311_0.json": row, "conda-meta/history": ""})
    install(made.site, "torch", "2.5.1", files=torch_files("2.5.1", None), installer="conda")
    variables = {**driver, "CONDA_PREFIX": str(made.root)}
    ran = gpudoctor("diagnose", "--quick", "--format", "json", "--no-redact", home=tmp_path, **variables)
    assert (ran.code, ran.cause) == (1, "torch-cpu-build")
    (fix,) = ran.report["findings"][0]["fixes"]
    assert fix["commands"] == [f"conda install --prefix {made.root} --channel conda-forge pytorch-gpu"]


# -------------------------------------------------------------------------------------------------- Pythons of all ages


def pythons() -> dict[str, Path]:
    """The interpreters of this machine by minor version, from PATH and from pyenv's folder."""
    places = [Path(place) for place in os.environ.get("PATH", "").split(os.pathsep) if place]
    places += sorted((Path.home() / ".pyenv/versions").glob("*/bin"))
    found = {}
    for minor in [f"3.{number}" for number in range(6, 15)]:
        real = [place / f"python{minor}" for place in places if (place / f"python{minor}").is_file()]
        real = [path for path in real if path.resolve().read_bytes()[:4] == b"\x7fELF"]
        if real:
            found[minor] = real[0].resolve()
    return found


_PYTHONS = pythons()


@pytest.mark.parametrize("minor", [f"3.{number}" for number in range(6, 15)])
def test_a_torch_under_every_python(minor: str, driver: dict[str, str], tmp_path: Path) -> None:
    base = _PYTHONS.get(minor)
    if base is None:
        pytest.skip(f"there is no Python {minor} on this machine")
    root, site = tmp_path / "env", tmp_path / f"env/lib/python{minor}/site-packages"
    (root / "bin").mkdir(parents=True)
    (root / "bin/python").symlink_to(base)
    (root / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    install(site, "torch", "2.4.0", files=torch_files("2.4.0", None))
    ran = diagnose(root, tmp_path / "home", "--quick", **driver)
    assert ran.judged == HEALTHY
    assert ran.report["facts"]["interpreter"]["version"].startswith(f"{minor}.")
    assert ran.finding("torch-cpu-build")["title"].startswith("PyTorch 2.4.0 is a CPU build")
    torch = next(one for one in ran.report["facts"]["frameworks"]["frameworks"] if one["name"] == "torch")
    assert (torch["build"]["version"], torch["build"]["accelerator"]) == ("2.4.0", "cpu")


def test_a_free_threaded_python_by_its_build_variables(driver: dict[str, str], tmp_path: Path) -> None:
    """A Python of its own whose record of the build says so; the wheels that fit it are those of its ABI."""
    made = system_python(tmp_path / "python")
    name = sysconfig._get_sysconfigdata_name()  # type: ignore[attr-defined]
    variables = made.site.parent / f"{name}.py"
    text = variables.read_text("utf-8")
    variables.unlink()
    variables.write_text(text + "\nbuild_time_vars['Py_GIL_DISABLED'] = 1\n")
    assert subprocess.run([made.python, "-c", ""], check=False).returncode == 0
    ran = diagnose(made.python, tmp_path / "home", "--quick", **driver)
    assert ran.report["facts"]["interpreter"]["free_threaded"] is True
