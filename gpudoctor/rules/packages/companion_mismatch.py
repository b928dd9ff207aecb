"""A package that is built for one PyTorch is installed beside another one.

## What it means
torchvision, torchaudio, xformers, flash-attn, triton, torch-scatter and the like hold code compiled against one
PyTorch release, often against one CUDA and one C++ ABI. Beside another PyTorch their code does not load: "operator
torchvision::nms does not exist", "undefined symbol: _ZN2at…", "xFormers was built for: PyTorch 2.0.1".

## Why it happens
torch was upgraded or downgraded by another package and its companions stayed; they came from another index than
torch; a wheel was picked by hand for another torch, CUDA or ABI.

## How to fix
Install the companion's release that belongs to the installed PyTorch, from the same index; or install both together.

## How it is detected
By the matrix of the releases that belong together, by the suffixes in their versions (+cu121, torch2.2, cxx11abiTRUE),
and by the words of the loader and of the companions, onnxruntime's against the CUDA that is installed; and by
onnxruntime's, that the CUDA which a program asked for is not in it.

## Sources
- https://github.com/pytorch/vision#installation
- https://github.com/facebookresearch/xformers/releases
- https://github.com/Dao-AILab/flash-attention/releases
"""

from __future__ import annotations

import re

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Frameworks, Message, Package, Packages, Toolkits
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, NotJudged, Passed, Severity, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.matrix.questions import stable_release
from gpudoctor.relations import CudaVersion
from gpudoctor.remedies import InstallPackages, Remedy, Run, UninstallPackages
from gpudoctor.rules._libraries import Library, brings, installed_cudas
from gpudoctor.rules._texts import first_match, search

RULE = Rule(frameworks=("torch",), without_gpu="none")

_OF_ONE_RELEASE = ("torchvision", "torchaudio")
_BY_THE_MATRIX = ("xformers", "vllm", "triton", "flash-attn")


@RULE.detector
def releases_that_belong_together(build: Build, packages: Packages, matrix: Matrix) -> Verdict:
    """torchvision, torchaudio, xformers, flash-attn beside the installed PyTorch."""
    release = stable_release("torch", build.version)
    if isinstance(release, Unlisted):
        return NotJudged(release.sentence())
    for name in (*_OF_ONE_RELEASE, *_BY_THE_MATRIX):
        package = next((p for p in packages.copies(name) if p.version), None)
        problem = _problem(package, release, build, matrix) if package else None
        if package and problem:
            return _found(package, problem, release, build, packages, matrix)
    return Passed(f"what is installed beside PyTorch {release} belongs to it, as far as is known")


def _problem(package: Package, release: str, build: Build, matrix: Matrix) -> tuple[str, Severity] | None:
    """Why a companion does not fit and how bad that is, None if it fits or nothing is known."""
    if package.name in _OF_ONE_RELEASE:
        return _of_another_release(package, release, build, matrix)
    if package.name == "flash-attn":
        return _named_in_the_version(package, release)
    row = matrix.companion(package.name, package.version or "")
    if isinstance(row, Unlisted) or not row.torch or _accepts(row.torch, release):
        return None
    # The package may hold Python code only where it fails to load its own.
    return f"{package.name} {package.version} is built for torch {row.torch}", Severity.WARNING


def _of_another_release(package: Package, release: str, build: Build, matrix: Matrix) -> tuple[str, Severity] | None:
    version = stable_release(package.name, package.version or "")
    row = matrix.torch(release)
    if isinstance(version, Unlisted) or isinstance(row, Unlisted):
        return None
    own = row.torchvision if package.name == "torchvision" else row.torchaudio
    if not own or _minor(version) in {_minor(one) for one in own}:
        return _of_another_cuda(package, build)
    belongs = next(
        (
            other.release
            for other in matrix.torch_releases
            if version in (other.torchvision if package.name == "torchvision" else other.torchaudio)
        ),
        None,
    )
    if belongs is None or _minor(belongs) == _minor(release):
        return None
    return f"{package.name} {package.version} belongs to torch {belongs}", Severity.ERROR


