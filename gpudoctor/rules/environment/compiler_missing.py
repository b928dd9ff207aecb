"""A compiler that works on the spot finds no C compiler, or not the headers of Python.

## What it means
Training works. torch.compile and Triton, however, compile small launchers for their kernels when they run, and need a C
compiler and Python's headers for it ("Failed to find C compiler", "Python.h: No such file or directory", "No working
C++ compiler found").

## Why it happens
Slim container images and fresh servers have no gcc; distributions keep Python.h in a package of its own
(python3.12-dev); on Windows there is no compiler before Visual Studio's Build Tools are installed.

## How to fix
Install gcc and g++, and the development package of this very Python. CC may name a compiler that is not on PATH.

## How it is detected
By the words of Triton and of torch.compile, in what was printed or in the smoke job's own attempt to compile.

## Sources
- https://github.com/triton-lang/triton/blob/main/python/triton/runtime/build.py
- https://docs.pytorch.org/docs/stable/torch.compiler_troubleshooting.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule
from gpudoctor.findings import Found, NotApplicable, Severity, Verdict
from gpudoctor.remedies import InstallCompiler
from gpudoctor.rules._printed import SILENT, Heard, heard
from gpudoctor.views import Printed

RULE = Rule(severity=Severity.WARNING, frameworks=("torch",), without_gpu="none", masks=("smoke-failed",))

_COMPILER = (
    r"Failed to find C compiler\. Please specify via CC",
    r"No working C\+\+ compiler found in torch\._inductor",
    r"(?:InvalidCxxCompiler|CppCompileError): [^\n]{0,80}(?:not found|No such file)",
    r"Compiler: cl is not found",
)
_HEADERS = (
    r"\.c(?:pp)?:\d+:(?:\d+:)? fatal error: Python\.h: No such file or directory",
    r"cuda_utils\.c:\d+: error: include file 'Python\.h' not found",
)


@RULE.detector
def no_compiler(printed: Printed) -> Verdict:
    """Triton or torch.compile looked for a compiler in vain."""
    return _lacking("C compiler", heard(printed, *_COMPILER), InstallCompiler())


@RULE.detector
def no_headers(printed: Printed) -> Verdict:
    """The compiler is there, Python's headers are not."""
    return _lacking("headers of Python", heard(printed, *_HEADERS), InstallCompiler(headers=True))


def _lacking(what: str, hit: Heard | None, remedy: InstallCompiler) -> Verdict:
    if hit is None:
        return NotApplicable(SILENT)
    return Found(
        title=f"torch.compile and Triton find no {what}.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(remedy,),
    )
