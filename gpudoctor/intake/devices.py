"""Devices: lspci in all its levels of detail, lshw's blocks of displays, and ``ls -l /dev/nvidia*``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from gpudoctor.facts import DeviceNode, DeviceNodes, PciDevice, PciDevices
from gpudoctor.intake import words
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, Trust
from gpudoctor.intake.sources import joined

_LSPCI = re.compile(
    r"(?:lspci: )?((?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]) "
    r"(VGA compatible controller|3D controller|Display controller|Processing accelerators|Bridge)"
    r"(?: \[[0-9a-f]{4}\])?: (.{1,300})",
    re.IGNORECASE,
)
_LOOSE = re.compile(r"lspci: (?:([0-9a-f:]{2,8}:[0-9a-f]{2}\.[0-9a-f]) )?(.{3,200})", re.IGNORECASE)
_IDS = re.compile(r"\[?\b([0-9a-f]{4}):([0-9a-f]{4})\b\]?", re.IGNORECASE)
_BARE = re.compile(r"\bDevice ([0-9a-f]{4})\b")
_REVISION = re.compile(r"\s{0,4}\(rev ([0-9a-f]{2})\).{0,40}$", re.IGNORECASE)


def read_lspci(paste: Paste) -> Iterator[Piece]:
    """lspci's lines of graphics controllers, with ``-nn``'s ids and ``-k``'s drivers where they are shown."""
    devices: list[PciDevice] = []
    wheres: list[str] = []
    for position in tuple(paste.free()):
        text = paste.texts[position]
        found = _LSPCI.match(text)
        loose = None if found else _LOOSE.match(text)
        if found and "Bridge" not in found[2]:
            device = _device(found[1], found[3])
        elif loose and words.vendor_id(loose[2]):
            device = _device(loose[1] or "", loose[2])
        else:
            continue
        paste.take(position)
        wheres.append(paste.where(position))
        devices.append(_with_details(paste, position, device))
    if devices and (any(d.vendor == "10de" for d in devices) or _looked_for_nvidia(paste, wheres)):
        yield PciDevices(source=joined(wheres), devices=tuple(devices))
        if all(device.vendor != "10de" for device in devices):
            yield Said("pci.nvidia.absent", "true", joined(wheres), Trust.SHOWN)
    elif devices:
        for device, where in zip(devices, wheres, strict=True):
            yield Said("other.gpu", device.name or device.vendor, where, Trust.SHOWN)


def _looked_for_nvidia(paste: Paste, wheres: list[str]) -> bool:
    """Whether the list would show an NVIDIA GPU if there was one. ``grep VGA`` alone hides 3D controllers."""
    commands = [paste.texts[position] for position in paste.commands if "lspci" in paste.texts[position]]
    if not commands:
        return len(wheres) > 0
    return any("grep" not in c or re.search(r"nvidia|10de|3d", c, re.IGNORECASE) for c in commands)


def _device(address: str, text: str) -> PciDevice:
    revision = _REVISION.search(text)
    body = text[: revision.start()] if revision else text
    ids = _IDS.search(body)
    bare = _BARE.search(body)
    name = _IDS.sub("", body).replace("[]", "").strip(" :")
    name = re.sub(r"\s{1,4}\((?:from Windows|prog-if [^)]{1,60})\)", "", name)
    vendor = ids[1].lower() if ids else words.vendor_id(body) or ""
    full = address if address.count(":") == 2 or not address else f"0000:{address}"
    return PciDevice(
        address=full.lower(),
        vendor=vendor,
        device=ids[2].lower() if ids else bare[1].lower() if bare else _device_of_name(name),
        driver=None,
        name=name[:160] or None,
        revision=revision[1].lower() if revision else None,
    )


def _device_of_name(name: str) -> str:
    """The id of a product by its name, where the matrix lists exactly one; else empty."""
    model = words.gpu_model(name) if words.is_nvidia(name) else None
    return model.pci_ids[0].lower() if model and len(model.pci_ids) == 1 else ""


def _with_details(paste: Paste, start: int, device: PciDevice) -> PciDevice:
    """``lspci -k`` and ``-v``: indented lines below the device, of which the driver in use counts."""
    changes: dict[str, Any] = {}
    for position in range(start + 1, min(start + 30, len(paste))):
        text = paste.texts[position]
        if paste.indents[position] <= paste.indents[start] or paste.taken[position] or _LSPCI.match(text):
            break
        paste.take(position)
        name, _, value = text.partition(": ")
        if name == "Kernel driver in use":
            changes["driver"] = value.strip()[:40]
    return msgspec.structs.replace(device, **changes) if changes else device


