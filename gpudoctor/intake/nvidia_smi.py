"""The table of ``nvidia-smi``, all generations from 331 to 610 and newer, and what it says instead of a table.

Layouts: two rows a GPU up to 440, a third row (MIG) from 450; names of 18 characters, then wider from 530, cut with
``...``; ``Driver Version`` and ``CUDA Version`` became ``KMD Version`` and ``CUDA UMD Version`` in 610; Windows has a
driver-model column (TCC, WDDM, MCDM) where Linux has persistence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from gpudoctor.facts import (
    NOT_IN_PASTE,
    Gpu,
    GpuClocks,
    GpuEcc,
    GpuMemory,
    GpuModes,
    GpuProcess,
    GpuProcesses,
    MigInstance,
    MigInstances,
)
from gpudoctor.intake import words
from gpudoctor.intake.gpus import seen
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, SeenGpus, Trust
from gpudoctor.intake.statements import compute_mode

MIB = 1 << 20

_HEADER = re.compile(
    r"NVIDIA-SMI +([\w.]{1,20})(?:\s{1,40}(?:Driver|KMD) Version:\s{0,6}([\w./-]{1,20}))?"
    r"(?:\s{1,40}CUDA (?:UMD )?Version:\s{0,6}([\w./!-]{1,20}))?"
)
_MEMORY = re.compile(r"(\d{1,8}) ?MiB ?/ {0,6}(\d{1,8}) ?MiB")
_BUS = re.compile(r"([0-9A-Fa-f]{4,8}):([0-9A-Fa-f]{2}):([0-9A-Fa-f]{2}\.[0-9A-Fa-f])")
_FLAGS = frozenset({"on", "off", "n/a", "wddm", "tcc", "mcdm", "enabled", "disabled", "err!", "unknown"})


def read_nvidia_smi(paste: Paste) -> Iterator[Piece]:
    """Every table in the paste, and every sentence that nvidia-smi prints in place of one."""
    for position in tuple(paste.holding("NVIDIA-SMI")):
        header = _HEADER.search(paste.texts[position])
        if header and (header[2] or "|" in paste.texts[position]):
            yield from _Table(paste, position, header).read()


class _Table:
    """One table, from its banner to its last border."""

    def __init__(self, paste: Paste, start: int, header: re.Match[str]) -> None:
        self.paste, self.start, self.header = paste, start, header
        self.windows = False
        self.gpus: list[Gpu] = []
        self.processes: dict[int, list[GpuProcess]] = {}
        self.instances: dict[int, list[MigInstance]] = {}
        self.no_mig_devices = self.lists_processes = False

    def read(self) -> Iterator[Piece]:
        end = self._rows()
        paste, where = self.paste, self.paste.where(self.start, end)
        paste.take(self.start, end)
        if self.start and paste.texts[self.start - 1].startswith("+--"):
            paste.take(self.start - 1)
        line = paste.where(self.start)
        yield Said("driver.result", "NVML_SUCCESS", line, Trust.SHOWN)
        smi, driver, cuda = self.header[1], words.driver(self.header[2] or ""), words.cuda(self.header[3] or "")
        driver = driver or (None if self.header[2] else words.driver(smi))
        if driver:
            yield Said("driver", driver, line, Trust.SHOWN)
        if cuda:
            yield Said("driver.cuda", cuda, line, Trust.SHOWN)
        elif self.header[3]:
            yield Said("driver.cuda.shown", self.header[3], line, Trust.SHOWN)
        if self.windows:
            yield Said("os", "Windows", where, Trust.LOGGED)
        elif driver and words.driver(smi) and driver.split(".")[0] != words.driver(smi).split(".")[0]:  # type: ignore[union-attr]
            # Linux' nvidia-smi against another driver: that of Windows around WSL.
            yield Said("wsl", "2", line, Trust.LOGGED)
        if self.gpus:
            yield SeenGpus(tuple(map(self._finished, self.gpus)), where, Trust.SHOWN, whole=True)

    def _rows(self) -> int:
        """Read rows up to the end of the table; the position of its last line."""
        texts, section, last = self.paste.texts, "gpus", self.start
        for position in range(self.start + 1, len(texts)):
            text = texts[position]
            if text[:1] == "+":
                last = position
                continue
            if text[:1] != "|":
                if position - last > 3 or (text and not text.startswith(("=", "-"))):
                    break
                continue
            if "NVIDIA-SMI" in text:
                break
            last = position
            section = self._row(text, position, section)
        return last

    def _row(self, text: str, position: int, section: str) -> str:
        body = text.strip("| ")
        if body.startswith("Processes"):
            self.lists_processes = True
            return "processes"
        if body.startswith("MIG devices"):
            return "mig"
        if "TCC/WDDM" in body or "Driver-Model" in body:
            self.windows = True
        if section == "processes":
            self._process(body)
        elif section == "mig":
            self._mig(body)
        elif "|" in text[1:-1]:
            self._gpu(text.strip().strip("|").split("|"), position)
        return section

    def _gpu(self, cells: list[str], position: int) -> None:
        first = cells[0].split()
        if len(first) >= 2 and first[0].isdecimal() and len(first[0]) <= 3 and len(cells) > 1 and _BUS.search(cells[1]):
            self.gpus.append(self._first_row(int(first[0]), first[1:], cells, position))
        elif self.gpus and len(cells) >= 2 and ("MiB" in cells[1] or "%" in cells[0] or "Usage" not in cells[1]):
            self.gpus[-1] = self._next_row(self.gpus[-1], cells)

    def _first_row(self, index: int, tokens: list[str], cells: list[str], position: int) -> Gpu:
        where = self.paste.where(position)
        flag = tokens.pop().lower() if len(tokens) > 1 and tokens[-1].lower() in _FLAGS else ""
        bus = _BUS.search(cells[1])
        display = cells[1].split()[-1].lower()
        ecc = cells[2].strip() if len(cells) > 2 else ""
        modes: dict[str, Any] = {"display": {"on": True, "off": False}.get(display)}
        if flag in ("wddm", "tcc", "mcdm"):
            modes["model"] = flag.upper()
            self.windows = True
        else:
            modes["persistence"] = {"on": True, "enabled": True, "off": False, "disabled": False}.get(flag)
        return seen(
            where,
            index,
            " ".join(tokens)[:100],
            pci=f"{bus[1][-4:]}:{bus[2]}:{bus[3]}".lower() if bus else None,
            modes=GpuModes(source=where, **modes),
            ecc=_ecc(ecc, where),
            error="NVML_ERROR_UNKNOWN" if "ERR!" in cells[0] else None,
        )

    def _next_row(self, gpu: Gpu, cells: list[str]) -> Gpu:
        where = gpu.source
        changes: dict[str, Any] = {}
        memory = _MEMORY.search(cells[1])
        if memory:
            changes["memory"] = GpuMemory(source=where, total=int(memory[2]) * MIB, used=int(memory[1]) * MIB)
            changes["clocks"] = _clocks(cells[0], where)
        elif "%" in cells[0] or re.match(r"\s{0,4}(?:N/A|\d{1,3}%)", cells[0]):
            changes["clocks"] = _clocks(cells[0], where)
        if "ERR!" in cells[0] and "Lost" in "".join(cells):
            changes["error"] = "NVML_ERROR_GPU_IS_LOST"
        last = cells[2].strip() if len(cells) > 2 else ""
        mode = compute_mode(last.split("%")[-1].removeprefix("N/A").strip()) if last else None
        mig = {"Enabled": True, "Disabled": False, "Enabled*": True, "Disabled*": False}.get(last)
        if isinstance(gpu.modes, GpuModes) and (mode or mig is not None):
            changes["modes"] = msgspec.structs.replace(
                gpu.modes, **({"compute": mode} if mode else {}), **({"mig": mig} if mig is not None else {})
            )
            if last.endswith("*"):
                changes["modes"] = msgspec.structs.replace(changes["modes"], mig_pending=not mig)
        return msgspec.structs.replace(gpu, **changes) if changes else gpu

    def _process(self, body: str) -> None:
        tokens = body.split()
        if len(tokens) < 4 or not tokens[0].isdecimal() or len(tokens[0]) > 3:
            return
        for place in range(1, min(len(tokens) - 1, 5)):
            if tokens[place].isdecimal() and tokens[place + 1] in ("C", "G", "C+G", "M", "M+C"):
                kind = "graphics" if tokens[place + 1] == "G" else "compute"
                used = tokens[-1].removesuffix("MiB")
                has_size = tokens[-1].endswith("MiB") and used.isdecimal() and len(used) < 9
                name = " ".join(tokens[place + 2 : -1 if has_size or tokens[-1] == "N/A" else None])
                process = GpuProcess(
                    pid=int(tokens[place][:10]),
                    used=int(used) * MIB if has_size else None,
                    name=name[:200] or None,
                    kind=kind,  # type: ignore[arg-type]
                )
                self.processes.setdefault(int(tokens[0]), []).append(process)
                return

    def _mig(self, body: str) -> None:
        if body.startswith("No MIG devices"):
            self.no_mig_devices = True
            return
        tokens = body.split("|")[0].split()
        if len(tokens) == 4 and all(token.isdecimal() and len(token) < 4 for token in tokens):
            memory = _MEMORY.search(body)
            instance = MigInstance(
                uuid="", name=f"GI {tokens[1]} CI {tokens[2]}", memory=int(memory[2]) * MIB if memory else None
            )
            self.instances.setdefault(int(tokens[0]), []).append(instance)

    def _finished(self, gpu: Gpu) -> Gpu:
        changes: dict[str, Any] = {}
        if self.lists_processes:
            listed = tuple(self.processes.get(gpu.index, ()))
            changes["processes"] = GpuProcesses(source=gpu.source, processes=listed)
        instances = self.instances.get(gpu.index)
        if instances or (self.no_mig_devices and isinstance(gpu.modes, GpuModes) and gpu.modes.mig):
            changes["mig"] = MigInstances(source=gpu.source, instances=tuple(instances or ()))
        if gpu.name and gpu.name.startswith(("ERR!", "Unknown")):
            changes |= {"name": None}
        return msgspec.structs.replace(gpu, **changes)


def _ecc(cell: str, where: str) -> GpuEcc | None:
    if cell.isdecimal() and len(cell) < 12:
        return GpuEcc(source=where, enabled=True, uncorrected=int(cell))
    return GpuEcc(source=where, enabled=False) if cell == "Off" else None


def _clocks(cell: str, where: str) -> Any:
    temperature = re.search(r"(\d{1,3})C\b", cell)
    power = re.search(r"(\d{1,4})W / {0,4}(?:(\d{1,5})W)?", cell)
    if not temperature and not power:
        return NOT_IN_PASTE
    return GpuClocks(
        source=where,
        temperature=int(temperature[1]) if temperature else None,
        power=float(power[1]) if power else None,
        power_limit=float(power[2]) if power and power[2] else None,
    )


# ------------------------------------------------------------------------ sentences in place of the table

_SENTENCES = (
    ("couldn't communicate with the NVIDIA driver", "NVML_ERROR_DRIVER_NOT_LOADED"),
    ("Failed to initialize NVML: Driver/library version mismatch", "NVML_ERROR_LIB_RM_VERSION_MISMATCH"),
    ("Failed to initialize NVML: Driver Not Loaded", "NVML_ERROR_DRIVER_NOT_LOADED"),
    ("Failed to initialize NVML: Unknown Error", "NVML_ERROR_UNKNOWN"),
    ("Failed to initialize NVML: GPU access blocked by the operating system", "NVML_ERROR_OPERATING_SYSTEM"),
    ("GPU access blocked by the operating system", "NVML_ERROR_OPERATING_SYSTEM"),
    ("Failed to initialize NVML: Insufficient Permissions", "NVML_ERROR_NO_PERMISSION"),
    ("NVIDIA-SMI couldn't find libnvidia-ml.so", "NVML_ERROR_LIBRARY_NOT_FOUND"),
    ("couldn't find libnvidia-ml.so library in your system", "NVML_ERROR_LIBRARY_NOT_FOUND"),
    ("couldn't find nvml.dll library in your system", "NVML_ERROR_LIBRARY_NOT_FOUND"),
    ("No devices were found", "NVML_SUCCESS"),
)  # fmt: skip


_IN_SENTENCES = ("couldn't ", "Failed to initialize NVML", "GPU access blocked", "No devices were found")


def read_nvml_errors(paste: Paste) -> Iterator[Piece]:
    """What nvmlInit returned, by nvidia-smi's sentence for it. The sentence stays a message for the rules too."""
    if not paste.holds(*_IN_SENTENCES):
        return
    for sentence, result in _SENTENCES:
        for position in paste.holding(sentence):
            where = paste.where(position)
            if result != "NVML_SUCCESS":
                yield Said("driver.result", result, where, Trust.SHOWN)
            elif paste.texts[position].rstrip(".") == sentence:
                yield Said("driver.result", result, where, Trust.LOGGED)
                yield SeenGpus((), where, Trust.SHOWN, whole=True)


