"""Every remedy in every place: commands are complete and fit, or are not printed at all."""

from __future__ import annotations

import re
import shlex
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor import facts as f
from gpudoctor import remedies as r
from gpudoctor.findings import Fix
from gpudoctor.matrix import load
from gpudoctor.prescribe import prescribe
from tests.good import GOOD, change, with_framework

MATRIX = load()


def system(distribution: str, release: str | None, *like: str, os: str = "linux") -> f.System:
    return f.System(
        source="/etc/os-release",
        os=os,  # type: ignore[arg-type]
        distribution=distribution,
        release=release,
        like=like,
        kernel="6.8.0-85-generic",
        architecture="x86_64",
    )


def pixi(environment: str) -> dict[str, object]:
    prefix = f"/home/ann/ml/.pixi/envs/{environment}"
    return {"tool": "pixi", "environment": "conda", "project": "/home/ann/ml", "prefix": prefix}


def from_conda(*names: str) -> dict[str, object]:
    return {
        "packages": tuple(f.Package(name=name, version="1.0", location="/lib", installer="conda") for name in names)
    }


DISTRIBUTIONS: dict[str, f.Facts] = {
    "ubuntu": GOOD,
    "mint": change(system=system("linuxmint", "22", "ubuntu", "debian")),
    "debian": change(system=system("debian", "12")),
    "rhel": change(system=system("rhel", "9.4", "fedora")),
    "rocky": change(system=system("rocky", "9.4", "rhel", "centos", "fedora")),
    "fedora": change(system=system("fedora", "42")),
    "arch": change(system=system("arch", None)),
    "suse": change(system=system("opensuse-leap", "15.6", "suse", "opensuse")),
    "nixos": change(system=system("nixos", "25.05")),
    "unknown": change(system=f.Missing("unreadable")),
}
OUTSIDE: dict[str, f.Facts] = {
    "docker": change(container={"engine": "docker"}),
    "podman": change(container={"engine": "podman"}),
    "pod": change(container={"engine": "containerd", "orchestrator": "kubernetes"}),
    "apptainer": change(container={"engine": "apptainer"}),
    "wsl": change(wsl={"version": 2, "dxg": True}),
    "docker-in-wsl": change(container={"engine": "docker"}, wsl={"version": 2}),
    "colab": change(hosted={"service": "colab"}),
    "jetson": change(jetson={"l4t": "36.4.0"}),
}
PYTHONS: dict[str, f.Facts] = {
    "windows": change(system=system("", "11", os="windows"), interpreter={"executable": "C:\\ml env\\python.exe"}),
    "conda": change(
        interpreter={"environment": "conda", "prefix": "/opt/conda", "executable": "/opt/conda/bin/python"}
    ),
    "uv": change(interpreter={"tool": "uv"}),
    "uv-project": change(interpreter={"tool": "uv", "project": "/home/ann/ml"}),
    "poetry": change(interpreter={"tool": "poetry", "project": "/home/ann/ml"}),
    "poetry-cache": change(interpreter={"tool": "poetry"}),
    "pixi": change(interpreter=pixi("default")),
    "pixi-conda": with_framework(
        "torch",
        change(interpreter=pixi("default"), packages=from_conda("torch", "numpy")),
        build={"installer": "conda"},
    ),
    "pixi-other": change(interpreter=pixi("gpu")),
    "hostile-project": change(interpreter={"tool": "uv", "project": "/tmp/a\nb"}),
    "project-spaces": change(interpreter={"tool": "uv", "project": "/tmp/$(touch x) `id`"}),
    "pep-668": change(
        interpreter={"environment": "system", "externally_managed": True, "executable": "/usr/bin/python3"}
    ),
    "spaces": change(interpreter={"executable": "/home/ann/my env/bin/python"}),
    "no-interpreter": change(interpreter=f.Missing("crashed")),
    "hostile": change(interpreter={"executable": "/tmp/$(touch x)/`id`;'\"/python", "prefix": "/tmp/a\nb"}),
}
PLACES = {**DISTRIBUTIONS, **OUTSIDE, **PYTHONS}

