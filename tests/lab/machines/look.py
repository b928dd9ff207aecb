"""Lays a described machine out in a folder, looks at it with the real probes, and judges what they saw.

Real are: every probe of files, nvidia-ml-py in its child process, libcuda's child process, the dynamic linker, and
inside/collect.py in the interpreter under test. Imitated are: the driver libraries (tests/lab/drivers), the permissions
and the opening of device nodes, and the version and platform of the interpreter, which is the one that runs the suite.
What a description calls recorded was never looked at here.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gpudoctor import facts as f
from gpudoctor.doctor import Plan, collect
from gpudoctor.findings import Finding, Report
from gpudoctor.pasted import triage
from gpudoctor.report import judge
from gpudoctor.world import World
from tests.lab.drivers.fake import describe, lay
from tests.lab.machines.description import Description, Package, Said
from tests.lab.machines.root import machine, put, root
from tests.made_environment import install, make, tensorflow_files, torch_files
from tests.probes.roots import write_root

_SECONDS = 120.0
_OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"
_OWN_VARIABLE = "GPUDOCTOR_LAB_MACHINE"
_PATH = "LD_LIBRARY_PATH"


def report(description: Description, folder: Path) -> Report:
    """The report on a described machine."""
    if description.text:
        return triage(description.text)
    return judge(facts(description, folder))


def facts(description: Description, folder: Path) -> f.Facts:
    """What the probes see of it, laid out in ``folder``, which is empty or absent."""
    place = folder.resolve()
    world = laid_out(description, place)
    plan = Plan(str(place) + description.python.prefix + "/bin/python", _request(description, quick=True), _SECONDS)
    *_, seen = collect(plan, world, lambda _what, _state: None)
    return _recorded(_as_described(seen, description, place), description)


# ------------------------------------------------------------------------------------------------------- laying out


def laid_out(description: Description, place: Path) -> World:
    """Everything in its place below a folder, and a World of it whose variables lead programs to the fake libraries."""
    place.mkdir(parents=True, exist_ok=True)
    write_root(place, root(description))
    folders = _libraries(description, place)
    _environment(description, place)
    described = place / "lab-machine.txt"
    described.write_text(describe(machine(description)), "ascii")
    environ = {
        name: put(value, description).replace("{root}", str(place)).replace("{python}", _OWN)
        for name, value in description.environ.items()
    }
    own = environ.get(_PATH, "")
    # The World reads a path below its folder and passes over the others; the loader of a child takes it as it is.
    environ[_PATH] = ":".join([*(f"{place}{entry}" for entry in own.split(":") if entry), *folders, own])
    return World(place, {**environ, _OWN_VARIABLE: str(described)})


def _libraries(description: Description, place: Path) -> list[str]:
    """Put the fake libraries where the driver's are; the folders for the loader."""
    driver, fake = description.driver, machine(description)
    folder = put("{lib}", description)
    wanted = {"libnvidia-ml.so.1": driver and driver.nvml, "libcuda.so.1": driver and driver.libcuda}
    for soname, here in wanted.items():
        if here:
            lay(place / folder.lstrip("/"), soname, fake)
    for path, library in description.libraries.items():
        lay(place / put(path, description).lstrip("/"), library.soname, fake, library.version)
    cached = [put(entry, description) for entry in description.cached]
    return [f"{place}{entry}" for entry in dict.fromkeys((*cached, folder)) if entry.startswith("/")]


def _environment(description: Description, place: Path) -> None:
    """The environment under test: an interpreter by link, and packages as the files that an installer leaves."""
    made = make(place / description.python.prefix.lstrip("/"))
    for name, entry in _packages(description).items():
        site = place / entry.site.replace("{python}", _OWN).lstrip("/") if entry.site else made.site
        install(
            site,
            name.partition("#")[0],
            entry.version,
            requires=(*entry.requires, *entry.pins),
            files=_files(entry),
            installer=entry.installer,
        )
        for path in entry.lost:
            (site / path).unlink()