def read_nvidia_smi_list(paste: Paste) -> Iterator[Piece]:
    """``nvidia-smi -L``: GPU lines, and MIG lines under them."""
    gpus: list[Gpu] = []
    first = last = -1
    for position in tuple(paste.holding("(UUID: ")):
        text = paste.texts[position]
        gpu = re.match(r"GPU (\d{1,3}): (.{1,100}?) \(UUID: ((?:GPU|MIG-GPU)-[0-9a-fA-F-]{8,40})\)", text)
        slice_of = re.match(r"MIG (\S{1,30})\s{1,10}Device\s{1,4}(\d{1,2}): \(UUID: (MIG-[\w/-]{8,80})\)", text)
        if not gpu and not (slice_of and gpus):
            continue
        if gpu and any(known.index == int(gpu[1]) for known in gpus):
            yield SeenGpus(tuple(gpus), paste.where(first, last), Trust.SHOWN, whole=True)
            gpus, first = [], -1
        first, last = position if first < 0 else first, position
        paste.take(position)
        where = paste.where(position)
        if gpu:
            gpus.append(seen(where, int(gpu[1]), gpu[2], uuid=gpu[3]))
        elif slice_of:
            present = gpus[-1].mig.instances if isinstance(gpus[-1].mig, MigInstances) else ()
            instance = MigInstance(uuid=slice_of[3], name=f"MIG {slice_of[1]}")
            changed = MigInstances(source=where, instances=(*present, instance))
            gpus[-1] = msgspec.structs.replace(gpus[-1], mig=changed, modes=GpuModes(source=where, mig=True))
    if gpus:
        yield SeenGpus(tuple(gpus), paste.where(first, last), Trust.SHOWN, whole=True)
