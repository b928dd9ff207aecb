"""``python -m torch.utils.collect_env`` of every generation since 1.0, and vLLM's, SGLang's and other descendants.

The generations differ in spacing (vLLM pads labels and adds framed headings), in ``GPU models and configuration``
(one GPU on the label's line, several below it) and in what follows (CPU, libraries, environment variables).
https://github.com/pytorch/pytorch/blob/main/torch/utils/collect_env.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor.intake import statements, words
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, SeenPackage, Trust

_LIBRARY = re.compile(
    r"\[(?:pip\d?|conda)\] (\S{1,80}?)(?:==| {1,40})(\S{1,80})(?: {1,30}(\S{1,80}))?(?: {1,30}(\S{1,80}))?"
)
_CUDNN = re.compile(r"cudnn(?:64)?[\w.]{0,40}?[._](\d{1,2}(?:\.\d{1,3}){0,3})(?:\.dll)?$")
_UMBRELLA = re.compile(r"libcudnn\.so|cudnn64_|libcudnn\.\d")
_STRANGERS = 4


def read_collect_env(paste: Paste) -> Iterator[Piece]:
    """Every collect_env block in the paste."""
    for mark in (
        "CUDA used to build PyTorch",
        "Collecting environment information",
        "PyTorch version",
        "GPU models and ",
    ):
        for position in tuple(paste.holding(mark)):
            if not paste.taken[position] and (not mark.startswith("PyTorch") or _begins(paste, position)):
                yield from _block(paste, _start(paste, position))


def _begins(paste: Paste, position: int) -> bool:
    """Whether a line ``PyTorch version`` stands in a collect_env block that lost the lines around it."""
    near = paste.texts[position + 1 : position + 14]
    return any(text.startswith(("Is CUDA available", "GPU models and", "Is debug build")) for text in near)


def _start(paste: Paste, position: int) -> int:
    """The first line of the block: labels that collect_env prints above the one that was found."""
    while position > 0 and not paste.taken[position - 1] and position - 1 not in paste.commands:
        text = paste.texts[position - 1]
        parts = statements.split(text)
        known = parts is not None and parts[0] in statements.LABELS
        if not known and not text.startswith(("=====", "Collecting env")) and not text.endswith(" Info"):
            break
        position -= 1
    return position


def _block(paste: Paste, start: int) -> Iterator[Piece]:
    texts, taken = paste.texts, paste.taken
    section, strangers = "", 0
    for position in range(start, len(texts)):
        text = texts[position]
        if taken[position] or position in paste.commands or strangers >= _STRANGERS:
            break
        if section == "gpus" and text.startswith("GPU ") and text[4:5].isdecimal():
            taken[position] = 1
            yield from statements.read("gpu models and configuration", text, paste.where(position), Trust.SHOWN) or ()
            continue
        found = _section_line(paste, position, text, section)
        if found is not None:
            taken[position] = 1
            strangers = 0
            yield from found
            continue
        parts = statements.split(text)
        entered = _FRAMED.get(text, "") if _framed(texts, position) else _entered(text, parts)
        if entered is None:
            strangers += 1
            continue
        taken[position] = 1
        section, strangers = entered, 0
        if parts is not None and parts[1]:
            yield from _label_line(*parts, paste.where(position))


def _framed(texts: list[str], position: int) -> bool:
    """Whether a line is a heading between two rows of equals signs."""
    if texts[position][:5] == "=====" or not 0 < position < len(texts) - 1:
        return False
    return texts[position - 1][:5] == texts[position + 1][:5] == "====="


def _entered(text: str, parts: tuple[str, str] | None) -> str | None:
    """The section that a line opens; "" for a label that stands alone; None for a line that is none of this."""
    if text.startswith(("=====", "Collecting environment")) or text.endswith(" Info"):
        return ""
    if parts is None:
        return None
    name = parts[0]
    if name in _SECTIONS:
        return _SECTIONS[name]
    return "" if name in statements.LABELS or name in _DESCENDANTS or name.endswith(" version") else None


_SECTIONS = {
    "cpu": "cpu",
    "gpu models and configuration": "gpus",
    "cudnn version": "cudnn",
    "versions of relevant libraries": "libraries",
    "gpu topology": "topology",
    "intel gpu models onboard": "other",
    "intel gpu models detected": "other",
    "vllm build flags": "other",
    "rocm version": "",
}
_FRAMED = {"Environment Variables": "env", "Versions of relevant libraries": "libraries", "CPU Info": "cpu"}
_DESCENDANTS = frozenset(
    {"vllm version", "sglang version", "neuron sdk version", "is xpu available", "hip runtime version"}
)


def _label_line(name: str, value: str, where: str) -> Iterator[Piece]:
    if name == "gpu models and configuration" and not value.startswith("GPU "):
        if not words.is_nothing(value) and words.is_nvidia(value):  # 0.4: the bare name
            yield from statements.read("gpu", value, where, Trust.SHOWN) or ()
        return
    if name == "driver version" or name == "cpu":
        return
    if name == "nvidia driver version" and not words.is_nothing(value):
        # collect_env asks nvidia-smi, which answered.
        yield Said("driver.result", "NVML_SUCCESS", where, Trust.LOGGED)
    if name == "cudnn version" and ("/" in value or "\\" in value):
        yield from _cudnn_file(value, where)
        return
    yield from statements.read(name, value, where, Trust.SHOWN) or ()


def _section_line(paste: Paste, position: int, text: str, section: str) -> tuple[Piece, ...] | None:
    """What a line inside a section states; None if it is not of that section."""
    if text[0] == "[" and text.startswith(("[pip", "[conda]")):
        return _library(text, paste.where(position))
    if section == "cpu":
        if ":" in text:
            return _cpu(paste, position, text)
        return () if "=" in text[:40] else None  # Windows: wmic's Name=…, Architecture=9
    if section == "cudnn" and (text[0] == "/" or text[1:3] == ":\\" or text.startswith("Probably")):
        return _cudnn_file(text, paste.where(position))
    if section == "gpus" and text.startswith("MIG "):
        return _mig(text, paste.where(position))
    if section == "topology":
        return () if text.startswith(_TOPOLOGY) else None
    if section == "other" and (";" in text or text[0] in "[*" or "Not Set" in text):
        return ()
    if section == "libraries" and words.is_nothing(text):
        return ()
    return None  # variables are read with the others


_TOPOLOGY = ("GPU", "NIC", "Legend", "X ", "SYS", "NODE", "PHB", "PXB", "PIX", "NV#", "CPU")


def _library(text: str, where: str) -> tuple[Piece, ...]:
    found = _LIBRARY.match(text)
    if not found:
        return ()
    name, version, build, channel = found.groups()
    version = version.strip("()")
    if text.startswith("[conda]"):
        pypi = build == "pypi_0" or channel == "pypi"
        tool, installer = ("pip list", "pip") if pypi else ("conda list", "conda")
        return (SeenPackage(name, version, where, tool, build or "", channel or "", installer=installer),)
    return (SeenPackage(name, version, where, "pip freeze", installer=None),)


def _cudnn_file(text: str, where: str) -> tuple[Piece, ...]:
    # The umbrella library; its parts (libcudnn_ops.so) are the same copy.
    if _UMBRELLA.search(text) and _CUDNN.search(text):
        return (Said("cudnn.file", text[:300], where, Trust.SHOWN),)
    return ()


def _mig(text: str, where: str) -> tuple[Piece, ...]:
    if re.match(r"MIG \S{1,30}\s{1,10}Device\s{1,4}\d", text):
        return (Said("mig.device", text[:120], where, Trust.SHOWN),)
    return ()


_CPU = {
    "Architecture": "architecture",
    "Model name": "cpu.model",
    "Flags": "cpu.flags",
    "CPU(s)": "cpu.count",
    "Hypervisor vendor": "vm",
}


def _cpu(paste: Paste, position: int, text: str) -> tuple[Piece, ...]:
    name, _, value = text.partition(":")
    key = _CPU.get(name.strip())
    if key is None:
        return ()
    value = value.strip()
    if key == "architecture":
        value = words.architecture(value) or ""
        if not value:
            return ()
    elif key == "vm":
        value = value.lower()
    return (Said(key, value, paste.where(position), Trust.SHOWN),)
