"""The window: which builds fit, whole values, and never another word than the rules'."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpudoctor import facts as f
from gpudoctor.findings import Severity
from gpudoctor.matrix import load
from gpudoctor.relations import CudaVersion
from gpudoctor.report import judge
from gpudoctor.window import DriverRange, GpuRange, Need, Reach, Window, window
from tests.good import GOOD, H100, change, only, with_framework, with_gpu, without_gpu

MATRIX = load()


def newest(major: int | None = None) -> str:
    """The newest CUDA that the matrix knows, of one major or of all."""
    known = (CudaVersion.parse(toolkit.cuda) for toolkit in MATRIX.toolkits if not toolkit.preview)
    return str(max(one for one in known if major in (None, one.major)))


def _seen(facts: f.Facts) -> Window:
    seen = window(facts, MATRIX)
    assert seen is not None
    return seen


def test_a_good_machine_whole() -> None:
    assert _seen(only("tensorflow")) == Window(
        driver=DriverRange(version="580.65.06", cuda="13.0", newest=newest(13)),
        gpus=(GpuRange(gpus=(0,), name="NVIDIA H100 80GB HBM3", capability="9.0", first="11.8", last=None),),
        builds=(
            Need(
                framework="tensorflow",
                version="2.21.0",
                accelerator="cuda",
                cuda="12.5",
                driver="newer-major",
                minimum="525.60.13",
                targets=("6.0", "7.0", "8.0", "8.9"),
                ptx=("9.0",),
                reaches=(Reach(capability="9.0", way="jit", proved=True),),
            ),
        ),
        newest=newest(),
    )


def test_the_report_carries_it() -> None:
    assert judge(GOOD).window == _seen(GOOD)


def test_without_driver_and_gpu_there_is_no_window() -> None:
    assert window(without_gpu(), MATRIX) is None
    assert window(f.Facts(), MATRIX) is None


def test_without_a_framework_it_tells_what_would_fit() -> None:
    seen = _seen(change(frameworks={"frameworks": ()}))
    assert (seen.driver, seen.gpus, seen.builds) == (_seen(GOOD).driver, _seen(GOOD).gpus, ())


def test_a_driver_alone_and_a_gpu_alone_are_windows_too() -> None:
    no_gpu = _seen(change(gpus=f.Missing("unreadable")))
    assert (no_gpu.driver, no_gpu.gpus) == (_seen(GOOD).driver, ())
    assert [need.reaches for need in no_gpu.builds] == [(), ()]
    no_driver = _seen(change(cuda=f.Missing("timed-out"), nvml={"cuda": None}))
    assert (no_driver.driver, no_driver.gpus) == (None, _seen(GOOD).gpus)
    assert [need.driver for need in no_driver.builds] == [None, None]


@pytest.mark.parametrize(
    ("version", "cuda", "reached"),
    [
        ("390.157", "9.1", "9.1"),
        ("450.36.06", "11.0", "11.0"),
        ("450.80.02", "11.0", "11.8"),
        ("550.54.15", "12.4", "12.9"),
        ("580.65.06", "13.0", newest(13)),
        ("999.1", "19.3", "19.3"),
    ],
)
def test_a_driver_reaches_the_newest_minor_of_its_major_where_compatibility_holds(
    version: str, cuda: str, reached: str
) -> None:
    seen = _seen(change(nvml={"driver": version, "cuda": cuda}, cuda={"version": cuda}))
    assert seen.driver == DriverRange(version=version, cuda=cuda, newest=reached)


@pytest.mark.parametrize(
    ("capability", "first", "last"),
    [
        ("3.7", "4.2", "11.8"),
        ("7.0", "9.0", "12.9"),
        ("8.9", "11.0", None),
        ("8.7", "11.4", None),
        ("12.0", "12.8", None),
        ("42.0", None, None),
        ("what", None, None),
    ],
)
def test_a_gpu_has_the_cudas_that_make_code_which_runs_on_it(
    capability: str, first: str | None, last: str | None
) -> None:
    (found,) = _seen(with_gpu(capability=capability)).gpus
    assert (found.capability, found.first, found.last) == (capability, first, last)


def test_gpus_of_one_capability_are_one_range_and_lowest_comes_first() -> None:
    def gpu(index: int, name: str, value: str) -> f.Gpu:
        return f.Gpu(source="NVML", index=index, name=name, capability=f.GpuCapability(source="NVML", value=value))

    three = (
        gpu(0, "A", "10.0"),
        gpu(1, "B", "8.9"),
        gpu(2, "A", "10.0"),
        gpu(3, "C", "8.9"),
        f.Gpu(source="NVML", index=4, error="NVML_ERROR_GPU_IS_LOST"),
    )
    seen = _seen(change(gpus={"gpus": three}))
    assert [(one.gpus, one.name, one.capability) for one in seen.gpus] == [
        ((1, 3), None, "8.9"),
        ((0, 2), "A", "10.0"),
    ]


def test_a_build_for_the_cpu_reaches_no_gpu_and_needs_no_driver() -> None:
    facts = with_framework("torch", build={"version": "2.13.0+cpu", "accelerator": "cpu", "cuda": None, "targets": ()})
    need = _seen(facts).builds[0]
    assert (need.accelerator, need.cuda, need.driver, need.minimum) == ("cpu", None, None, None)
    assert [reach.way for reach in need.reaches] == ["none"]


def test_a_build_that_says_nothing_readable_is_not_known() -> None:
    silent = {"targets": (), "cuda": "twelve"}
    facts = with_framework("torch", build=silent, imported={"targets": ("sm_what",)})
    need = _seen(facts).builds[0]
    assert (need.cuda, need.driver, need.targets) == (None, None, ())
    assert [reach.way for reach in need.reaches] == ["unknown"]


def test_proved_is_told_only_where_all_gpus_of_the_capability_trained() -> None:
    assert [need.reaches[0].proved for need in _seen(GOOD).builds] == [True, True]
    two = change(gpus={"gpus": (H100, f.Gpu(source="NVML", index=1, capability=H100.capability))})
    assert [need.reaches[0].proved for need in _seen(two).builds] == [False, False]


DRIVERS = (
    ("470.82.01", "11.4"),
    ("450.36.06", "11.0"),
    ("525.60.13", "12.0"),
    ("570.26", "12.8"),
    ("580.65.06", "13.0"),
)
TARGETS = (("sm_70", "sm_80"), ("sm_90a",), ("sm_80", "compute_80"), ("compute_90",), ("sm_100f",), ("sm_86",))


@settings(deadline=None)
@given(
    driver=st.sampled_from(DRIVERS),
    cuda=st.sampled_from(["11.0", "11.8", "12.1", "12.8", "13.0"]),
    targets=st.sampled_from(TARGETS),
    capability=st.sampled_from(["7.0", "8.0", "8.6", "8.7", "9.0", "10.0", "10.3", "12.0"]),
)
def test_the_window_and_the_rules_say_the_same(
    driver: tuple[str, str], cuda: str, targets: tuple[str, ...], capability: str
) -> None:
    facts = change(
        with_gpu(only("torch"), capability=capability),
        nvml={"driver": driver[0], "cuda": driver[1]},
        kernel_driver={"version": driver[0]},
        cuda={"version": driver[1]},
        smokes=(),
    )
    facts = with_framework("torch", facts, build={"cuda": cuda, "targets": targets}, imported={"targets": targets})
    report = judge(facts)
    assert report.window is not None
    (need,) = report.window.builds
    (reach,) = need.reaches
    too_old = bool(report.findings_of("driver-too-old-for-cuda"))
    arch = {finding.severity for finding in report.findings_of("torch-arch-unsupported")}
    assert too_old == (need.driver == "too-old" or reach.way == "jit-refused")
    assert (Severity.ERROR in arch) == (reach.way == "none")
    assert bool(arch) == (reach.way != "native")
