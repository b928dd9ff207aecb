"""The kernel's side: lsmod, /proc/driver/nvidia/version, modinfo, mokutil, DKMS, the kernel log."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor.facts import DriverFiles, KernelLog, KernelModules, Message, ModuleFile, SecureBoot, XidEvent
from gpudoctor.intake import words
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, Trust
from gpudoctor.intake.sources import joined

_LSMOD = re.compile(r"([a-z]\w{1,40}) {1,40}(\d{1,10}) {1,10}(-?\d{1,6})(?: |$)")
_ABOUT_GPUS = re.compile(r"nvidia|nouveau|nova|amdgpu|i915|xe$|vfio|gdrdrv|radeon")
_NVIDIA_LINES = ("nvidia", "nouveau", "nova")


def read_lsmod(paste: Paste) -> Iterator[Piece]:
    """``lsmod``. That nvidia is not loaded is known from a whole list, or from one that was searched for it."""
    groups: list[list[int]] = []
    for position in paste.free():
        text = paste.texts[position]
        row = _LSMOD.match(text)
        heading = text.startswith("Module ") and "Used by" in text
        if not row and not heading:
            continue
        if groups and groups[-1][-1] == position - 1:
            groups[-1].append(position)
        else:
            groups.append([position])
    for group in groups:
        yield from _modules(paste, group)
    for position in sorted(paste.commands):
        if paste.texts[position].startswith("lsmod") and "nvidia" in paste.texts[position] and _silent(paste, position):
            yield Said("kernel.driver.absent", "true", paste.where(position), Trust.SHOWN)


def _silent(paste: Paste, position: int) -> bool:
    """Whether a command's output is empty: the next line is a command right below, and the paste goes on."""
    return position + 1 in paste.commands and paste.numbers[position + 1] == paste.numbers[position] + 1


def _modules(paste: Paste, group: list[int]) -> Iterator[Piece]:
    texts = [paste.texts[position] for position in group]
    names = [row[1] for text in texts if (row := _LSMOD.match(text))]
    command = paste.command_of(group[0], back=2)
    whole = texts[0].startswith("Module ") or len(names) > 25
    if not whole and "lsmod" not in command and not any(_ABOUT_GPUS.match(name) for name in names):
        return
    paste.take(group[0], group[-1])
    where = paste.where(group[0], group[-1])
    loaded = tuple(name for name in names if _ABOUT_GPUS.match(name))
    yield KernelModules(source=where, loaded=loaded)
    searched = whole or "nvidia" in command
    if searched and "nvidia" not in names:
        yield Said("kernel.driver.absent", "true", where, Trust.SHOWN)


_PROC_VERSION = re.compile(
    r"NVIDIA UNIX (Open )?Kernel Module(?: for)?\s{1,4}(?:\w{3,8}\s{1,4})?(\d{3}\.\d{1,3}(?:\.\d{1,3})?)|"
    r"NVIDIA UNIX \w{3,8}(?: \w{1,8})? (Open )?Kernel Module\s{1,4}(\d{3}\.\d{1,3}(?:\.\d{1,3})?)"
)


def read_module_version(paste: Paste) -> Iterator[Piece]:
    """``/proc/driver/nvidia/version`` and the kernel log's ``loading NVIDIA UNIX x86_64 Kernel Module``."""
    for position in tuple(paste.holding("NVIDIA UNIX")):
        text = paste.texts[position]
        found = _PROC_VERSION.search(text)
        if not found:
            continue
        where = paste.where(position)
        if text.startswith("NVRM version"):
            paste.take(position)
            if position + 1 < len(paste) and paste.texts[position + 1].startswith("GCC version"):
                paste.take(position + 1)
        yield Said("kernel.driver", found[2] or found[4], where, Trust.SHOWN)
        yield Said("driver.flavour", "open" if found[1] or found[3] else "proprietary", where, Trust.SHOWN)


_MODINFO = re.compile(r"(filename|version|license|vermagic):\s{1,20}(\S.{0,200})")


def read_modinfo(paste: Paste) -> Iterator[Piece]:
    """``modinfo nvidia``, whole or one field of it: the module on disk, loaded or not."""
    for position in sorted(paste.commands):
        command = paste.texts[position]
        if "modinfo" not in command or "nvidia" not in command or position + 1 >= len(paste):
            continue
        fields: dict[str, str] = {}
        end = position
        single = re.search(r"-(?:F|-field[= ]) ?(\w{1,20})", command)
        if single and not paste.taken[position + 1] and position + 1 not in paste.commands:
            fields[single[1]], end = paste.texts[position + 1], position + 1
        else:
            for below in range(position + 1, min(position + 60, len(paste))):
                row = _MODINFO.match(paste.texts[below])
                if below in paste.commands or ":" not in paste.texts[below]:
                    break
                end = below
                if row:
                    fields.setdefault(row[1], row[2])
        paste.take(position, end)
        yield from _module_file(fields, paste.where(position, end))


