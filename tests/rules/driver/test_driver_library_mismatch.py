from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, found, outcome, says, verdict

MISMATCH = change(
    GOOD,
    nvml=f.Nvml(source="NVML", result="NVML_ERROR_LIB_RM_VERSION_MISMATCH"),
    driver_files={"libraries": ("580.95.05",)},
    gpus=f.Missing("unreadable", "NVML_ERROR_LIB_RM_VERSION_MISMATCH", "nvmlInit"),
    cuda=f.CudaDriver(source="libcuda", result="CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", code=803),
    smokes=(),
)


def test_nvml_18_is_a_mismatch_and_not_a_missing_driver() -> None:
    """Pitfall 10."""
    assert verdict(MISMATCH) == ("broken", "driver-library-mismatch")
    finding = found(MISMATCH, "driver-library-mismatch")
    assert finding.title == "The loaded NVIDIA kernel module is 580.65.06, its libraries are 580.95.05."
    assert finding.fixes[0].commands == ("sudo reboot",)


def test_in_a_container_the_container_is_restarted_not_the_machine() -> None:
    fix = found(change(MISMATCH, container={"engine": "docker"}), "driver-library-mismatch").fixes[0]
    assert (fix.where, fix.commands) == ("host", ())


def test_two_versions_told_by_module_and_nvml_are_a_mismatch_even_where_nvml_answers() -> None:
    assert found(change(kernel_driver={"version": "575.57.08"}), "driver-library-mismatch").severity.value == "error"


def test_the_same_version_is_none() -> None:
    assert outcome(GOOD, "driver-library-mismatch") == "passed"


def test_under_wsl_the_module_is_windows() -> None:
    facts = change(MISMATCH, wsl={"version": 2})
    assert outcome(facts, "driver-library-mismatch") == "not-applicable"


def test_a_message_of_a_mismatch_is_not_believed_where_nvml_works() -> None:
    text = "Failed to initialize NVML: Driver/library version mismatch"
    assert outcome(says(text), "driver-library-mismatch") == "passed"
    bare = says(text, change(nvml=f.NOT_IN_PASTE, kernel_driver=f.NOT_IN_PASTE, cuda=f.NOT_IN_PASTE, smokes=()))
    assert found(bare, "driver-library-mismatch").detail == "Driver/library version mismatch"


BARE = change(MISMATCH, nvml=f.NOT_IN_PASTE, kernel_driver=f.NOT_IN_PASTE, cuda=f.NOT_IN_PASTE)


def test_the_kernels_sentence_over_two_lines_and_tensorflows_are_enough() -> None:
    lines = (
        "NVRM: API mismatch: the client has the version 535.54.03, but",
        "NVRM: this kernel module has the version 530.30.02.  Please",
    )
    assert found(change(BARE, kernel_log={"lines": lines}), "driver-library-mismatch").confidence.value == "certain"
    text = "kernel version 384.90.0 does not match DSO version 384.111.0 -- cannot find working devices"
    assert found(says(text, BARE), "driver-library-mismatch").severity.value == "error"


def test_two_versions_that_a_program_logged_are_likely_it() -> None:
    taken = f.LibraryFile(path="libcuda.so.1", version="384.111")
    facts = change(BARE, libcuda={"taken": taken}, kernel_driver=f.KernelDriver(source="line 6", version="384.90"))
    assert found(facts, "driver-library-mismatch").confidence.value == "likely"
    same = change(facts, kernel_driver={"version": "384.111"})
    assert outcome(same, "driver-library-mismatch") != "found"
