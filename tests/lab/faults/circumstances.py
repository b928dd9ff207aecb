"""Circumstances in which the whole program runs: files, memory, processes and streams that it may not have."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from tests.cli.run import Ran
from tests.lab.faults.runs import Place, traceback_of_ours, whole_report

Program = Literal["diagnose --quick", "diagnose", "preflight"]
PROGRAMS: tuple[Program, ...] = get_args(Program)
_ARGUMENTS: Mapping[Program, tuple[str, ...]] = {
    "diagnose --quick": ("diagnose", "--quick", "--format", "json"),
    "diagnose": ("diagnose", "--framework", "torch", "--format", "json"),
    "preflight": ("preflight", "--require", "gpus>=1,driver>=550"),
}
_LIMIT_SECONDS = 60
_USER = 60000


@dataclass(frozen=True)
class Circumstance:
    """What surrounds a run.

    ``mounts`` are commands of a private mount namespace; ``limits`` are those of the process by the end of their name
    in the module ``resource``; ``user``: as somebody without any right; ``closed`` are numbers of standard streams;
    ``stdout`` is where that leads.
    """

    meaning: str
    mounts: str = ""
    limits: Mapping[str, int] = field(default_factory=dict)
    variables: Mapping[str, str | None] = field(default_factory=dict)
    user: bool = False
    closed: tuple[int, ...] = ()
    stdout: str | None = None

    @property
    def needs_root(self) -> bool:
        """Whether only root can make it."""
        return bool(self.mounts) or self.user

    def before(self) -> tuple[str, ...]:
        """The words in front of the program's command line."""
        user = _USER + os.getpid() % 5000 if self.user else None
        launch = (sys.executable, "-c", _LAUNCH, json.dumps([dict(self.limits), user, self.closed, self.stdout]))
        mounts = self.mounts + (_REACHABLE if self.user else "")
        if not mounts:
            return launch
        return ("unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{mounts}\nexec "$@"', "sh", *launch)


# Runs in front of the program, and becomes it.
_LAUNCH = """\
import json, os, resource, sys
limits, user, closed, stdout = json.loads(sys.argv[1])
if user is not None:
    os.setgroups([]); os.setgid(user); os.setuid(user)
for name, most in limits.items():
    resource.setrlimit(getattr(resource, "RLIMIT_" + name), (most, most))
if stdout:
    os.dup2(os.open(stdout, os.O_WRONLY), 1)
for number in closed:
    os.close(number)
os.execv(sys.argv[2], sys.argv[2:])
"""

# An interpreter below root's home is made reachable for everybody.
_REACHABLE = f"""
real=$(readlink -f '{sys.executable}')
home=$(getent passwd root | cut -d: -f6)
case "$real" in "$home"/*)
    part=${{real#"$home"/}}; part=${{part%%/*}}
    aside=$(mktemp -d); mount --bind "$home/$part" "$aside"
    mount -t tmpfs -o mode=755 none "$home"; mkdir "$home/$part"; mount --move "$aside" "$home/$part"; rmdir "$aside"
esac
"""
_READ_ONLY = "mount --bind / /\nmount -o remount,bind,ro /\nmount -t tmpfs -o ro none /dev/shm\n"

CIRCUMSTANCES: Mapping[str, Circumstance] = {
    "no HOME": Circumstance("the variable is not set", variables={"HOME": None}),
    "HOME absent": Circumstance("it names a folder that is not there", variables={"HOME": "/nonexistent/home"}),
    "no /proc": Circumstance("nothing is mounted there", "mount -t tmpfs none /proc"),
    "no /sys": Circumstance("nothing is mounted there", "mount -t tmpfs none /sys"),
    "no /tmp": Circumstance("no temporary folder can be had", _READ_ONLY, variables={"TMPDIR": "/nonexistent/tmp"}),
    "read-only": Circumstance("every file system is read-only", _READ_ONLY),
    "full disk": Circumstance("temporary files find no space", 'mount -t tmpfs -o nr_inodes=1 none "$TMPDIR"'),
    "nearly full": Circumstance("they find little", 'mount -t tmpfs -o size=4k,nr_inodes=3 none "$TMPDIR"'),
    "600 MiB": Circumstance("of address space (RLIMIT_AS)", limits={"AS": 600 << 20}),
    "40 files": Circumstance("open at once (RLIMIT_NOFILE)", limits={"NOFILE": 40}),
    "10 files": Circumstance("open at once, too few to start a child", limits={"NOFILE": 10}),
    "file size": Circumstance("no file may grow (RLIMIT_FSIZE)", limits={"FSIZE": 0}),
    "no rights": Circumstance("a user who owns nothing", user=True),
    "no fork": Circumstance("the same, who may start no process (RLIMIT_NPROC)", limits={"NPROC": 1}, user=True),
    "few forks": Circumstance("the same, who may start some", limits={"NPROC": 6}, user=True),
    "no stdin": Circumstance("file 0 is closed", closed=(0,)),
    "no stdout": Circumstance("file 1 is closed", closed=(1,)),
    "no stderr": Circumstance("file 2 is closed", closed=(2,)),
    "no streams": Circumstance("all three are closed", closed=(0, 1, 2)),
    "full stdout": Circumstance("stdout is a full disk", stdout="/dev/full"),
}
_SILENT = ("no stdout", "no streams")


def impossible() -> str | None:
    """Why the circumstances that only root can make cannot be made here, None where they can."""
    if os.name != "posix" or sys.platform != "linux" or os.geteuid() != 0:
        return "only root on Linux can mount, and become another user"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)  # noqa: S607
    return None if tried.returncode == 0 else f"no private mounts here: {tried.stderr.decode().strip()}"


