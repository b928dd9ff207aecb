from __future__ import annotations

import msgspec
import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, proved, says, verdict, with_framework

RULE = "incomplete-install"
SITE = "/home/ann/venv/lib/python3.12/site-packages"
SIGBUS = {"ok": False, "ended": "signal SIGBUS", "error": None}


def torch(version: str = "2.13.0", damaged: tuple[str, ...] = ("torch/lib/libc10.so",), missing: int = 0) -> f.Package:
    return f.Package(name="torch", version=version, location=SITE, missing_files=missing, damaged=damaged)


def failed(package: f.Package, imported: dict[str, object], name: f.FrameworkName = "torch") -> f.Facts:
    facts = change(only(name), smokes=(), packages={"packages": (package,)})
    return with_framework(name, facts, imported=imported)


def test_a_library_that_is_cut_off_is_the_cause_of_a_bus_error_at_import() -> None:
    facts = failed(torch(), SIGBUS)
    assert verdict(facts) == ("broken", RULE)
    finding = found(facts, RULE)
    assert finding.title == "torch 2.13.0 is not whole: torch/lib/libc10.so is gone or cut off."
    assert finding.detail == f"In {SITE}: torch/lib/libc10.so."
    assert finding.confidence.value == "certain"
    assert finding.fixes[0].commands == (
        "/home/ann/venv/bin/python -m pip install --force-reinstall --no-deps torch==2.13.0",
    )
    assert found(facts, "framework-import-failed").because_of == RULE


def test_metadata_without_its_package_is_no_other_interpreters_fault() -> None:
    missing = "ModuleNotFoundError: No module named 'torch'"
    package = torch(damaged=("torch/__init__.py", "torch/version.py"), missing=2297)
    facts = says(missing, failed(package, {"ok": False, "ended": "exception", "error": missing}), "torch")
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, RULE).title == (
        "torch 2.13.0 is not whole: torch/__init__.py and 2296 more files are gone or cut off."
    )
    assert found(facts, "wrong-interpreter").because_of == RULE


@pytest.mark.parametrize(
    ("version", "command"),
    [
        ("2.13.0+cpu", "torch==2.13.0+cpu --index-url https://download.pytorch.org/whl/cpu"),
        ("2.7.1+cu126", "torch==2.7.1+cu126 --index-url https://download.pytorch.org/whl/cu126"),
    ],
)
def test_a_build_of_pytorchs_own_index_comes_from_there_again(version: str, command: str) -> None:
    (line,) = found(failed(torch(version), SIGBUS), RULE).fixes[0].commands
    assert line == f"/home/ann/venv/bin/python -m pip install --force-reinstall --no-deps {command}"


def test_a_build_of_no_index_gets_no_command() -> None:
    fix = found(failed(torch("2.6.0a0+df5bbc09d1.nv24.12"), SIGBUS), RULE).fixes[0]
    assert (fix.title, fix.commands) == ("Install it again from where it came", ())


def test_a_package_that_the_framework_imports_counts_and_one_that_it_does_not_does_not() -> None:
    numpy = f.Package(name="numpy", version="2.4.6", location=SITE, damaged=("numpy/_core/_multiarray_umath.so",))
    assert found(failed(numpy, SIGBUS), RULE).title.startswith("numpy 2.4.6 is not whole")
    keras = f.Package(name="keras", version="3.9.0", location=SITE, damaged=("keras/src/__init__.py",))
    assert findings(failed(keras, SIGBUS), RULE) == ()


def test_a_framework_that_imports_passes_whatever_its_record_says() -> None:
    """Images are made smaller by stripping libraries and removing files."""
    facts = change(only("torch"), packages={"packages": (torch(missing=4),)})
    assert outcome(facts, RULE) == "passed"
    assert verdict(facts) == ("healthy", None)


def test_where_nothing_was_imported_it_is_a_warning() -> None:
    facts = failed(torch(missing=4), SIGBUS)
    assert found(with_framework("torch", facts, imported=f.NOT_ASKED), RULE).severity.value == "warning"


def test_whole_packages_pass() -> None:
    assert outcome(GOOD, RULE) == "passed"
    assert findings(failed(torch(damaged=()), SIGBUS), RULE) == ()


