"""Lists of packages in the words of every tool that prints them."""

from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.intake.pastes import facts, told


def listed(text: str) -> list[tuple[str, str | None, str | None]]:
    """Name, version and installer of each package."""
    packages = facts(text).packages
    assert isinstance(packages, f.Packages)
    return [(package.name, package.version, package.installer) for package in packages.packages]


@pytest.mark.parametrize(
    "text",
    [
        "$ pip list\nPackage    Version\n---------- -------\nnumpy      1.26.4\ntorch      2.1.0+cu121\n",
        "Package Version Editable project location\n------- ------- ----\nnumpy 1.26.4\ntorch 2.1.0+cu121 /home/ann/torch\n",  # noqa: E501
        "$ uv pip list\nPackage Version\n------- -------\nnumpy 1.26.4\ntorch 2.1.0+cu121\n",
        "numpy==1.26.4\ntorch==2.1.0+cu121\n",
        "numpy==1.26.4\ntorch @ https://download.pytorch.org/whl/cu121/torch-2.1.0%2Bcu121-cp310-cp310-linux_x86_64.whl#sha256=1\n",
        "Name: numpy\nVersion: 1.26.4\nSummary: x\nLocation: /a\n---\nName: torch\nVersion: 2.1.0+cu121\nSummary: y\n",
        "[pip3] numpy==1.26.4\n[pip3] torch==2.1.0+cu121\n",
    ],
)
def test_each_tools_list_gives_the_same_packages(text: str) -> None:
    assert sorted((name, version) for name, version, _ in listed(text)) == [
        ("numpy", "1.26.4"),
        ("torch", "2.1.0+cu121"),
    ]


def test_conda_list_keeps_build_and_channel_and_pips_own() -> None:
    seen = facts(
        "# packages in environment at /home/ann/miniconda3/envs/tf:\n#\n"
        "# Name                    Version                   Build  Channel\n"
        "pytorch                   1.9.0           py3.8_cpu_0    pytorch\n"
        "numpy                     1.21.2           py38h20f2e39_0  \n"
        "tensorflow-gpu            2.4.1                    pypi_0    pypi\n"
    )
    assert isinstance(seen.packages, f.Packages)
    assert [(p.name, p.version, p.build, p.channel) for p in seen.packages.conda] == [
        ("pytorch", "1.9.0", "py3.8_cpu_0", "pytorch"),
        ("numpy", "1.21.2", "py38h20f2e39_0", None),
    ]
    torch, tensorflow = seen.framework("torch"), seen.framework("tensorflow")
    assert torch is not None
    assert tensorflow is not None
    assert told(torch.build, "source", "location") == {
        "distribution": "torch",
        "version": "1.9.0",
        "accelerator": "cpu",
        "channel": "conda",
        "installer": "conda",
    }
    assert isinstance(tensorflow.build, f.Build)
    assert (tensorflow.build.accelerator, tensorflow.build.installer) == ("cuda", "pip")


@pytest.mark.parametrize(
    ("version", "accelerator", "cuda", "channel"),
    [
        ("2.1.0+cu121", "cuda", "12.1", "release"),
        ("2.1.0+cpu", "cpu", None, "release"),
        ("2.6.0+rocm6.2.4", "rocm", None, "release"),
        ("2.7.0.dev20250308+cu126", "cuda", "12.6", "nightly"),
        ("2.6.0a0+ecf3bae40a.nv25.01", "unknown", None, "ngc"),
        ("2.4.0a0+gitee1b680", "unknown", None, "source"),
    ],
)
def test_a_torch_version_says_what_it_was_built_for(
    version: str, accelerator: str, cuda: str | None, channel: str
) -> None:
    torch = facts(f"torch=={version}\n").framework("torch")
    assert torch is not None
    assert isinstance(torch.build, f.Build)
    assert (torch.build.accelerator, torch.build.cuda, torch.build.channel) == (accelerator, cuda, channel)


