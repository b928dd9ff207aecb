from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, says, verdict, with_framework, without_gpu

RULE = "jax-windows-native"
WINDOWS = f.System(source="platform", os="windows", name="Windows 11", architecture="AMD64")
JAX = f.Framework(source="sys.path", name="jax", installed=True)


def on_windows(facts: f.Facts = GOOD) -> f.Facts:
    return change(facts, system=WINDOWS, frameworks=f.Frameworks(source="sys.path", frameworks=(JAX,)), smokes=())


def test_jax_on_windows_beside_a_gpu_is_the_cause_and_leads_to_wsl() -> None:
    assert verdict(on_windows())[1] == RULE
    assert found(on_windows(), RULE).fixes[0].commands == ("wsl --install",)


def test_without_a_gpu_it_is_a_remark() -> None:
    assert found(on_windows(without_gpu()), RULE).severity.value == "info"


def test_linux_and_an_environment_without_jax_are_not_it() -> None:
    assert findings(with_framework("jax", GOOD, installed=True), RULE) == ()
    assert findings(change(GOOD, system=WINDOWS), RULE) == ()


def test_a_jax_with_cuda_that_pip_does_not_find_on_windows() -> None:
    bare = change(f.Facts(origin="paste"), system=WINDOWS)
    for text in (
        "ERROR: No matching distribution found for jaxlib==0.4.7+cuda11.cudnn82",
        "WARNING: jax 0.4.6 does not provide the extra 'cuda12_pip'",
    ):
        assert found(says(text, bare), RULE).detail in text
        assert findings(says(text, f.Facts(origin="paste")), RULE) == ()
    assert findings(says("ERROR: No matching distribution found for jaxlib==0.4.7", bare), RULE) == ()