REMEDIES: tuple[r.Remedy, ...] = (
    r.InstallCompiler(),
    r.InstallCompiler(headers=True),
    r.InstallDriver(),
    r.InstallDriver(minimum="580.65.06"),
    r.InstallDriver(minimum="525.60.13", capability="8.9"),
    r.InstallDriver(minimum="580.65.06", capability="7.0"),
    r.InstallDriver(minimum="580.65.06", capability="3.7"),
    r.InstallDriver(capability="12.0", open_kernel=True),
    r.ReloadDriver(),
    r.LoadModule(),
    r.LoadModule(kernel="6.8.0-85-generic"),
    r.LoadModule(kernel="6.8; reboot"),
    r.LoadModule(secure_boot=True),
    r.ReplaceNouveau(),
    r.ReplaceNouveau(module="nova_core"),
    r.CreateDeviceNodes(paths=("/dev/nvidia-uvm",)),
    r.CreateDeviceNodes(paths=("/dev/nvidia0",), permission=True),
    r.GiveContainerGpu(),
    r.GiveContainerGpu(capabilities=("compute", "utility")),
    r.SetVariable(name="CUDA_VISIBLE_DEVICES"),
    r.SetVariable(name="CUDA_HOME", value="/usr/local/cuda"),
    r.InstallBuild(framework="torch", capabilities=("9.0",), driver_cuda="12.4"),
    r.InstallBuild(framework="torch", capabilities=("3.7",), driver_cuda="11.4"),
    r.InstallBuild(framework="tensorflow", release="2.18.0"),
    r.InstallBuild(framework="tensorflow", capabilities=("12.0",), driver_cuda="13.0"),
    r.InstallBuild(framework="jax", driver_cuda="12.4"),
    r.InstallPackages(requirements=("numpy<2",)),
    r.InstallPackages(requirements=("numpy<2; rm -rf /",)),
    r.InstallPackages(requirements=("evil @ https://example.org/x.whl",)),
    r.UninstallPackages(names=("tensorflow-cpu",)),
    r.UseWsl(framework="tensorflow"),
    r.Run(title="Look", argvs=(("sudo", "dmesg"),)),
)
CUDA_REPOSITORY = "https://developer.download.nvidia.com/compute/cuda/repos"
EACH = [(place, remedy) for place in PLACES for remedy in REMEDIES]
DRIVER_WORDS = re.compile(
    r"\b(apt|dnf|zypper|pacman|modprobe|dkms|reboot|mokutil|update-initramfs|dracut|nvidia-driver)\b"
)


def fix(place: str, remedy: r.Remedy) -> Fix:
    return prescribe(remedy, PLACES[place], MATRIX)


def test_every_kind_of_remedy_is_tried_here() -> None:
    assert {type(remedy) for remedy in REMEDIES} == set(typing.get_args(r.Remedy))


@pytest.mark.parametrize(("place", "remedy"), EACH)
def test_a_fix_has_a_title_and_says_what_to_do(place: str, remedy: r.Remedy) -> None:
    made = fix(place, remedy)
    assert made.title
    assert made.where in ("environment", "machine", "host")


@pytest.mark.parametrize(("place", "remedy"), EACH)
def test_a_command_is_one_line_without_placeholders_or_control_characters(place: str, remedy: r.Remedy) -> None:
    for command in (*fix(place, remedy).commands, fix(place, remedy).verify):
        assert not re.search(r"[\x00-\x1f\x7f]", command)
        assert not re.search(r"<[a-z]+>|\.\.\.|…|manual verification", command)
        assert shlex.split(command) or not command


@pytest.mark.parametrize(("place", "remedy"), [(place, remedy) for place in OUTSIDE for remedy in REMEDIES])
def test_the_driver_is_never_changed_from_inside_a_container_wsl_or_notebook(place: str, remedy: r.Remedy) -> None:
    made = fix(place, remedy)
    if isinstance(remedy, r.InstallDriver | r.ReloadDriver | r.LoadModule | r.ReplaceNouveau) and place != "jetson":
        assert made.where in ("host", "environment")
        assert not any(DRIVER_WORDS.search(command) for command in made.commands), made.commands


@pytest.mark.parametrize("place", DISTRIBUTIONS)
def test_no_driver_is_advised_that_dropped_the_gpu(place: str) -> None:
    """Volta ends with R580, Kepler with R470."""
    volta = fix(place, r.InstallDriver(minimum="525.60.13", capability="7.0"))
    assert not any(re.search(r"-(59|6)\d", command) for command in volta.commands)
    kepler = fix(place, r.InstallDriver(minimum="580.65.06", capability="3.7"))
    assert kepler.commands == ()
    assert kepler.title.startswith("No NVIDIA driver")


@pytest.mark.parametrize(
    ("place", "commands"),
    [
        ("ubuntu", ("sudo apt update", "sudo apt install nvidia-driver-580-open", "sudo reboot")),
        ("mint", ("sudo apt update", "sudo apt install nvidia-driver-580-open", "sudo reboot")),
        (
            "debian",
            (
                f"wget {CUDA_REPOSITORY}/debian12/x86_64/cuda-keyring_1.1-1_all.deb",
                "sudo dpkg -i cuda-keyring_1.1-1_all.deb",
                "sudo apt update",
                "sudo apt install nvidia-driver-pinning-580",
                "sudo apt install nvidia-open",
                "sudo reboot",
            ),
        ),
        (
            "rocky",
            (
                f"sudo dnf config-manager --add-repo {CUDA_REPOSITORY}/rhel9/x86_64/cuda-rhel9.repo",
                "sudo dnf install nvidia-driver-pinning-580",
                "sudo dnf install nvidia-open",
                "sudo reboot",
            ),
        ),
        ("arch", ()),
        ("nixos", ()),
        ("unknown", ()),
    ],
)
def test_each_distribution_has_its_own_package_manager_or_a_page_to_read(place: str, commands: tuple[str, ...]) -> None:
    made = fix(place, r.InstallDriver(minimum="525.60.13", capability="8.9"))
    assert made.commands == commands
    assert made.commands or "https://" in made.note


