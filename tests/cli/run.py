"""Runs the gpudoctor command as its users do, and looks at what it leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LIMIT_SECONDS = 300
_DYING_SECONDS = 10.0
BUSY = 15.0
"""Seconds that a busy or slow machine may take for what a run does beside waiting: to start, to judge, to end."""
ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Ran:
    """What one run printed and how it ended. ``seconds`` of wall time."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def report(self) -> dict[str, Any]:
        """The JSON report on stdout, which must be all of it."""
        report = json.loads(self.stdout)
        assert isinstance(report, dict)
        return report

    @property
    def cause(self) -> str | None:
        """The rule of the report's cause."""
        cause = self.report["cause"]
        return cause["rule"] if cause else None


def environ(home: Path, **extra: str) -> dict[str, str]:
    """A plain user's environment with a home of its own; the command is imported from this checkout."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "XDG_CACHE_HOME") if name in os.environ}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **extra}


def default_signals() -> None:
    """A shell starts what it puts into the background with SIGINT ignored, nohup with SIGHUP: not so for our child."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def command(*arguments: str) -> list[str]:
    """The command line of gpudoctor in this interpreter."""
    return [sys.executable, "-m", "gpudoctor", *arguments]


def gpudoctor(*arguments: str, home: Path, **extra: str) -> Ran:
    """Run the command in ``home`` to its end."""
    return run_in(home, arguments, environ(home, **extra))


def run_in(
    home: Path, arguments: Sequence[str], variables: Mapping[str, str], before: Callable[[], None] | None = None
) -> Ran:
    """Run the command in ``home`` under these variables alone. ``before`` is called in its process ahead of it."""
    started = time.monotonic()
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        cwd=home,
        env=variables,
        stdin=subprocess.DEVNULL,
        timeout=_LIMIT_SECONDS,
        check=False,
        preexec_fn=before,
    )
    seconds = time.monotonic() - started
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode("utf-8", "replace"), seconds)


def children_of(marker: str) -> list[int]:
    """Processes whose environment holds the marker: whatever a run left behind, however it detached itself."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if marker.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def survivors(marker: str) -> list[int]:
    """Those that a run left behind. One that was killed may take a moment to be gone on a busy machine."""
    end = time.monotonic() + _DYING_SECONDS
    while (found := children_of(marker)) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def wait_until(happened: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    """Wait for an event as long as the slowest machine may need for it. Raises AssertionError if it does not come."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"not after {seconds:.0f} s: {what}"
        time.sleep(0.02)


def free_port() -> int:
    """A free port below those that the kernel hands out by itself (ip_local_port_range): none takes it meanwhile."""
    for port in random.sample(range(12_000, 30_000), 100):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("none of a hundred ports is free")


def files_below(folder: Path) -> set[str]:
    """Every file and folder below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def imitated_torch(site: Path) -> Path:
    """A folder for PYTHONPATH in which the imitation is installed as a CUDA build of torch."""
    shutil.copytree(ROOT / "tests" / "lab" / "imitations" / "torch", site / "torch")
    (site / "torch" / "version.py").write_text("__version__ = '9.9.9+cu130'\ncuda = '13.0'\nhip = None\n")
    info = site / "torch-9.9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9.9.9\n")
    (info / "INSTALLER").write_text("pip\n")
    return site
