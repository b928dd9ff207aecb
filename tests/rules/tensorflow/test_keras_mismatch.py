from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework

RULE = "keras-mismatch"
PASTE = f.Facts(origin="paste")


def beside(tensorflow: str, keras: str, **imported: object) -> f.Facts:
    facts = change(
        only("tensorflow"), packages={"packages": (f.Package(name="keras", version=keras, location="/lib"),)}
    )
    return with_framework("tensorflow", facts, build={"version": tensorflow}, imported=imported)


def test_keras_3_beside_tensorflow_2_15_is_an_error_where_the_import_fails() -> None:
    facts = change(beside("2.15.0", "3.0.3", ok=False, error="AttributeError"), smokes=())
    assert found(facts, RULE).severity.value == "error"
    assert found(facts, RULE).fixes[0].commands == ("/home/ann/venv/bin/python -m pip install 'keras<2.16,>=2.15'",)


def test_where_tensorflow_imports_it_is_a_warning() -> None:
    assert found(beside("2.15.0", "3.0.3"), RULE).severity.value == "warning"


def test_the_keras_of_the_release_passes() -> None:
    assert outcome(beside("2.15.0", "2.15.0"), RULE) == "passed"
    assert outcome(beside("2.18.0", "3.6.0"), RULE) == "passed"


@pytest.mark.parametrize(
    "text",
    [
        (
            "ValueError: Your currently installed version of Keras is Keras 3, but this is not yet supported in "
            "Transformers."
        ),
        "ModuleNotFoundError: No module named 'keras.src'",
        "ModuleNotFoundError: No module named 'keras'",
        "AttributeError: module 'tensorflow.compat.v2.__internal__' has no attribute 'tf2'",
        "tensorflow 2.15.0 requires keras<2.16,>=2.15.0, but you have keras 3.0.3 which is incompatible.",
    ],
)
def test_what_programs_say(text: str) -> None:
    assert verdict(says(text, PASTE))[1] == RULE


def test_a_module_of_another_name_is_another_matter() -> None:
    assert findings(says("ModuleNotFoundError: No module named 'keras_cv'", PASTE), RULE) == ()
    assert findings(GOOD, RULE) == ()


def test_pips_resolver_names_the_pair_of_a_post_release_too() -> None:
    text = "tensorflow 2.15.0.post1 requires keras<2.16,>=2.15.0, but you have keras 3.0.3 which is incompatible."
    assert verdict(says(text, PASTE)) == ("broken", RULE)
    assert findings(says(text.replace("keras", "numpy"), PASTE), RULE) == ()


def test_a_tensorflow_without_any_keras_is_told_to_install_its_own() -> None:
    text = "ImportError: Keras cannot be imported. Check that it is installed."
    facts = change(only("tensorflow"), packages={"packages": ()}, smokes=())
    facts = with_framework("tensorflow", says(text, facts, "tensorflow"), imported={"ok": False, "error": text})
    finding = found(facts, RULE)
    assert finding.title == "TensorFlow 2.21.0 needs Keras, which is not installed."
    assert finding.fixes[0].commands == ("/home/ann/venv/bin/python -m pip install 'keras>=3'",)


@pytest.mark.parametrize("module", ["compat.v2", "_api.v1.compat.v2", "_api.v2.compat.v2"])
def test_the_module_goes_by_either_of_its_names(module: str) -> None:
    text = f"AttributeError: module 'tensorflow.{module}' has no attribute '__internal__'"
    assert found(says(text, PASTE), RULE).detail in text


def test_a_module_of_somebody_else_is_not_it() -> None:
    text = "AttributeError: module 'tensorflow_text.compat.v2' has no attribute '__internal__'"
    assert findings(says(text, PASTE), RULE) == ()
