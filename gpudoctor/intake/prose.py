"""What people write in passing: ``RTX 3090``, ``driver 535.129.03``, ``CUDA 11.8``, ``Ubuntu 22.04``, ``Python 3.12``.

The weakest of all statements: one counts only where nothing else in the paste says what it says, and only if all such
mentions agree. The lines themselves stay messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor.intake import words
from gpudoctor.intake.gpus import seen
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, SeenGpus, SeenPackage, Trust

_GPU = re.compile(
    r"\b((?:NVIDIA |GeForce |Nvidia |nvidia )?(?:RTX|GTX|rtx|gtx) ?(?:PRO )?[A1-9]?\d{3}(?: ?(?:Ti|SUPER"
    r"|Super|ti|super))?"
    r"(?: (?:Ada Generation|Laptop GPU|Blackwell))?|(?:Tesla|Quadro|TITAN|Titan|Jetson) [A-Z]{0,3}\w{1,10}(?: \w{2,8})?"
    r"|(?:NVIDIA |Nvidia |nvidia )[ABHLTV]\d{1,3}\w?|[AH]100(?:[ -](?:40|80) ?GB)?|H200|V100|L40S?|DGX Spark)\b"
)
_DRIVER = re.compile(r"\b[Dd]river(?: version)?s?[ :=]{1,3}v?(\d{3}\.\d{1,3}(?:\.\d{1,3})?)\b")
_CUDA = re.compile(r"\bCUDA(?: [Tt]oolkit)?[ -]?v?(\d{1,2}\.\d{1,2}(?:\.\d{1,3})?)\b")
_CUDNN = re.compile(r"\bcu?DNN[ -]?v?(\d\.\d{1,2}(?:\.\d{1,3})?)\b", re.IGNORECASE)
_SYSTEM = re.compile(
    r"\b((?:[KX]?[Uu]buntu|Debian|Fedora|CentOS|Rocky Linux|Linux Mint|RHEL|AlmaLinux|openSUSE"
    r"|Pop!_OS) ?\d{1,2}(?:\.\d{1,2}){0,2}"
    r"|Arch Linux|Manjaro|NixOS|Windows (?:7|8|10|11)|[Mm]ac ?OS(?: \d{2})?|WSL ?2"
    r"|[Jj]et[Pp]ack ?\d(?:\.\d){0,2}|[Mm]ac[Bb]ook(?: (?:Air|Pro))?|(?:Apple )?M[1-5] ?[Mm]ac[Bb]ook|Apple M[1-5])\b"
)
_PYTHON = re.compile(r"\b[Pp]ython ?v?([23]\.\d{1,2}(?:\.\d{1,2})?)\b")
_PACKAGE = re.compile(
    r"\b(?:([Pp]y[Tt]orch|torch|[Tt]ensor[Ff]low|TF|tensorflow-gpu|JAX|jax|jaxlib|numpy|NumPy|keras|Keras)"
    r"(?: version)?[ =:v-]{1,3}"
    r"(\d{1,2}\.\d{1,2}(?:\.\d{1,2})?(?:\+\w{2,8})?(?:rc\d)?))(?![\w]|\.\d)"
)
_NAMES = {"pytorch": "torch", "tf": "tensorflow"}
# A sentence about another state than the present one, or about what others have.
_ELSEWHERE = re.compile(
    r"upgrad|downgrad|install(?! on)|requires?\b|need|support|instead|works? (?:on|with|in)|worked"
    r"|compiled|built|was\b|if you|should|expected|older|newer|from versions|>=|<=|latest|recommend|against"
    r"|gcc|clang|\bSMP\b|no (?:matching|version|solution)\b|could not find",
    re.IGNORECASE,
)


def read_prose(paste: Paste) -> Iterator[Piece]:
    """One statement a kind, if all mentions of that kind are the same; and lines that are a GPU's name and no more."""
    yield from _bare_names(paste)
    found: dict[str, dict[str, str]] = {}
    for position in paste.free():
        text = paste.texts[position]
        if position in paste.commands or len(text) > 400 or _ELSEWHERE.search(text):
            continue
        for kind, pattern in _KINDS:
            for match in pattern.finditer(text):
                if kind == "package":
                    name = _NAMES.get(match[1].lower(), match[1].lower())
                    found.setdefault(f"package {name}", {}).setdefault(match[2], paste.where(position))
                else:
                    found.setdefault(kind, {}).setdefault(match[1], paste.where(position))
    for kind, values in found.items():
        if len(values) == 1:
            [(value, where)] = values.items()
            yield from _statement(kind, value, where)


_MAKERS = ("NVIDIA ", "GeForce ", "Tesla ", "Quadro ")


def _bare_names(paste: Paste) -> Iterator[Piece]:
    """Lines that are nothing but a GPU's name, one a GPU, as several tools list them."""
    found = []
    for position in paste.free():
        text = paste.texts[position]
        if text.startswith(_MAKERS) and len(text) < 50 and ":" not in text and words.gpu_model(text):
            paste.take(position)
            found.append(position)
    gpus = tuple(seen(paste.where(position), index, paste.texts[position]) for index, position in enumerate(found[:64]))
    if gpus:
        yield SeenGpus(gpus, paste.where(found[0], found[-1]), Trust.STATED)


_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("gpu", _GPU),
    ("driver", _DRIVER),
    ("toolkit", _CUDA),
    ("cudnn", _CUDNN),
    ("os", _SYSTEM),
    ("python", _PYTHON),
    ("package", _PACKAGE),
)


def _statement(kind: str, value: str, where: str) -> Iterator[Piece]:
    if kind == "gpu":
        if words.gpu_model(value):
            yield SeenGpus((seen(where, 0, value),), where, Trust.MENTIONED)
    elif kind.startswith("package "):
        yield SeenPackage(kind.removeprefix("package "), value, where, "mentioned")
    else:
        yield Said(kind, value, where, Trust.MENTIONED)