def _of_another_cuda(package: Package, build: Build) -> tuple[str, Severity] | None:
    one, other = _variant(package.version), _variant(build.version)
    if one is None or other is None or one == other:
        return None
    bad = not (one.startswith("cu") and other.startswith("cu")) or one[:-1] != other[:-1]
    return f"{package.name} {package.version} is of another build than torch {build.version}", (
        Severity.ERROR if bad and "cpu" not in (one, other) else Severity.WARNING
    )


def _variant(version: str | None) -> str | None:
    match = re.search(r"\+(cpu|cu\d{2,3}|rocm)", version or "")
    return match[1] if match else None


def _named_in_the_version(package: Package, release: str) -> tuple[str, Severity] | None:
    match = re.search(r"torch(\d+\.\d+)", package.version or "")
    if match is None or match[1] == _minor(release):
        return None
    return f"{package.name} {package.version} is built for torch {match[1]}", Severity.ERROR


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _accepts(requirement: str, release: str) -> bool:
    try:
        return any(SpecifierSet(part.strip()).contains(Version(release)) for part in requirement.split("||"))
    except (InvalidSpecifier, InvalidVersion):
        return True


def _found(
    package: Package, problem: tuple[str, Severity], release: str, build: Build, packages: Packages, matrix: Matrix
) -> Found:
    text, severity = problem
    return Found(
        title=f"{text}; torch {build.version} is installed.",
        evidence=(cite(package.name, package.version, packages), cite("torch", build.version, build)),
        remedies=_remedies(package.name, release, matrix),
        severity=severity,
        confidence=Confidence.LIKELY,
    )


def _remedies(name: str, release: str, matrix: Matrix) -> tuple[Remedy, ...]:
    """The companion's release for the installed PyTorch, where the matrix knows it."""
    row = matrix.torch(release)
    version = None
    if name in _OF_ONE_RELEASE and not isinstance(row, Unlisted):
        listed = row.torchvision if name == "torchvision" else row.torchaudio
        version = listed[-1] if listed else None
    elif name in _BY_THE_MATRIX:
        version = next((row.version for row in reversed(matrix.companions_for_torch(name, release))), None)
    if version is None:
        return (_REINSTALL,)
    return (
        InstallPackages(
            requirements=(f"{name}=={version}",), title=f"Install the {name} of this PyTorch", no_deps=True
        ),
    )


_REINSTALL = Run(
    title="Install the companion's release for this PyTorch",
    where="environment",
    note="Where it is compiled: remove it and install it again with pip's --no-build-isolation and --no-cache-dir, so "
    "that it is built against the installed PyTorch. Where it has wheels: choose the one whose name has this PyTorch, "
    "this CUDA and the C++ ABI that torch._C._GLIBCXX_USE_CXX11_ABI shows.",
)

