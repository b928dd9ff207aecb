"""A generic ARM wheel is installed on a Jetson board, whose GPU it cannot use.

## What it means
Wheels of the package indexes for aarch64 are made for ARM servers (SBSA) with an ordinary driver, or hold no GPU code
at all. Boards up to Orin with JetPack 6 or 7.1 have a driver and libraries of their own, older C libraries, and GPUs
whose code such wheels lack: the wheel does not import, or lists no GPU. Thor runs generic wheels, and so does Orin
from JetPack 7.2 on.

## Why it happens
`pip install torch` or `pip install tensorflow` as on other machines.

## How to fix
Install NVIDIA's wheels for this JetPack, or use its containers for Jetson.

## How it is detected
By the board's L4T release in the matrix of JetPack versions, beside a framework that is not one of NVIDIA's builds,
or the loader's and pip's refusals on such a board.

## Sources
- https://docs.nvidia.com/deeplearning/frameworks/install-pytorch-jetson-platform/
- https://docs.nvidia.com/deeplearning/frameworks/install-tf-jetson-platform/
- https://github.com/dusty-nv/jetson-containers
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Fact, Framework, Gpus, Imported, Jetson, Message, Packages, System
from gpudoctor.findings import Confidence, Evidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.remedies import Run
from gpudoctor.rules._texts import first_match, lists_no_gpu, search
from gpudoctor.words import name_of

RULE = Rule(
    frameworks=("torch", "tensorflow"),
    masks=(
        "torch-cpu-build",
        "tf-cpu-build",
        "glibc-too-old",
        "python-unsupported",
        "nvidia-wheels-mismatch",
        "torch-arch-unsupported",
        "tf-cuda-libs-missing",
        "smoke-ran-on-cpu",
    ),
)

_NEEDS_OWN = r"Nano|TX1|TX2|Xavier|Orin|AGX"
_FIRST_GENERIC = 7  # JetPack 7 on Thor; Orin from 7.2 on, which the release tells
_NVIDIAS = re.compile(r"\+nv|\.nv\d|nv\d\d\.\d\d", re.IGNORECASE)


class _Board(NamedTuple):
    """What is known of a Jetson: how to call it, and whether it runs NVIDIA's own wheels only (None: not known)."""

    name: str
    own_wheels: bool | None
    evidence: Evidence


def _board(jetson: Jetson | None, system: System | None, gpus: Gpus | None, matrix: Matrix) -> _Board | None:
    """The board by its own files, or by the names that a text gives the system or the GPU; None for no Jetson."""
    if jetson and jetson.l4t:
        row = matrix.jetson(jetson.l4t)
        evidence = cite("L4T", jetson.l4t, jetson)
        if isinstance(row, Unlisted):
            return _Board(f"L4T {jetson.l4t}", None, evidence)
        return _Board(f"JetPack {row.jetpack}", bool(set(row.capabilities) - set(row.sbsa_capabilities)), evidence)
    sources: list[tuple[str, Fact | None]] = [(jetson.model if jetson and jetson.model else "", jetson)]
    sources += [((system.name if system else None) or "", system)]
    sources += [(gpu.name or "", gpu) for gpu in (gpus.gpus if gpus else ())]
    shown = " ".join(text for text, _ in sources)
    named = next(((text, source) for text, source in sources if _names_a_jetson(text)), None)
    if not (jetson and jetson.model) and named is None:
        return None
    text, source = named if named else sources[0]
    release = search(r"JetPack ?(\d)", shown)
    own = int(release[1]) < _FIRST_GENERIC if release else True if search(_NEEDS_OWN, shown) else None
    own = False if search(r"\bThor\b", shown) else own
    evidence = cite("board", text, source) if source else Evidence(fact="board", value=text, source="")
    return _Board(release[0] if release else f"a Jetson ({text})", own, evidence)


_JETSON = r"\bL4T\b|JetPack|Jetson|\btegra\b"


