from __future__ import annotations

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, only, outcome, says, verdict, with_framework

RULE = "windows-store-python"
WINDOWS = f.System(source="platform", os="windows", name="Windows 11", architecture="AMD64")
OLD = {"version": "2.10.0", "cuda": "11.2", "cudnn": "8.1"}
NO_DEVICE = {"available": False, "devices": ()}
STORE = with_framework(
    "tensorflow",
    change(only("tensorflow"), system=WINDOWS, smokes=(), interpreter={"store": True}),
    build=OLD,
    imported=NO_DEVICE,
)
MISSING = "Could not load dynamic library 'cudart64_110.dll'; dlerror: cudart64_110.dll not found"


def test_tensorflow_2_10_in_the_stores_python_is_the_cause_and_the_missing_dll_its_consequence() -> None:
    facts = says(MISSING, STORE, "tensorflow")
    assert verdict(facts) == ("broken", RULE)
    assert found(facts, "tf-cuda-libs-missing").because_of == RULE


def test_a_gpu_in_the_list_passes() -> None:
    listed = {"available": True, "devices": (f.FrameworkDevice(name="NVIDIA GeForce RTX 3070"),)}
    assert outcome(with_framework("tensorflow", STORE, imported=listed), RULE) == "passed"


def test_a_path_in_a_traceback_shows_the_store() -> None:
    text = (
        r'File "C:\Users\ann\AppData\Local\Packages\PythonSoftwareFoundation.Python.3.10_qbz5\LocalCache\x.py", line 1'
    )
    assert found(says(text, f.Facts(origin="paste")), RULE).confidence.value == "likely"


def test_another_python_and_linux_are_not_it() -> None:
    assert findings(change(STORE, interpreter={"store": False}), RULE) == ()
    assert findings(GOOD, RULE) == ()
