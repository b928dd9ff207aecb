"""The container image is for another L4T than this Jetson runs.

## What it means
Images for Jetson are tied to the board's L4T (JetPack). Those for JetPack 4 (r32) even take CUDA and cuDNN from the
board, which has other versions under JetPack 5 and later: libraries such as libcurand.so.10 or libcudart.so.10.2 are
missing.

## Why it happens
An image tag of a guide that was written for another JetPack.

## How to fix
Take the image for the L4T that the board runs.

## How it is detected
The L4T in the image's tag against the board's: JetPack 4 is r32, 5 is r34 and r35, 6 is r36, 7 is r38 and later.

## Sources
- https://catalog.ngc.nvidia.com/orgs/nvidia/containers/l4t-pytorch
- https://github.com/dusty-nv/jetson-containers
"""

from __future__ import annotations

import re

from gpudoctor.engine import Rule, cite
from gpudoctor.facts import Container, ContainerStart, CudaDriver, Jetson
from gpudoctor.findings import Confidence, Found, NotApplicable, Passed, Verdict
from gpudoctor.remedies import Run
from gpudoctor.rules._printed import SILENT, heard, works
from gpudoctor.views import Printed

RULE = Rule(
    masks=(
        "torch-jetson-wheel",
        "tf-cuda-libs-missing",
        "nvidia-wheels-mismatch",
        "container-no-gpu-access",
        "smoke-ran-on-cpu",
    )
)

_TAG = re.compile(r"(?:l4t[\w.-]{0,40}[:-]|[:-])r(\d{2})\.(\d{1,2})(?:\.\d{1,2})?|^(\d{2})\.(\d{1,2})(?:\.\d{1,2})?$")
_GENERATIONS = {32: 4, 34: 5, 35: 5, 36: 6, 38: 7, 39: 7}


def _generation(number: int) -> int:
    return _GENERATIONS.get(number, number)


@RULE.detector
def image_against_board(
    jetson: Jetson,
    container: Container | None,
    start: ContainerStart | None,
    printed: Printed | None,
    cuda: CudaDriver | None,
) -> Verdict:
    """The generation of JetPack in the image's tag and on the board."""
    if jetson.l4t is None:
        return NotApplicable("not a Jetson, or its L4T is not known")
    command = heard(printed, r"[\w./-]{3,80}l4t[\w.-]{0,40}:r\d{2}\.\d{1,2}[\w.-]{0,40}")
    images = ((start.image if start else None), (container.image if container else None), command and command.text)
    found = next((match for image in images if image and (match := _TAG.search(image))), None)
    board = re.match(r"(\d{2})\.", f"{jetson.l4t}.")
    if found is None or board is None:
        return NotApplicable("no image for a Jetson is known")
    image_release = int(found[1] or found[3])
    if _generation(image_release) == _generation(int(board[1])):
        return Passed(f"image r{image_release} on L4T {jetson.l4t}")
    if works(cuda):
        return Passed("CUDA works")
    shown = f"r{image_release}.{found[2] or found[4]}"
    return Found(
        title=f"The image is for L4T {shown}, and this Jetson runs L4T {jetson.l4t}.",
        detail="Images of JetPack 4 take CUDA from the board, which has another version."
        if _generation(image_release) == 4
        else "",
        evidence=(cite("image", shown, start or container or jetson), cite("L4T", jetson.l4t, jetson)),
        remedies=(
            Run(
                title=f"Take the image for L4T {jetson.l4t}",
                where="host",
                note="Tags name the L4T (r35.…, r36.…); jetson-containers' autotag chooses the right one.",
            ),
        ),
        confidence=Confidence.LIKELY,
    )


_JETPACK = r"\bJet ?Pack(?: version)?[ :=v]{0,3}([4-7])(?:\.\d{1,2}){0,2}\b"
_L4T_IMAGE = r"[\w./-]{3,80}(?::[\w.-]{0,40}l4t[\w.-]{0,20}|l4t[\w.-]{0,40}:)[-]?r(\d{2})\.\d{1,2}[\w.-]{0,40}"


@RULE.detector
def image_against_jetpack(printed: Printed, jetson: Jetson | None, cuda: CudaDriver | None) -> Verdict:
    """The generation of the image, and the JetPack that a text says the board has."""
    image, board = heard(printed, _L4T_IMAGE), heard(printed, _JETPACK)
    if image is None or board is None or works(cuda) or (jetson and jetson.l4t):
        return NotApplicable("the image or the board's JetPack is not told, or its L4T is known")
    meant, has = _generation(int(image.match[1])), int(board.match[1])
    if meant == has:
        return Passed(f"image for JetPack {meant} on JetPack {has}")
    return Found(
        title=f"The image is for JetPack {meant} (L4T r{image.match[1]}), and this Jetson runs JetPack {has}.",
        evidence=(image.evidence, board.evidence),
        remedies=(
            Run(
                title=f"Take an image for JetPack {has}",
                where="host",
                note="Tags name the L4T: r32 is JetPack 4, r35 JetPack 5, r36 JetPack 6, r38 JetPack 7.",
            ),
        ),
        confidence=Confidence.LIKELY,
    )


_MOUNTED_TWICE = (
    r"mount error: file creation failed: \S{0,200}/aarch64-linux-gnu/lib(?:cudnn|cublas|nvinfer)\S{0,40}: file exists"
)


@RULE.detector
def libraries_are_mounted_twice(printed: Printed, jetson: Jetson | None) -> Verdict:
    """The runtime of JetPack 4 mounts the board's CUDA libraries and finds them in the image already."""
    hit = heard(printed, _MOUNTED_TWICE)
    if hit is None or (jetson is not None and jetson.l4t is not None and not jetson.l4t.startswith("32")):
        return NotApplicable(SILENT)
    return Found(
        title="The image brings CUDA libraries that the Jetson's container runtime mounts as well.",
        detail=hit.text,
        evidence=(hit.evidence,),
        remedies=(Run(title="Take an l4t image for this JetPack, which comes without them", where="host"),),
        confidence=Confidence.LIKELY,
    )
