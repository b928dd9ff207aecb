"""PCI addresses in one spelling: tools write one and the same place in several."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpudoctor.facts import Gpu

_ADDRESS = re.compile(r"(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])")


def address(text: str) -> str:
    """A PCI address as sysfs and CUDA spell it: ``00000000:1B:00.0``, ``1b:00.0`` and ``0000:1b:00.0`` are the same.

    NVML writes a domain of eight digits, sysfs and CUDA at least four (Intel's VMD has domains of five: ``10000``),
    lspci leaves out domain 0. A text that is no address comes back in small letters.
    """
    found = _ADDRESS.fullmatch(text.strip().lower())
    if found is None:
        return text.strip().lower()
    domain, bus, device, function = found.groups()
    return f"{int(domain or '0', 16):04x}:{int(bus, 16):02x}:{int(device, 16):02x}.{function}"


def index_at(gpus: Iterable[Gpu], place: str | None) -> int | None:
    """NVML's index of the GPU at a PCI address, None where it is not listed or its address is not known."""
    return next((gpu.index for gpu in gpus if place and gpu.pci and address(gpu.pci) == address(place)), None)
