"""``nvidia-smi -q``, as text and as XML (``-x``), and ``--query-gpu=… --format=csv``.

The XML is read line by line: nvidia-smi writes one element a line. No entity is ever expanded and no parser builds a
tree, so that a hostile file costs no more than its lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gpudoctor.facts import (
    Gpu,
    GpuCapability,
    GpuClocks,
    GpuEcc,
    GpuFabric,
    GpuLink,
    GpuMemory,
    GpuModes,
)
from gpudoctor.intake import words
from gpudoctor.intake.gpus import capability, seen
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, SeenGpus, Trust
from gpudoctor.intake.statements import compute_mode

_ROW = re.compile(r"([A-Z0-9][\w .%/()+-]{0,60}?)\s{0,60}: (.{1,200})$")
_XML = re.compile(r"<([a-z][\w-]{0,60})>([^<>]{0,300})</[a-z][\w-]{0,60}>")
_OPEN = re.compile(r"<([a-z][\w-]{0,60})(?: id=\"([0-9A-Fa-f:.]{7,20})\")?>$")
_MEMORY = re.compile(r"(\d{1,9}) ?(MiB|MB|GiB)")
_NUMBER = re.compile(r"(-?\d{1,9}(?:\.\d{1,4})?)")

# Labels of -q by the section they stand in ("" for any), and of the XML by the same words: "max_link_gen" → Max.
Values = dict[tuple[str, str], str]


def read_nvidia_smi_query(paste: Paste) -> Iterator[Piece]:
    """Every -q log in the paste, with or without its banner."""
    if "<nvidia_smi_log>" in paste.text:
        yield from _xml(paste)
    if "NVSMI LOG" in paste.text or any(
        "nvidia-smi" in paste.texts[p] and " -q" in paste.texts[p] for p in paste.commands
    ):
        yield from _text(paste)
    if paste.holds(","):
        yield from _csv(paste)


def _text(paste: Paste) -> Iterator[Piece]:
    starts = list(paste.holding("NVSMI LOG"))
    starts += [
        p
        for p in sorted(paste.commands)
        if "nvidia-smi" in paste.texts[p] and " -q" in paste.texts[p] and p + 1 not in starts
    ]
    for start in starts:
        yield from _log(paste, start)


def _log(paste: Paste, start: int) -> Iterator[Piece]:
    """One log: labels with values, sections without; a GPU begins at ``GPU 00000000:01:00.0``."""
    gpus: list[tuple[str, Values]] = []
    head: Values = {}
    section, last, strangers = "", start, 0
    for position in range(start + 1, len(paste)):
        text = paste.texts[position]
        if position in paste.commands or paste.taken[position] or strangers > 3:
            break
        bus = re.match(r"GPU ([0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f])$", text)
        if bus:
            gpus.append((bus[1], {}))
            section = ""
        elif row := _ROW.match(text):
            if paste.indents[position] <= 4:
                section = ""
            (gpus[-1][1] if gpus else head).setdefault((section, row[1].strip()), row[2].strip())
        elif re.fullmatch(r"[A-Z][\w /()+.-]{1,60}:?", text):
            section = text.rstrip(":")
        elif not re.match(r"(?:SM clock|Max SM clock|Temp) \d", text):
            strangers += 1
            continue
        else:
            label_, _, value = text.rpartition(" ") if not text.endswith((" C", " MHz", " W")) else _loose(text)
            (gpus[-1][1] if gpus else head).setdefault(("", label_), value)
        strangers = 0
        paste.take(position)
        last = position
    if last == start:
        return
    paste.take(start)
    yield from _pieces(head, gpus, paste.where(start, last))


def _loose(text: str) -> tuple[str, str, str]:
    found = re.match(r"(.{1,40}?) (\d{1,6} (?:C|MHz|W))$", text)
    return (found[1], " ", found[2]) if found else (text, "", "")


def _xml(paste: Paste) -> Iterator[Piece]:
    gpus: list[tuple[str, Values]] = []
    head: Values = {}
    section = ""
    first = last = -1
    for position in tuple(paste.free()):
        text = paste.texts[position]
        if not text.startswith("<"):
            continue
        first, last = position if first < 0 else first, position
        paste.take(position)
        opened = _OPEN.match(text)
        if opened:
            if opened[1] == "gpu" and opened[2]:
                gpus.append((opened[2], {}))
            section = opened[1]
            continue
        for found in _XML.finditer(text[:4000]):
            (gpus[-1][1] if gpus else head).setdefault((section, found[1]), found[2].strip())
        if text.startswith("</"):
            section = ""
    if first >= 0:
        yield from _pieces(head, gpus, paste.where(first, last))


def _pieces(head: Values, gpus: list[tuple[str, Values]], where: str) -> Iterator[Piece]:
    driver = words.driver(_any(head, "Driver Version", "KMD Version", "driver_version", "kmd_version") or "")
    cuda = words.cuda(_any(head, "CUDA UMD Version", "CUDA Version", "cuda_umd_version", "cuda_version") or "")
    if driver:
        yield Said("driver.result", "NVML_SUCCESS", where, Trust.SHOWN)
        yield Said("driver", driver, where, Trust.SHOWN)
    if cuda:
        yield Said("driver.cuda", cuda, where, Trust.SHOWN)
    if not gpus and head:
        gpu = _gpu(0, None, head, where)
        yield SeenGpus((gpu,), where, Trust.SHOWN)
    elif gpus:
        listed = tuple(_gpu(index, bus, values, where) for index, (bus, values) in enumerate(gpus[:128]))
        yield SeenGpus(listed, where, Trust.SHOWN, whole=True)
    flavours = {_any(values, "GSP Firmware Version", "gsp_firmware_version") for _, values in gpus}
    del flavours  # GSP firmware runs under both flavours: it says nothing of them


def _any(values: Values, *names: str) -> str | None:
    """The first value under one of these labels, whatever its section, N/A left out."""
    for name in names:
        for (_, label_), value in values.items():
            if label_ == name and value.upper() not in ("N/A", "[N/A]", "UNKNOWN ERROR"):
                return value
    return None


def _in(values: Values, sections: tuple[str, ...], *names: str) -> str | None:
    for section in sections:
        for name in names:
            value = values.get((section, name))
            if value and value.upper() not in ("N/A", "[N/A]"):
                return value
    return None


def _bytes(text: str | None) -> int | None:
    found = _MEMORY.search(text or "")
    return int(found[1]) << (30 if found[2] == "GiB" else 20) if found else None


def _number(text: str | None) -> float | None:
    found = _NUMBER.search(text or "")
    return float(found[1]) if found else None


def _whole(text: str | None) -> int | None:
    value = _number(text)
    return None if value is None else int(value)


def _on(text: str | None) -> bool | None:
    return {"enabled": True, "disabled": False, "on": True, "off": False, "yes": True, "no": False}.get(
        (text or "").lower()
    )


def _gpu(index: int, bus: str | None, values: Values, where: str) -> Gpu:
    name = _any(values, "Product Name", "product_name")
    known: dict[str, Any] = {
        "uuid": _any(values, "GPU UUID", "uuid"),
        "pci": f"{bus[-12:]}".lower() if bus else None,
        "pci_device": _pci_device(_any(values, "Device Id", "pci_device_id")),
        "vbios": _any(values, "VBIOS Version", "vbios_version"),
        "memory": _memory(values, where),
        "modes": _modes(values, where),
        "ecc": _ecc(values, where),
        "clocks": _clocks(values, where),
        "link": _link(values, where),
        "fabric": _fabric(values, where),
        "capability": _capability(values, where),
    }
    return seen(where, index, name, **known)


def _pci_device(text: str | None) -> str | None:
    found = re.fullmatch(r"(?:0x)?([0-9A-Fa-f]{4})10DE", text or "", re.IGNORECASE)
    return found[1].lower() if found else None


def _capability(values: Values, where: str) -> GpuCapability | None:
    return capability(_any(values, "CUDA Compute Capability", "cuda_compute_capability", "compute_cap"), where)


def _memory(values: Values, where: str) -> GpuMemory | None:
    sections = ("FB Memory Usage", "fb_memory_usage")
    total = _bytes(_in(values, sections, "Total", "total"))
    if not total:
        return None
    used, free = (_bytes(_in(values, sections, name, name.lower())) for name in ("Used", "Free"))
    return GpuMemory(source=where, total=total, used=used, free=free)


def _modes(values: Values, where: str) -> GpuModes | None:
    compute = compute_mode(_any(values, "Compute Mode", "compute_mode") or "")
    told = {
        "compute": compute,
        "persistence": _on(_any(values, "Persistence Mode", "persistence_mode")),
        "mig": _on(_in(values, ("MIG Mode", "mig_mode"), "Current", "current_mig")),
        "mig_pending": _on(_in(values, ("MIG Mode", "mig_mode"), "Pending", "pending_mig")),
        "model": _in(values, ("Driver Model", "driver_model"), "Current", "current_dm"),
        "virtualization": (
            _any(values, "Virtualization Mode", "Virtualization mode", "virtualization_mode") or ""
        ).lower()
        or None,
        "vgpu_license": _licence(_any(values, "License Status", "license_status", "vgpu_license_status")),
    }
    return GpuModes(source=where, **told) if any(value is not None for value in told.values()) else None  # type: ignore[arg-type]


def _licence(text: str | None) -> str | None:
    low = (text or "").lower()
    return (
        None
        if not low
        else "unlicensed"
        if low.startswith("unlicensed")
        else "licensed"
        if low.startswith("licensed")
        else None
    )


def _ecc(values: Values, where: str) -> GpuEcc | None:
    enabled = _on(_in(values, ("ECC Mode", "Ecc Mode", "ecc_mode"), "Current", "current_ecc"))
    rows = ("Remapped Rows", "remapped_rows")
    retired = ("Retired Pages", "retired_pages")
    told = {
        "enabled": enabled,
        "uncorrected": _first_number(
            values, ("Volatile", "volatile"), "DRAM Uncorrectable", "dram_uncorrectable", "Total"
        ),
        "uncorrected_lifetime": _first_number(
            values, ("Aggregate", "aggregate"), "DRAM Uncorrectable", "dram_uncorrectable"
        ),
        "remapped_corrected": _whole(_in(values, rows, "Correctable Error", "remapped_row_corr")),
        "remapped_uncorrected": _whole(_in(values, rows, "Uncorrectable Error", "remapped_row_unc")),
        "remap_pending": _on(_in(values, rows, "Pending", "remapped_row_pending")),
        "remap_failure": _on(_in(values, rows, "Remapping Failure Occurred", "remapped_row_failure")),
        "retired_pages": _whole(_in(values, retired, "Double Bit ECC", "double_bit_retirement")),
        "retired_pending": _on(
            _in(values, retired, "Pending Page Blacklist", "Pending", "pending_blacklist", "pending_retirement")
        ),
    }
    return GpuEcc(source=where, **told) if any(value is not None for value in told.values()) else None  # type: ignore[arg-type]


def _first_number(values: Values, sections: tuple[str, ...], *names: str) -> int | None:
    return _whole(_in(values, sections, *names))


_REASONS = {
    "idle": "gpu-idle", "gpu_idle": "gpu-idle", "applications clocks setting": "applications-clocks-setting",
    "sw power cap": "sw-power-cap", "hw slowdown": "hw-slowdown", "hw thermal slowdown": "hw-thermal-slowdown",
    "hw power brake slowdown": "hw-power-brake-slowdown", "sync boost": "sync-boost",
    "sw thermal slowdown": "sw-thermal-slowdown", "display clock setting": "display-clock-setting",
}  # fmt: skip


def _clocks(values: Values, where: str) -> GpuClocks | None:
    throttle = []
    for (_, name), value in values.items():
        plain = (
            name.lower().removeprefix("clocks_throttle_reason_").removeprefix("clocks_event_reason_").replace("_", " ")
        )
        reason = _REASONS.get(plain)
        if reason and value.lower() == "active" and reason not in throttle:
            throttle.append(reason)
    told: dict[str, Any] = {
        "throttle": tuple(throttle),
        "temperature": _whole(_any(values, "GPU Current Temp", "gpu_temp", "Temp")),
        "temperature_limit": _whole(_any(values, "GPU Slowdown Temp", "gpu_temp_slow_threshold")),
        "power": _number(
            _any(
                values,
                "Power Draw",
                "Average Power Draw",
                "Instantaneous Power Draw",
                "power_draw",
                "instant_power_draw",
            )
        ),
        "power_limit": _number(
            _any(values, "Current Power Limit", "Power Limit", "power_limit", "current_power_limit")
        ),
        "power_default_limit": _number(_any(values, "Default Power Limit", "default_power_limit")),
        "sm_clock": _whole(_in(values, ("Clocks", "clocks"), "SM", "sm_clock") or _any(values, "SM clock")),
        "sm_clock_max": _whole(
            _in(values, ("Max Clocks", "max_clocks"), "SM", "sm_clock") or _any(values, "Max SM clock")
        ),
    }
    return GpuClocks(source=where, **told) if any(told.values()) else None


def _link(values: Values, where: str) -> GpuLink | None:
    generation, width = ("PCIe Generation", "pcie_gen", "GPU Link Info"), ("Link Width", "link_widths")
    told = {
        "generation": _whole(_in(values, generation, "Current", "current_link_gen")),
        "generation_max": _whole(_in(values, generation, "Max", "max_link_gen")),
        "width": _whole(_in(values, width, "Current", "current_link_width")),
        "width_max": _whole(_in(values, width, "Max", "max_link_width")),
        "replays": _whole(_any(values, "Replays Since Reset", "replay_counter")),
    }
    return GpuLink(source=where, **told) if any(value is not None for value in told.values()) else None


def _fabric(values: Values, where: str) -> GpuFabric | None:
    state = _in(values, ("Fabric", "fabric"), "State", "state")
    status = _in(values, ("Fabric", "fabric"), "Status", "status")
    return GpuFabric(source=where, state=state.lower().replace(" ", "-"), status=status) if state else None


# ------------------------------------------------------------------------------------------------- --format=csv

_FIELD_NAMES = """
    index name gpu_name uuid gpu_uuid driver_version memory.total memory.used memory.free compute_cap compute_mode
    temperature.gpu power.draw power.limit pcie.link.gen.current pcie.link.gen.max pcie.link.gen.gpucurrent
    pcie.link.width.current pcie.link.width.max persistence_mode mig.mode.current ecc.mode.current pci.bus_id gpu_bus_id
    vbios_version utilization.gpu utilization.memory timestamp count pstate clocks.sm clocks.max.sm