@pytest.mark.parametrize(
    ("system", "accelerator"),
    [
        ("OS: Ubuntu 22.04\nArchitecture: x86_64\n", "cuda"),
        ("OS: Windows 11\n", "cpu"),
        ("OS: Ubuntu 22.04\n", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_plain_version_is_the_indexs_build_only_where_the_platform_is_known(system: str, accelerator: str) -> None:
    torch = facts(f"{system}$ pip list\nPackage Version\n------- -------\ntorch   2.1.0\n").framework("torch")
    assert torch is not None
    assert isinstance(torch.build, f.Build)
    assert torch.build.accelerator == accelerator


@pytest.mark.parametrize(
    ("name", "version", "accelerator"),
    [
        ("tensorflow-cpu", "2.15.0", "cpu"),
        ("tensorflow-intel", "2.15.0", "cpu"),
        ("tensorflow-gpu", "2.4.1", "cuda"),
        ("tensorflow", "2.15.0", "cuda"),
    ],
)
def test_the_name_of_the_tensorflow_package_says_its_build(name: str, version: str, accelerator: str) -> None:
    seen = facts(f"OS: Ubuntu 22.04\nArchitecture: x86_64\n{name}=={version}\n").framework("tensorflow")
    assert seen is not None
    assert isinstance(seen.build, f.Build)
    assert (seen.build.distribution, seen.build.accelerator) == (name, accelerator)


def test_jax_is_a_gpu_build_by_its_plugin() -> None:
    seen = facts("jax==0.4.31\njaxlib==0.4.31\njax-cuda12-plugin==0.4.31\njax-cuda12-pjrt==0.4.31\n").framework("jax")
    assert seen is not None
    assert isinstance(seen.build, f.Build)
    assert (seen.build.accelerator, seen.build.cuda, seen.build.version) == ("cuda", "12", "0.4.31")


def test_jax_without_its_plugin_in_a_few_lines_is_not_called_a_cpu_build() -> None:
    seen = facts("jax==0.4.31\njaxlib==0.4.31\n").framework("jax")
    assert seen is not None
    assert isinstance(seen.build, f.Build)
    assert seen.build.accelerator == "unknown"


def test_a_few_lines_are_no_complete_list_and_many_are() -> None:
    few, many = facts("torch==2.1.0\n"), facts("".join(f"package-{n}==1.{n}\n" for n in range(40)))
    assert isinstance(few.packages, f.Packages)
    assert isinstance(many.packages, f.Packages)
    assert (few.packages.complete, many.packages.complete) == (False, True)


def test_a_sentence_after_a_list_is_no_package() -> None:
    names = [
        name for name, _, _ in listed("Package Version\n------- -------\ntorch 2.1.0\n\ntorch 2.1.0 is not good\n")
    ]
    assert names == ["torch"]


def test_rows_of_conda_are_read_without_their_heading() -> None:
    text = (
        "jax                       0.4.38                   pypi_0    pypi\n"
        "tensorflow-gpu            2.2.0                     <pip>\n"
        "pytorch                   1.13.1              py3.8_cpu_0    pytorch\n"
        "cudatoolkit               10.1.243             h6bb024c_0\n"
        "eth0 10.0.0.1 via something_else\n"
    )
    packages = facts(text).packages
    assert isinstance(packages, f.Packages)
    listed = {(one.name, one.version) for one in packages.packages} | {
        (one.name, one.version) for one in packages.conda
    }
    assert listed >= {
        ("jax", "0.4.38"),
        ("tensorflow-gpu", "2.2.0"),
        ("pytorch", "1.13.1"),
        ("cudatoolkit", "10.1.243"),
    }
    assert "10.0.0.1" not in str(packages)


def test_a_variable_in_front_of_a_program_ends_before_it() -> None:
    environment = facts(
        "CUDA_VISIBLE_DEVICES=1 python3.7 -c 'import torch; print(torch.cuda.is_available())'"
    ).environment
    assert isinstance(environment, f.Environment)
    assert environment.variables == {"CUDA_VISIBLE_DEVICES": "1"}


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: No matching distribution found for torch==1.12.1+cu113",
        "ERROR: Could not find a version that satisfies the requirement torch==1.12.1",
        "Because there is no version of torch==2.9.9 and you require torch==2.9.9, we can conclude",
    ],
)
def test_what_no_index_has_is_not_installed(line: str) -> None:
    assert isinstance(facts(line + "\n").packages, f.Missing)
    assert isinstance(facts("with torch==1.12.1 here\n").packages, f.Packages)