# ------------------------------------------------------------------------------------------------- lshw

_LSHW_ROW = re.compile(r"(description|product|vendor|bus info|version|configuration): (.{1,300})")
_LSHW_DRIVER = re.compile(r"\bdriver=([\w-]{1,40})")


def read_lshw(paste: Paste) -> Iterator[Piece]:
    """``lshw -C display``: a block a device, of which vendor, product, place and the driver in use count."""
    devices: list[PciDevice] = []
    wheres: list[str] = []
    for start in tuple(paste.holding("-display")):
        if not re.match(r"\*?-display(?::\d{1,2})?(?: UNCLAIMED)?$", paste.texts[start]):
            continue
        rows, last = _lshw_rows(paste, start)
        if "vendor" not in rows and "product" not in rows:
            continue
        paste.take(start, last)
        wheres.append(paste.where(start, last))
        devices.append(_lshw_device(rows))
    if devices:
        yield PciDevices(source=joined(wheres), devices=tuple(devices))
        if all(device.vendor != "10de" for device in devices):
            yield Said("pci.nvidia.absent", "true", joined(wheres), Trust.SHOWN)


def _lshw_rows(paste: Paste, start: int) -> tuple[dict[str, str], int]:
    rows: dict[str, str] = {}
    last = start
    for position in range(start + 1, min(start + 20, len(paste))):
        text = paste.texts[position]
        if position in paste.commands or paste.taken[position] or not re.match(r"[a-z][a-z ]{1,20}: ", text):
            break
        row = _LSHW_ROW.match(text)
        if row:
            rows.setdefault(row[1], row[2])
        last = position
    return rows, last


def _lshw_device(rows: dict[str, str]) -> PciDevice:
    name = f"{rows.get('vendor', '')} {rows.get('product', '')}".strip()
    driver = _LSHW_DRIVER.search(rows.get("configuration", ""))
    device = _device(rows.get("bus info", "").removeprefix("pci@"), name)
    return msgspec.structs.replace(device, driver=driver[1] if driver else None, revision=rows.get("version"))


# ------------------------------------------------------------------------------------------- /dev/nvidia*

_LISTED = re.compile(
    r"([cbdl-])([rwxsStT-]{9})[.+@]? {1,4}\d{1,4} {1,4}(\S{1,40}) {1,10}(\S{1,40}) {1,10}"
    r"(\d{1,5}, {0,6}\d{1,5}|\d{1,12}) "
    r"(?:.{1,40}? )?(/dev/\S{1,80}|nvidia\S{0,60})$"
)
_ABSENT = re.compile(
    r"(?:ls: )?(?:cannot access )?['\"]?(/dev/(?:nvidia|dxg)\S{0,60}?)['\"]?: No such file or directory"
)
_IDS_OF = {"root": 0}


def read_device_nodes(paste: Paste) -> Iterator[Piece]:
    """The nodes that ``ls -l /dev/nvidia*`` lists, or its word that there are none."""
    nodes: dict[str, DeviceNode] = {}
    wheres: list[str] = []
    searched = False
    for position in tuple(paste.holding("nvidia")):
        text = paste.texts[position]
        row, absent = _LISTED.match(text), _ABSENT.search(text)
        if row and (row[6].startswith(("/dev/nvidia", "nvidia"))) and row[1] == "c":
            paste.take(position)
            node = _node(row)
            nodes[node.path] = node
            wheres.append(paste.where(position))
        elif absent and "*" in absent[1] and absent[1].startswith("/dev/nvidia"):
            searched = True
            wheres.append(paste.where(position))
    if nodes or searched:
        yield DeviceNodes(source=joined(wheres), nodes=tuple(nodes.values()))


def _node(row: re.Match[str]) -> DeviceNode:
    path = row[6] if row[6].startswith("/dev/") else f"/dev/{row[6]}"
    digits = (sum(4 >> i for i, mark in enumerate(row[2][at : at + 3]) if mark not in "-ST") for at in (0, 3, 6))
    mode = "0" + "".join(map(str, digits))
    return DeviceNode(path=path, mode=mode, owner=_IDS_OF.get(row[3]), group=_IDS_OF.get(row[4]))