def test_what_does_not_parse_as_a_requirement_is_not_printed() -> None:
    assert fix("ubuntu", r.InstallPackages(requirements=("numpy<2; rm -rf /",))).commands == ()
    assert fix("ubuntu", r.InstallPackages(requirements=("evil @ https://example.org/x.whl",))).commands == ()


@pytest.mark.parametrize(("place", "printed"), [("ubuntu", True), ("docker", True), ("wsl", False), ("windows", False)])
def test_what_needs_an_administrator_of_linux_is_not_printed_for_windows(place: str, printed: bool) -> None:
    assert bool(fix(place, r.Run(title="Look", argvs=(("sudo", "dmesg"),))).commands) is printed
    assert fix(place, r.Run(title="Look", argvs=(("sudo", "dmesg"),), where="environment")).commands


TORCH = r.InstallBuild(framework="torch", capabilities=("9.0",), driver_cuda="12.4")
TENSORFLOW = r.InstallBuild(framework="tensorflow", release="2.18.0")
JAX = r.InstallBuild(framework="jax", driver_cuda="12.4")
NUMPY = r.InstallPackages(requirements=("numpy<2",))
LOOSE = r.UninstallPackages(names=("tensorflow-cpu", "tensorflow"))
VARIANT = "https://download.pytorch.org/whl/cu126"
BUILDS = "torch==2.13.0+cu126 torchvision==0.28.0+cu126"


@pytest.mark.parametrize(
    ("place", "remedy", "commands"),
    [
        ("uv-project", TORCH, [f"uv add --project /home/ann/ml --index pytorch-cu126={VARIANT} {BUILDS}"]),
        ("uv-project", TENSORFLOW, ["uv add --project /home/ann/ml 'tensorflow[and-cuda]==2.18.0'"]),
        ("uv-project", JAX, ["uv add --project /home/ann/ml --upgrade-package jax 'jax[cuda12]'"]),
        ("uv-project", NUMPY, ["uv add --project /home/ann/ml 'numpy<2'"]),
        ("uv-project", LOOSE, ["uv remove --project /home/ann/ml tensorflow-cpu tensorflow"]),
        ("uv", NUMPY, ["uv pip install --python /home/ann/venv/bin/python 'numpy<2'"]),
        (
            "poetry",
            TORCH,
            [
                f"poetry --project /home/ann/ml source add --priority=explicit pytorch-cu126 {VARIANT}",
                f"poetry --project /home/ann/ml add --source pytorch-cu126 {BUILDS}",
            ],
        ),
        ("poetry", JAX, ["poetry --project /home/ann/ml add 'jax[cuda12]@latest'"]),
        ("poetry", LOOSE, ["poetry --project /home/ann/ml remove tensorflow-cpu tensorflow"]),
        ("poetry-cache", NUMPY, ["poetry add 'numpy<2'"]),
        ("poetry-cache", LOOSE, ["poetry remove tensorflow-cpu tensorflow"]),
        ("pixi", TORCH, [f"pixi add --manifest-path /home/ann/ml --pypi --index {VARIANT} {BUILDS}"]),
        ("pixi", NUMPY, ["pixi add --manifest-path /home/ann/ml --pypi 'numpy<2'"]),
        ("pixi", LOOSE, ["pixi remove --manifest-path /home/ann/ml --pypi tensorflow-cpu tensorflow"]),
        ("pixi-conda", TORCH, ["pixi add --manifest-path /home/ann/ml pytorch-gpu"]),
        ("pixi-conda", NUMPY, ["pixi add --manifest-path /home/ann/ml 'numpy<2'"]),
        (
            "pixi-conda",
            r.UninstallPackages(names=("numpy", "tensorflow-cpu")),
            [
                "pixi remove --manifest-path /home/ann/ml numpy",
                "pixi remove --manifest-path /home/ann/ml --pypi tensorflow-cpu",
            ],
        ),
        ("pixi-other", NUMPY, []),
        ("pixi-other", LOOSE, []),
        ("hostile-project", TORCH, []),
        ("hostile-project", LOOSE, []),
        ("project-spaces", NUMPY, ["uv add --project '/tmp/$(touch x) `id`' 'numpy<2'"]),
    ],
)
def test_what_a_lock_file_rules_over_is_changed_by_the_tool_of_the_lock(
    place: str, remedy: r.Remedy, commands: list[str]
) -> None:
    assert list(fix(place, remedy).commands) == commands


