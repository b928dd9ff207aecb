from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, with_framework

RULE = "numpy-abi-mismatch"
OLD = {"version": "2.2.2+cu121", "cuda": "12.1"}


def numpy(version: str, facts: f.Facts) -> f.Facts:
    package = f.Package(name="numpy", version=version, location="/site-packages")
    return change(facts, packages={"packages": (package,)})


def test_a_release_made_for_numpy_1_beside_numpy_2_is_found_without_import() -> None:
    facts = with_framework("torch", numpy("2.1.0", only("torch")), build=OLD, imported=f.NOT_ASKED)
    finding = found(facts, RULE)
    assert finding.title == "PyTorch 2.2.2+cu121 was made for NumPy 1; NumPy 2.1.0 is installed."
    assert finding.fixes[0].commands == ("/home/ann/venv/bin/python -m pip install 'numpy<2'",)


def test_the_same_release_beside_numpy_1_passes() -> None:
    facts = with_framework("torch", numpy("1.26.4", only("torch")), build=OLD)
    assert outcome(facts, RULE) == "passed"


def test_a_release_that_knows_numpy_2_passes() -> None:
    assert outcome(GOOD, RULE) == "passed"


@pytest.mark.parametrize(
    "text",
    [
        "A module that was compiled using NumPy 1.x cannot be run in NumPy 2.1.0 as it may crash.",
        "AttributeError: _ARRAY_API not found",
        "ImportError: numpy.core.multiarray failed to import",
    ],
)
def test_numpys_own_words_are_certain(text: str) -> None:
    finding = found(says(text, numpy("2.1.0", GOOD)), RULE)
    assert (finding.confidence.value, finding.severity.value) == ("certain", "error")
    assert "'numpy<2'" in finding.fixes[0].commands[0]


def test_a_module_made_for_a_newer_numpy_asks_for_a_newer_one() -> None:
    text = "RuntimeError: module compiled against ABI version 0x2000000 but this version of numpy is 0x1000009"
    assert "'numpy>=2'" in found(says(text, numpy("1.26.4", GOOD)), RULE).fixes[0].commands[0]


def test_other_words_about_numpy_are_not_its_business() -> None:
    assert findings(says("DeprecationWarning: numpy.bool8 is deprecated"), RULE) == ()


OLDER = "A module that was compiled using NumPy 1.x cannot be run in NumPy 2.4.6 as it may crash."


def test_where_numpy_is_not_there_at_all_any_numpy_will_do() -> None:
    facts = says("UserWarning: Failed to initialize NumPy: No module named 'numpy'", change(packages={"packages": ()}))
    assert found(facts, RULE).fixes[0].commands == ("/home/ann/venv/bin/python -m pip install numpy",)


def test_a_compiled_package_older_than_the_framework_asks_for_is_what_to_replace() -> None:
    pin = f.UnmetPin(package="jax", requirement="ml-dtypes>=0.5.0", found="0.2.0")
    facts = says(OLDER, numpy("2.4.6", change(pins={"unmet": (pin,)})))
    assert found(facts, RULE).fixes[0].commands == ("/home/ann/venv/bin/python -m pip install 'ml-dtypes>=0.5.0'",)
    both = change(facts, pins={"unmet": (pin, f.UnmetPin(package="torch", requirement="numpy<2", found="2.4.6"))})
    assert found(both, RULE).fixes[0].commands == ("/home/ann/venv/bin/python -m pip install 'numpy<2'",)


@pytest.mark.parametrize(("wanted", "had"), [("0xe", "0xd"), ("a", "9"), ("0x10", "0xf")])
def test_the_numbers_of_the_interface_are_hexadecimal_with_or_without_a_sign_of_it(wanted: str, had: str) -> None:
    text = f"RuntimeError: module compiled against API version {wanted} but this version of numpy is {had}"
    assert found(says(text, f.Facts(origin="paste")), RULE).detail in text
