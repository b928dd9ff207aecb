"""Another copy of a CUDA library is loaded in place of the one that the framework brought.

## What it means
A framework was built and tested with certain versions of cuDNN, cuBLAS, cuSPARSE, nvJitLink and NCCL and brings them
along. The dynamic loader takes whatever comes first: a copy in LD_LIBRARY_PATH wins over the framework's own. Then a
symbol is missing ("undefined symbol: __nvJitLinkComplete_12_4, version libnvJitLink.so.12"), versions do not fit
("cuDNN version incompatibility: PyTorch was compiled against … but found runtime version …"), or results are wrong.

## Why it happens
LD_LIBRARY_PATH names a CUDA toolkit, a cuDNN folder or a conda environment, set in a profile, by an environment
module of a cluster, by a notebook service or by an old installation guide. LD_PRELOAD does the same. An older ptxas
that comes first on PATH is the same fault for XLA. Folders named stubs hold libraries for linking only.

## How to fix
Unset LD_LIBRARY_PATH for this program; a framework that was installed with its libraries needs none. Where another
program needs the folder, put the framework's own library folders in front.

## How it is detected
By the libraries that the framework's process really mapped and who brought them; by the loader's own words about a
symbol or a version; by the library versions that the framework compares itself.

## Sources
- https://man7.org/linux/man-pages/man8/ld.so.8.html
- https://github.com/pytorch/pytorch/issues/119989
- https://github.com/jax-ml/jax/issues/17497
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import (
    CudaDriver,
    Environment,
    Framework,
    Imported,
    LibcudaFiles,
    Message,
    Packages,
    Pins,
    System,
    Wsl,
)
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, NotJudged, Passed, Severity, Verdict
from gpudoctor.remedies import Remedy, Run, SetVariable
from gpudoctor.rules._libraries import CUDA_SYMBOL
from gpudoctor.rules._texts import first_match, search
from gpudoctor.words import name_of

RULE = Rule(
    masks=(
        "nvidia-wheels-mismatch",
        "tf-cudnn-version-mismatch",
        "tf-cuda-libs-missing",
        "smoke-wrong-results",
        "smoke-ran-on-cpu",
    ),
)

_VARIABLE = "LD_LIBRARY_PATH"
# The wheel that owns a library, by the stem of the library's file name.
_WHEELS = {
    "libcudnn": "nvidia-cudnn",
    "libcublas": "nvidia-cublas",
    "libcudart": "nvidia-cuda-runtime",
    "libcufft": "nvidia-cufft",
    "libcurand": "nvidia-curand",
    "libcusolver": "nvidia-cusolver",
    "libcusparse": "nvidia-cusparse",
    "libnvJitLink": "nvidia-nvjitlink",
    "libnvrtc": "nvidia-cuda-nvrtc",
    "libnccl": "nvidia-nccl",
}


@RULE.detector
def mapped_from_elsewhere(
    framework: Framework, imported: Imported, packages: Packages, environment: Environment | None
) -> Verdict:
    """A CUDA library came from outside although the environment has a wheel with it."""
    if not imported.libraries:
        return NotApplicable("no CUDA library was mapped")
    foreign = [
        library
        for library in imported.libraries
        if library.owner is None and "site-packages" not in library.path and _own_wheel(library.name, packages)
    ]
    if not foreign:
        return Passed("every CUDA library was the framework's own")
    path = environment.variables.get(_VARIABLE) if environment else None
    shown = "; ".join(f"{library.name}: {library.path}" for library in foreign)
    return Found(
        title=f"{name_of(framework)} loaded {foreign[0].path} in place of its own {foreign[0].name}.",
        detail=f"{shown}.",
        evidence=(
            *(cite(library.name, library.path, imported) for library in foreign),
            *((cite(_VARIABLE, path, environment),) if environment and path else ()),
        ),
        remedies=_remedies(environment),
        severity=Severity.WARNING,
    )


def _own_wheel(library: str, packages: Packages) -> bool:
    wheel = next((wheel for stem, wheel in _WHEELS.items() if library.startswith(stem)), None)
    return wheel is not None and any(package.name.startswith(wheel) for package in packages.packages)


@RULE.detector
def stub_in_place_of_the_driver(libcuda: LibcudaFiles, cuda: CudaDriver, system: System | None) -> Verdict:
    """The loader takes the toolkit's link-time stub of libcuda."""
    taken = libcuda.taken
    if taken is None or taken.kind != "stub":
        return Passed("no stub of libcuda is taken")
    if system and system.os == "windows":
        return NotApplicable("Windows has no stubs")
    return Found(
        title=f"The loader takes the stub {taken.path} in place of the driver's libcuda.",
        detail="A stub is there for linking and answers no call.",
        evidence=(cite("libcuda.so.1", taken.path, libcuda), cite("cuInit", cuda.result, cuda)),
        remedies=(SetVariable(name=_VARIABLE),),
    )


