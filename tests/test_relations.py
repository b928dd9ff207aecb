"""The relations that all verdicts rest on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudoctor.relations import (
    Capability,
    CodeTarget,
    Coverage,
    CudaVersion,
    DriverFit,
    coverage,
    cuda_fits,
    driver_version,
    parse_targets,
    ptx_fits,
)

capabilities = st.builds(Capability, st.integers(2, 15), st.integers(0, 9))


def reach(targets: str, gpu: str) -> Coverage:
    return coverage(parse_targets(tuple(targets.split())), Capability.parse(gpu))


@pytest.mark.parametrize(
    ("targets", "gpu", "way"),
    [
        ("7.5 8.0 8.6 9.0 10.0 12.0", "8.9", Coverage.NATIVE),  # pitfall 4: same major, higher minor
        ("7.5 8.0 8.6 9.0 10.0 12.0", "7.0", Coverage.NONE),  # pitfall 5: never to another major
        ("8.6", "8.0", Coverage.NONE),  # never to a lower minor
        ("8.0+PTX", "9.0", Coverage.JIT),
        ("8.0+PTX", "8.6", Coverage.NATIVE),
        ("9.0+PTX", "8.6", Coverage.NONE),  # PTX only goes upward
        ("sm_90a", "9.0", Coverage.NATIVE),
        ("sm_90a compute_90a", "10.0", Coverage.NONE),  # a runs on exactly that capability, PTX too
        ("sm_100f", "10.3", Coverage.NATIVE),
        ("sm_120f", "12.1", Coverage.NATIVE),
        ("sm_100f", "12.0", Coverage.NONE),
        ("sm_100", "12.0", Coverage.NONE),
        ("sm_100a", "10.3", Coverage.NONE),
        ("compute_90", "12.0", Coverage.JIT),
        ("sm_80 sm_86", "8.7", Coverage.UNCERTAIN),  # desktop code on Tegra
        ("sm_87", "8.7", Coverage.NATIVE),
        ("sm_87", "8.9", Coverage.UNCERTAIN),
        ("", "9.0", Coverage.NONE),
    ],
)
def test_code_reaches_a_gpu_by_the_rules_of_binary_compatibility(targets: str, gpu: str, way: Coverage) -> None:
    assert reach(targets, gpu) is way


@given(capabilities, capabilities)
def test_plain_machine_code_never_crosses_a_major_version(built: Capability, gpu: Capability) -> None:
    native = coverage((CodeTarget(built),), gpu) in (Coverage.NATIVE, Coverage.UNCERTAIN)
    assert native == (built.major == gpu.major and built.minor <= gpu.minor)


@given(capabilities, capabilities)
def test_ptx_only_goes_upward(built: Capability, gpu: Capability) -> None:
    assert (coverage((CodeTarget(built, ptx=True),), gpu) is Coverage.JIT) == (gpu >= built)


@pytest.mark.parametrize("text", ["", "sm_", "8", "8.66", "sm_90x", "gfx90a", "\uff19.0", "compute_9000"])
def test_a_text_that_is_no_code_target_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        CodeTarget.parse(text)


@pytest.mark.parametrize(
    ("driver", "build", "fit"),
    [
        ("13.0", "12.8", DriverFit.NEWER_MAJOR),  # (b)
        ("12.8", "12.4", DriverFit.SAME_OR_NEWER_MINOR),
        ("12.4", "12.8", DriverFit.MINOR_VERSION_COMPATIBILITY),  # (c), pitfall 6
        ("12.4", "13.0", DriverFit.TOO_OLD),  # (e)
        ("11.4", "12.5.1", DriverFit.TOO_OLD),  # pitfall 7: three-part versions
        ("11.0", "11.8", DriverFit.MINOR_VERSION_COMPATIBILITY),  # its floor in driver numbers is the rule's to ask
        ("10.0", "10.1", DriverFit.TOO_OLD),  # (d): no minor-version compatibility before CUDA 11
        ("10.2", "10.1", DriverFit.SAME_OR_NEWER_MINOR),
    ],
)
def test_driver_and_build_fit_by_the_compatibility_rules(driver: str, build: str, fit: DriverFit) -> None:
    assert cuda_fits(CudaVersion.parse(driver), CudaVersion.parse(build)) is fit
    assert fit.fits == (fit is not DriverFit.TOO_OLD)


def test_ptx_needs_a_driver_as_new_as_the_toolkit_that_wrote_it() -> None:
    assert ptx_fits(CudaVersion(12, 8), CudaVersion(12, 8))
    assert not ptx_fits(CudaVersion(12, 4), CudaVersion(12, 8))


def test_cuda_versions_are_read_from_the_drivers_number_and_from_text() -> None:
    assert CudaVersion.from_driver(12040) == CudaVersion(12, 4)
    assert CudaVersion.from_driver(13000) == CudaVersion.parse("13") == CudaVersion(13, 0)
    assert CudaVersion.parse("12.5.1") == CudaVersion(12, 5)


@pytest.mark.parametrize("text", ["", "twelve", "12.x", "999.1", "12.4; rm -rf /"])
def test_a_text_that_is_no_cuda_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a CUDA version"):
        CudaVersion.parse(text)


def test_driver_versions_compare_by_number_not_by_text() -> None:
    assert driver_version("450.80.02") < driver_version("450.119.03") < driver_version("525.60.13")
    with pytest.raises(ValueError, match="not a driver version"):
        driver_version("unknown")
