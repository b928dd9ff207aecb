"""Which requirements count as unmet: markers, extras, and what no record says."""

from __future__ import annotations

import pytest

from gpudoctor.facts import UnmetPin
from gpudoctor.probes.pins import EndlessError, unmet_pins
from gpudoctor.probes.target_answer import Copy

LINUX = {
    "implementation_name": "cpython",
    "implementation_version": "3.11.7",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "6.1",
    "platform_system": "Linux",
    "platform_version": "#1",
    "python_full_version": "3.11.7",
    "python_version": "3.11",
    "sys_platform": "linux",
}


def copy(name: str, version: str | None, *requires: str) -> Copy:
    """One installed copy."""
    return Copy(
        name=name,
        version=version,
        location="/site",
        info="",
        installer="pip",
        requires=list(requires),
        tags=[],
        metadata=True,
        requires_python=None,
        editable=False,
        from_vcs=False,
        source_path=None,
        missing_files=None,
        owns=[],
        error=None,
    )


def pin(package: str, requirement: str, found: str | None) -> UnmetPin:
    """One unmet pin."""
    return UnmetPin(package=package, requirement=requirement, found=found)


TORCH = copy(
    "torch",
    "2.7.1+cu126",
    'nvidia-cudnn-cu12==9.5.1.17; platform_system == "Linux" and platform_machine == "x86_64"',
    'nvidia-nccl-cu12==2.26.2; platform_system == "Linux" and platform_machine == "x86_64"',
    'triton==3.3.1; platform_system == "Linux"',
    'numpy; extra == "numpy"',
)
GOOD = (TORCH, copy("nvidia-cudnn-cu12", "9.5.1.17"), copy("nvidia-nccl-cu12", "2.26.2"), copy("triton", "3.3.1"))


def test_a_good_environment_has_no_unmet_pin() -> None:
    assert unmet_pins(GOOD, LINUX) == ()


def test_an_absent_package_is_unmet() -> None:
    assert unmet_pins((GOOD[0], *GOOD[2:]), LINUX) == (pin("torch", "nvidia-cudnn-cu12==9.5.1.17", None),)


def test_another_version_is_unmet_and_told() -> None:
    others = (TORCH, copy("nvidia-cudnn-cu12", "9.10.2.21"), *GOOD[2:])
    assert unmet_pins(others, LINUX) == (pin("torch", "nvidia-cudnn-cu12==9.5.1.17", "9.10.2.21"),)


@pytest.mark.parametrize(
    ("name", "value", "left"),
    [("platform_system", "Windows", ()), ("platform_machine", "aarch64", (pin("torch", "triton==3.3.1", None),))],
)
def test_the_markers_are_those_of_the_interpreter_under_test(name: str, value: str, left: tuple[UnmetPin, ...]) -> None:
    assert unmet_pins((TORCH,), {**LINUX, name: value}) == left


def test_the_copy_that_imports_counts() -> None:
    first = copy("triton", "3.1.0")
    assert unmet_pins((first, *GOOD), LINUX) == (pin("torch", "triton==3.3.1", "3.1.0"),)


def test_a_local_version_satisfies_a_public_pin() -> None:
    assert unmet_pins((*GOOD, copy("torchvision", "0.22.1+cu126", "torch==2.7.1")), LINUX) == ()


def test_a_prerelease_counts_as_installed() -> None:
    assert unmet_pins((copy("torch", "2.9.0.dev20250801+cu128"), copy("xformers", "1", "torch>=2.7")), LINUX) == ()


def test_a_companion_made_for_another_torch_is_unmet() -> None:
    others = (*GOOD, copy("torchvision", "0.21.0+cu124", "torch==2.6.0", "numpy"), copy("numpy", "2.2"))
    assert unmet_pins(others, LINUX) == (pin("torchvision", "torch==2.6.0", "2.7.1+cu126"),)


def test_what_cannot_be_read_is_not_judged() -> None:
    odd = copy("torch", "odd", "=broken", 'numpy; nothing == "x"', "triton @ file:///x", 'keras; python_version >= "x"')
    assert unmet_pins((odd, copy("triton", None), copy("xformers", "1", "torch==2.0")), LINUX) == ()


# CUDA 13: torch asks for a package that only bundles others, each by an extra.
TOOLKIT = copy(
    "cuda-toolkit",
    "13.0.3",
    'nvidia-cublas==13.1.0.3.*; extra == "cublas"',
    'nvidia-cuda-runtime==13.0.96.*; extra == "cudart"',
    'nvidia-cufft==12.0.0.61.*; extra == "cufft"',
)
TORCH_13 = copy("torch", "2.13.0+cu130", 'cuda-toolkit[cublas,cudart]==13.0.3; platform_system == "Linux"')
CUBLAS, RUNTIME = copy("nvidia-cublas", "13.1.0.3"), copy("nvidia-cuda-runtime", "13.0.96")


def test_extras_that_a_package_asks_for_are_followed_as_its_own() -> None:
    assert unmet_pins((TORCH_13, TOOLKIT, CUBLAS, RUNTIME), LINUX) == ()
    assert unmet_pins((TORCH_13, TOOLKIT, CUBLAS), LINUX) == (pin("torch", "nvidia-cuda-runtime==13.0.96.*", None),)


