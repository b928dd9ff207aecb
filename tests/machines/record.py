"""Records machines: what was seen there, private values removed, as facts that any later gpudoctor judges again.

``python -m tests.machines.record`` records the described machines of the list below anew.
``python -m tests.machines.record NAME [OPTION…]`` records the machine it runs on, by ``gpudoctor diagnose OPTION…
--save-facts``, as ``NAME.facts.json``. Beside each lies ``NAME.expected.json``: what its report must say, to be read
before it is committed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from gpudoctor import facts as f
from gpudoctor.privacy import Identity, redact
from gpudoctor.report import judge
from tests.lab.machines.description import read
from tests.lab.machines.look import facts, said

HERE = Path(__file__).parent
DESCRIBED = (
    "container-no-gpu-access.docker-without-gpus-option",
    "driver-not-loaded.secure-boot-refuses-the-module",
    "gpu-lost.one-of-four",
    "gpu-memory-held.forgotten-notebook",
    "healthy.8xh100-with-fabric",
    "healthy.a100-mig-slice",
    "healthy.jetson-orin-jetpack-6",
    "healthy.wsl2-rtx-4090",
    "tf-cuda-libs-missing.plain-tensorflow-2.21",
    "torch-arch-unsupported.the-older-of-two-gpus",
)
_ANN = Identity(user="ann", host="node7", home="/home/ann")


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What a report on a recorded machine says; ``findings`` as a described machine writes them."""

    about: str
    status: str
    cause: str | None
    findings: tuple[str, ...]


def recorded(name: str) -> tuple[Path, Path]:
    """The files of a recording: its facts, and what is expected."""
    return HERE / f"{name}.facts.json", HERE / f"{name}.expected.json"


def names() -> tuple[str, ...]:
    """All recorded machines."""
    return tuple(sorted(path.name.removesuffix(".facts.json") for path in HERE.glob("*.facts.json")))


def expected(seen: f.Facts, about: str) -> Expected:
    """What the report on these facts says now."""
    report = judge(seen)
    cause = report.cause.rule if report.cause else None
    return Expected(about=about, status=report.status, cause=cause, findings=said(report))


def keep(name: str, seen: f.Facts, about: str) -> None:
    """Write both files."""
    facts_file, expected_file = recorded(name)
    facts_file.write_bytes(_json(seen))
    expected_file.write_bytes(_json(expected(seen, about)))


def _json(value: msgspec.Struct) -> bytes:
    # Sets in one order, so that recording anew changes no line without a reason.
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=1) + b"\n"


def described(name: str) -> f.Facts:
    """A described machine of the laboratory, redacted as ``--save-facts`` does."""
    with tempfile.TemporaryDirectory() as folder:
        seen = facts(read(name), Path(folder) / "machine")
    return redact(seen, identity=_ANN)[0]


def here(*options: str) -> f.Facts:
    """This machine, as ``gpudoctor diagnose --save-facts`` writes it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "facts.json"
        argv = [sys.executable, "-m", "gpudoctor", "diagnose", *options, "--save-facts", str(file)]
        subprocess.run(argv, check=False)
        return f.decode(file.read_bytes())


def main(*arguments: str) -> None:
    """Record the described machines, or the one that this runs on under the given name."""
    if arguments:
        name, *options = arguments
        if not re.fullmatch(r"[a-z0-9-]+\.[a-z0-9][a-z0-9.-]*", name):
            raise SystemExit(f"{name!r} is no name: CAUSE.WHERE-AND-WHAT, such as healthy.h100-of-a-cloud")
        keep(name, here(*options), "A real machine.")
        return
    for name in DESCRIBED:
        keep(name, described(name), read(name).about)


if __name__ == "__main__":
    main(*sys.argv[1:])
