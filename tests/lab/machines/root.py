"""A described machine as the files of its root folder, and its GPUs as the fake driver libraries know them. Pure."""

from __future__ import annotations

import functools
import struct
from pathlib import Path
from typing import Any, Literal

import msgspec

from tests.lab.drivers.fake import MIB, FakeGpu, Machine, MigSlice, Process
from tests.lab.machines.description import Description, Driver, Entry
from tests.probes.roots import FOLDER, UNREADABLE, Content, Link, Root, changed

# ------------------------------------------------------------------------------------------------------------ GPUs

_OWN = frozenset({"model", "count", "absent", "bound", "driven", "revision"})  # entries that are not fields of FakeGpu


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of gpus.toml."""

    name: str
    chip: str
    device: str
    capability: tuple[int, int]
    traits: tuple[Literal["ecc", "mig", "remap", "retire", "fabric", "display"], ...]
    memory: int | None = None
    power: int | None = None
    clock: int | None = None
    pcie: tuple[int, int] | None = None
    nvlink: int = 0


@functools.cache
def models() -> dict[str, Model]:
    """The GPUs that a description can name."""
    return msgspec.toml.decode(Path(__file__).with_name("gpus.toml").read_bytes(), type=dict[str, Model])


def gpus(description: Description) -> tuple[tuple[dict[str, Any], FakeGpu], ...]:
    """Every GPU: its entry in the description, and what the fake libraries answer for it."""
    entries = [entry for entry in description.gpus for _ in range(entry.get("count", 1))]
    return tuple((entry, _gpu(index, entry)) for index, entry in enumerate(entries))


def _gpu(index: int, entry: dict[str, Any]) -> FakeGpu:
    model = models()[entry["model"]]
    fields = _fields(model) | {
        "uuid": f"GPU-5e1f7c2a-0000-4000-8000-0000000000a{index:x}",
        "pci": f"00000000:{0x17 + 0x10 * index:02X}:00.0",
    }
    fields |= {key: _value(key, value) for key, value in entry.items() if key not in _OWN}
    return FakeGpu(**fields | dict.fromkeys(entry.get("absent", ())))


def _fields(model: Model) -> dict[str, Any]:
    has = frozenset(model.traits)
    return {
        "name": model.name,
        "pci_id": int(model.device, 16) << 16 | 0x10DE,
        "capability": model.capability,
        "memory": None if model.memory is None else (model.memory * MIB, 400 * MIB, 0),
        "mig_mode": (False, False) if "mig" in has else None,
        "ecc": (True, True) if "ecc" in has else None,
        "ecc_errors": (0, 0, 0, 0) if "ecc" in has else None,
        "remapped": (0, 0, False, False) if "remap" in has else None,
        "retired": (0, 0) if "retire" in has else None,
        "retired_pending": False if "retire" in has else None,
        "power_limit": None if model.power is None else model.power * 1000,
        "power_default_limit": None if model.power is None else model.power * 1000,
        "sm_clock_max": model.clock,
        "pcie": None if model.pcie is None else (model.pcie[0], model.pcie[0], model.pcie[1], model.pcie[1]),
        "nvlink": (True,) * model.nvlink,
        "fabric": (3, 0) if "fabric" in has else None,
        "display_active": "display" in has,
    }


def _value(key: str, value: Any) -> Any:
    if key in ("compute", "graphics"):
        return tuple(Process(**process) for process in value)
    if key == "mig_slices":
        return tuple(MigSlice(**instance) for instance in value)
    return tuple(_value("", item) for item in value) if isinstance(value, list) else value


def machine(description: Description) -> Machine:
    """What the fake driver libraries answer."""
    driver = description.driver
    more = {key: _value("", value) for key, value in description.machine.items()}
    if driver is not None:
        more = {"driver": driver.version, "cuda_version": driver.cuda, **more}
    fakes = tuple(fake for entry, fake in gpus(description) if entry.get("driven", True))
    return Machine(gpus=fakes, faults=description.faults, without=description.without, **more)


# ------------------------------------------------------------------------------------------------------- the files


def root(description: Description) -> Root:
    """Every file of the machine but the driver's libraries, the Python environment and what links need a place for."""
    generated: Root = {**_bus(description), **_driver(description), **_cache(description)}
    files = generated
    for path, entry in description.files.items():
        files = changed(files, {put(path, description): None if entry is False else _content(entry, description)})
    return files


def put(text: str, description: Description) -> str:
    """The text with ``{kernel}``, ``{driver}`` and the other words of [system] filled in."""
    words = {"driver": description.driver.version if description.driver else "", **description.system}
    for word, value in words.items():
        text = text.replace(f"{{{word}}}", value)
    return text


