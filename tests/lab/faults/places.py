"""How each fault is made at each place, and what gpudoctor's report then comes to, on an otherwise good machine.

A place is a function from the fault and an empty folder to a report. The children are real, only their limits are
short.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec

from gpudoctor import plugins
from gpudoctor.children import Limits
from gpudoctor.collectives.job import CollectivesPlan, run
from gpudoctor.facts import Facts, FrameworkName, Gpu, MemoryTests, Missing, PeerCopies
from gpudoctor.findings import Report
from gpudoctor.probes.cuda_deep import deep_checks
from gpudoctor.probes.cuda_driver import cuda_driver
from gpudoctor.probes.cuda_memory import LEAVE
from gpudoctor.probes.cuda_witness import CudaWitness
from gpudoctor.probes.nvml import nvml
from gpudoctor.probes.nvml_record import Record
from gpudoctor.probes.target import collect
from gpudoctor.probes.target_choice import NotAnInterpreter, choose
from gpudoctor.report import judge
from gpudoctor.smoke.jobs import Jobs, Plan
from gpudoctor.smoke.outside import Outside
from gpudoctor.world import World
from tests.cli.run import ROOT
from tests.good import GOOD, change, with_framework
from tests.lab.drivers.fake import FLOOD, HANG, MIB, SEGV, SLOW, Machine, error, gpus, install, prints
from tests.lab.faults import files
from tests.lab.faults.table import Fault, Place

IDLE = 1.0
SECONDS = 60.0
IMITATIONS = ROOT / "tests" / "lab" / "imitations"


def limits(fault: Fault) -> Limits:
    """For everything, and until a child counts as hung: short where it will hang, long on a machine that is busy."""
    return Limits.within(SECONDS, IDLE if fault == "hang" else SECONDS)


# ------------------------------------------------------------------------------------------ what a report comes to


def outcome(report: Report) -> str:
    """One cell of the table: the rule, or what becomes of that which could not be seen."""
    if report.cause is not None:
        return report.cause.rule
    if report.candidates:
        return " or ".join(candidate.rule for candidate in report.candidates)
    if report.unknown:
        assert all(one.why for one in report.unknown)
        return "unknown"
    assert report.status in ("healthy", "warnings"), report.status
    if unseen(report.facts) or crashed(report) or untried(report.facts):
        return "named"
    return "told" if _other_answers(report.facts) else "whole"


def _other_answers(facts: Facts) -> bool:
    """Whether the driver's libraries answered otherwise than on a good machine."""
    return any(getattr(facts, name).result != getattr(GOOD, name).result for name in ("nvml", "cuda"))


def unseen(value: Any) -> list[str]:
    """What could not be seen, wherever it is in the facts, with kind and place; what GOOD lacks is not counted."""
    return sorted(set(_unseen(value)) - set(_unseen(GOOD)))


def _unseen(value: Any) -> Iterator[str]:
    if isinstance(value, Missing):
        yield str(value)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _unseen(getattr(value, name))
    elif isinstance(value, tuple):
        for one in value:
            yield from _unseen(one)


def untried(facts: Facts) -> list[str]:
    """The deep checks that came to no result, with the reason."""
    tests = facts.memory_tests.tests if isinstance(facts.memory_tests, MemoryTests) else ()
    copies = facts.peer_copies.copies if isinstance(facts.peer_copies, PeerCopies) else ()
    told = [one.error for one in tests if one.error] + [one.error for one in copies if one.holds is None]
    assert all(told)
    return [error for error in told if error]


def crashed(report: Report) -> list[str]:
    """The rules and plug-ins that came to no result."""
    return [one.rule for one in report.outcomes if one.outcome == "crashed"]


@contextmanager
def starts_refused() -> Iterator[None]:
    """No process can be started: RLIMIT_NPROC, a cgroup's pids.max, a seccomp profile."""
    refusal = BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    with mock.patch.object(subprocess, "Popen", side_effect=refusal):
        yield


# ---------------------------------------------------------------------------------------------- the driver's libraries

_FILE_FAULTS = ("missing", "denied", "garbage", "empty", "truncated")
_CALL_FAULTS: Mapping[Fault, str] = {"hang": HANG, "crash": SEGV, "endless": FLOOD, "slow": SLOW}
NOISE = prints('garbage\n@gpudoctor {"values": 7\n@gpudoctor [1]\n@gpudoctor {}\nno end')