def _packages(description: Description) -> dict[str, Package]:
    """All distributions: what a package pins is installed as pinned, unless the description says otherwise."""
    listed = {name: Package(version=e) if isinstance(e, str) else e for name, e in description.packages.items()}
    pinned = (re.split(r"(?:\[[^\]]*\])?==", pin) for entry in listed.values() for pin in entry.pins)
    wheels = {name: Package(version=version) for name, version in pinned}
    return {name: entry for name, entry in {**wheels, **listed}.items() if entry.version}


def _files(entry: Package) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {**entry.files, **dict.fromkeys(entry.lost, "?")}
    if entry.build_info:
        files |= tensorflow_files(entry.build_info)
    if entry.cuda is not None or entry.hip is not None:
        cuda = entry.cuda or None
        files |= torch_files(entry.version, cuda, entry.targets.replace(", ", " "), hip=entry.hip)
    return files


# --------------------------------------------------------------------------------------------------- what was seen


def _request(description: Description, *, quick: bool) -> f.Request:
    asked = description.request
    return f.Request(
        source="command line",
        required=asked.required,
        allow_cpu=asked.allow_cpu,
        requirements=asked.requirements,
        quick=quick,
    )


def _as_described(seen: f.Facts, description: Description, place: Path) -> f.Facts:
    """The facts as the machine itself would give them: its own paths, nodes and interpreter."""
    text = f.encode(seen).decode().replace(str(place), "")
    theirs = ".".join(description.python.version.split(".")[:2])
    facts = f.decode(text.replace(f"/python{_OWN}/", f"/python{theirs}/"))
    changes = {
        "environment": _variables(facts.environment, description),
        "device_nodes": _nodes(facts.device_nodes, description),
        "interpreter": _interpreter(facts.interpreter, description),
    }
    return msgspec.structs.replace(facts, created="2026-11-21T12:00:00Z", **changes)


def _variables(seen: f.Maybe[f.Environment], description: Description) -> f.Maybe[f.Environment]:
    if isinstance(seen, f.Missing):
        return seen
    kept = {name: value for name, value in seen.variables.items() if name not in (_PATH, _OWN_VARIABLE)}
    own = description.environ.get(_PATH)
    return msgspec.structs.replace(seen, variables=kept if own is None else {**kept, _PATH: put(own, description)})


def _nodes(seen: f.Maybe[f.DeviceNodes], description: Description) -> f.Maybe[f.DeviceNodes]:
    """Regular files stand for the nodes; who owns them and what opening one gives is the description's word."""
    if isinstance(seen, f.Missing):
        return seen
    return msgspec.structs.replace(seen, nodes=tuple(_node(node, description) for node in seen.nodes))


def _node(node: f.DeviceNode, description: Description) -> f.DeviceNode:
    told = description.opens.get(node.path)
    mode, opens = (told.mode, told.opens) if told else ("0666", None)
    open_to_all = opens is None and mode.endswith("66")
    return msgspec.structs.replace(
        node, mode=mode, opens=opens, owner=0, group=0, readable=open_to_all, writable=open_to_all
    )


def _interpreter(seen: f.Maybe[f.Interpreter], description: Description) -> f.Maybe[f.Interpreter]:
    if isinstance(seen, f.Missing):
        return seen
    system = description.system
    return msgspec.structs.replace(
        seen,
        version=description.python.version,
        bits=description.python.bits,
        architecture=system.get("architecture", "x86_64"),
        platform=f"linux-{system.get('architecture', 'x86_64')}",
        libc=f"glibc {system.get('libc', '2.39')}",
        base_prefix="/usr",
        path=tuple(entry for entry in seen.path if entry.startswith(description.python.prefix)),
    )


# ------------------------------------------------------------------------------------------------- what was recorded

