from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, says, verdict, with_framework

RULE = "local-file-shadows"
PASTE = f.Facts(origin="paste")
BROKEN = {"ok": False, "ended": "exception", "error": "AttributeError: module 'torch' has no attribute 'tensor'"}


def test_a_file_of_the_frameworks_name_is_the_cause_of_the_failed_import() -> None:
    facts = with_framework(
        "torch", change(only("torch"), shadows={"files": ("./torch.py",)}, smokes=()), imported=BROKEN
    )
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, "framework-import-failed").because_of == RULE


def test_a_file_in_place_of_the_standard_library_is_a_warning() -> None:
    assert found(change(shadows={"standard": ("./json.py",)}), RULE).severity.value == "warning"


@pytest.mark.parametrize(
    ("text", "confidence"),
    [
        ("ImportError: No module named 'tensorflow.python'; 'tensorflow' is not a package", "certain"),
        (
            (
                "AttributeError: partially initialized module 'torch' has no attribute 'Tensor' (most likely due "
                "to a circular import)"
            ),
            "certain",
        ),
        ('File "tensorflow.py", line 1, in <module>', "certain"),
        ("ModuleNotFoundError: No module named 'torch._C'", "likely"),
    ],
)
def test_python_says_what_was_imported(text: str, confidence: str) -> None:
    assert found(says(text, PASTE), RULE).confidence.value == confidence


def test_files_inside_the_package_are_no_shadow() -> None:
    text = 'File "/home/ann/venv/lib/python3.12/site-packages/torch/torch.py", line 1, in <module>'
    assert findings(says(text, PASTE), RULE) == ()


def test_an_attribute_that_a_release_lacks_is_no_shadow() -> None:
    text = "AttributeError: module 'torch' has no attribute '_functionalize_are_all_mutations_under_no_grad'"
    assert findings(says(text, PASTE), RULE) == ()
    assert findings(GOOD, RULE) == ()


def test_a_name_that_tensorflow_2_dropped_is_no_shadow() -> None:
    assert findings(says("AttributeError: module 'tensorflow' has no attribute 'Session'", PASTE), RULE) == ()


def test_a_half_made_import_of_the_installed_package_is_no_local_file() -> None:
    text = (
        "AttributeError: partially initialized module 'torch' has no attribute 'version' (most likely due to a circle)"
    )
    assert found(says(text, PASTE), RULE).confidence.value == "certain"
    frame = says("File c:\\Anaconda3\\lib\\site-packages\\torch\\_inductor\\config.py:9, in is_fbcode()", PASTE)
    assert findings(says(text, frame), RULE) == ()


def test_where_no_local_file_was_seen_a_package_without_its_code_is_another_matter() -> None:
    text = "AttributeError: module 'torch' has no attribute '__version__'"
    assert findings(says(text), RULE) == ()
    assert found(says(text, PASTE), RULE).confidence.value == "likely"