def test_a_required_package_that_is_not_installed_is_named_with_its_requirement() -> None:
    error = "ModuleNotFoundError: jax requires jaxlib to be installed. See https://github.com/jax-ml/jax#installation"
    pin = f.UnmetPin(package="jax", requirement="jaxlib<=0.10.2,>=0.10.1", found=None)
    build = f.Build(source="METADATA", distribution="jax", version="0.10.2", location=SITE, accelerator="cpu")
    imported = f.Imported(source="import in a child process", ok=False, ended="exception", error=error)
    jax = f.Framework(source="sys.path", name="jax", installed=True, build=build, imported=imported)
    facts = change(GOOD, frameworks={"frameworks": (jax,)}, pins={"unmet": (pin,)}, smokes=())
    assert verdict(facts) == ("broken", RULE)
    finding = found(facts, RULE)
    assert finding.title == "JAX 0.10.2 needs jaxlib<=0.10.2,>=0.10.1, which is not installed."
    assert finding.fixes[0].commands == ("/home/ann/venv/bin/python -m pip install 'jaxlib<=0.10.2,>=0.10.1'",)
    other = change(facts, pins={"unmet": (f.UnmetPin(package="jax", requirement="jaxlib-extra>=1", found=None),)})
    assert findings(other, RULE) == ()


def test_the_loaders_words_about_a_packages_library_are_found_in_a_text() -> None:
    paste = f.Facts(origin="paste")
    text = "ImportError: /venv/lib/python3.11/site-packages/jaxlib/_jax.so: file too short"
    finding = found(says(text, paste), RULE)
    assert finding.title == "The library jaxlib/_jax.so is cut off."
    assert findings(says("ImportError: /usr/lib/libcuda.so.1: file too short", paste), RULE) == ()


def test_a_companion_that_misses_the_library_that_is_gone_follows_from_it() -> None:
    line = "OSError: libtorch_cpu.so: cannot open shared object file: No such file or directory"
    facts = says(line, failed(torch(damaged=("torch/lib/libtorch_cpu.so",), missing=1), SIGBUS), "torch")
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, "companion-mismatch").because_of == RULE


# ------------------------------------------------------------------------------------- libraries that are opened later

LINALG = "torch/lib/libtorch_cuda_linalg.so"
NOT_OPENED = "RuntimeError: Error in dlopen: libtorch_cuda_linalg.so: cannot open shared object file: No such file"


def job(error: str | None, *, damaged: tuple[str, ...] = (LINALG,), **changes: object) -> f.Facts:
    """PyTorch imports, its job fails at the first computation, and these files are not as its RECORD says."""
    fields = {"result": "failed", "stage": "compute", "ended": "exception", "error": error, "proofs": (), **changes}
    smoke = msgspec.structs.replace(proved("torch"), **fields)
    return change(only("torch"), smokes=(smoke,), packages={"packages": (torch(damaged=damaged, missing=1),)})


@pytest.mark.parametrize(
    "error",
    [
        NOT_OPENED,
        f"OSError: {SITE}/{LINALG}: file too short",
        f"ImportError: {SITE}/{LINALG}: undefined symbol: _ZN2at",
    ],
)
def test_a_library_that_a_job_does_not_find_is_named_with_its_package(error: str) -> None:
    facts = job(error)
    assert verdict(facts) == ("broken", RULE)
    finding = found(facts, RULE)
    assert finding.title == f"torch 2.13.0 is not whole: {LINALG} is gone or cut off."
    assert finding.fixes[0].commands[0].endswith("--force-reinstall --no-deps torch==2.13.0")
    assert found(facts, "smoke-failed").because_of == RULE


def test_a_process_that_aborts_has_said_which_library_it_misses() -> None:
    facts = says(NOT_OPENED, job("signal SIGABRT", ended="signal SIGABRT"), "torch")
    assert verdict(facts) == ("broken", RULE)


def test_where_the_job_is_proved_and_one_operation_lacks_its_library_it_is_a_warning() -> None:
    part = f.Part(name="solver", holds=False, error=NOT_OPENED)
    smoke = msgspec.structs.replace(proved("torch"), parts=(part,))
    facts = change(job(None), smokes=(smoke,))
    assert found(facts, RULE).severity.value == "warning"


@pytest.mark.parametrize(
    ("error", "damaged"),
    [
        (NOT_OPENED, ("torch/lib/libc10.so",)),
        (NOT_OPENED, ()),
        ("RuntimeError: CUDA error: CUBLAS_STATUS_EXECUTION_FAILED", (LINALG,)),
        ("signal SIGBUS", (LINALG,)),
    ],
)
def test_a_job_that_names_no_library_which_is_gone_fails_for_another_reason(
    error: str, damaged: tuple[str, ...]
) -> None:
    assert findings(job(error, damaged=damaged), RULE) == ()