_CUDA_LIBRARY = r"lib(?:cudnn|cublas|cudart|cufft|curand|cusolver|cusparse|nccl|nvJitLink|nvrtc|cuda)\w{0,30}\.so"
# What only another copy than the framework's own explains.
_CERTAIN = (
    r"cuDNN version (?:incompatibility|mismatch): PyTorch was compiled {1,4}against .{3,120}",
    r"LD_LIBRARY_PATH contains incompatible version of cudnn",
    r"cuDNN compiled \(\d{4,6}\) and runtime \(\d{4,6}\) versions mismatch",
    r"undefined symbol: \S{1,300}, version libcudnn\w{0,40}\.so\.\d+",
    r"symbol \S{1,300},? version libcudnn\w{0,40}\.so\.\d+ not defined in file",
    r"CUDNN_STATUS_(?:SUBLIBRARY_)?VERSION_MISMATCH",
    r"stubs/libcuda\.so\S{0,10}: undefined symbol: \S{1,80}",
    r"You are using ptxas \d[\w.]{0,8}, but (?:TF|XLA) requires ptxas .{1,60}",
    r"(?:ptxas )?fatal {1,4}: Unsupported \.version [\d.]+; current version is '[\d.]+'",
)
# What a wheel of another version in the same environment explains as well.
_LIKELY = (
    r"undefined symbol: __?nvJitLink\w{1,60}(?:, version libnvJitLink\.so\.\d+)?",
    (
        r"undefined symbol: \S{1,300}, version lib(?:cublas|cublasLt|cusparse|cusolver|cudart|cufft"
        r"|nvrtc)\w{0,20}\.so[.\d]{0,8}"
    ),
    (
        r"symbol \S{1,300},? version lib(?:cublas|cublasLt|cusparse|cusolver|cudart"
        r"|nvJitLink)\w{0,20}\.so[.\d]{0,8} not defined"
    ),
)
# What a variable that leads elsewhere explains, and otherwise wheels that are missing.
_WITH_VARIABLE = (
    r"Unable to load cu(?:SPARSE|DNN|BLAS|SOLVER|FFT|PTI)\. Is it installed\?",
    r"The cuSPARSE library was not found",
    r"Outdated cu\w{2,10} installation found",
    r"Found (?:CUDA|cu(?!DNN)\w{2,10}) version \d{4,6}, but JAX was built against version \d{4,6}, which is newer",
    rf"undefined symbol: {CUDA_SYMBOL}",
)
_TRACED = (
    rf"LD_LIBRARY_PATH.{{0,120}}{_CUDA_LIBRARY}.{{0,80}}(?:from|instead)",
    (
        rf"{_CUDA_LIBRARY}\S{{0,12}} (?:is |was )?(?:taken|loaded|opened|picked up) from "
        rf"(?!.{{0,200}}site-packages)\S{{1,200}}"
    ),
    rf"calling init: /(?!.{{0,300}}site-packages)\S{{1,200}}/{_CUDA_LIBRARY}",
)


@RULE.detector
def the_loader_says_so(message: Message, environment: Environment | None, pins: Pins | None) -> Verdict:
    """A symbol or a version that another copy of a library lacks."""
    certain = first_match((*_CERTAIN, *_TRACED), message.text)
    likely = first_match(_LIKELY, message.text)
    leading = _leads_elsewhere(environment)
    text = certain or likely or (first_match(_WITH_VARIABLE, message.text) if leading else None)
    if text is None:
        return None
    if not certain and pins is not None and any("nvidia" in pin.requirement for pin in pins.unmet):
        return NotJudged("the pinned NVIDIA packages of the environment themselves do not fit")
    named = search(r"against \((\d+), (\d+), (\d+)\) but found runtime version \((\d+), (\d+), (\d+)\)", message.text)
    detail = (
        f"Built for cuDNN {named[1]}.{named[2]}.{named[3]}, loaded {named[4]}.{named[5]}.{named[6]}." if named else text
    )
    return Found(
        title="Another copy of a CUDA library is loaded than the one that the framework brought.",
        detail=detail,
        evidence=(cite("message", text, message), *leading),
        remedies=_remedies(environment),
        confidence=Confidence.CERTAIN if certain else Confidence.LIKELY,
    )


_LINK = r"Could not load library libcudnn\S{1,40} Error: (libcuda\.so): cannot open shared object file"


@RULE.detector
def the_driver_is_not_where_the_loader_looks(message: Message, wsl: Wsl | None) -> Verdict:
    """cuDNN 8 opens the driver's library by its name without a number, which not every system has on its path."""
    match = search(_LINK, message.text)
    if match is None:
        return None
    windows = wsl is not None and wsl.version is not None
    return Found(
        title="cuDNN does not find the driver's library under the name libcuda.so.",
        detail=match[0],
        evidence=(cite("message", match[0], message),),
        remedies=(
            SetVariable(name=_VARIABLE, value="/usr/lib/wsl/lib"),
            _NUMBERLESS,
        )
        if windows
        else (_NUMBERLESS,),
        confidence=Confidence.LIKELY,
    )


_NUMBERLESS = Run(
    title="Give the loader a folder with libcuda.so",
    where="machine",
    note="ldconfig -p | grep libcuda.so shows what the loader knows; a link libcuda.so to libcuda.so.1 beside it is "
    "what cuDNN 8 looks for. cuDNN 9 does not need it.",
)


def _leads_elsewhere(environment: Environment | None) -> tuple[Evidence, ...]:
    """The variables that put other libraries in front: a CUDA, cuDNN or conda folder, or anything preloaded."""
    if environment is None:
        return ()
    path, preload = (environment.variables.get(name, "").strip() for name in (_VARIABLE, "LD_PRELOAD"))
    found = [cite("LD_PRELOAD", preload, environment)] if preload else []
    # A value that was left out of a text still says that there is one.
    if re.search(r"cuda|cudnn|nccl|conda|nvidia|\(set\b", path.replace("site-packages/nvidia", ""), re.IGNORECASE):
        found.insert(0, cite(_VARIABLE, path, environment))
    return tuple(found)


def _remedies(environment: Environment | None) -> tuple[Remedy, ...]:
    preload = bool(environment and environment.variables.get("LD_PRELOAD"))
    look = Run(
        title="See which file is loaded",
        where="environment",
        note="LD_DEBUG=libs before the command prints every library's search and the file taken.",
    )
    return (SetVariable(name=_VARIABLE), *((SetVariable(name="LD_PRELOAD"),) if preload else ()), look)
