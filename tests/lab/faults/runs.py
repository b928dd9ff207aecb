"""Whole runs of the program in a place of their own, where everything that they leave behind is seen."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]

from gpudoctor.wire import schema
from tests.cli.run import ROOT, Ran, command, default_signals, environ, files_below, imitated_torch, survivors
from tests.lab.drivers.fake import Machine, install

_OUTER_SECONDS = 120.0
_SCHEMA = jsonschema.Draft202012Validator(schema())


@dataclass
class Place:
    """An empty home and temporary folder, a lab's driver, and an environment with an imitation of PyTorch."""

    root: Path
    machine: Machine = field(default_factory=Machine)
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.marker = f"GPUDOCTOR_TEST_{os.getpid()}_{time.monotonic_ns()}"
        self.home, self.temporary = self.root / "home", self.root / "tmp"
        for folder in (self.home, self.temporary):
            folder.mkdir(parents=True)
        (self.home / ".git").mkdir()  # no project's file is looked for above it
        site = imitated_torch(self.root / "site")
        self.environ = environ(
            self.home,
            TMPDIR=str(self.temporary),
            **install(self.root / "driver", self.machine),
            **{self.marker: "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{site}", "XDG_CACHE_HOME": "/nonexistent"},
        )
        self.environ.update(self.variables)

    def begin(
        self, *arguments: str, prepare: Callable[[], None] = default_signals, before: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        """Start the program; ``before`` are words in front of its command line, ``prepare`` runs in the new process."""
        return subprocess.Popen(
            [*before, *command(*arguments)],
            cwd=self.home,
            env=self.environ,
            preexec_fn=prepare,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str, prepare: Callable[[], None] = default_signals, before: Sequence[str] = ()) -> Ran:
        """Run the program to its end."""
        started = time.monotonic()
        with self.begin(*arguments, prepare=prepare, before=before) as process:
            return self.ended(process, started)

    def ended(self, process: subprocess.Popen[bytes], started: float) -> Ran:
        """Wait for the end."""
        try:
            stdout, stderr = process.communicate(timeout=_OUTER_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return Ran(process.returncode, stdout.decode(), stderr.decode("utf-8", "replace"), time.monotonic() - started)

    def left(self) -> list[str]:
        """What is left behind: processes, files, mounts."""
        processes = [f"process {pid}: {_words(pid)}" for pid in survivors(self.marker)]
        files = [*(files_below(self.home) - {".git"}), *files_below(self.temporary)]
        return [*processes, *(f"file {name}" for name in files)]


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")[:200]
    except OSError:
        return "gone"


def mounts() -> list[str]:
    """What is mounted for this process."""
    return Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()


def traceback_of_ours(stderr: str) -> bool:
    """Whether a traceback was printed that runs through gpudoctor's own files, or none that anybody would expect.

    An interrupt while Python itself starts, before a line of gpudoctor runs, is Python's to report.
    """
    if "Traceback" not in stderr:
        return False
    files = re.findall(r'File "([^"]+)"', stderr)
    return not files or any("gpudoctor" in file for file in files)


def whole_report(stdout: str) -> bool:
    """Whether this is one report, and nothing else. Raises ValidationError for one of another form."""
    try:
        report = json.loads(stdout)
    except ValueError:
        return False
    _SCHEMA.validate(report)
    return True
