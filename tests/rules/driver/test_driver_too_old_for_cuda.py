"""The driver relation, exactly: one test for each clause."""

from __future__ import annotations

import msgspec
import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework, with_gpu

RULE = "driver-too-old-for-cuda"


def driver(version: str, cuda: str, facts: f.Facts | None = None) -> f.Facts:
    """A machine with that driver in kernel and user space, and PyTorch alone."""
    base = only("torch") if facts is None else facts
    return change(
        base, nvml={"driver": version, "cuda": cuda}, cuda={"version": cuda}, kernel_driver={"version": version}
    )


def built(cuda: str, facts: f.Facts, version: str = "2.5.0") -> f.Facts:
    variant = "cu" + "".join(cuda.split(".")[:2])
    return with_framework("torch", facts, build={"cuda": cuda, "version": f"{version}+{variant}"})


def test_a_the_libcuda_that_is_loaded_decides_not_a_table_of_driver_numbers() -> None:
    """A 535 kernel module (CUDA 12.2) with cuda-compat 13.0 loaded runs CUDA 13."""
    facts = change(
        driver("535.129.03", "12.2"), cuda={"version": "13.0", "library": "/usr/local/cuda/compat/libcuda.so.1"}
    )
    assert outcome(facts, RULE) == "passed"


def test_b_a_newer_major_of_the_driver_fits() -> None:
    assert outcome(built("11.8", driver("580.65.06", "13.0")), RULE) == "passed"


@pytest.mark.parametrize(("number", "cuda"), [("550.54.15", "12.4"), ("525.60.13", "12.0")])
def test_c_within_a_major_minor_version_compatibility_holds_from_its_floor_on(number: str, cuda: str) -> None:
    """Pitfall 6: 550 with a cu128 build is healthy."""
    assert outcome(built("12.8", driver(number, cuda)), RULE) == "passed"


def test_c_cuda_11_has_a_floor_above_its_first_driver() -> None:
    """R450 before 450.80.02 says CUDA 11.0 and runs 11.0 builds only."""
    assert verdict(built("11.3", driver("450.51.06", "11.0"))) == ("broken", RULE)
    assert outcome(built("11.3", driver("450.80.02", "11.0")), RULE) == "passed"
    assert outcome(built("11.0", driver("450.51.06", "11.0")), RULE) == "passed"


def test_d_before_cuda_11_a_build_needs_its_own_toolkits_driver() -> None:
    finding = found(built("10.1", driver("410.48", "10.0"), "1.4.0"), RULE)
    assert finding.detail == "PyTorch 1.4.0+cu101 needs driver 418.39 or newer."


def test_e_an_older_major_does_not_fit() -> None:
    facts = driver("550.54.15", "12.4")
    assert verdict(facts) == ("broken", RULE)
    finding = found(facts, RULE)
    assert finding.title == (
        "The NVIDIA driver 550.54.15 (CUDA 12.4) is too old for PyTorch 2.13.0+cu130, built with CUDA 13.0."
    )
    assert finding.detail == "PyTorch 2.13.0+cu130 needs driver 580.65.06 or newer."
    assert finding.fixes[0].commands == ("sudo apt update", "sudo apt install nvidia-driver-580-open", "sudo reboot")
    assert "--index-url https://download.pytorch.org/whl/cu126" in finding.fixes[1].commands[0]


def test_f_ptx_from_a_newer_toolkit_is_not_covered_by_minor_version_compatibility() -> None:
    facts = with_gpu(driver("550.54.15", "12.4"), name="NVIDIA H100", capability="9.0")
    ptx_only = with_framework(
        "torch",
        facts,
        build={"cuda": "12.8", "version": "2.7.0+cu128", "targets": ("sm_80", "compute_80")},
        imported={"targets": ()},
    )
    assert [x.title for x in findings(ptx_only, RULE)] == [
        (
            "The driver's CUDA 12.4 cannot compile the PTX that PyTorch 2.7.0+cu128 has for NVIDIA H100, "
            "made with CUDA 12.8."
        )
    ]
    enough = change(ptx_only, cuda={"version": "12.8"})
    assert findings(enough, RULE) == ()


