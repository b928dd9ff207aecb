"""The address space that a process may use, where somebody limited it (``ulimit -v``, RLIMIT_AS).

An interpreter that runs out of it in the middle of an import may also crash, so too little is said before anything is
imported.
"""

from __future__ import annotations

import sys

_MIB = 1 << 20
NEEDED = 256 * _MIB
"""Bytes of address space with which every command ends as it should."""

_M_ARENA_MAX = -8  # malloc.h of the GNU C library


def too_little() -> str | None:
    """The sentence that says how much is allowed and needed; None where it is enough or there is no limit.

    Where there is a limit, all threads share one heap from now on: the GNU C library reserves 64 MiB for each other.
    """
    if sys.platform == "win32":
        return None
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed == resource.RLIM_INFINITY:
        return None
    if allowed < NEEDED:
        return f"only {allowed // _MIB} MiB of address space are allowed here (ulimit -v), {NEEDED // _MIB} are needed"
    _share_one_heap()
    return None


def _share_one_heap() -> None:
    import ctypes

    tune = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none, and no such reserve
    if tune is not None:
        tune(_M_ARENA_MAX, 1)