def _module_file(fields: dict[str, str], where: str) -> Iterator[Piece]:
    if "not found" in fields.get("filename", "") or not fields:
        return
    version = words.driver(fields.get("version", ""))
    licence = fields.get("license", "")
    kernel = fields.get("vermagic", "").partition(" ")[0] or _kernel_of(fields.get("filename", ""))
    flavour = None if not licence else "open" if "MIT" in licence or "GPL" in licence else "proprietary"
    modules = (ModuleFile(kernel=kernel, version=version),) if kernel else ()
    if version or flavour or modules:
        yield DriverFiles(source=where, modules=modules, flavour=flavour)  # type: ignore[arg-type]
    if flavour:
        yield Said("driver.flavour", flavour, where, Trust.LOGGED)


def _kernel_of(path: str) -> str:
    found = re.search(r"/lib/modules/([^/\s]{1,100})/", path)
    return found[1] if found else ""


def read_secure_boot(paste: Paste) -> Iterator[Piece]:
    """``mokutil --sb-state``, and the kernel's or bootctl's word."""
    for mark, enabled in _SECURE_BOOT:
        for position in tuple(paste.holding(mark)):
            paste.take(position)
            yield SecureBoot(source=paste.where(position), enabled=enabled)


_SECURE_BOOT: tuple[tuple[str, bool | None], ...] = (
    ("SecureBoot enabled", True),
    ("SecureBoot disabled", False),
    ("Secure boot enabled", True),
    ("Secure boot disabled", False),
    ("Secure Boot: enabled", True),
    ("Secure Boot: disabled", False),
    ("EFI variables are not supported on this system", None),
)

_DKMS = re.compile(
    r"(nvidia[\w-]{0,30})[/, ]{1,2}(\d{3}\.[\d.]{1,12})(?:, ([\w.+~-]{1,80}), (\w{1,20}))?: (added|built"
    r"|installed|broken)?"
)


def read_dkms(paste: Paste) -> Iterator[Piece]:
    """``dkms status``: ``nvidia/535.129.03, 6.2.0-26-generic, x86_64: installed``, older ``nvidia, 470.57, …``."""
    modules: list[ModuleFile] = []
    states: list[str] = []
    wheres: list[str] = []
    for position in tuple(paste.holding("nvidia")):
        text = paste.texts[position]
        found = _DKMS.match(text)
        if not found or (found[5] is None and found[3] is None):
            continue
        paste.take(position)
        wheres.append(paste.where(position))
        states.append(text)
        if found[3] and found[5] in ("installed", "built"):
            modules.append(ModuleFile(kernel=found[3], version=found[2].rstrip("."), how="dkms"))
    if states:
        yield DriverFiles(source=joined(wheres), modules=tuple(modules), dkms=tuple(states))


# ------------------------------------------------------------------------------------------- the kernel log

_XID = re.compile(r"NVRM: (?:GPU at [^:\n]{1,40}: ?)?Xid(?: \((?:PCI:)?([0-9a-fA-F:.]{5,20})\))?: ?(\d{1,4})\b")
_LOG = re.compile(
    r"NVRM|(?:nvidia|nouveau|nova)(?:[-_](?:uvm|modeset|drm|nvlink|nvswitch|gpu|core|fs|peermem))?(?: [0-9a-f]{4}:|: )"
    r"|pcieport |vfio-pci |PKCS#7|Lockdown|PM: "
)
_LOG_START = ("NVRM", "nvidia", "nouveau", "nova", "pcieport", "vfio-pci", "PKCS#7", "Lockdown", "PM: ")


def read_kernel_log(paste: Paste) -> Iterator[Piece]:
    """Kernel log lines on GPUs. Sentences that NVRM breaks over several lines are one message."""
    xids: list[XidEvent] = []
    lines: list[str] = []
    wheres: list[str] = []
    paragraph: list[int] = []
    for position in _log_lines(paste):
        text = paste.texts[position]
        wheres.append(paste.where(position))
        lines.append(text)
        found = _XID.search(text)
        if found:
            xids.append(XidEvent(xid=int(found[2]), pci=found[1].lower() if found[1] else None, text=text))
        if paragraph and not _continues(paste, paragraph[-1], position):
            yield _paragraph(paste, paragraph)
            paragraph = []
        paragraph.append(position)
        paste.take(position)
    if paragraph:
        yield _paragraph(paste, paragraph)
    if lines:
        yield KernelLog(source=joined(wheres), xids=tuple(xids[:500]), lines=tuple(lines[:500]))


def _log_lines(paste: Paste) -> Iterator[int]:
    if not paste.holds(*_LOG_START):
        return
    for position in tuple(paste.free()):
        text = paste.texts[position]
        if position in paste.commands or not text.startswith(_LOG_START):
            continue
        if text.startswith("NVRM version") or not _LOG.match(text):
            continue
        yield position


def _continues(paste: Paste, before: int, position: int) -> bool:
    """NVRM breaks its sentences: the next line goes on if this one ends without a full stop, and both are NVRM's."""
    first, second = paste.texts[before], paste.texts[position]
    if position != before + 1 or not (first.startswith("NVRM: ") and second.startswith("NVRM: ")):
        return False
    return (
        not first.endswith((".", "!", "...", ")")) and not _XID.search(second) and not second.startswith("NVRM: GPU ")
    )


def _paragraph(paste: Paste, positions: list[int]) -> Message:
    parts = [paste.texts[position] for position in positions]
    text = " ".join([parts[0], *(part.removeprefix("NVRM:").strip() for part in parts[1:])])
    return Message(source=paste.where(positions[0], positions[-1]), text=text[:4000])
