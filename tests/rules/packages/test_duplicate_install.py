from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework

RULE = "duplicate-install"
PASTE = f.Facts(origin="paste")


def having(*packages: tuple[str, str, str]) -> f.Facts:
    listed = tuple(f.Package(name=name, version=version, location=location) for name, version, location in packages)
    return change(GOOD, packages={"packages": listed})


def test_two_copies_in_two_folders_are_a_warning_and_an_error_when_the_import_fails() -> None:
    two = having(("torch", "2.13.0", "/home/ann/.local/lib"), ("torch", "2.4.0", "/home/ann/venv/lib"))
    assert found(two, RULE).severity.value == "warning"
    failed = with_framework(
        "torch",
        change(only("torch", two), smokes=()),
        imported={"ok": False, "ended": "exception", "error": "AttributeError: module 'torch._C' has no attribute 'X'"},
    )
    assert verdict(failed) == ("broken", RULE)


def test_the_cpu_package_in_the_folder_of_the_gpu_package_is_an_error() -> None:
    facts = having(("tensorflow", "1.13.1", "/lib"), ("tensorflow-gpu", "1.13.1", "/lib"))
    finding = found(facts, RULE)
    assert (finding.severity.value, "The last one installed wins." in finding.detail) == ("error", True)


def test_packages_that_belong_together_are_no_duplicates() -> None:
    assert outcome(having(("tensorflow", "2.10.0", "/lib"), ("tensorflow-gpu", "2.10.0", "/lib")), RULE) == "passed"
    assert outcome(having(("tensorflow", "2.17.0", "/lib"), ("tensorflow-intel", "2.17.0", "/lib")), RULE) == "passed"


def test_python_code_of_one_release_on_the_binary_of_another_is_likely() -> None:
    text = "AttributeError: module 'torch._C' has no attribute 'ComplexDoubleStorageBase'"
    assert found(says(text, PASTE), RULE).confidence.value == "likely"


def test_a_cpu_build_lacks_the_cuda_names_and_is_no_duplicate() -> None:
    assert findings(says("AttributeError: module 'torch._C' has no attribute '_cuda_setDevice'", PASTE), RULE) == ()


def test_a_persons_words_are_likely() -> None:
    assert found(says("tensorflow and tensorflow-gpu are both installed", PASTE), RULE).confidence.value == "likely"


def test_cupy_for_two_cudas_and_onnxruntime_for_cpu_and_gpu_write_over_one_another() -> None:
    two = having(("cupy-cuda12x", "14.0.0", "/venv/lib"), ("cupy-cuda13x", "14.0.0", "/venv/lib"))
    assert found(two, RULE).title == (
        "2 distributions of cupy are installed over one another: cupy-cuda12x 14.0.0, cupy-cuda13x 14.0.0."
    )
    both = having(("onnxruntime", "1.23.2", "/venv/lib"), ("onnxruntime-gpu", "1.23.2", "/venv/lib"))
    assert found(both, RULE).severity.value == "warning"
    assert findings(having(("cupy-cuda12x", "14.0.0", "/a"), ("cupy-cuda13x", "14.0.0", "/b")), RULE) == ()
    assert findings(having(("onnxruntime-gpu", "1.23.2", "/venv/lib")), RULE) == ()


def test_cupy_says_so_itself_and_pip_that_looks_at_versions_says_nothing() -> None:
    assert found(says("    cupy-cuda12x, cupy-cuda13x", PASTE), RULE).severity.value == "error"
    pip = "INFO: pip is looking at multiple versions of torch to determine which version is compatible"
    assert findings(says(pip, PASTE), RULE) == ()


def test_two_releases_recorded_in_one_folder_are_an_upgrade_that_ended_half_way() -> None:
    facts = having(("tensorflow-cpu", "2.15.1", "/lib"), ("tensorflow-cpu", "2.21.0", "/lib"))
    finding = found(facts, RULE)
    assert finding.title == "tensorflow-cpu is recorded twice in one folder, as 2.15.1 and 2.21.0."
    assert finding.severity.value == "warning"
    assert outcome(having(("tensorflow-cpu", "2.21.0", "/lib")), RULE) == "passed"


def test_a_copy_on_pythonpath_is_hidden_again_by_unsetting_it() -> None:
    """pip of the environment removes nothing outside of it."""
    two = having(("torch", "2.1.0", "/opt/front"), ("torch", "2.13.0", "/home/ann/venv/lib"))
    facts = change(two, environment={"variables": {"PYTHONPATH": "/opt/other:/opt/front/"}})
    assert found(facts, RULE).fixes[0].commands == ("unset PYTHONPATH",)
    assert "uninstall" in found(two, RULE).fixes[0].commands[0]