@lru_cache(maxsize=1024)
def _names_a_jetson(text: str) -> bool:
    return search(_JETSON, text) is not None


@RULE.detector
def generic_wheel_on_the_board(
    framework: Framework,
    build: Build,
    jetson: Jetson | None,
    imported: Imported | None,
    system: System | None,
    gpus: Gpus | None,
    matrix: Matrix,
) -> Verdict:
    """A framework that is no build of NVIDIA's on a board that needs one."""
    board = _board(jetson, system, gpus, matrix)
    if board is None:
        return NotApplicable("no Jetson")
    if not board.own_wheels:
        return Passed("this board runs generic wheels, or its JetPack is not known")
    if _NVIDIAS.search(build.version) or build.channel in ("ngc", "source"):
        return Passed(f"{build.version} is a build for Jetson, or made here")
    if imported and (imported.devices or imported.available):
        return Passed(f"{name_of(framework)} lists the GPU")
    return _found(f"{name_of(framework)} {build.version} is a generic ARM wheel, on {board.name}.", build, board)


@RULE.detector
def no_gpu_listed_on_the_board(
    framework: Framework,
    imported: Imported,
    jetson: Jetson | None,
    system: System | None,
    gpus: Gpus | None,
    matrix: Matrix,
) -> Verdict:
    """A framework of unknown build lists no GPU on a board that needs NVIDIA's builds."""
    if isinstance(framework.build, Build):
        return NotApplicable("the build is known")
    board = _board(jetson, system, gpus, matrix)
    if board is None or not board.own_wheels:
        return NotApplicable("no Jetson that needs NVIDIA's own wheels")
    if imported.available is not False:
        return Passed("the framework is not known to list no GPU")
    return _found(f"A generic ARM wheel does not serve the GPU of {board.name}.", imported, board)


_TEXTS = (
    r"version `GLIBC_[\d.]{3,6}' not found",
    r"is not a supported wheel on this platform",
    r"No matching distribution found for (?:torch|tensorflow)\S{0,30}",
    r"libcudart\.so\.\d\S{0,6}: cannot open shared object file",
    r"torch\.cuda\.is_available\(\)(?: returns| ?->| ?=|:)? ?False",
    r"Torch not compiled with CUDA enabled",
    r"no kernel image is available(?: for execution on the device)?",
)


@RULE.detector
def a_program_says_so(
    message: Message,
    jetson: Jetson | None,
    packages: Packages | None,
    system: System | None,
    gpus: Gpus | None,
    matrix: Matrix,
) -> Verdict:
    """The wheel does not load, does not install or sees no GPU on a board that needs NVIDIA's wheels."""
    board = _board(jetson, system, gpus, matrix)
    if board is None:
        return NotApplicable("no Jetson")
    text = first_match(_TEXTS, message.text) or lists_no_gpu(message.text)
    if text is None:
        return None
    if board.own_wheels is False:
        return Passed("this board runs generic wheels")
    version = packages.version("torch") or packages.version("tensorflow") if packages else None
    if version and _NVIDIAS.search(version):
        return Passed(f"{version} is a build for Jetson")
    return _found(f"A generic ARM wheel does not serve the GPU of {board.name}.", message, board, text)


def _found(title: str, source: Fact, board: _Board, text: str = "") -> Found:
    return Found(
        title=title,
        detail=text,
        evidence=(cite("seen", text or title, source), board.evidence),
        remedies=(
            Run(
                title="Install NVIDIA's build for this JetPack",
                where="environment",
                note="The wheels by JetPack version: https://docs.nvidia.com/deeplearning/frameworks/install-pytorch-"
                "jetson-platform/ (TensorFlow: install-tf-jetson-platform). Or use a container of "
                "https://github.com/dusty-nv/jetson-containers.",
            ),
        ),
        confidence=Confidence.LIKELY,
    )
