from __future__ import annotations

import pytest

from gpudoctor import facts as f
from tests.good import GOOD, change, findings, found, says, verdict

RULE = "windows-runtime-dll-missing"
WINDOWS = change(f.Facts(origin="paste"), system=f.System(source="line 1", os="windows"))


@pytest.mark.parametrize(
    ("text", "confidence"),
    [
        (
            (
                "OSError: [WinError 126] The specified module could not be found. Error loading "
                '"torch\\lib\\fbgemm.dll" or one of its dependencies.'
            ),
            "likely",
        ),
        (
            (
                "OSError: [WinError 1114] 动态链接库(DLL)初始化例程失败。 Error loading "
                '"D:\\env\\lib\\site-packages\\torch\\lib\\c10.dll" or one of its dependencies.'
            ),
            "likely",
        ),
        (
            (
                "ImportError: DLL load failed while importing _pywrap_tensorflow_internal: The specified module "
                "could not be found."
            ),
            "likely",
        ),
        ("Microsoft Visual C++ Redistributable is not installed, this may lead to the DLL load failure.", "certain"),
        (
            "ImportError: Could not find the DLL(s) 'msvcp140_1.dll'. TensorFlow requires that these DLLs be installed",
            "certain",
        ),
    ],
)
def test_a_dll_that_does_not_load_is_the_cause(text: str, confidence: str) -> None:
    assert verdict(says(text, WINDOWS))[1] == RULE
    assert found(says(text, WINDOWS), RULE).confidence.value == confidence


def test_a_cuda_dll_that_is_named_is_another_matter() -> None:
    text = "ImportError: DLL load failed: The specified module could not be found. cudart64_100.dll"
    assert findings(says(text, WINDOWS), RULE) == ()


def test_linux_is_not_windows() -> None:
    assert findings(says("ImportError: DLL load failed while importing _pywrap_x: y", GOOD), RULE) == ()


@pytest.mark.parametrize(
    "text",
    [
        "ERROR    Could not load torch: [WinError 126] Das angegebene Modul wurde nicht gefunden. Error loading",
        r'"P:\AI\venv\lib\site-packages\torch\lib\fbgemm.dll" or one of its dependencies.',
    ],
)
def test_each_half_of_a_broken_line_is_enough(text: str) -> None:
    assert verdict(says(text, f.Facts(origin="paste")))[1] == RULE
