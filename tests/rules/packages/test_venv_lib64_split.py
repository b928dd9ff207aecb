from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework

RULE = "venv-lib64-split"
LIB64 = "/home/ann/venv/lib64/python3.12/site-packages"
BROKEN = {"ok": False, "ended": "exception", "error": "ImportError: libcudnn.so.9: cannot open shared object file"}
SPLIT = with_framework("torch", change(only("torch"), smokes=()), build={"location": LIB64}, imported=BROKEN)


def test_torch_in_lib64_and_its_libraries_in_lib_are_the_cause_of_a_failed_import() -> None:
    assert verdict(SPLIT) == ("broken", RULE)
    assert found(SPLIT, "framework-import-failed").because_of == RULE


def test_where_the_import_works_it_is_a_remark() -> None:
    facts = with_framework("torch", only("torch"), build={"location": LIB64})
    assert found(facts, RULE).severity.value == "info"


def test_one_folder_passes() -> None:
    assert outcome(GOOD, RULE) == "passed"


def test_lines_that_show_both_folders_and_a_missing_library_are_likely() -> None:
    paste = f.Facts(origin="paste")
    framework = 'File "/venv/lib64/python3.11/site-packages/torch/__init__.py", line 427, in <module>'
    missing = "ImportError: libcudnn.so.9: cannot open shared object file: No such file or directory"
    library = "/venv/lib/python3.11/site-packages/nvidia/cudnn/lib/libcudnn.so.9"
    facts = says(library, says(missing, says(framework, paste)))
    assert verdict(facts)[1] == RULE
    assert found(facts, "nvidia-wheels-mismatch").because_of == RULE
    assert findings(says(missing, says(framework, paste)), RULE) == ()
