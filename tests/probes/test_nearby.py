"""Other environments, on a machine made of folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpudoctor.facts import OtherEnvironment, OtherEnvironments
from gpudoctor.probes.nearby import SOURCE, other_environments
from gpudoctor.world import World


def machine(root: Path, *folders: str, **environ: str) -> World:
    """A machine with those folders and files, and a home folder."""
    for folder in folders:
        (root / folder.lstrip("/")).mkdir(parents=True)
    return World(root, {"HOME": "/home/user", **environ})


def seen(world: World, here: str = "/home/user/project", tested: str | None = None) -> list[tuple[str, dict[str, str]]]:
    """Paths and frameworks."""
    return [(e.path, e.frameworks) for e in other_environments(world, here, tested).environments]


@pytest.mark.parametrize(
    "prefix",
    [
        "/home/user/project/.venv",
        "/home/user/project/venv",
        "/home/user/.venv",
        "/home/user/.virtualenvs/ml",
        "/home/user/.cache/pypoetry/virtualenvs/ml-x1-py3.11",
        "/home/user/.pyenv/versions/3.11.7",
        "/home/user/miniconda3",
        "/home/user/miniforge3/envs/ml",
        "/opt/conda",
        "/opt/conda/envs/ml",
        "/home/user/project/.pixi/envs/default",
    ],
)
def test_an_environment_is_found_where_environments_usually_lie(prefix: str, tmp_path: Path) -> None:
    world = machine(tmp_path, f"{prefix}/lib/python3.11/site-packages/torch-2.7.1+cu126.dist-info")
    found = other_environments(world, "/home/user/project", None)
    expected = OtherEnvironment(path=prefix, frameworks={"torch": "2.7.1+cu126"})
    assert found == OtherEnvironments(source=SOURCE, environments=(expected,))


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_the_active_environment_is_found_anywhere(variable: str, tmp_path: Path) -> None:
    world = machine(tmp_path, "/data/ml/lib/python3.12/site-packages/jax-0.6.0.dist-info", **{variable: "/data/ml"})
    assert seen(world) == [("/data/ml", {"jax": "0.6.0"})]


def test_condas_own_list_is_followed(tmp_path: Path) -> None:
    world = machine(tmp_path, "/scratch/ml/lib/python3.10/site-packages/tensorflow_cpu-2.20.0.dist-info")
    (tmp_path / "home/user/.conda").mkdir(parents=True)
    (tmp_path / "home/user/.conda/environments.txt").write_text("/gone\n\nrelative\n/scratch/ml\n")
    assert seen(world) == [("/scratch/ml", {"tensorflow-cpu": "2.20.0"})]


def test_the_systems_own_python_is_looked_at(tmp_path: Path) -> None:
    world = machine(tmp_path, "/usr/local/lib/python3.12/dist-packages/torch-2.7.0a0+79aa17489c.nv25.4.dist-info")
    assert seen(world) == [("/usr/local", {"torch": "2.7.0a0+79aa17489c.nv25.4"})]


def test_an_environment_without_a_framework_is_not_named(tmp_path: Path) -> None:
    site = "/home/user/project/.venv/lib/python3.11/site-packages"
    world = machine(tmp_path, f"{site}/torchvision-0.22.dist-info", f"{site}/torch", f"{site}/torch_x-1.dist-info")
    assert seen(world) == []


def test_the_environment_under_test_is_not_named_whatever_the_path_to_it(tmp_path: Path) -> None:
    world = machine(tmp_path, "/home/user/project/.venv/lib/python3.11/site-packages/torch-2.7.1.dist-info")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "home/user/project/.venv")
    assert seen(world, tested="/elsewhere") == []


def test_one_environment_on_two_paths_is_named_once(tmp_path: Path) -> None:
    world = machine(
        tmp_path,
        "/home/user/project/.venv/lib/python3.11/site-packages/torch-2.7.1.dist-info",
        VIRTUAL_ENV="/home/user/project/.venv",
    )
    assert seen(world) == [("/home/user/project/.venv", {"torch": "2.7.1"})]


def test_a_machine_without_home_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "opt/conda/lib/python3.11/site-packages/torch-2.7.1.dist-info").mkdir(parents=True)
    assert seen(World(tmp_path, {}), "/") == [("/opt/conda", {"torch": "2.7.1"})]


def test_a_thousand_environments_are_not_all_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = [f"/home/user/.virtualenvs/e{index:05}/lib" for index in range(1000)]
    world = machine(tmp_path, *versions)
    listed: list[str] = []
    real = World.list

    def counting(self: World, path: str) -> tuple[str, ...]:
        listed.append(path)
        return real(self, path)

    monkeypatch.setattr(World, "list", counting)
    assert seen(world) == []
    assert len(listed) < 400


def test_a_folder_that_may_not_be_listed_hides_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = machine(
        tmp_path,
        "/home/user/.virtualenvs/closed/lib/python3.11/site-packages/torch-1.dist-info",
        "/opt/conda/lib/python3.11/site-packages/torch-2.7.1.dist-info",
    )
    real = World.list

    def refusing(self: World, path: str) -> tuple[str, ...]:
        if "closed" in path:
            raise PermissionError(13, "Permission denied", path)
        return real(self, path)

    monkeypatch.setattr(World, "list", refusing)
    assert seen(world) == [("/opt/conda", {"torch": "2.7.1"})]