WHOLE = Machine()


def driver_with(fault: Fault, folder: Path, soname: str, call: str, machine: Machine = WHOLE) -> World:
    """This machine with a driver whose library, or one call of it, has that fault."""
    if fault in _FILE_FAULTS:
        return _broken_library(fault, folder, soname)
    return driver_calls(fault, folder, call, machine)


def driver_calls(fault: Fault, folder: Path, call: str, machine: Machine = WHOLE) -> World:
    """The same, the fault being that call's."""
    if fault == "missing":
        machine = replace(machine, without=(call,))
    elif fault == "denied":
        machine = replace(machine, faults={call: error(4 if call.startswith("nvml") else 800)})
    elif fault == "garbage":
        machine = replace(machine, faults={call: NOISE})
    elif fault == "not UTF-8":
        first = replace(machine.gpus[0], name=b"NVIDIA \xff\xfe", uuid=b"GPU-\xff\xfe\x80")
        machine = replace(machine, gpus=(first, *machine.gpus[1:]))
    else:
        machine = replace(machine, faults={call: _CALL_FAULTS[fault]} if fault in _CALL_FAULTS else {})
    return World(environ={**os.environ, **install(folder / "driver", machine)})


def _broken_library(fault: Fault, folder: Path, soname: str) -> World:
    world = World(environ={**os.environ, **install(folder / "driver", Machine())})
    library = folder / "driver" / "lib" / soname
    whole = library.read_bytes()
    library.unlink()
    if fault == "denied":  # root may read everything: a folder in its place is what it may not map
        library.mkdir()
    elif fault != "missing":
        library.write_bytes({"garbage": b"garbage" * 1000, "empty": b"", "truncated": whole[: len(whole) // 2]}[fault])
    return world


def _at_nvml(fault: Fault, folder: Path) -> Report:
    answer = nvml(driver_with(fault, folder, "libnvidia-ml.so.1", "nvmlInitWithFlags"), limits(fault))
    return judge(change(nvml=answer.nvml, gpus=answer.gpus))


def _at_one_gpu(fault: Fault, folder: Path) -> Report:
    answer = nvml(driver_calls(fault, folder, "nvmlDeviceGetEccMode"), limits(fault))
    return judge(change(nvml=answer.nvml, gpus=answer.gpus))


def _at_libcuda(fault: Fault, folder: Path) -> Report:
    return judge(change(cuda=cuda_driver(driver_with(fault, folder, "libcuda.so.1", "cuInit"), limits(fault))))


# ------------------------------------------------------------------------------------------ the Python under test

_SCRIPTS: Mapping[Fault, str] = {
    "hang": "exec sleep 600",
    "crash": "kill -SEGV $$",
    "garbage": "cat > /dev/null; echo '@gpudoctor {\"interpreter\": 7}'",
    "empty": "exit 0",
    "truncated": "cat > /dev/null; printf '@gpudoctor {\"broken\": {'",
    "endless": "exec yes",
    "not UTF-8": "cat > /dev/null; printf '@gpudoctor \\377\\376\\n'",
}


def _python(fault: Fault, folder: Path) -> Path:
    """An interpreter with that fault."""
    python = folder / "python"
    script = _SCRIPTS.get(fault, f"sleep 0.5; exec '{sys.executable}' \"$@\"")
    if fault != "missing":
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o644 if fault == "denied" else 0o755)
    return python


def _at_python(fault: Fault, folder: Path) -> Report:
    python = _python(fault, folder)
    told = collect(World(), choose(str(python), {}).executable, limits(fault))
    fields = ("interpreter", "packages", "pins", "shadows", "other_environments")
    facts = change(**{name: getattr(told, name) for name in fields})
    return judge(facts if fault == "slow" else change(facts, frameworks=told.frameworks))


# --------------------------------------------------------------------------------------- frameworks and their stages


class Grown(msgspec.Struct, frozen=True):
    """What a witness sees of a GPU whose memory is being taken."""

    used: int
    processes: tuple[Any, ...] = ()
    listed: int | None = 0


def growing() -> Callable[..., Any]:
    """A witness to whom the job's memory shows."""
    seen = iter(range(0, 1 << 60, 8 << 30))
    return lambda *_: Grown(next(seen))


def _trained(name: FrameworkName, fault: Fault, environ: Mapping[str, str], **more: Any) -> Report:
    plan: dict[str, Any] = {
        "executable": sys.executable,
        "frameworks": (name,),
        "environ": {**os.environ, **environ},
        "limits": limits(fault),
        "decide": lambda *_: "gpu",
        "steps": 40,
        "witness": growing(),
        **more,
    }
    with Jobs(Plan(**plan)) as jobs:
        jobs.run((Gpu(source="test", index=0, name="Imitation GPU"),))
        known = jobs.known()
    facts = change(_with_only(name), smokes=known.smokes)
    return judge(with_framework(name, facts, imported=known.imported[name]))


def _with_only(name: FrameworkName) -> Facts:
    """The good machine with one framework; JAX is built there as PyTorch is."""
    framework = GOOD.framework("torch" if name == "jax" else name)
    assert framework is not None
    return change(frameworks={"frameworks": (msgspec.structs.replace(framework, name=name),)})


def _stage(place: str) -> Callable[[Fault, Path], Report]:
    faults: Mapping[Fault, str] = {
        "denied": "memory",
        "hang": "hang",
        "crash": "crash",
        "garbage": "chat",
        "truncated": "exit",
        "endless": "flood",
        "slow": "slow",
    }

    def at(fault: Fault, folder: Path) -> Report:
        return _trained("torch", fault, {"PYTHONPATH": str(IMITATIONS), "IMITATION_FAULT": f"{place}:{faults[fault]}"})

    return at


def _import_of(name: FrameworkName) -> Callable[[Fault, Path], Report]:
    imitation = IMITATIONS / name / "__init__.py"
    whole = imitation.read_bytes() if imitation.exists() else b"__version__ = '9.9.9'\n"
    texts: Mapping[Fault, bytes] = {
        "denied": b"raise PermissionError(13, 'Permission denied', 'lib" + name.encode() + b".so')",
        "hang": b"import time; time.sleep(600)",
        "crash": b"import os; os.kill(os.getpid(), 11)",
        "garbage": b"\x7fELF no Python",
        "empty": b"",
        "truncated": whole[: len(whole) // 2] + b"\n(",
        "endless": b"import os\nwhile True: os.write(1, b'a line that says nothing\\n' * 1000)",
        "not UTF-8": b"name = '\xff\xfe'\n",
        "slow": b"import time; time.sleep(0.5)\n" + whole.replace(b"from __future__", b"#"),
    }

    def at(fault: Fault, folder: Path) -> Report:
        (folder / name).mkdir(exist_ok=True)
        if fault in texts:
            (folder / name / "__init__.py").write_bytes(texts[fault])
        return _trained(name, fault, {"PYTHONPATH": str(folder)})

    return at


# ------------------------------------------------------------------------------------------------------ witnesses


def _beside(**more: Any) -> Report:
    # The job itself is sound, and may wait for us.
    return _trained("torch", "slow", {"PYTHONPATH": str(IMITATIONS)}, **more)


def _sober(ask: Callable[..., Any]) -> Callable[..., Any]:
    """A witness that looks, and if it can, says what a real driver would: the fake one's memory does not change."""
    grown = growing()
    return lambda pids, target: told if isinstance(told := ask(pids, target), Missing) else grown()


def _at_nvml_witness(fault: Fault, folder: Path) -> Report:
    world = driver_with(fault, folder, "libnvidia-ml.so.1", "nvmlInitWithFlags")
    patience = mock.patch("gpudoctor.probes.nvml._IDLE_SECONDS", limits(fault).idle)
    with patience, Outside(world, limits(fault)) as outside:
        return _beside(witness=_sober(outside.look))


def _at_cuda_witness(fault: Fault, folder: Path) -> Report:
    world = driver_with(fault, folder, "libcuda.so.1", "cuInit")
    with CudaWitness(world, limits(fault), pci="0000:17:00.0") as opened:
        return _beside(witness=_sober(lambda *_: opened.look()))


def _at_record(fault: Fault, folder: Path) -> Report:
    world = driver_with(fault, folder, "libnvidia-ml.so.1", "nvmlInitWithFlags")
    return _beside(record=lambda gpus: Record(world, gpus, limits(fault)))


# ----------------------------------------------------------------------------------------------------- deep checks

_SMALL = (LEAVE + 4 * MIB, 0, 0)  # free memory; it is real memory here


def _deep(fault: Fault, folder: Path, call: str, count: int) -> Report:
    machine = Machine(gpus=tuple(replace(gpu, memory=_SMALL) for gpu in gpus(count)))
    world = driver_with(fault, folder, "libcuda.so.1", call, machine)
    blocks = mock.patch("gpudoctor.probes.cuda_memory._BLOCK", 2 * MIB)
    copies = mock.patch("gpudoctor.probes.cuda_peers._SIZE", MIB)
    with blocks, copies:
        memory, peers = deep_checks(world, GOOD.known_gpus(), world.environ, limits(fault))
    return judge(change(memory_tests=memory, peer_copies=peers))


def _at_memory(fault: Fault, folder: Path) -> Report:
    return _deep(fault, folder, "cuMemcpyDtoH_v2", 1)


def _at_peers(fault: Fault, folder: Path) -> Report:
    return _deep(fault, folder, "cuMemcpyPeer", 2)


def _at_launcher(fault: Fault, folder: Path) -> Report:
    python = _python(fault, folder)
    # Some of these wait for instructions that never come.
    known = run(CollectivesPlan.on(0, str(python), os.environ, Limits.within(8.0, limits(fault).idle)))
    return judge(change(collectives=known.collectives))


# -------------------------------------------------------------------------------------------------------- plug-ins

_PROBE = """\
import os, sys, time
from gpudoctor.facts import Extra
def probe(world):
    {body}
    return Extra(name="made", source="test", values={{}})
"""
_BODIES: Mapping[Fault, str] = {
    "denied": "open('/proc/self/mem', 'rb').read(1)",
    "hang": "time.sleep(600)",
    "crash": "os.kill(os.getpid(), 11)",
    "garbage": "return 'nonsense'",
    "empty": "return None",
    "truncated": "os.write(1, b'@gpudoctor {\"extras\"'); os._exit(0)",
    "endless": "while True: os.write(1, b'a line that says nothing\\n' * 1000)",
    "not UTF-8": "return Extra(name='made', source='test', values={'x': '\\udcff'})",
    "slow": "time.sleep(0.5)",
}


def _at_plugin(fault: Fault, folder: Path) -> Report:
    name = f"made_{fault.replace(' ', '_').replace('-', '_')}".lower()
    if fault != "missing":
        (folder / f"{name}.py").write_text(_PROBE.format(body=_BODIES.get(fault, "pass")))
    entry = plugins.Entry("gpudoctor.probes", "made", f"{name}:probe", "made")
    installed = mock.patch.object(plugins, "entries", return_value=(entry,))
    importable = mock.patch.object(sys, "path", [*sys.path, str(folder)])
    with installed, importable, plugins.Session() as session:
        return session.judge(GOOD, look=True, limits=Limits.within(3.0))


PLACES: Mapping[Place, Callable[[Fault, Path], Report]] = {
    "NVML": _at_nvml,
    "one GPU in NVML": _at_one_gpu,
    "libcuda": _at_libcuda,
    "Python under test": _at_python,
    "witness (NVML)": _at_nvml_witness,
    "witness (CUDA)": _at_cuda_witness,
    "record (NVML)": _at_record,
    "import torch": _import_of("torch"),
    "import tensorflow": _import_of("tensorflow"),
    "import jax": _import_of("jax"),
    "stage init": _stage("init"),
    "stage copy": _stage("copy"),
    "stage compute": _stage("compute"),
    "stage train": _stage("train"),
    "stage verify": _stage("verify"),
    "stage parts": _stage("product"),
    "deep memory": _at_memory,
    "peer copies": _at_peers,
    "launcher (torchrun)": _at_launcher,
    "plug-in": _at_plugin,
}


def seen(place: Place, fault: Fault, folder: Path) -> str:
    """What the report comes to; for a file, what its readers say."""
    if place not in PLACES:
        return files.seen(place, fault, folder)
    try:
        with starts_refused() if fault == "refused start" else nullcontext():
            return outcome(PLACES[place](fault, folder))
    except NotAnInterpreter:
        return "refused"
