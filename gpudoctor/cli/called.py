"""How gpudoctor was called, so that the commands it prints lead to it. Imports little: pre-flights need it too."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence


def program() -> str:
    """How gpudoctor was called: by its name where that leads to it, else by its path or as a module."""
    script = sys.argv[0]
    if os.path.basename(script) == "__main__.py":
        return joined([sys.executable, "-m", "gpudoctor"])
    named = os.path.basename(script).startswith("gpudoctor") and os.path.dirname(script)
    found = shutil.which("gpudoctor") if named else None
    return joined([script]) if named and not (found and _same(found, script)) else "gpudoctor"


def _same(one: str, other: str) -> bool:
    """Whether both paths lead to one program, which Windows may name without its .exe."""
    real = [os.path.normcase(os.path.realpath(path)) for path in (one, other)]
    return len({path.removesuffix(".exe") for path in real}) == 1


def joined(words: Sequence[str]) -> str:
    """Words as one line for the shell here."""
    import shlex
    import subprocess

    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
