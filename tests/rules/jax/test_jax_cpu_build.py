from __future__ import annotations

import msgspec

from gpudoctor import facts as f
from tests.good import GOOD, TORCH, change, found, outcome, says, verdict, with_framework

RULE = "jax-cpu-build"


def jax(**fields: object) -> f.Facts:
    assert isinstance(TORCH.build, f.Build)
    build = msgspec.structs.replace(TORCH.build, distribution="jaxlib", version="0.10.2", **fields)
    imported = f.Imported(source="import", ok=True, available=False, devices=())
    return with_framework("jax", GOOD, installed=True, build=build, imported=imported)


def test_jaxlib_without_its_plugin_beside_a_gpu_is_found_and_gets_the_extra_of_the_driver() -> None:
    cpu = jax(accelerator="cpu", cuda=None, targets=())
    assert found(cpu, RULE).fixes[0].commands == ("/home/ann/venv/bin/python -m pip install --upgrade 'jax[cuda13]'",)
    older = change(cpu, cuda={"version": "12.4"}, nvml={"cuda": "12.4"})
    assert "'jax[cuda12]'" in found(older, RULE).fixes[0].commands[0]


def test_with_the_plugin_it_passes() -> None:
    assert outcome(jax(accelerator="cuda", cuda="13.0"), RULE) == "passed"


def test_jaxs_own_words_are_enough_and_a_missing_library_explains_them() -> None:
    text = (
        "An NVIDIA GPU may be present on this machine, but a CUDA-enabled jaxlib is not installed. Falling back to cpu."
    )
    paste = says(text, f.Facts(origin="paste"))
    assert verdict(paste)[1] == RULE
    both = says("RuntimeError: Unable to load cuSPARSE. Is it installed?", paste)
    assert found(both, RULE).because_of == "nvidia-wheels-mismatch"