def test_g_in_wsl_the_number_is_windows_and_so_is_the_floor() -> None:
    wsl = {"version": 2, "dxg": True}
    facts = change(driver("470.14", "11.3"), wsl=wsl)
    finding = found(built("12.1", facts), RULE)
    assert finding.detail == "PyTorch 2.5.0+cu121 needs driver 527.41 or newer."
    assert (finding.fixes[0].where, finding.fixes[0].commands) == ("host", ())


def test_a_three_part_cuda_version_is_judged() -> None:
    """Pitfall 7: TensorFlow built for 12.5.1 on driver 470."""
    assert verdict(driver("470.182.03", "11.4", only("tensorflow"))) == ("broken", RULE)


def test_a_gpu_that_newer_drivers_dropped_is_offered_none_of_them() -> None:
    """Kepler ends with R470: CUDA 12 builds cannot be had by a newer driver."""
    facts = with_gpu(built("12.1", driver("470.182.03", "11.4")), name="Tesla K80", capability="3.7")
    fix = found(facts, RULE).fixes[0]
    assert fix.commands == ()
    assert fix.title == "No NVIDIA driver both is 525.60.13 or newer and supports compute capability 3.7"


def test_a_cpu_build_has_nothing_to_fit() -> None:
    facts = with_framework("torch", driver("470.182.03", "11.4"), build={"accelerator": "cpu", "cuda": None})
    assert outcome(facts, RULE) == "not-applicable"


def test_without_any_driver_the_runtimes_words_are_not_believed() -> None:
    bare = change(
        GOOD,
        nvml=f.Nvml(source="NVML", result="NVML_ERROR_LIBRARY_NOT_FOUND"),
        cuda=f.CudaDriver(source="libcuda", result="not-found"),
        smokes=(),
    )
    text = "RuntimeError: CUDA driver version is insufficient for CUDA runtime version"
    assert findings(says(text, bare), RULE) == ()


def test_the_runtimes_words_are_enough_where_a_driver_is_seen() -> None:
    missing = change(only("torch"), cuda=f.NOT_IN_PASTE, nvml={"cuda": None}, frameworks=f.NOT_IN_PASTE)
    text = "RuntimeError: The NVIDIA driver on your system is too old (found version 11040). Please update"
    assert found(says(text, missing), RULE).detail.endswith("The driver is for CUDA 11.4.")


def test_tensorflow_asks_the_runtime_only_where_a_driver_listed_a_gpu() -> None:
    bare = change(nvml=f.NOT_IN_PASTE, cuda=f.NOT_IN_PASTE, gpus=f.NOT_IN_PASTE, smokes=(), frameworks=f.NOT_IN_PASTE)
    text = "cudaGetDevice() failed. Status: CUDA driver version is insufficient for CUDA runtime version"
    assert found(says(text, bare), RULE).confidence.value == "certain"
    inside = change(bare, container={"engine": "docker"})
    assert findings(says("CUDA driver version is insufficient for CUDA runtime version", inside), RULE) == ()


def test_a_toolkit_newer_than_the_driver_compiles_code_that_does_not_run() -> None:
    toolkit = f.Toolkit(path="/usr/local/cuda-11.7", version="11.7")
    bare = change(
        nvml=f.Nvml(source="line 3", result="NVML_SUCCESS", driver="470.82.01", cuda="11.4"),
        kernel_driver=f.NOT_IN_PASTE,
        cuda=f.NOT_IN_PASTE,
        gpus=f.NOT_IN_PASTE,
        smokes=(),
        frameworks=f.NOT_IN_PASTE,
        toolkits={"toolkits": (toolkit,)},
    )
    text = says("no kernel image is available for execution on the device", bare)
    assert found(text, RULE).title.startswith("The toolkit is CUDA 11.7 and the driver CUDA 11.4")
    older = msgspec.structs.replace(toolkit, version="11.4")
    assert findings(change(text, toolkits={"toolkits": (older,)}), RULE) == ()
