from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, found, only, outcome, verdict, with_framework

RULE = "tf-windows-native"
WINDOWS = f.System(source="platform", os="windows", name="Windows 11", architecture="AMD64")
INTEL = {"accelerator": "cpu", "cuda": None, "targets": (), "version": "2.18.0", "distribution": "tensorflow-intel"}
NO_DEVICE = {"available": False, "devices": ()}


def on_windows(**build: object) -> f.Facts:
    facts = change(only("tensorflow"), system=WINDOWS, smokes=())
    return with_framework("tensorflow", facts, build={**INTEL, **build}, imported=NO_DEVICE)


def test_a_release_after_2_10_on_windows_is_the_cause_and_the_cpu_build_its_consequence() -> None:
    assert verdict(on_windows()) == ("broken", RULE)
    assert found(on_windows(), "tf-cpu-build").because_of == RULE
    assert found(on_windows(), RULE).fixes[0].commands == ("wsl --install",)


def test_2_10_had_a_gpu_build() -> None:
    assert outcome(on_windows(version="2.10.1"), RULE) == "passed"


def test_linux_is_not_windows() -> None:
    assert outcome(GOOD, RULE) == "not-applicable"
