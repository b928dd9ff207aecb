"""GPUs as pastes show them: what a line does not tell is not in the paste."""

from __future__ import annotations

from typing import Any

import msgspec

from gpudoctor.facts import NOT_IN_PASTE, Gpu, GpuCapability

_UNSEEN: dict[str, Any] = dict.fromkeys(
    ("capability", "memory", "modes", "ecc", "clocks", "link", "nvlink", "fabric", "processes", "mig"), NOT_IN_PASTE
)


def seen(where: str, index: int, name: str | None = None, **known: Any) -> Gpu:
    """A GPU with what one place shows of it; a None among ``known`` records is left unseen."""
    told = {field: value for field, value in known.items() if value is not None}
    return Gpu(source=where, index=index, name=name, **{**_UNSEEN, **told})


def numbered(gpu: Gpu, index: int) -> Gpu:
    """The same GPU under another index."""
    return msgspec.structs.replace(gpu, index=index)


def capability(value: str | None, where: str) -> GpuCapability | None:
    """A compute capability that a program printed, ``8.6``; None for anything else."""
    if value is None:
        return None
    major, dot, minor = value.partition(".")
    good = (
        dot and major.isascii() and major.isdecimal() and 1 <= len(major) <= 2 and minor.isascii() and minor.isdecimal()
    )
    return GpuCapability(source=where, value=f"{int(major)}.{minor}") if good and len(minor) == 1 else None
