"""``jax.print_environment_info()``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor.intake import statements, words
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, SeenPackage, Trust

_MARKS = ("jax.print_environment_info", "jax.devices (", "jax.local_devices", "process_count:")


def read_jax_info(paste: Paste) -> Iterator[Piece]:
    """Versions, Python, the devices that JAX lists, and the platform line; a table of nvidia-smi follows by itself."""
    if not paste.holds(*_MARKS):
        return
    for position in tuple(paste.free()):
        text = paste.texts[position]
        name, colon, value = text.partition(":")
        if not colon or len(name) > 40:
            continue
        value, where = value.strip(), paste.where(position)
        pieces = _line(name.strip(), value, where)
        if pieces is not None:
            paste.take(position)
            yield from pieces


def _line(name: str, value: str, where: str) -> Iterator[Piece] | None:
    if name in ("jax", "jaxlib", "numpy") and value[:1].isdecimal():
        return iter((SeenPackage(name, value.split()[0], where, f"{name}.__version__"),))
    if name == "python":
        return statements.read("python version", value, where, Trust.SHOWN)
    if name.startswith(("jax.devices", "device info")):
        return _devices(value, where)
    if name in ("platform", "System"):
        release = re.search(r"release='([^'\n]{1,80})'", value)
        machine = re.search(r"machine='([^'\n]{1,20})'", value)
        said = [Said("kernel", release[1], where, Trust.SHOWN)] if release and "system='Linux'" in value else []
        if "system='Darwin'" in value or "system='Windows'" in value:
            said.append(Said("os", "macOS" if "Darwin" in value else "Windows", where, Trust.SHOWN))
        if machine and words.architecture(machine[1]):
            said.append(Said("architecture", words.architecture(machine[1]) or "", where, Trust.SHOWN))
        return iter(said)
    return iter(()) if name in ("process_count", "jax.local_devices") else None


def _devices(value: str, where: str) -> Iterator[Piece]:
    low = value.lower()
    available = "cuda" in low or "gpu" in low or words.is_nvidia(value)
    if available or "cpu" in low:
        yield Said("jax.available", "true" if available else "false", where, Trust.SHOWN)
    if words.is_nvidia(value):
        yield from statements.read("gpu 0", value.partition("-")[0] or value, where, Trust.LOGGED) or ()
