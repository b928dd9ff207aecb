"""The build of an extension needs a CUDA toolkit and finds none.

## What it means
Wheels of PyTorch, TensorFlow and JAX need no toolkit. Compiling an extension does: nvcc, headers and CUDA_HOME. The
build stops ("CUDA_HOME environment variable is not set"), or silently leaves the GPU code out, which shows later as
"Not compiled with GPU support".

## Why it happens
There is no toolkit on this machine; it lies where nothing looks (no CUDA_HOME, nvcc not on PATH); conda's cudatoolkit
package holds the libraries and no compiler.

## How to fix
Install the toolkit of the framework's CUDA version and set CUDA_HOME to it, or install a wheel of the extension that
is already compiled.

## How it is detected
Only by the words of a build or of a package that was built without its GPU code. A missing toolkit alone is healthy.

## Sources
- https://docs.pytorch.org/docs/stable/cpp_extension.html
- https://cmake.org/cmake/help/latest/module/FindCUDAToolkit.html
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Message, Toolkits
from gpudoctor.findings import Found, Verdict
from gpudoctor.remedies import Remedy, Run, SetVariable
from gpudoctor.rules._texts import first_match

RULE = Rule(frameworks=("torch",), without_gpu="none")

_TEXTS = (
    r"CUDA_HOME environment variable is not set",
    r"CUDA_HOME (?:is )?(?:None|not set|undefined|not found)\b",
    r"CUDA_HOME does not exist, unable to compile CUDA op",
    r"MissingCUDAException",
    r"nvcc was not found\. +Are you sure your environment has nvcc available",
    r"Not compiled with (?:GPU|CUDA) support",
    r"(?:/bin/sh|bash|sh|cmd): (?:line \d+: |\d+: )?\S{0,120}nvcc: (?:command )?not found",
    r"No such file or directory: '\S{0,120}bin/nvcc'",
    r"\S{0,120}/bin/nvcc: No such file or directory",
    r"The nvcc binary could not be located",
    r"Failed to find nvcc\b",
    r"No CMAKE_CUDA_COMPILER could be found",
    r"CMAKE_CUDA_COMPILER-NOTFOUND",
    r"Could NOT find CUDA(?:Toolkit)? \(missing",
    r"Specify CUDA_TOOLKIT_ROOT_DIR",
    # What PyTorch's own CMake files say to a C++ program that is linked against it.
    r"Your installed Caffe2 version uses CUDA but I cannot find the CUDA",
    r"CUDA_TOOLKIT_ROOT_DIR not found or specified",
    r"Unable to find CUDA (?:installation|toolkit)",
    r"fatal error: cuda(?:_runtime|_runtime_api|_fp16)?\.h: No such file",
    r"Cannot find CUDA(?:_HOME| toolkit)",
)
# Numba compiles on the spot, with the compiler library that is part of the toolkit: https://numba.readthedocs.io
_AT_RUN_TIME = (
    r"libNVVM cannot be found",
    r"\blibrary nvvm not found",
    r"Could not find module 'nvvm\.dll'",
    r"\blibnvvm\.so[.\d]{0,6}: cannot open shared object",
)


@RULE.detector
def the_build_says_so(message: Message, toolkits: Toolkits | None, build: Build | None) -> Verdict:
    """A build looked for nvcc or CUDA_HOME in vain, or a package was built without it."""
    running = first_match(_AT_RUN_TIME, message.text)
    text = running or first_match(_TEXTS, message.text)
    if text is None:
        return None
    here = next((t for t in (toolkits.toolkits if toolkits else ()) if t.path.startswith("/")), None)
    remedies: tuple[Remedy, ...] = (SetVariable(name="CUDA_HOME", value=here.path),) if here else ()
    wanted = f" {build.cuda}" if build and build.cuda else ""
    who = "A program that compiles for the GPU as it runs" if running else "The build of an extension"
    install = Run(
        title=f"Install the CUDA toolkit{wanted}",
        where="machine",
        note="It is for compiling only: https://developer.nvidia.com/cuda-toolkit-archive. Its version must be that of "
        "torch.version.cuda; set CUDA_HOME to its folder. An extension that comes compiled needs none of it.",
    )
    return Found(
        title=f"{who} finds no CUDA toolkit."
        if here is None
        else f"{who} does not find the CUDA toolkit in {here.path}.",
        detail=text,
        evidence=(
            cite("message", text, message),
            *((cite("CUDA toolkit", here.path, toolkits),) if toolkits and here else ()),
        ),
        remedies=(*remedies, install) if here is None else remedies,
    )