@pytest.mark.parametrize(
    ("place", "remedy", "words"),
    [
        ("uv-project", NUMPY, "lock file"),
        ("poetry-cache", NUMPY, "in the folder of the project"),
        ("poetry", LOOSE, "what another package of it asks for stays"),
        ("pixi-conda", TORCH, 'cuda = "12"'),
        ("pixi-other", NUMPY, "Add numpy<2 to a feature of pixi's environment gpu"),
        ("pixi-other", TORCH, "Add torch==2.13.0+cu126"),
    ],
)
def test_what_the_tool_of_a_project_wants_to_be_known_is_said(place: str, remedy: r.Remedy, words: str) -> None:
    assert words in fix(place, remedy).note


@pytest.mark.parametrize("place", ["uv-project", "poetry", "poetry-cache", "pixi", "pixi-conda", "pixi-other"])
def test_no_pip_works_past_a_lock_file(place: str) -> None:
    made = [fix(place, remedy) for remedy in (TORCH, TENSORFLOW, JAX, NUMPY, LOOSE)]
    assert not [line for one in made for line in one.commands if "pip install" in line or "pip uninstall" in line]


def test_a_path_with_spaces_is_quoted_for_its_shell() -> None:
    remedy = r.InstallPackages(requirements=("numpy<2",))
    assert fix("spaces", remedy).commands == ("'/home/ann/my env/bin/python' -m pip install 'numpy<2'",)
    assert fix("windows", remedy).commands == ('"C:\\ml env\\python.exe" -m pip install "numpy<2"',)


@pytest.mark.parametrize(
    ("home", "python"),
    [("~/proj/.venv", "~/proj/.venv/bin/python"), ("~/my env", "~/'my env/bin/python'")],
)
def test_a_ticket_whose_home_folder_was_hidden_has_commands_all_the_same(home: str, python: str) -> None:
    facts = change(interpreter={"executable": f"{home}/bin/python", "prefix": home})
    made = prescribe(r.InstallPackages(requirements=("numpy<2",)), facts, MATRIX)
    assert made.commands == (f"{python} -m pip install 'numpy<2'",)
    assert made.verify == f"gpudoctor diagnose --python {python}"


@given(st.sampled_from(["/", "~/"]), st.text(max_size=40))
def test_no_path_can_break_out_of_its_quotes(start: str, text: str) -> None:
    facts = change(interpreter={"executable": start + text})
    for command in prescribe(r.InstallPackages(requirements=("numpy<2",)), facts, MATRIX).commands:
        assert shlex.split(command) == [start + text, "-m", "pip", "install", "numpy<2"]


@pytest.mark.parametrize(
    ("distribution", "container", "commands"),
    [
        ("ubuntu", None, ("sudo apt-get update", "sudo apt-get install -y gcc g++ python3.12-dev")),
        ("ubuntu", "docker", ("apt-get update", "apt-get install -y gcc g++ python3.12-dev")),
        ("fedora", None, ("sudo dnf install -y gcc gcc-c++ python3-devel",)),
        ("gentoo", None, ()),
    ],
)
def test_a_compiler_comes_from_the_distribution(
    distribution: str, container: str | None, commands: tuple[str, ...]
) -> None:
    facts = change(GOOD, system={"distribution": distribution, "like": ()}, container={"engine": container})
    fix = prescribe(r.InstallCompiler(headers=True), facts, load())
    assert fix.commands == commands
    assert fix.where == ("environment" if container else "machine")
    assert ("Dockerfile" in fix.note) == bool(container)


@pytest.mark.parametrize(("pip", "first"), [(False, True), (True, False), (None, False)])
def test_an_environment_without_pip_gets_it_first(pip: bool | None, first: bool) -> None:
    python = "/home/ann/venv/bin/python"
    facts = change(GOOD, interpreter={"pip": pip})
    bring = (f"{python} -m ensurepip",) if first else ()
    added = prescribe(r.InstallPackages(requirements=("numpy",)), facts, MATRIX)
    assert added.commands == (*bring, f"{python} -m pip install numpy")
    removed = prescribe(r.UninstallPackages(names=("numpy",)), facts, MATRIX)
    assert removed.commands == (*bring, f"{python} -m pip uninstall -y numpy")
    by_uv = prescribe(r.InstallPackages(requirements=("numpy",)), change(facts, interpreter={"tool": "uv"}), MATRIX)
    assert by_uv.commands == (f"uv pip install --python {python} numpy",)
