"""Small nested notes, as people and scripts write them: a name with a colon, ``key: value`` lines below or behind it.

``wsl:`` with ``version: 1``, ``mig:`` with ``mode: Enabled`` and ``instances: 0``, ``jetson: model: …``.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpudoctor.facts import GpuLink, GpuModes, Message, MigInstance, MigInstances
from gpudoctor.intake import statements
from gpudoctor.intake.gpus import seen
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, SeenGpus, Trust

_MOST_CHILDREN = 12
_PARENTS = ("wsl", "mig", "jetson", "pcie", "conf_compute", "confidential compute", "windows_nvidia_smi")


def read_notes(paste: Paste) -> Iterator[Piece]:
    """Each note whose name is known. What it says is a person's statement."""
    for parent in _PARENTS:
        for position in tuple(paste.holding(f"{parent}:")):
            text = paste.texts[position]
            if paste.taken[position] or not text.lower().startswith(f"{parent}:"):
                continue
            values, last = _children(paste, position, text.partition(":")[2].strip())
            pieces = list(_note(parent, values, paste.where(position, last)))
            if pieces:
                paste.take(position, last)
                yield from pieces


def _children(paste: Paste, start: int, behind: str) -> tuple[dict[str, str], int]:
    """The pairs behind the name on its line, else on the lines right below it, up to a blank line."""
    lines, last = [behind] if behind else [], start
    while not behind and last + 1 < len(paste) and last - start < _MOST_CHILDREN:
        adjacent = paste.numbers[last + 1] == paste.numbers[last] + 1
        if not adjacent or paste.taken[last + 1] or last + 1 in paste.commands or ":" not in paste.texts[last + 1]:
            break
        last += 1
        lines.append(paste.texts[last])
    pairs = (line.partition(":") for text in lines for line in text.split("; "))
    return {key.strip(" -").lower(): value.strip() for key, colon, value in pairs if colon}, last


def _note(parent: str, values: dict[str, str], where: str) -> Iterator[Piece]:
    if parent == "wsl":
        if values.get("version", "")[:1] in ("1", "2"):
            yield Said("wsl", values["version"][:1], where, Trust.LOGGED)
        for key, name in (("wsl_version", "wsl.version"), ("windows_build", "windows.build")):
            if values.get(key):
                yield Said(name, values[key][:60], where)
    elif parent == "mig":
        yield from _mig(values, where)
    elif parent == "jetson":
        for key in ("l4t_host", "l4t_image", "l4t"):
            yield from statements.read(key, values.get(key, ""), where, Trust.STATED) or ()
        yield from (
            statements.read("jetson model", values["model"], where, Trust.STATED) or () if "model" in values else ()
        )
    elif parent == "pcie":
        yield from _link(values, where)
    elif parent == "windows_nvidia_smi":
        yield from statements.read("driver version", values.get("driver", ""), where, Trust.STATED) or ()
    elif values.get("cc_mode", "").lower() in ("on", "off", "devtools"):
        modes = GpuModes(source=where, confidential=values["cc_mode"].lower())
        yield SeenGpus((seen(where, 0, modes=modes),), where, Trust.STATED)
        # Such a GPU may be in no list; the message keeps what was said of it.
        text = "; ".join(f"{key}: {value}" for key, value in values.items())
        yield Message(source=where, text=f"{parent}: {text}"[:400])


def _mig(values: dict[str, str], where: str) -> Iterator[Piece]:
    mode, count = values.get("mode", "").lower(), values.get("instances", "")
    if mode not in ("enabled", "disabled"):
        return
    known = MigInstances(source=where, instances=()) if count == "0" else None
    if count.isdecimal() and 0 < int(count[:3]) <= 56:
        known = MigInstances(source=where, instances=tuple(MigInstance(uuid="") for _ in range(int(count[:3]))))
    gpu = seen(where, 0, modes=GpuModes(source=where, mig=mode == "enabled"), mig=known)
    yield SeenGpus((gpu,), where, Trust.STATED)


def _link(values: dict[str, str], where: str) -> Iterator[Piece]:
    def number(key: str) -> int | None:
        text = values.get(key, "")
        return int(text) if text.isdecimal() and len(text) < 4 else None

    link = GpuLink(
        source=where,
        generation=number("gen"),
        generation_max=number("gen_max"),
        width=number("width"),
        width_max=number("width_max"),
    )
    if link.generation is not None or link.width is not None:
        yield SeenGpus((seen(where, number("gpu") or 0, link=link),), where, Trust.STATED)