def _content(entry: str | Entry, description: Description) -> Content:
    if isinstance(entry, str):
        return put(entry, description)
    if entry.link is not None:
        return Link(put(entry.link, description), literal=True)
    if entry.hex is not None:
        return bytes.fromhex(entry.hex)
    return UNREADABLE if entry.unreadable else FOLDER


def _bus(description: Description) -> Root:
    if not description.bus:
        return {}
    files: Root = {"/sys/bus/platform/uevent": "", "/sys/bus/pci/devices/0000:00:00.0/class": "0x060000\n"}
    ids = ["# PCI ids\n\n10de  NVIDIA Corporation\n"]
    for entry, fake in gpus(description):
        model = models()[entry["model"]]
        device = f"/sys/bus/pci/devices/{_sysfs(fake.pci)}"
        files |= {
            f"{device}/class": "0x030000\n" if "display" in model.traits else "0x030200\n",
            f"{device}/vendor": "0x10de\n",
            f"{device}/device": f"0x{model.device}\n",
            f"{device}/revision": f"0x{entry.get('revision', 'a1')}\n",
        }
        bound = entry.get("bound", "nvidia" if description.driver and description.driver.loaded else "")
        if bound:
            files[f"{device}/driver"] = Link(f"../../../../bus/pci/drivers/{bound}", literal=True)
        ids.append(f"\t{model.device}  {model.chip}\n")
    return files | {"/usr/share/misc/pci.ids": "".join(dict.fromkeys(ids))}


def _sysfs(pci: str) -> str:
    return pci.lower()[-12:]


_LOADED = ("nvidia_uvm", "nvidia_drm", "nvidia_modeset", "nvidia")


def _driver(description: Description) -> Root:
    driver = description.driver
    loaded = _LOADED if driver and driver.loaded else ()
    lines = [f"{name} 1048576 0 - Live 0x0000000000000000\n" for name in (*loaded, *description.modules, "xfs")]
    files: Root = {"/proc/modules": "".join(lines), "/sys/module/xfs": FOLDER, "/dev/null": ""}
    if driver and driver.loaded:
        files |= _loaded(description, driver)
    if driver and driver.on_disk:
        files |= _on_disk(description, driver)
    return files


def _loaded(description: Description, driver: Driver) -> Root:
    kind = "Open Kernel Module" if driver.flavour == "open" else "Kernel Module"
    machine_name = description.system.get("architecture", "x86_64")
    version = f"NVRM version: NVIDIA UNIX {kind} for {machine_name}  {driver.version}  Release Build\n"
    files: Root = {
        "/proc/driver/nvidia/version": version + "GCC version:  gcc version 13.3.0\n",
        "/sys/module/nvidia/version": f"{driver.version}\n",
    }
    for index, (entry, fake) in enumerate(gpus(description)):
        model = models()[entry["model"]].name
        files[f"/proc/driver/nvidia/gpus/{_sysfs(fake.pci)}/information"] = f"Model: \t\t {model}\n"
        files |= {f"/dev/nvidia{index}": ""} if description.nodes else {}
    nodes = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools") if description.nodes else ()
    return files | dict.fromkeys(nodes, "")


def _on_disk(description: Description, driver: Driver) -> Root:
    kernel, branch = description.system["kernel"], driver.version.partition(".")[0]
    opened = "-open" if driver.flavour == "open" else ""
    package = (
        f"Package: nvidia-driver-{branch}{opened}\nStatus: install ok installed\nVersion: {driver.version}-0ubuntu1\n\n"
    )
    return {
        f"/lib/modules/{kernel}/modules.dep": "updates/dkms/nvidia.ko:\n",
        f"/lib/modules/{kernel}/updates/dkms/nvidia.ko": "not really an object",
        f"/var/lib/dkms/nvidia/{driver.version}/{kernel}/x86_64/module/nvidia.ko": "",
        f"/var/lib/dkms/nvidia/kernel-{kernel}-x86_64": Link(f"{driver.version}/{kernel}/x86_64", literal=True),
        "/var/lib/dpkg/status": package,
    }


def _cache(description: Description) -> Root:
    """/etc/ld.so.cache in glibc's new format (struct cache_file_new in sysdeps/generic/dl-cache.h)."""
    folders = [put(folder, description) for folder in description.cached]
    entries = [(name, f"{folder}/{name}") for folder in folders for name in ("libcuda.so.1", "libnvidia-ml.so.1")]
    if not entries:
        return {}
    start = 48 + 24 * len(entries)
    table, strings = b"", b""
    for name, path in entries:
        key, value = start + len(strings), start + len(strings) + len(name) + 1
        table += struct.pack("=iIIIQ", 0x0303, key, value, 0, 0)
        strings += f"{name}\0{path}\0".encode()
    head = struct.pack("=20sII4B4I", b"glibc-ld.so.cache1.1", len(entries), len(strings), *[0] * 8)
    return {"/etc/ld.so.cache": head + table + strings}
