from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework

RULE = "torch-jetson-wheel"
ORIN = f.Jetson(source="/etc/nv_tegra_release", l4t="36.4.0", model="NVIDIA Jetson AGX Orin")
THOR = f.Jetson(source="/etc/nv_tegra_release", l4t="38.2", model="NVIDIA Jetson Thor")
CPU = {"version": "2.6.0", "accelerator": "cpu", "cuda": None, "targets": ()}
BOARD = with_framework(
    "torch",
    change(only("torch"), jetson=ORIN, smokes=()),
    build=CPU,
    imported={"available": False, "devices": (), "targets": ()},
)


def test_a_generic_wheel_on_an_orin_is_the_cause_and_the_cpu_build_its_consequence() -> None:
    assert verdict(BOARD) == ("broken", RULE)
    assert found(BOARD, "torch-cpu-build").because_of == RULE


def test_a_wheel_of_nvidias_passes() -> None:
    assert outcome(with_framework("torch", BOARD, build={"version": "2.5.0a0+872d972e41.nv24.08"}), RULE) == "passed"


def test_thor_runs_generic_wheels() -> None:
    assert outcome(change(BOARD, jetson=THOR), RULE) == "passed"


def test_the_c_library_that_is_too_old_is_its_consequence_on_a_board() -> None:
    text = "ImportError: /lib/aarch64-linux-gnu/libc.so.6: version `GLIBC_2.28' not found (required by torch/lib/x.so)"
    paste = f.Facts(origin="paste", jetson=f.Jetson(source="line 1", l4t=None, model="Xavier NX"))
    facts = says(text, paste)
    assert verdict(facts)[1] == RULE
    assert found(facts, "glibc-too-old").because_of == RULE


def test_an_ordinary_machine_is_no_board() -> None:
    assert findings(says("Torch not compiled with CUDA enabled", GOOD), RULE) == ()


def test_the_name_of_the_gpu_shows_a_board_whose_files_are_not_known() -> None:
    gpu = f.Gpu(source="line 1", index=0, name="Jetson Orin Nano")
    unknown = change(BOARD, jetson=f.NOT_IN_PASTE, gpus=f.Gpus(source="line 1", gpus=(gpu,)))
    assert verdict(unknown)[1] == RULE


def test_a_torch_of_unknown_build_that_lists_no_gpu_is_generic_on_an_old_board_only() -> None:
    unknown = f.Frameworks(
        source="line 2",
        frameworks=(
            f.Framework(
                source="line 2",
                name="torch",
                installed=True,
                build=f.NOT_IN_PASTE,
                imported=f.Imported(source="line 2", ok=True, available=False),
            ),
        ),
    )
    paste = change(f.Facts(origin="paste"), frameworks=unknown, jetson=ORIN)
    assert verdict(paste)[1] == RULE
    assert findings(change(paste, jetson=THOR), RULE) == ()
