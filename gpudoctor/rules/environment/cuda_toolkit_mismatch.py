"""An extension is being compiled with another CUDA than the one the framework was built with.

## What it means
Extensions such as flash-attn, DeepSpeed or apex are compiled on this machine with nvcc, and link to the framework's
own CUDA code. A compiler of another major version gives code that does not fit, so the build stops ("The detected
CUDA version (11.8) mismatches the version that was used to compile PyTorch (12.4)"). An nvcc that is older than the
GPU does not know its architecture. Programs that compile nothing are not concerned: they need no toolkit.

## Why it happens
CUDA_HOME or PATH leads to another toolkit: the distribution's own old package, a second installation, a conda
environment whose compiler was not pinned.

## How to fix
Install the toolkit of the framework's CUDA and let CUDA_HOME name it for the build, or install the framework's build
for the toolkit that is here, or a wheel of the extension that is already compiled.

## How it is detected
Only by the words of a build: of torch.utils.cpp_extension, DeepSpeed, apex, setup.py files and nvcc itself. An nvcc
of another version alone is nothing.

## Sources
- https://docs.pytorch.org/docs/stable/cpp_extension.html
- https://www.deepspeed.ai/tutorials/advanced-install/
"""

from __future__ import annotations

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Environment, Gpus, Message, Toolkits
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, NotJudged, Passed, Verdict
from gpudoctor.relations import CudaVersion
from gpudoctor.remedies import Remedy, Run
from gpudoctor.rules._texts import first_match, search
from gpudoctor.views import capabilities_of

RULE = Rule(frameworks=("torch",), without_gpu="none", masks=("cuda-home-missing",))

_TEXTS = (
    r"detected CUDA version \((?:[\d.]+|%s)\) mismatches the version that was used to compile",
    r"Installed CUDA version [\d.]+ does not match the version torch was compiled with [\d.]+",
    r"CUDAMismatchException",
    r"Cuda extensions are being compiled with a version of Cuda that does not match",
    r"PyTorch (?:CUDA )?version and (?:the )?system CUDA version do(?:es)? not match",
    r"PyTorch binaries were compiled with Cuda [\d.]+",
    r"(?:nvcc|CUDA toolkit) version [\d.]+ (?:does not match|doesn't match|differs from) .{0,60}torch",
    r"nvcc fatal {0,4}: Unsupported gpu architecture '(?:compute|sm)_\w{2,5}'",
    r"Value '(?:compute|sm)_\w{2,5}' is not defined for option 'gpu-(?:architecture|code)'",
    r"unsupported GNU version! gcc versions later than \d+ are not supported",
    r"FlashAttention is only supported on CUDA [\d.]+ and above",
    r"unsupported Microsoft Visual Studio version!",
)
_BUILD_FAILED = (
    r"nvcc'? failed with exit (?:status|code) \d+",
    r"nvcc (?:compilation|compile|build) .{0,60}fail",
    r"error: command '\S{0,200}nvcc\S{0,10}' failed",
    r"ninja: build stopped: subcommand failed",
    r"Error compiling objects for extension",
    r"Error building extension '",
)


@RULE.detector
def the_build_says_so(message: Message, toolkits: Toolkits | None, build: Build | None, gpus: Gpus | None) -> Verdict:
    """A build compares the two versions itself, or its compiler does not know what is asked of it."""
    text = first_match(_TEXTS, message.text)
    if text is None:
        return None
    asked = search(r"(?:compute|sm)_(\d{1,2})(\d)[af]?'", text)
    if asked and capabilities_of(gpus) and f"{asked[1]}.{asked[2]}" not in capabilities_of(gpus):
        return NotApplicable(f"the build asks for compute capability {asked[1]}.{asked[2]}, which no GPU here has")
    pair = search(
        r"\(([\d.]+)\) mismatches .{0,80}\(([\d.]+)\)|version ([\d.]+) does not match .{0,60}with ([\d.]+)",
        message.text,
    )
    wanted = (pair[2] or pair[4]) if pair else build.cuda if build else None
    return Found(
        title=_title((pair[1] or pair[3]) if pair else None, wanted),
        detail=text,
        evidence=(cite("message", text, message), *_evidence(toolkits, build)),
        remedies=_remedies(wanted),
    )


@RULE.detector
def a_build_failed_beside_another_toolkit(
    message: Message, toolkits: Toolkits, build: Build | None, environment: Environment | None
) -> Verdict:
    """A compilation failed, and the toolkit here is of another major version than the framework's."""
    text = first_match(_BUILD_FAILED, message.text)
    if text is None:
        return None
    found = _used(toolkits, environment)
    if found is None:
        return NotJudged("which toolkit compiled is not known")
    if build is not None and build.cuda is not None:
        if CudaVersion.parse(found).major == CudaVersion.parse(build.cuda).major:
            return Passed(f"the toolkit {found} and the framework's CUDA {build.cuda} are of one major version")
        confidence, wanted = Confidence.LIKELY, build.cuda
    else:
        confidence, wanted = Confidence.POSSIBLE, None
    return Found(
        title=_title(found, wanted),
        detail=text,
        evidence=(cite("message", text, message), *_evidence(toolkits, build)),
        remedies=_remedies(wanted),
        confidence=confidence,
        settled_by=('python -c "import torch; print(torch.version.cuda)"', "nvcc --version"),
    )


def _used(toolkits: Toolkits, environment: Environment | None) -> str | None:
    """The toolkit that CUDA_HOME names, else the one whose nvcc is on PATH, else the only one."""
    home = environment.variables.get("CUDA_HOME") if environment else None
    listed = [toolkit for toolkit in toolkits.toolkits if toolkit.version]
    named = [toolkit for toolkit in listed if home and toolkit.path.rstrip("/") == home.rstrip("/")]
    on_path = [toolkit for toolkit in listed if "PATH" in toolkit.found_by]
    return next((toolkit.version for toolkit in (*named, *on_path, *listed)), None)


def _title(found: str | None, wanted: str | None) -> str:
    if found and wanted:
        return f"An extension is compiled with CUDA {found}, and the framework was built with CUDA {wanted}."
    return "The CUDA toolkit that compiles an extension does not fit the framework or the GPU."


def _evidence(toolkits: Toolkits | None, build: Build | None) -> tuple[Evidence, ...]:
    shown = ", ".join(toolkit.version for toolkit in toolkits.toolkits if toolkit.version) if toolkits else ""
    return (
        *((cite("CUDA toolkits", shown, toolkits),) if toolkits and shown else ()),
        *((cite("built with CUDA", build.cuda, build),) if build and build.cuda else ()),
    )


def _remedies(wanted: str | None) -> tuple[Remedy, ...]:
    version = f"CUDA {wanted}" if wanted else "the framework's CUDA version"
    return (
        Run(
            title=f"Compile with the toolkit of {version}",
            where="machine",
            note=f"Install the toolkit of {version} beside the present one (https://developer.nvidia.com/cuda-toolkit-"
            "archive), then set CUDA_HOME to its folder and put its bin folder first on PATH for the build. Or install "
            "a wheel of the extension that is already compiled for this framework.",
        ),
    )
