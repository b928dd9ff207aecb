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
    section, strangers = "", 0
    for position in range(start, len(paste)):
        text = paste.texts[position]
        if paste.taken[position] or position in paste.commands or strangers >= _STRANGERS:
            break
        if section == "gpus" and text.startswith("GPU ") and text[4:5].isdecimal():
            paste.take(position)
            yield from statements.read("gpu models and configuration", text, paste.where(position), Trust.SHOWN) or ()
            continue
        found = _section_line(paste, position, text, section)
        if found is not None:
            paste.take(position)
            strangers = 0
            yield from found
            continue
        around = paste.texts[position - 1 : position] + paste.texts[position + 1 : position + 2]
        framed = text[:5] != "=====" and len(around) == 2 and all(line[:5] == "=====" for line in around)
        entered = _FRAMED.get(text, "") if framed else _entered(text)
        if entered is not None:
            paste.take(position)
            section, strangers = entered, 0
            yield from _label_line(paste, position, text)
            continue
        strangers += 1


def _entered(text: str) -> str | None:
    """The section that a line opens; "" for a label that stands alone; None for a line that is none of this."""
    if text.startswith(("=====", "Collecting environment")) or text.endswith(" Info"):
        return ""
    parts = statements.split(text)
    if parts is None:
        return None
    name = parts[0]
    if name == "cpu":
        return "cpu"
    if name in _SECTIONS:
        return _SECTIONS[name]
    return "" if name in statements.LABELS or name in _DESCENDANTS or name.endswith(" version") else None


_SECTIONS = {
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


def _label_line(paste: Paste, position: int, text: str) -> Iterator[Piece]:
    parts = statements.split(text)
    if parts is None or not parts[1]:
        return
    name, value = parts
    where = paste.where(position)
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


def _section_line(paste: Paste, position: int, text: str, section: str) -> Iterator[Piece] | None:
    """What a line inside a section states; None if it is not of that section."""
    where = paste.where(position)
    if text.startswith(("[pip", "[conda]")):
        return _library(text, where)
    if section == "cudnn" and (text[:1] == "/" or text[1:3] == ":\\" or text.startswith("Probably")):
        return _cudnn_file(text, where)
    if section == "gpus" and text.startswith("MIG "):
        return _mig(text, where)
    if section == "cpu" and ":" in text:
        return _cpu(text, where)
    if section == "cpu" and "=" in text[:40]:
        return iter(())  # Windows: wmic's Name=…, Architecture=9
    if section == "env" and "=" in text:
        return None  # read with the other variables
    if section == "topology":
        return (
            iter(())
            if text.startswith(("GPU", "NIC", "Legend", "X ", "SYS", "NODE", "PHB", "PXB", "PIX", "NV#", "CPU"))
            else None
        )
    if section == "other" and (";" in text or text[:1] in "[*" or "Not Set" in text):
        return iter(())
    if section == "libraries" and words.is_nothing(text):
        return iter(())
    return None


def _library(text: str, where: str) -> Iterator[Piece]:
    found = _LIBRARY.match(text)
    if not found:
        return
    name, version, build, channel = found.groups()
    version = version.strip("()")
    if text.startswith("[conda]"):
        pypi = build == "pypi_0" or channel == "pypi"
        tool, installer = ("pip list", "pip") if pypi else ("conda list", "conda")
        yield SeenPackage(name, version, where, tool, build or "", channel or "", installer=installer)
    else:
        yield SeenPackage(name, version, where, "pip freeze", installer=None)


def _cudnn_file(text: str, where: str) -> Iterator[Piece]:
    found = _CUDNN.search(text)
    # The umbrella library; its parts (libcudnn_ops.so) are the same copy.
    if found and re.search(r"(?:libcudnn\.so|cudnn64_|libcudnn\.\d)", text):
        yield Said("cudnn.file", text[:300], where, Trust.SHOWN)


def _mig(text: str, where: str) -> Iterator[Piece]:
    if re.match(r"MIG \S{1,30}\s{1,10}Device\s{1,4}\d", text):
        yield Said("mig.device", text[:120], where, Trust.SHOWN)


def _cpu(text: str, where: str) -> Iterator[Piece]:
    name, _, value = text.partition(":")
    name = name.strip()
    key = {"Architecture": "architecture", "Model name": "cpu.model", "Flags": "cpu.flags", "CPU(s)": "cpu.count"}.get(
        name
    )
    if key == "architecture":
        arch = words.architecture(value)
        if arch:
            yield Said(key, arch, where, Trust.SHOWN)
    elif key:
        yield Said(key, value.strip(), where, Trust.SHOWN)
    elif name == "Hypervisor vendor":
        yield Said("vm", value.strip().lower(), where, Trust.SHOWN)
