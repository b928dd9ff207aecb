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

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Build, Fact, Framework, Imported, Jetson, Message, Packages, System
from gpudoctor.findings import Confidence, Found, NotApplicable, NotJudged, Passed, Verdict
from gpudoctor.matrix import Matrix, Unlisted
from gpudoctor.remedies import Run
from gpudoctor.rules._texts import first_match, lists_no_gpu, search
from gpudoctor.rules._words import name_of

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

_NEEDS_OWN = ("Nano", "TX1", "TX2", "Xavier", "Orin", "AGX")
_FIRST_GENERIC = 7  # JetPack 7 on Thor; Orin from 7.2 on, which the release tells
_NVIDIAS = re.compile(r"\+nv|\.nv\d|nv\d\d\.\d\d", re.IGNORECASE)


def _own_wheels(jetson: Jetson, system: System | None, matrix: Matrix) -> str | None:
    """The JetPack of a board that runs NVIDIA's own wheels only; None where generic ones run or nothing is known."""
    named = search(r"JetPack ?(\d)", (system.name if system else None) or "")
    if named:
        return named[0] if int(named[1]) < _FIRST_GENERIC else None
    if jetson.l4t:
        row = matrix.jetson(jetson.l4t)
        if isinstance(row, Unlisted):
            return None
        own = set(row.capabilities) - set(row.sbsa_capabilities)
        return f"JetPack {row.jetpack}" if own else None
    model = jetson.model or ""
    return f"a Jetson {model}" if any(name in model for name in _NEEDS_OWN) and "Thor" not in model else None


def _is_board(jetson: Jetson, system: System | None) -> bool:
    """By the board's own files, or by the name that a text gives the system."""
    named = search(r"\bL4T\b|JetPack|Jetson|\btegra\b", (system.name if system else None) or "")
    return bool(jetson.l4t or jetson.model or named)


@RULE.detector
def generic_wheel_on_the_board(
    framework: Framework,
    build: Build,
    jetson: Jetson,
    imported: Imported | None,
    system: System | None,
    matrix: Matrix,
) -> Verdict:
    """A framework that is no build of NVIDIA's on a board that needs one."""
    if not _is_board(jetson, system):
        return NotApplicable("no Jetson")
    board = _own_wheels(jetson, system, matrix)
    if board is None:
        return Passed("this board runs generic wheels, or its JetPack is not known")
    if _NVIDIAS.search(build.version) or build.channel in ("ngc", "source"):
        return Passed(f"{build.version} is a build for Jetson, or made here")
    if imported and imported.devices:
        return Passed(f"{name_of(framework)} lists the GPU")
    if build.installer not in (None, "pip", "uv", "poetry", "conda") and build.accelerator == "cuda":
        return NotJudged("who built it is not known")
    return _found(f"{name_of(framework)} {build.version} is a generic ARM wheel, on {board}.", build, jetson)


_TEXTS = (
    r"version `GLIBC_[\d.]{3,6}' not found",
    r"is not a supported wheel on this platform",
    r"No matching distribution found for (?:torch|tensorflow)\S{0,30}",
    r"\b(?:torch|tensorflow)\b.{0,40}\b(?:cannot|can't|could not) be installed\b",
    r"libcudart\.so\.\d\S{0,6}: cannot open shared object file",
    r"torch\.cuda\.is_available\(\)(?: returns| ?->| ?=|:)? ?False",
    r"Torch not compiled with CUDA enabled",
    r"no kernel image is available for execution on the device",
)


@RULE.detector
def a_program_says_so(
    message: Message, jetson: Jetson, packages: Packages | None, system: System | None, matrix: Matrix
) -> Verdict:
    """The wheel does not load, does not install or sees no GPU on a board that needs NVIDIA's wheels."""
    if not _is_board(jetson, system):
        return NotApplicable("no Jetson")
    text = first_match(_TEXTS, message.text) or lists_no_gpu(message.text)
    if text is None:
        return None
    board = _own_wheels(jetson, system, matrix) or ("a Jetson board" if system and _old(system) else None)
    if board is None and jetson.l4t is None:
        board = "a Jetson board"
    if board is None:
        return Passed("this board runs generic wheels")
    version = packages.version("torch") or packages.version("tensorflow") if packages else None
    if version and _NVIDIAS.search(version):
        return Passed(f"{version} is a build for Jetson")
    return _found(f"A generic ARM wheel does not serve the GPU of {board}.", message, jetson, text)


def _old(system: System) -> bool:
    """Ubuntu 18.04, 20.04 and 22.04 are those of JetPack 4, 5 and 6."""
    return system.distribution == "ubuntu" and (system.release or "") in ("18.04", "20.04", "22.04")


def _found(title: str, source: Fact, jetson: Jetson, text: str = "") -> Found:
    return Found(
        title=title,
        detail=text,
        evidence=(
            cite("seen", text or title, source),
            cite("board", " ".join(filter(None, (jetson.model, f"L4T {jetson.l4t}" if jetson.l4t else ""))), jetson),
        ),
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