def test_an_absent_bundle_is_told_with_its_extras() -> None:
    assert unmet_pins((TORCH_13, CUBLAS, RUNTIME), LINUX) == (
        pin("torch", "cuda-toolkit[cublas,cudart]==13.0.3", None),
    )


def test_packages_that_require_each_other_come_to_an_end() -> None:
    one = copy("torch", "1", "jax[a]; extra == 'a'", "jax[a]")
    two = copy("jax", "1", "torch[a]; extra == 'a'", "numpy; extra == 'a'")
    assert unmet_pins((one, two), LINUX) == (pin("torch", "numpy", None),)


# TensorFlow: no record says whether [and-cuda] was asked for.
TENSORFLOW = copy(
    "tensorflow",
    "2.20.0",
    "numpy>=1.26",
    *(f'nvidia-{name}-cu12<13,>=12; extra == "and-cuda"' for name in ("cublas", "cuda-nvcc", "cufft", "cusparse")),
)
NUMPY = copy("numpy", "2.2.0")


def wheels(*names: str) -> tuple[Copy, ...]:
    """NVIDIA wheels in the version that TENSORFLOW asks for."""
    return tuple(copy(f"nvidia-{name}-cu12", "12.5") for name in names)


def test_an_extra_of_which_nothing_is_installed_was_not_chosen() -> None:
    assert unmet_pins((TENSORFLOW, NUMPY), LINUX) == ()


def test_an_extra_that_is_mostly_installed_was_chosen_and_its_gaps_are_told() -> None:
    found = unmet_pins((TENSORFLOW, NUMPY, *wheels("cublas", "cuda-nvcc", "cufft")), LINUX)
    assert found == (pin("tensorflow", "nvidia-cusparse-cu12<13,>=12", None),)


def test_one_wheel_of_many_chooses_no_extra() -> None:
    assert unmet_pins((TENSORFLOW, NUMPY, *wheels("cublas")), LINUX) == ()


def test_wheels_that_another_framework_brought_choose_no_extra() -> None:
    torch = copy("torch", "2.7.1+cu126", *(f"nvidia-{name}-cu12" for name in ("cublas", "cufft", "cusparse")))
    assert unmet_pins((TENSORFLOW, NUMPY, torch, *wheels("cublas", "cufft", "cusparse")), LINUX) == ()


# JAX: the extra brings a plug-in, whose own extra brings the wheels.
JAX = copy(
    "jax",
    "0.6.0",
    "jaxlib<=0.6.0,>=0.6.0",
    'jaxlib==0.5.0; extra == "minimum-jaxlib"',
    'jax-cuda12-plugin[with-cuda]<=0.6.0,>=0.6.0; extra == "cuda12"',
    'jax-cuda12-plugin<=0.6.0,>=0.6.0; extra == "cuda12-local"',
)
JAXLIB = copy("jaxlib", "0.6.0")


def plugin(version: str) -> Copy:
    """JAX's CUDA plug-in."""
    lines = ("nvidia-cublas-cu12>=12", "nvidia-cufft-cu12>=11", "nvidia-cusparse-cu12>=12")
    return copy("jax-cuda12-plugin", version, *(f'{line}; extra == "with-cuda"' for line in lines))


def test_jax_for_the_cpu_lacks_no_plugin() -> None:
    assert unmet_pins((JAX, JAXLIB), LINUX) == ()


def test_jax_with_the_systems_cuda_lacks_no_wheels() -> None:
    assert unmet_pins((JAX, JAXLIB, plugin("0.6.0")), LINUX) == ()


def test_a_plugin_of_another_release_is_unmet() -> None:
    found = unmet_pins((JAX, JAXLIB, plugin("0.5.3")), LINUX)
    assert found == (pin("jax", "jax-cuda12-plugin[with-cuda]<=0.6.0,>=0.6.0", "0.5.3"),)


def test_a_wheel_that_went_missing_below_the_plugin_is_told() -> None:
    found = unmet_pins((JAX, JAXLIB, plugin("0.6.0"), *wheels("cublas", "cusparse")), LINUX)
    assert {(entry.requirement, entry.found) for entry in found} == {("nvidia-cufft-cu12>=11", None)}


def test_requirements_that_refer_to_one_another_without_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpudoctor.probes.pins._MOST_LINES", 20_000)
    knot = [
        copy(f"p{i}", "1.0", *(f'p{(i * 7 + j) % 100}[all]>=0; extra == "all"' for j in range(40)), f"p{i}[all]")
        for i in range(100)
    ]
    with pytest.raises(EndlessError):
        unmet_pins(knot, LINUX)


def test_a_package_required_by_another_one_alone_does_not_choose_an_extra() -> None:
    asking = copy("asking", "1.0", 'helper>=9; extra == "all"')
    alone = (asking, copy("helper", "1.0"))
    assert unmet_pins(alone, LINUX) == (pin("asking", "helper>=9", "1.0"),)
    assert unmet_pins((*alone, copy("other", "1.0", "helper")), LINUX) == ()
