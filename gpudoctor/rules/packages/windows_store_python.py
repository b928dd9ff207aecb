"""This Python comes from the Microsoft Store, whose sandbox keeps it from loading CUDA's libraries.

## What it means
A program of the Store does not search PATH for DLLs. TensorFlow up to 2.10 on Windows loads CUDA and cuDNN from PATH,
so it finds none of them although the folders are right: "Could not load dynamic library 'cudart64_110.dll'".

## Why it happens
Typing `python` on a fresh Windows opens the Store, and its Python was installed.

## How to fix
Install Python from python.org (or with winget, conda or uv), make a new virtual environment with it, and install the
framework there.

## How it is detected
By the interpreter's folder (WindowsApps, PythonSoftwareFoundation.Python…), together with a CUDA DLL that is not found.

## Sources
- https://learn.microsoft.com/en-us/windows/python/faqs
- https://github.com/tensorflow/tensorflow/issues/43030
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Fact, Framework, Imported, Interpreter, Message, System
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._texts import first_match
from gpudoctor.words import name_of

RULE = Rule(
    masks=("tf-cuda-libs-missing", "tf-cuda-version-mismatch", "windows-runtime-dll-missing", "smoke-ran-on-cpu"),
)

_STORE = (
    r"\\WindowsApps\\",
    r"PythonSoftwareFoundation\.Python",
    r"\b(?:Microsoft|Windows|MS) Store\b",
    r"\bPython .{0,30}\bfrom (?:the )?Store\b|\bStore Python\b",
)


@RULE.detector
def store_interpreter_without_gpu(
    framework: Framework, build: Build, interpreter: Interpreter, system: System, imported: Imported | None
) -> Verdict:
    """A framework that loads CUDA from PATH, run by the Store's Python, lists no GPU."""
    if system.os != "windows" or not _is_store(interpreter):
        return NotApplicable("no Python of the Microsoft Store")
    if framework.name != "tensorflow" or build.accelerator != "cuda":
        return NotApplicable(f"{name_of(framework)} brings its CUDA libraries, or has none")
    if imported and imported.devices:
        return Passed("TensorFlow lists a GPU all the same")
    return _found(interpreter, Confidence.LIKELY)


def _is_store(interpreter: Interpreter) -> bool:
    paths = (interpreter.executable, interpreter.prefix, interpreter.base_prefix or "")
    return interpreter.store or any(first_match(_STORE[:2], path) for path in paths)


@RULE.detector
def a_text_says_so(message: Message, system: System | None) -> Verdict:
    """A traceback's path or a person names the Store's Python."""
    if system and system.os != "windows":
        return NotApplicable(f"{system.name or system.os} is not Windows")
    text = first_match(_STORE, message.text)
    return _found(message, Confidence.LIKELY, text) if text and "python" in message.text.lower() else None


def _found(source: Fact, confidence: Confidence, text: str | None = None) -> Found:
    shown = source.executable if isinstance(source, Interpreter) else text
    return Found(
        title="This Python comes from the Microsoft Store, which does not load CUDA's libraries from PATH.",
        evidence=(cite("interpreter", shown, source),),
        remedies=(
            Run(
                title="Install Python from python.org and make a new environment with it",
                argvs=(("winget", "install", "--id", "Python.Python.3.10", "--source", "winget"),),
                where="machine",
                note="TensorFlow 2.10 is the last one for the GPU on Windows and needs Python 3.10 or older. "
                "Switch the alias python.exe off in Settings, Apps, App execution aliases.",
            ),
        ),
        confidence=confidence,
    )
