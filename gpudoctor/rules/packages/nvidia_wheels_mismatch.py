"""NVIDIA's library wheels are missing, or not the versions that the framework pins.

## What it means
A framework's CUDA wheel brings no CUDA libraries of its own: it depends on exact versions of nvidia-* packages
(cuBLAS, cuDNN, NCCL, nvJitLink …). Here some are absent or of another version, so the import fails ("undefined
symbol", "libcudnn.so.9: cannot open shared object file"), or computations fail later.

## Why it happens
Another package upgraded or removed one of them; two frameworks in one environment pin different versions; `pip
install --no-deps`; an interrupted installation; half an environment was copied.

## How to fix
Install the pinned versions again. If two frameworks need different ones, give each its own environment.

## How it is detected
The Requires-Dist lines of the installed framework, with this interpreter's markers, against the packages that are
really installed; and the dynamic loader's words when the framework is imported.

## Sources
- https://packaging.python.org/specifications/core-metadata/#requires-dist-multiple-use
- https://github.com/pytorch/pytorch/issues/111469
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Framework, Imported, Message, Pins, UnmetPin
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, NotJudged, Severity, Verdict
from gpudoctor.remedies import InstallPackages
from gpudoctor.rules._complaints import speaks_of_torch_alone
from gpudoctor.rules._libraries import CUDA_SYMBOL
from gpudoctor.rules._texts import first_match
from gpudoctor.views import Printed
from gpudoctor.words import CUDA_BUILD_ONLY, name_of

RULE = Rule(
    masks=(
        "cuda-library-arch-unsupported",
        "smoke-ran-on-cpu",
        "tf-cuda-libs-missing",
        "jax-cpu-build",
        "jax-plugin-mismatch",
    )
)


@RULE.detector
def pins_of_the_framework(framework: Framework, build: Build, pins: Pins, imported: Imported | None) -> Verdict:
    """A nvidia-* package that the framework pins is absent or of another version."""
    if build.accelerator != "cuda":
        return NotApplicable(CUDA_BUILD_ONLY)
    unmet = [pin for pin in pins.unmet if pin.package == build.distribution and _nvidia(pin)]
    if not unmet:
        return None
    works = imported is not None and imported.ok
    absent = [pin for pin in unmet if pin.found is None]
    shown = "; ".join(f"{pin.requirement}: {pin.found or 'not installed'}" for pin in unmet)
    evidence: tuple[Evidence, ...] = tuple(
        cite(f"{build.distribution} requires {pin.requirement}", pin.found or "not installed", pins) for pin in unmet
    )
    failed = imported is not None and not imported.ok
    return Found(
        title=f"{name_of(framework)} {build.version} pins NVIDIA library packages that are not installed as pinned.",
        detail=f"{shown}.",
        evidence=evidence + ((cite("import", imported.error, imported),) if failed and imported else ()),
        remedies=(InstallPackages(requirements=tuple(pin.requirement for pin in unmet)),),
        severity=Severity.WARNING if works or not (failed or absent) else Severity.ERROR,
        confidence=Confidence.CERTAIN if failed else Confidence.LIKELY,
    )


def _nvidia(pin: UnmetPin) -> bool:
    return pin.requirement.startswith(("nvidia-", "nvidia_", "cuda-toolkit"))


_LIBRARIES = (
    r"lib(?:cudnn|cublas|cublasLt|cudart|cufft|cufile|cupti|curand|cusolver|cusparse|cusparseLt|nccl|nvJitLink|nvrtc"
    r"|nvshmem_host)"
)
_TEXTS = (
    rf"ImportError: [^\s:]{{0,300}}{_LIBRARIES}[\w.]*: undefined symbol: \S+",
    # Names with a toolkit's full number (libcublas.so.9.0) are older than these wheels. The loader's words come with
    # whatever name a program gives to its error, but for TensorFlow's dlerror, which has a rule of its own.
    # Actors of Xoscar put their address before the error that they pass on.
    rf"(?<!dl)error: (?:\[[^\]]{{1,80}}\] )?{_LIBRARIES}\w{{0,40}}\.so(?:\.\d{{1,2}}|\.1[1-9]\.0)?: cannot open shared",
    # Python's ctypes, by which PyTorch and the extensions load a library, and TensorFlow none.
    rf"OSError: {_LIBRARIES}\w{{0,40}}\.so\.\d{{1,2}}\.\d: cannot open shared object file",
    rf"Could not load library {_LIBRARIES}\w{{0,40}}\.so\.\d{{1,2}}\. Error: \S{{1,200}}: cannot open shared object",
    r"undefined symbol: __nvJitLink\w+, version libnvJitLink\.so\.\d+",
    rf"undefined symbol: {CUDA_SYMBOL}",
    # CTranslate2 loads them by name; on Windows they are DLLs.
    r"Library (?:lib)?cu(?:blas|dnn|dart|fft|sparse|solver|rand)\w{0,30}\.(?:so|dll)[\d.]{0,6} is not found or cannot",
    # cuDNN 8 and 9 themselves, of their own parts
    (
        r"Could not (?:load library|locate) (?:lib)?cu(?:dnn|blas)\w{0,30}(?:\.dll|\.so[.\d]{0,6})\. "
        r"(?:Error code \d|Please make)"
    ),
    # Paddle; libcuda, the driver's, is another matter
    (
        r"third-party dynamic library \((?:lib)?cu(?:dnn|blas|fft|rand|solver|sparse|pti)\w{0,30}\.(?:dll|so)[^)]{0,60}"
        r"\) that Paddle depends on is not configured"
    ),
    r"ValueError: lib\w{3,20}\.so\.\*\[0-9\]\S{0,40} not found in the system path",
    r"Unable to load cu(?:SPARSE|DNN|BLAS|SOLVER|FFT|PTI|DA)\. Is it installed\?",
    r"The cu\w{3,10} library was not found",
    r"Outdated cu(?!DNN)\w{3,10} installation found",
    r"Found (?:CUDA|cu(?!DNN)\w{2,10}) version \d{4,6}, but JAX was built against version \d{4,6}, which is newer",
    r"Unable to load any of \{libcudnn_\w{1,30}\.so",
    r"Error loading CUDA libraries\. GPU will not be used",
)


_OF_OLD = (rf"ImportError: {_LIBRARIES}\w{{0,40}}\.so\.\d{{1,2}}\.\d: cannot open shared object file",)


@RULE.detector
def the_loader_says_so(message: Message, pins: Pins | None, printed: Printed) -> Verdict:
    """The dynamic loader misses a CUDA library or a symbol in one while the framework is imported."""
    text = first_match(_TEXTS, message.text)
    if text is None and speaks_of_torch_alone(printed):
        text = first_match(_OF_OLD, message.text)
    if text is None:
        return None
    if pins is not None and not pins.unmet:
        return NotJudged("the loader misses a CUDA library, and all pinned packages are installed")
    return Found(
        title="A CUDA library that the framework needs cannot be loaded, or is of another version.",
        detail=text,
        evidence=(cite("message", text, message),),
        confidence=Confidence.LIKELY,
    )
