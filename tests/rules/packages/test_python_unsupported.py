from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, outcome, says, verdict, with_framework

RULE = "python-unsupported"
PASTE = f.Facts(origin="paste")
WINDOWS = f.System(source="line 1", os="windows", architecture="x86_64")


def python(version: str, bits: int = 64) -> f.Interpreter:
    return f.Interpreter(source="line 2", executable="python", version=version, prefix="", bits=bits)


def test_a_pinned_release_without_a_wheel_for_this_python_is_certain() -> None:
    text = (
        "ERROR: Could not find a version that satisfies the requirement torch==1.13.1+cu117 (from versions: 2.0.0, "
        "2.0.0+cu117)"
    )
    facts = says(text, change(PASTE, system=WINDOWS, interpreter=python("3.11.2")))
    assert verdict(facts)[1] == RULE
    assert found(facts, RULE).detail == (
        "torch 1.13.1 has builds for Python 3.7, 3.8, 3.9, 3.10 on win_amd64; this is Python 3.11.".replace(
            "torch", "PyTorch"
        )
    )


def test_a_pinned_release_that_has_a_wheel_is_refused_for_another_reason() -> None:
    text = "ERROR: No matching distribution found for torch==1.13.1"
    assert findings(says(text, change(PASTE, system=WINDOWS, interpreter=python("3.10.9"))), RULE) == ()


def test_a_32_bit_python_has_no_builds() -> None:
    text = "ERROR: Could not find a version that satisfies the requirement tensorflow (from versions: none)"
    assert "32-bit" in found(says(text, change(PASTE, interpreter=python("3.8.5", 32))), RULE).detail


def test_no_version_at_all_is_likely_where_the_python_is_not_known() -> None:
    text = "ERROR: Could not find a version that satisfies the requirement torch (from versions: none)"
    assert found(says(text, PASTE), RULE).confidence.value == "likely"


@pytest.mark.parametrize(
    "text",
    [
        "Because torch==1.12.0+cu113 has no wheels with a matching Python ABI tag (e.g., `cp311`)",
        (
            "hint: You're using CPython 3.14 (`cp314`), but `torchvision` (v0.25.0) only has wheels with the "
            "following Python ABI tag: `cp314t`"
        ),
        "ERROR: Package 'tensorflow' requires a different Python: 3.13.0 not in '<3.13,>=3.9'",
        "ERROR: torch-1.4.0-cp36-cp36m-win_amd64.whl is not a supported wheel on this platform.",
    ],
)
def test_installers_that_name_the_python_are_certain(text: str) -> None:
    assert found(says(text, PASTE), RULE).confidence.value == "certain"


def test_another_package_or_a_network_error_is_not_this() -> None:
    assert findings(says("ERROR: No matching distribution found for mypackage", PASTE), RULE) == ()
    text = (
        "Could not find a version that satisfies the requirement torch (from versions: none) Name or service not known"
    )
    assert findings(says(text, PASTE), RULE) == ()


def test_a_required_framework_without_a_build_for_an_old_python_is_the_cause() -> None:
    gone = with_framework("torch", change(smokes=()), installed=False, build=f.NOT_ASKED, imported=f.NOT_ASKED)
    facts = change(gone, request={"required": ("torch",)}, interpreter={"version": "3.4.10"})
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, "torch-not-installed").because_of == RULE


def test_a_python_newer_than_the_matrix_is_not_judged_and_an_installed_framework_works() -> None:
    """Pitfall 14."""
    assert outcome(change(GOOD, interpreter={"version": "3.19.0"}), RULE) == "not-applicable"
    gone = with_framework("torch", change(smokes=()), installed=False, build=f.NOT_ASKED, imported=f.NOT_ASKED)
    newer = change(gone, request={"required": ("torch",)}, interpreter={"version": "3.19.0"})
    assert findings(newer, RULE) == ()


def test_other_releases_than_the_pinned_one_are_likely_where_the_python_is_not_known() -> None:
    text = "Could not find a version that satisfies the requirement tensorflow==1.15 (from versions: 2.2.0rc1, 2.2.0)"
    assert found(says(text, PASTE), RULE).confidence.value == "likely"


def test_no_distribution_of_any_version_is_the_same_as_an_empty_list() -> None:
    facts = change(PASTE, system=WINDOWS, interpreter=python("3.14.3"))
    assert verdict(says("ERROR: No matching distribution found for tensorflow", facts)) == ("broken", RULE)
    pinned = says("ERROR: No matching distribution found for tensorflow==9.9.9", facts)
    assert findings(pinned, RULE) == ()


def test_uv_finds_no_wheel_for_the_platform() -> None:
    text = (
        "error: Distribution `nvidia-cublas-cu12==12.4.5.8 @ registry+https://a.b` can't be installed because it "
        "doesn't have a source distribution or wheel for the current platform"
    )
    assert verdict(says(text, PASTE)) == ("broken", RULE)
    assert findings(says(text.replace("nvidia-cublas-cu12", "pywin32"), PASTE), RULE) == ()