_NAMED = (
    r"operator torchvision::\w{1,40} does not exist",
    r"No such operator torch(?:vision|audio|_\w{3,12})::\w{1,40}",
    r"Couldn't load custom C\+\+ ops",
    r"xFormers was built for:? {0,4}(?:PyTorch \S{1,40})?",
    r"xFormers can't load C\+\+/CUDA extensions",
    r"xFormers wasn't build with CUDA support",
    r"Detected that PyTorch and \w{1,40} were compiled with different CUDA (?:major )?versions",
    r"libtorch_hip\.so: cannot open shared object file",
    r"libtorch\w{0,20}(?:_cuda_cu|_cuda_cpp|_cuda)?\.so: cannot open shared object file",
    r"libc10(?:_cuda|_hip)?\.so: cannot open shared object file",
    r"(?:torch|c10|torch_cuda|torch_cpu)\.dll\W.{0,40}(?:procedure|entry point).{0,40}(?:not be|not) found",
    (
        r"(?:torchvision|torchaudio) .{0,30}requires torch==[\d.]{3,10}, but you have torch [\w.+]{3,20} which is "
        r"incompatible"
    ),
    r"Failed to load image Python extension: .{1,120}(?:undefined symbol|could not be found|Symbol not found)",
    r"cannot import name '\w{1,40}' from 'triton\.[\w.]{1,60}'",
    r"installed wheel \S{0,100}cxx11abi(?:TRUE|FALSE)",
    r"The installed version of bitsandbytes was compiled without GPU support",
    # bitsandbytes has one library a CUDA version and looks for that of PyTorch.
    r"Required library version not found: libbitsandbytes_cuda\w{1,20}\.so",
    r"Could not find the bitsandbytes CUDA binary at",
)
# Mangled names of PyTorch's own namespaces: at, c10, torch. A name of another library is another matter.
_MANGLED = r": undefined symbol: _ZNK?K?\w{0,4}(?:2at|3c10|5torch|8c10_cuda)\w{0,300}"
_MODULE = (
    r"(?:flash_attn|xformers|torchvision|torchaudio|torch_scatter|torch_sparse|torch_cluster|mmcv|apex|detectron2|pytorch3d"
    r"|vllm|deepspeed|bitsandbytes|torchtext|torch_spline_conv|selective_scan_cuda|causal_conv1d_cuda|fused_)"
    r"[^\s:]{0,120}: undefined symbol"
)


@RULE.detector
def the_loader_says_so(message: Message, build: Build | None, packages: Packages | None, matrix: Matrix) -> Verdict:
    """A companion says what it was built for, or misses a symbol of PyTorch."""
    mangled = search(_MANGLED, message.text)
    library = message.text[: mangled.start()].split()[-1:] if mangled else []
    missing = f"{library[0]}{mangled[0]}" if mangled and library else None
    text = first_match(_NAMED, message.text) or missing or first_match((_MODULE,), message.text)
    if text is None:
        return None
    # PyTorch's own libraries that miss PyTorch's symbols are two copies of PyTorch, or half an installation.
    if library and re.search(r"(?:^|/)lib(?:torch|c10)(?:_\w{1,20})?\.so$", library[0]):
        return NotApplicable("a library of PyTorch itself misses the symbol")
    name = search(
        r"(torchvision|torchaudio|xformers|flash_attn|torch_scatter|torch_sparse|mmcv|apex|detectron2|vllm)",
        message.text,
    )
    release = stable_release("torch", build.version) if build else None
    known = isinstance(release, str) and name is not None
    evidence: tuple[Evidence, ...] = (cite("message", text, message),)
    if build:
        evidence += (cite("torch", build.version, build),)
    companion = name[1].lower().replace("_", "-") if name else ""
    installed = packages.version(companion) if packages and companion else None
    if packages and installed:
        evidence += (cite(companion, installed, packages),)
    return Found(
        title=f"{companion or 'A compiled package'} was built for another PyTorch than the one installed"
        + (f" ({build.version})." if build else "."),
        detail=text,
        evidence=evidence,
        remedies=_remedies(companion, release, matrix) if known and isinstance(release, str) else (_REINSTALL,),
    )


# onnxruntime says which of its libraries could not be loaded, and what that one did not find.
_PROVIDER = (
    r"Failed to load library (\S{1,300}\.(?:so|dll)) with error: "
    r"(lib(?:cudart|cublas|cublasLt|cufft|curand|cusolver|cusparse)\.so\.[\d.]{1,6}): cannot open shared object"
)


