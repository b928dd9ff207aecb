"""Which build of a framework is prescribed: one that this driver, all GPUs here and this C library can run."""

from __future__ import annotations

from gpudoctor import facts as f
from gpudoctor import remedies as r
from gpudoctor.matrix import load
from gpudoctor.prescribe import prescribe
from tests.good import H100, change, with_framework

MATRIX = load()
PLAIN = with_framework("torch", installed=False, build=f.NOT_ASKED)
TORCH = r.InstallBuild(framework="torch")


def _driver(cuda: str) -> f.Facts:
    return change(PLAIN, cuda={"version": cuda}, nvml={"cuda": cuda})


def _gpus(*capabilities: str) -> f.Gpus:
    made = (
        f.Gpu(source="NVML", index=index, name=H100.name, capability=f.GpuCapability(source="NVML", value=value))
        for index, value in enumerate(capabilities)
    )
    return f.Gpus(source="NVML", gpus=tuple(made))


def test_a_rule_that_did_not_look_at_the_driver_gets_no_build_that_is_too_new_for_it() -> None:
    fix = prescribe(TORCH, _driver("12.4"), MATRIX)
    assert "for CUDA 12." in fix.title
    assert "for CUDA 13." in prescribe(TORCH, _driver("13.0"), MATRIX).title


def test_jax_takes_the_cuda_of_the_driver() -> None:
    wanted = r.InstallBuild(framework="jax")
    assert prescribe(wanted, _driver("12.4"), MATRIX).title == "Install jax[cuda12]"
    assert prescribe(wanted, _driver("13.0"), MATRIX).title == "Install jax[cuda13]"


def test_one_build_for_all_gpus_comes_before_one_for_the_gpu_of_the_rule() -> None:
    facts = change(_driver("13.0"), gpus=_gpus("7.0", "12.0"))
    fix = prescribe(r.InstallBuild(framework="torch", capabilities=("7.0",)), facts, MATRIX)
    assert fix.title.endswith("for CUDA 12.8, with kernels for 7.0, 12.0")
    assert fix.note == ""


def test_where_no_build_serves_all_the_fix_says_which_gpu_it_leaves_out() -> None:
    facts = change(_driver("13.0"), gpus=_gpus("12.0", "5.2"))
    fix = prescribe(r.InstallBuild(framework="torch", capabilities=("5.2",)), facts, MATRIX)
    assert "for CUDA 12.6, with kernels for 5.2" in fix.title
    assert fix.note == (
        "No build serves all GPUs here: this one has no kernels for 12.0. Choose GPUs with CUDA_VISIBLE_DEVICES."
    )


def test_a_wheel_needs_no_newer_glibc_than_there_is() -> None:
    old = change(_driver("12.4"), libc=f.Libc(source="libc.so.6", name="glibc", version="2.17"))
    fix = prescribe(TORCH, old, MATRIX)
    release = fix.title.removeprefix("Install PyTorch ").split(" ")[0]
    row = next(one for one in MATRIX.torch_releases if one.release == release)
    assert row.min_glibc["linux_x86_64"] <= "2.17"


def test_where_no_generic_wheel_serves_a_jetson_nvidias_build_is_named() -> None:
    orin = change(
        _driver("12.6"),
        jetson=f.Jetson(source="/etc/nv_tegra_release", l4t="36.4.3"),
        system={"architecture": "aarch64"},
        gpus=_gpus("8.7"),
    )
    assert prescribe(TORCH, orin, MATRIX).title == "Install NVIDIA's build of PyTorch for this JetPack"


def test_two_steps_of_one_cure_are_one_fix() -> None:
    steps = r.UninstallPackages(names=("torch",), title="Remove all copies", then=TORCH)
    fix = prescribe(steps, _driver("12.4"), MATRIX)
    assert fix.title.startswith("Remove all copies, then: Install PyTorch 2.")
    assert [command.split(" pip ")[1].split(" ")[0] for command in fix.commands] == ["uninstall", "install"]


def test_a_step_without_a_command_leaves_the_other_one_out_too() -> None:
    steps = r.UninstallPackages(names=("torch",), then=r.InstallPackages(requirements=("no requirement!",)))
    assert prescribe(steps, PLAIN, MATRIX).commands == ()