"""
_FIELDS = frozenset(_FIELD_NAMES.split())


def _csv(paste: Paste) -> Iterator[Piece]:
    """A heading of field names (``name, memory.total [MiB], compute_cap``) and a row a GPU."""
    for start in tuple(paste.free()):
        heading = paste.texts[start]
        if "," not in heading or heading.partition(",")[0].split(" ")[0] not in _FIELDS:
            continue
        names = [cell.strip().partition(" [")[0] for cell in heading.split(",")]
        if not 2 <= len(names) <= 40 or not all(name in _FIELDS or "." in name for name in names):
            continue
        rows: list[dict[str, str]] = []
        last = start
        for position in range(start + 1, min(start + 130, len(paste))):
            cells = [cell.strip() for cell in paste.texts[position].split(",")]
            if len(cells) != len(names) or position in paste.commands:
                break
            rows.append(dict(zip(names, cells, strict=True)))
            last = position
        if rows:
            paste.take(start, last)
            yield from _csv_rows(rows, paste.where(start, last))


def _csv_rows(rows: list[dict[str, str]], where: str) -> Iterator[Piece]:
    gpus = []
    for number, row in enumerate(rows):
        index = int(row["index"]) if row.get("index", "").isdecimal() and len(row["index"]) < 4 else number
        total = _bytes(row.get("memory.total"))
        known: dict[str, Any] = {
            "uuid": row.get("uuid") or row.get("gpu_uuid"),
            "capability": capability(row.get("compute_cap"), where),
            "memory": GpuMemory(source=where, total=total, used=_bytes(row.get("memory.used"))) if total else None,
        }
        mode = compute_mode(row.get("compute_mode", ""))
        if mode:
            known["modes"] = GpuModes(source=where, compute=mode)
        gpus.append(seen(where, index, row.get("name") or row.get("gpu_name"), **known))
        driver = words.driver(row.get("driver_version", ""))
        if driver:
            yield Said("driver", driver, where, Trust.SHOWN)
            yield Said("driver.result", "NVML_SUCCESS", where, Trust.SHOWN)
    yield SeenGpus(tuple(gpus), where, Trust.SHOWN, whole=True)