@contextmanager
def public_folder() -> Iterator[Path]:
    """A folder that everybody can reach."""
    folder = Path(tempfile.mkdtemp(prefix="gpudoctor-faults-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def run(circumstance: Circumstance, program: Program, folder: Path) -> tuple[Ran, list[str]]:
    """One run, and what it left behind."""
    place = Place(folder / "place")
    for one in (place.home, place.temporary):
        one.chmod(0o777)
    for name, value in circumstance.variables.items():
        place.environ.pop(name, None)
        place.environ.update({} if value is None else {name: value})
    arguments = (*_ARGUMENTS[program], "--time-limit", str(_LIMIT_SECONDS))
    return place.run(*arguments, before=circumstance.before()), place.left()


@cache
def usual(program: Program) -> Ran:
    """A run in no special circumstance."""
    with public_folder() as folder:
        return run(Circumstance("as any other"), program, folder)[0]


def seen(name: str, program: Program, folder: Path) -> str:
    """What comes of it, in words of the page. Raises AssertionError for what must never come of it."""
    ran, left = run(CIRCUMSTANCES[name], program, folder)
    assert left == []
    assert not traceback_of_ours(ran.stderr), ran.stderr
    assert ran.seconds < _LIMIT_SECONDS
    assert ran.code in (0, 1, 3), ran
    if program == "preflight":
        assert ran.code == usual(program).code or "\n  " in ran.stderr, ran
        return "as usual" if ran.code == usual(program).code else "stopped"
    if name in _SILENT:
        assert ran.stdout == ""
        return "nobody listens"
    if ran.stdout == "":
        assert (ran.code, ran.stderr.count("\n")) == (1, 1), ran
        return "not written"
    assert whole_report(ran.stdout)
    assert ran.code == ran.report["exit_code"]
    return _compared(ran.report, usual(program).report)


def _compared(report: dict[str, Any], usual: dict[str, Any]) -> str:
    if set(_missing(report["facts"])) - set(_missing(usual["facts"])):
        return "named"
    assert (report["status"], report["cause"]) == (usual["status"], usual["cause"]), report["facts"]
    return "as usual"


def _missing(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if value.get("fact") == "missing":
            yield f"{value['kind']}: {value.get('detail')}"
        for one in value.values():
            yield from _missing(one)
    elif isinstance(value, list):
        for one in value:
            yield from _missing(one)
