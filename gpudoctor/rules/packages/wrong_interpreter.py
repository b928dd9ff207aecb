"""The command runs another Python than the one that the packages were installed into.

## What it means
The framework is installed, with GPU support, in one environment; the program, the notebook or pip uses another one.
"No module named 'torch'" stands beside a list that shows torch, or the same line sees a GPU in the terminal and none
in the notebook.

## Why it happens
A notebook kernel or an editor that uses another interpreter; pip of one Python and python of another; an environment
that is not activated; in WSL, a program of Windows (jupyter.exe, python.exe) that PATH leads to.

## How to fix
Start everything through the interpreter that has the packages: `python -m pip`, `python -m jupyter`, a kernel that
was registered from that environment.

## How it is detected
By a missing module that the package list shows; by programs of Windows that are started inside WSL; by the
environments nearby that hold the framework, or two interpreters that a text shows.

## Sources
- https://docs.python.org/3/installing/index.html
- https://ipython.readthedocs.io/en/stable/install/kernel_install.html
- https://learn.microsoft.com/en-us/windows/wsl/filesystems
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Fact, Message, Packages, Wsl
from gpudoctor.findings import Confidence, Found, NotApplicable, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._texts import search
from gpudoctor.views import Printed

RULE = Rule(
    without_gpu="none",
    masks=("tf-cuda-libs-missing", "smoke-ran-on-cpu", "tf-windows-native"),
)

_MISSING = r"No module named '?(torch|tensorflow|jax|jaxlib)'?(?![\w.])"
_DISTRIBUTIONS = {
    "torch": ("torch", "pytorch"),
    "tensorflow": ("tensorflow", "tensorflow-gpu", "tensorflow-cpu", "tf-nightly", "tf-nightly-gpu"),
    "jax": ("jax",),
    "jaxlib": ("jaxlib",),
}


@RULE.detector
def missing_and_listed(message: Message, packages: Packages) -> Verdict:
    """A module is not found, and the list of packages has it."""
    match = search(_MISSING, message.text)
    if match is None:
        return None
    listed = next((p for name in _DISTRIBUTIONS[match[1].lower()] for p in packages.copies(name) if p.version), None)
    if listed is None:
        return NotApplicable(f"{match[1]} is not listed")
    return _found(
        f"{match[1]} is not found by this Python, although {listed.name} {listed.version} is installed.",
        match[0],
        message,
        packages,
    )


_WINDOWS_PROGRAM = r"\b(?:jupyter|jupyter[- ](?:notebook|lab)|python3?|ipython|pip3?|conda|code)\.exe\b"


@RULE.detector
def windows_program_in_wsl(message: Message, wsl: Wsl) -> Verdict:
    """A program of Windows is started inside WSL; it uses the Python and the packages of Windows."""
    if not wsl.version:
        return NotApplicable("not in WSL")
    match = search(_WINDOWS_PROGRAM, message.text)
    if match is None:
        return None
    return _found(f"{match[0]} is a program of Windows, started inside WSL.", message.text[:200], message, wsl)


# A line that holds a Python's path and little else: what sys.executable and ``which python`` print.
_EXECUTABLE = (
    r"^(?:sys\.executable\W{1,4})?['\"]?((?:[A-Za-z]:\\{1,2}|/)[^'\"\n]{1,240}[/\\]python[\d.]{0,5}(?:\.exe)?)['\"]?"
    r"(?: {1,4}[-(#].{1,40})?$"
)
# A row of ``conda env list`` (``conda info --envs``); the active one has a star.
_CONDA_ROW = r"^([\w.-]{1,60}) {1,40}(\* {1,30})?((?:[A-Za-z]:\\|/)[^'\"\n]{1,240})$"
_AFTER_THEM = {"torch": ("torch",), "tensorflow": ("tensorflow", "tf"), "jax": ("jax",), "jaxlib": ("jax",)}


@RULE.detector
def two_pythons_and_a_missing_module(message: Message, printed: Printed) -> Verdict:
    """A module is not found, and the text shows two Pythons, or another environment that is named after it."""
    match = search(_MISSING, message.text)
    if match is None:
        return None
    module = match[1].lower()
    found = [heard for line in printed.lines if (heard := search(_EXECUTABLE, line.text))]
    paths = {one[1].replace("\\\\", "\\").lower(): one[1] for one in found}
    if len(paths) > 1:
        shown = " and ".join(list(paths.values())[:2])
        return _found(f"{module} is missing in one of two Pythons: {shown}.", match[0], message, printed)
    rows = [row for line in printed.lines if (row := search(_CONDA_ROW, line.text))]
    active = [row for row in rows if row[2]]
    other = next((row for row in rows if not row[2] and row[1].lower().startswith(_AFTER_THEM[module])), None)
    if active and other:
        return _found(
            f"{module} is missing in the active environment {active[0][1]}; there is one named {other[1]}.",
            match[0],
            message,
            printed,
        )
    return NotApplicable("the text shows one Python")


_STATED = (
    r"sys\.executable .{0,80}(?:differs|different|not the same|another)|"
    r"\b(?:notebook|kernel|jupyter|editor|vs ?code|pycharm|spyder)\b.{0,60}\b(?:uses?|runs?|points? to|started with)\b"
    r".{0,30}\b(?:another|a different|the wrong|other|base) (?:python|interpreter|kernel|environment|conda)"
)


@RULE.detector
def a_text_says_so(message: Message) -> Verdict:
    """A person or a tool says that two interpreters are at work."""
    match = search(_STATED, message.text)
    if match is None:
        return None
    return _found("The program runs another Python than the one with the packages.", match[0], message, None)


def _found(title: str, text: str, message: Message, other: Fact | None) -> Found:
    seen = (cite("seen", title, other),) if other else ()
    return Found(
        title=title,
        detail=text,
        evidence=(cite("message", text, message), *seen),
        remedies=(
            Run(
                title="Use the interpreter that has the packages",
                where="environment",
                note="python -m pip --version and python -c 'import sys; print(sys.executable)' show which one a "
                "command uses. For a notebook, in the environment with the packages: python -m pip install ipykernel, "
                "python -m ipykernel install --user --name this-environment, then choose that kernel.",
            ),
        ),
        confidence=Confidence.LIKELY,
    )
