"""The collector as it is given away, run by interpreters of this machine, and what gpudoctor itself finds there."""

from __future__ import annotations

import glob
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from msgspec.structs import replace

from gpudoctor.collector.build import collector
from gpudoctor.doctor import Plan, collect
from gpudoctor.facts import Facts, HostMemory, KernelLog, Request, SharedMemory
from gpudoctor.intake import read
from gpudoctor.world import World

LIMIT_SECONDS = 120


@cache
def interpreters() -> dict[str, str]:
    """The Pythons of this machine that can run it, one a version: those that pyenv keeps, and this one."""
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    found = {}
    for path in [*glob.glob(f"{pyenv}/versions/3.*/bin/python"), sys.executable]:
        asked = subprocess.run(
            [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], stdout=subprocess.PIPE
        )
        found[asked.stdout.decode().strip()] = path
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in item[0].split(".")]))


def oldest() -> str:
    """The oldest of them."""
    return next(iter(interpreters().values()))


def written(folder: Path) -> Path:
    """The collector as a file in that folder."""
    file = folder / "collect.py"
    file.write_text(collector(), "utf-8")
    return file


def run(
    file: Path,
    *arguments: str,
    python: str | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """One run of the collector to its end."""
    return subprocess.run(
        [python or oldest(), str(file), *arguments],
        capture_output=True,
        encoding="utf-8",
        env=dict(os.environ if environ is None else environ),
        timeout=LIMIT_SECONDS,
        cwd=cwd or file.parent,
    )


# A collector that looks at a recorded machine; users have no option for that.
_ELSEWHERE = """
import io, json, os, sys
file, root, executable, environ, redact, seconds = json.loads(sys.argv[1])
names = {"__name__": "collector"}
exec(compile(io.open(file, encoding="utf-8").read(), file, "exec"), names)
names["prepare"]()
seen = names["collected"](root, environ, executable, redact, seconds)
sys.stdout.buffer.write(names["document"](seen).encode("utf-8"))
"""


def elsewhere(file: Path, world: World, executable: str, *, redact: bool = False, seconds: float = 60.0) -> str:
    """What the collector prints of a machine that is a folder, or has other variables than this one."""
    import json

    told = json.dumps([str(file), str(world.root), executable, dict(world.environ), redact, seconds])
    done = subprocess.run(
        [oldest(), "-I", "-c", _ELSEWHERE, told],
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT_SECONDS,
        cwd=file.parent,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def diagnosed(world: World, executable: str, seconds: float = 60.0) -> Facts:
    """What ``gpudoctor diagnose --quick`` finds."""
    request = Request(source="standalone collector", quick=True)
    *_, facts = collect(Plan(executable, request, time_limit=seconds / 0.4), world, lambda _what, _state: None)
    return facts


def triaged(text: str) -> Facts:
    """What ``gpudoctor triage`` reads."""
    return read(text).facts


def steady(facts: Facts, live: bool = True) -> Facts:
    """The facts without what is another at each look: a live machine's kernel tells of each crash in a test."""
    memory, shared, log = facts.memory, facts.shared_memory, facts.kernel_log
    return replace(
        facts,
        created="",
        kernel_log=replace(log, lines=(), xids=()) if live and isinstance(log, KernelLog) else log,
        memory=replace(memory, available=None) if isinstance(memory, HostMemory) else memory,
        shared_memory=replace(shared, free=0) if isinstance(shared, SharedMemory) else shared,
    )


def differences(one: Facts, other: Facts, live: bool = True) -> dict[str, tuple[object, object]]:
    """The fields in which two sets of facts differ, after :func:`steady`."""
    one, other = steady(one, live), steady(other, live)
    return {
        name: (getattr(one, name), getattr(other, name))
        for name in Facts.__struct_fields__
        if getattr(one, name) != getattr(other, name)
    }