_KINDS: Mapping[str, Any] = {
    "memory_tests": f.MemoryTests,
    "peer_copies": f.PeerCopies,
    "collectives": f.Collectives,
    "container_start": f.ContainerStart,
}


def _recorded(facts: f.Facts, description: Description) -> f.Facts:
    """The facts with what no probe can see here: what jobs, imports and programs did."""
    rest = dict(description.recorded)
    smokes, imported = rest.pop("smokes", []), rest.pop("imported", {})
    changes: dict[str, Any] = {name: _fact(getattr(facts, name), name, table) for name, table in rest.items()}
    messages = [_message(entry, description) for entry in description.messages]
    # As a live run does, which keeps the last words of every child.
    for name, table in imported.items():
        messages += (
            [f.Message(source="recorded import", text=table["error"], framework=name)] if "error" in table else []
        )
    changes |= {
        "messages": tuple(messages),
        "smokes": tuple(_smoke(table) for table in smokes),
        "request": _request(description, quick=not smokes and not imported),
    }
    if imported and isinstance(facts.frameworks, f.Frameworks):
        changes["frameworks"] = _imported(facts.frameworks, imported)
    return msgspec.structs.replace(facts, **changes)


def _message(entry: str | Said, description: Description) -> f.Message:
    told = Said(text=entry) if isinstance(entry, str) else entry
    return f.Message(source="recorded", text=put(told.text, description), framework=told.framework)


def _fact(present: Any, name: str, table: dict[str, Any]) -> Any:
    kind = _KINDS.get(name) or type(present)
    held = {} if isinstance(present, f.Missing) else msgspec.to_builtins(present)
    return msgspec.convert({"fact": _tag(kind), "source": "recorded", **held, **table}, kind)


def _tag(kind: type[f.Fact]) -> str:
    return str(kind.__struct_config__.tag)


def _smoke(table: dict[str, Any]) -> f.Smoke:
    usual = {"framework": "torch", "device": "cuda:0", "gpu": 0, "stage": "done", "result": "proved"}
    return msgspec.convert({"fact": "smoke", "source": "recorded smoke job", **usual, **table}, f.Smoke)


def _imported(frameworks: f.Frameworks, tables: dict[str, Any]) -> f.Frameworks:
    return msgspec.structs.replace(
        frameworks,
        frameworks=tuple(
            msgspec.structs.replace(one, imported=_import(tables[one.name])) if one.name in tables else one
            for one in frameworks.frameworks
        ),
    )


def _import(table: dict[str, Any]) -> f.Imported:
    return msgspec.convert({"fact": "imported", "source": "recorded import", "ok": True, **table}, f.Imported)


# ---------------------------------------------------------------------------------------------------- what was said


def said(report: Report) -> tuple[str, ...]:
    """Every finding as a description writes it, first cause first."""
    return tuple(_line(finding, report) for finding in report.findings)


def _line(finding: Finding, report: Report) -> str:
    several = len(report.facts.known_gpus()) > 1 and finding.about.gpu is not None
    about = f" of GPU {finding.about.gpu}" if several else ""
    because = f" because of {finding.because_of}" if finding.because_of else ""
    return f"{finding.severity.value} {finding.rule}{about}{because}"


def main() -> None:
    """``python -m tests.lab.machines.look NAME…``: what the report on these machines says, as a description has it."""
    import tempfile

    from tests.lab.machines.description import names, read

    for name in sys.argv[1:] or names():
        with tempfile.TemporaryDirectory() as folder:
            told = report(read(name), Path(folder) / os.path.basename(name))
        lines = [f'expect = "{told.status}"', "findings = ["]
        lines += [f'  "{line}",' for line in said(told)]
        lines += ["]", f"candidates = {[one.rule for one in told.candidates]}"] if told.candidates else ["]"]
        cause = told.cause.rule if told.cause else None
        print(f"# {name}: {cause}", *lines, *(f"# unknown: {one.what}: {one.why}" for one in told.unknown), sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
