"""A case's evidence → the text that such a person pastes, in one of several styles chosen by the case's id.

The layouts are those of the tools themselves. Nothing but the evidence enters the text: no cause, no summary.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

CASES = Path(__file__).with_name("cases.jsonl")
HELD_OUT = "held_out_*.jsonl"


class Case(NamedTuple):
    """One environment that a person reported, and the root causes that a fair judge accepts (none: healthy)."""

    id: str
    source: str
    healthy: bool
    expected: tuple[str, ...]
    derivable: bool
    evidence: dict[str, Any]


@cache
def cases() -> tuple[Case, ...]:
    """All cases, in the order of the file."""
    rows = (json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines())
    return tuple(Case(**{**row, "expected": tuple(row["expected"])}) for row in rows)


@cache
def held_out(pattern: str = HELD_OUT) -> tuple[Case, ...]:
    """The cases that no rule was written from: the text as it was pasted, and the cause that was written down first."""
    files = sorted(CASES.parent.glob(pattern))
    return tuple(_held_out(json.loads(line)) for path in files for line in path.read_text("utf-8").splitlines())


def _held_out(row: dict[str, Any]) -> Case:
    cause = row["cause"]
    expected = (cause, *row["also_accept"]) if cause else ()
    return Case(row["id"], row["source"], not cause, expected, row["derivable"], {"text": row["text"]})


def styles() -> int:
    """How many styles there are."""
    return len(_STYLES)


def style_of(case: Case) -> int:
    """The style of a case: always the same for the same id."""
    return zlib.crc32(case.id.encode()) % styles()


def render(case: Case, style: int | None = None) -> str:
    """The text of a case; one that is kept as text has no other style."""
    if "text" in case.evidence:
        return str(case.evidence["text"])
    blocks = [block for block in _blocks(case.evidence, case.id) if block]
    return _STYLES[style_of(case) if style is None else style](blocks)


# ------------------------------------------------------------------------------------------------- styles


class Block(NamedTuple):
    """A piece of a paste: the command that printed it (empty: a person wrote it), and its lines."""

    command: str
    lines: tuple[str, ...]


def _plain(blocks: list[Block]) -> str:
    parts = ["\n".join(([f"$ {b.command}"] if b.command else []) + list(b.lines)) for b in blocks]
    return "\n\n".join(parts) + "\n"


def _fenced(blocks: list[Block]) -> str:
    parts = []
    for block in blocks:
        body = "\n".join(([f"$ {block.command}"] if block.command else []) + list(block.lines))
        parts.append(f"```\n{body}\n```" if block.command else body)
    return "**Describe the bug**\n\n" + "\n\n".join(parts) + "\n"


def _terminal(blocks: list[Block]) -> str:
    parts = ["\n".join(([f"(venv) user@box:~/work$ {b.command}"] if b.command else []) + list(b.lines)) for b in blocks]
    return "\n\n".join(parts).replace("\n", "\r\n") + "\r\n"


def _quoted(blocks: list[Block]) -> str:
    return "\n".join(f"> {line}".rstrip() for line in _plain(blocks).splitlines()) + "\n"


def _bulleted(blocks: list[Block]) -> str:
    parts = []
    for block in blocks:
        if block.command:
            parts.append("\n".join([f"# {block.command}", *block.lines]))
        else:
            parts.append("\n".join(f"- {line}" if ": " in line and len(line) < 80 else line for line in block.lines))
    return "\n\n".join(parts) + "\n"


def _numbered(blocks: list[Block]) -> str:
    return "\n".join(f"{n:>4}: {line}" for n, line in enumerate(_plain(blocks).splitlines(), 1)) + "\n"


_STYLES: tuple[Callable[[list[Block]], str], ...] = (_plain, _fenced, _terminal, _quoted, _bulleted, _numbered)


# ------------------------------------------------------------------------------------------------- blocks


def _blocks(evidence: dict[str, Any], case_id: str) -> Iterator[Block]:
    turn = zlib.crc32(case_id.encode()[::-1])
    yield _platform(evidence.get("platform", {}))
    symptoms = Block("", tuple(evidence.get("symptoms", ())))
    if turn % 2:
        yield symptoms
    if "collect_env" in evidence:
        yield _collect_env(evidence["collect_env"])
    if "packages" in evidence:
        yield _packages(evidence["packages"], turn)
    if "conda" in evidence:
        yield Block("conda list", tuple(_conda_row(name, text) for name, text in evidence["conda"].items()))
    if "nvidia_smi" in evidence:
        yield from _nvidia_smi(evidence["nvidia_smi"], evidence.get("compute_mode", []))
    if "nvcc" in evidence and "CUDA runtime version" not in evidence.get("collect_env", {}):
        yield _nvcc(evidence["nvcc"], turn)
    if "cudnn" in evidence:
        yield Block("", (f"cuDNN version: {evidence['cudnn']}",))
    if "env" in evidence:
        yield Block("", tuple(f"{'export ' if turn % 3 else ''}{k}={v}" for k, v in evidence["env"].items()))
    for key, make in _OTHERS.items():
        if key in evidence:
            yield make(evidence[key])
    for key, value in evidence.items():
        if key not in _SHOWN and key not in _OTHERS:
            yield Block("", tuple(_note(key, value)))
    if not turn % 2:
        yield symptoms


_SHOWN = frozenset(
    ("platform", "symptoms", "collect_env", "packages", "conda", "nvidia_smi", "nvcc", "cudnn", "env", "docker", "kind")
)


def _platform(platform: dict[str, Any]) -> Block:
    os = platform.get("os") or {"windows": "Windows", "macos": "macOS", "wsl2": "Linux"}.get(
        platform.get("kind", ""), ""
    )
    if platform.get("kind") == "wsl2" and "wsl" not in os.lower():
        os = f"{os} (WSL2)"
    labels = {"OS": os, "Architecture": platform.get("arch"), "Python version": platform.get("python")}
    labels["Running in container"] = platform.get("container")
    return Block("", tuple(f"{name}: {value}" for name, value in labels.items() if value))


_COLLECT_ENV = (
    "PyTorch version", "Is debug build", "CUDA used to build PyTorch",
    "ROCM used to build PyTorch", "",
    "OS", "GCC version", "Libc version", "", "Python version", "Python platform", "Is CUDA available", "CUDA runtime version",  # noqa: E501
    "CUDA_MODULE_LOADING set to", "GPU models and configuration", "Nvidia driver version", "cuDNN version",
    "HIP runtime version", "MIOpen runtime version",
)  # fmt: skip


def _collect_env(told: dict[str, Any]) -> Block:
    lines = ["Collecting environment information..."]
    for label in _COLLECT_ENV:
        value = told.get(label)
        if not label:
            lines.append("")
        elif isinstance(value, list):
            lines += [f"{label}: ", *value, ""] if len(value) > 1 else [f"{label}: {value[0]}"]
        elif value is not None:
            lines += f"{label}: {value}".splitlines()
    return Block("python -m torch.utils.collect_env", tuple(lines))


def _packages(packages: dict[str, str], turn: int) -> Block:
    if turn % 3 == 0:
        return Block("pip freeze", tuple(f"{name}=={version}" for name, version in packages.items()))
    if turn % 3 == 1:
        return Block("", tuple(f"{name} version: {version}" for name, version in packages.items()))
    width = max(len("Package"), *map(len, packages))
    longest = max(len("Version"), *(len(str(version)) for version in packages.values()))
    rows = (f"{name:<{width}} {version}" for name, version in packages.items())
    return Block("pip list", (f"{'Package':<{width}} Version", f"{'-' * width} {'-' * longest}", *rows))


def _conda_row(name: str, text: str) -> str:
    version, _, rest = text.partition(" ")
    build, _, channel = rest.partition(" ")
    return f"{name:<25} {version:>8}   {build:<12} {channel}".rstrip()


def _nvidia_smi(told: dict[str, Any], modes: list[str]) -> Iterator[Block]:
    gpus = told.get("gpus", [])
    if told.get("error"):
        yield Block("nvidia-smi", (told["error"],))
    if told.get("driver"):
        yield Block("nvidia-smi", tuple(_table(told, gpus, modes)))
        return
    if told.get("cuda"):
        yield Block("", (f"nvidia-smi CUDA version: {told['cuda']}",))
    if gpus:
        yield Block("", tuple(f"GPU {index}: {gpu['name']}" for index, gpu in enumerate(gpus)))


def _table(told: dict[str, Any], gpus: list[dict[str, Any]], modes: list[str]) -> Iterator[str]:
    driver, cuda = told["driver"], told.get("cuda") or "N/A"
    new = driver.split(".")[0].isdigit() and int(driver.split(".")[0]) >= 610
    yield "+-----------------------------------------------------------------------------------------+"
    names = ("KMD Version", "CUDA UMD Version") if new else ("Driver Version", "CUDA Version")
    banner = f"NVIDIA-SMI {driver:<22}{names[0]}: {driver:<15}{names[1]}: {cuda}"
    yield f"| {banner:<87} |"
    yield "|-----------------------------------------+------------------------+----------------------+"
    yield "| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |"
    yield "| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |"
    yield "|                                         |                        |               MIG M. |"
    yield "|=========================================+========================+======================|"
    for index, gpu in enumerate(gpus):
        total, used = gpu.get("memory_total_mib"), gpu.get("memory_used_mib") or 0
        memory = f"{used}MiB / {total:>6}MiB" if total else "N/A"
        yield f"| {index:>3}  {gpu['name']:<30} Off |   00000000:{index + 1:02X}:00.0 Off |                  N/A |"
        mode = "E. Process" if index < len(modes) and modes[index] == "Exclusive_Process" else "Default"
        yield f"|  0%   40C    P8             20W / N/A   | {memory:>22} |       0%  {mode:>10} |"
        yield "|                                         |                        |                  N/A |"
        yield "+-----------------------------------------+------------------------+----------------------+"


def _nvcc(version: str, turn: int) -> Block:
    if turn % 4 == 0 or "." not in version:
        return Block("", (f"CUDA version: {version}",))
    short = ".".join(version.split(".")[:2])
    return Block(
        "nvcc --version",
        ("nvcc: NVIDIA (R) Cuda compiler driver", f"Cuda compilation tools, release {short}, V{version}"),
    )


def _lspci(devices: list[str]) -> Block:
    return Block(
        "lspci | grep -iE 'vga|3d|nvidia'",
        tuple(
            f"{index + 1:02x}:00.0 VGA compatible controller: "
            + (name if name.startswith(("NVIDIA", "Intel", "AMD")) else f"NVIDIA Corporation {name}")
            for index, name in enumerate(devices)
        ),
    )


def _dev_nodes(told: dict[str, Any]) -> Block:
    if "listing" in told:
        return Block("ls -l /dev/nvidia*", tuple(told["listing"]))
    if "present" in told:
        rows = (f"crw-rw-rw- 1 root root 195, 0 {path}" for path in told["present"])
        return Block("ls -l /dev/nvidia*", tuple(rows))
    return Block("", tuple(f"ls: cannot access '{path}': No such file or directory" for path in told["missing"]))


def _services(told: dict[str, str]) -> Block:
    [(name, state)] = told.items()
    if state == "not installed":
        return Block(f"systemctl status {name}", (f"Unit {name}.service could not be found.",))
    if state == "failed":
        return Block(f"systemctl status {name}", (f"* {name}.service", "     Active: failed (Result: exit-code)"))
    return Block("", (f"{name}: {state}",))


def _docker(told: dict[str, Any]) -> Block:
    lines = []
    if "run" in told:
        lines.append(f"$ {told['run']}")
    lines += [f"{key}: {_flat(value)}" for key, value in told.items() if key != "run"]
    return Block("", tuple(lines))


_OTHERS: dict[str, Callable[[Any], Block]] = {
    "lspci": _lspci,
    "dmesg": lambda lines: Block("sudo dmesg | grep -iE 'nvrm|xid|nvidia|pcie'", tuple(lines)),
    "lsmod": lambda names: Block("lsmod | grep -E 'nvidia|nouveau'", tuple(f"{n:<26} 16384  0" for n in names)),
    "dev_nodes": _dev_nodes,
    "services": _services,
    "secure_boot": lambda on: Block("mokutil --sb-state", (f"SecureBoot {'enabled' if on else 'disabled'}",)),
    "kernel": lambda release: Block("uname -r", (release,)),
    "cpu": lambda name: Block("", (f"Model name: {name}",)),
    "cpu_flags": lambda flags: Block("", (f"Flags: {flags}",)),
    "command": lambda command: Block(command, ()),
    "smi_q": lambda lines: Block("nvidia-smi -q", tuple(lines)),
    "docker": _docker,
    "modinfo_version": lambda version: Block("modinfo -F version nvidia", (version,)),
    "modinfo_license": lambda licence: Block("modinfo -F license nvidia", (licence,)),
    "proc_driver_version": lambda line: Block("cat /proc/driver/nvidia/version", (line,)),
    "user_groups": lambda groups: Block("groups", (" ".join(groups),)),
    "dkms_status": lambda lines: Block("dkms status", tuple(lines)),
    "smi_in_container": lambda told: Block("docker run --gpus all nvidia/cuda nvidia-smi", (told["error"],)),
}


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_flat(item)}" for key, item in value.items())
    return ", ".join(map(_flat, value)) if isinstance(value, list) else str(value)


def _note(key: str, value: Any) -> Iterator[str]:
    items = value if isinstance(value, list) and value and isinstance(value[0], dict) else [value]
    for item in items:
        if isinstance(item, dict):
            yield f"{key}:"
            yield from (f"{name}: {_flat(inner)}" for name, inner in item.items())
        else:
            yield f"{key}: {_flat(item)}"