@RULE.detector
def made_for_the_cuda_of_another_time(
    message: Message, toolkits: Toolkits | None, packages: Packages | None, build: Build | None
) -> Verdict:
    """A package names its own library and the CUDA library that it lacks, and another CUDA is installed."""
    match = search(_PROVIDER, message.text)
    library = Library.parse(match[2]) if match else None
    if match is None or library is None:
        return None
    seen = [(one.version, one.evidence) for one in installed_cudas(toolkits, packages)]
    if build and build.cuda and re.match(r"\d{1,2}\.\d", build.cuda):
        seen.append((CudaVersion.parse(build.cuda), cite("torch built with CUDA", build.cuda, build)))
    others = [(version, evidence) for version, evidence in seen if brings(version, library) is False]
    if not others or len(others) < len(seen):
        return NotJudged("no CUDA is seen that lacks this library")
    name = re.split(r"[/\\]", match[1])[-1]
    return Found(
        title=f"{name} was made for the CUDA that has {library.name}; CUDA {others[0][0]} is installed.",
        detail=match[0],
        evidence=(cite("message", match[0], message), *(evidence for _, evidence in others)),
        remedies=(_OF_THIS_CUDA,),
        confidence=Confidence.LIKELY,
    )


# What a program asked for, and what the installed build has instead.
_NO_CUDA_IN_IT = (
    r"provider \WCUDAExecutionProvider\W is not in available provider names",
    r"\['CUDAExecutionProvider'[^\]]{0,80}\] does not contain a subset of available providers",
    r"Asked to use CUDAExecutionProvider as an ONNX Runtime execution provider, but the available",
)
_BOTH_RUNTIMES = ("onnxruntime", "onnxruntime-gpu")


@RULE.detector
def onnxruntime_without_cuda(message: Message, packages: Packages | None) -> Verdict:
    """A program asked onnxruntime for CUDA, and the build that is imported has no such provider."""
    text = first_match(_NO_CUDA_IN_IT, message.text)
    if text is None:
        return None
    installed = tuple(name for name in _BOTH_RUNTIMES if packages and packages.version(name))
    if installed == _BOTH_RUNTIMES:
        return NotJudged("onnxruntime is installed twice, which is another rule's finding")
    return Found(
        title="The onnxruntime that is imported is a build without CUDA.",
        detail=text,
        evidence=(cite("message", text, message),),
        remedies=(
            # Both write the same files, so the one for the GPU is whole only if nothing of the other is left.
            UninstallPackages(
                names=installed or _BOTH_RUNTIMES,
                title="Remove every onnxruntime",
                then=InstallPackages(requirements=("onnxruntime-gpu",), title="Install the onnxruntime that has CUDA"),
            ),
        ),
        confidence=Confidence.LIKELY,
    )


_OF_THIS_CUDA = Run(
    title="Install the package's release for this CUDA",
    where="environment",
    note="onnxruntime-gpu needs CUDA 11 up to 1.18 and CUDA 12 with cuDNN 9 from 1.19 on: "
    "https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html",
)

_RUNTIME = r"Error: (lib(?:cudart|cublas|cusparse|cufft|cusolver)\.so\.[\d.]{1,6}): cannot open shared object"


@RULE.detector
def made_for_another_cuda(message: Message, build: Build, frameworks: Frameworks) -> Verdict:
    """A library of another CUDA than PyTorch's own is looked for: by an extension that was compiled with that CUDA."""
    match = search(_RUNTIME, message.text)
    library = Library.parse(match[1]) if match else None
    if match is None or library is None:
        return None
    if any(one.name == "tensorflow" and one.installed for one in frameworks.frameworks):
        return NotJudged("TensorFlow may be the one that looks for it")
    try:
        own = CudaVersion.parse(build.cuda or "")
    except ValueError:
        return NotJudged(f"the CUDA of PyTorch {build.version} is not known")
    if brings(own, library) is not False:
        return Passed(f"{library.name} is of PyTorch's own CUDA {own}")
    return Found(
        title=f"An extension looks for {library.name}; PyTorch {build.version} was built with CUDA {own}.",
        detail=match[0],
        evidence=(cite("message", match[0], message), cite("torch", build.version, build)),
        remedies=(_REINSTALL,),
    )
