"""The file ``collect.py``: inside/collector.py, and behind it the sources of everything that looks."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gpudoctor import __version__, facts, privacy
from gpudoctor.collector import look
from gpudoctor.collector.lower import lower
from gpudoctor.probes import target_answer, target_look

_PACKAGE = Path(__file__).parents[1]

# What the file runs: the look, what people read, the block of text. All that these import is carried as well.
_ROOTS = (
    "gpudoctor.collector.look",
    "gpudoctor.collector.summary",
    "gpudoctor.ticket",
    "gpudoctor.probes.target_choice",
    "gpudoctor.probes.nvml_child",
    "gpudoctor.probes.cuda_child",
)
# Imported and not needed there: inside/collector.py stands in for the first, the others belong to reading and judging.
_LEFT_OUT = frozenset({"gpudoctor", "gpudoctor.findings", "gpudoctor.window", "gpudoctor.collector.told"})
_INSIDE = "inside/collect"  # written for Python 3.6 as it is

_HEAD = '''#!/usr/bin/env python3
# -*- coding: utf-8 -*-
"""gpudoctor {version}: the standalone collector.

    python3 collect.py > facts.txt

looks at this machine's NVIDIA driver and GPUs and at the Python environment of the interpreter that runs it
(or of --python EXE), and prints what it saw: a summary, and a block that "gpudoctor triage facts.txt" reads without
loss. It needs Python 3.6 or newer and nothing else, reads files and asks the driver's libraries, changes nothing,
writes no file but the one after -o, and uses no network. Names of users and hosts, addresses, serial numbers and
secrets are replaced before anything is printed; --plain shows in full what leaves.

Made by "gpudoctor collector" out of gpudoctor's own sources, which stand below as text.
"""
import sys

if sys.version_info < (3, 6):
    sys.stderr.write("collect.py needs Python 3.6 or newer; this is %d.%d.\\n" % sys.version_info[:2])
    sys.exit(2)
sys.dont_write_bytecode = True
if sys.path and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    del sys.path[0]  # nothing beside this file takes the place of a module of Python's own

'''

_TAIL = """
if __name__ == "__main__":
    sys.exit(main())
"""


def collector() -> str:
    """The whole file as text."""
    parts = [_HEAD.format(version=__version__), (_PACKAGE / "inside" / "collector.py").read_text("utf-8"), "\n"]
    parts += [f"VERSION = {__version__!r}\n"]
    parts += [f"CLOSED[{name!r}] = {fields!r}\n" for name, fields in _closed_fields().items()]
    parts += [f"SOURCES[{name!r}] = {_quoted(source)}\n" for name, source in sources()]
    return "".join([*parts, _TAIL])


def sources() -> Iterator[tuple[str, str]]:
    """Each module that the collector carries: its name and its source for Python 3.6."""
    for name in carried():
        yield name, lower(_source_file(name).read_text("utf-8"))
    yield _name(_INSIDE), (_PACKAGE / f"{_INSIDE}.py").read_text("utf-8")
    yield "pynvml", _pynvml()


def carried() -> tuple[str, ...]:
    """The modules of gpudoctor that the file needs, a package's own as ``package.__init__``."""
    found: dict[str, None] = {}
    waiting = list(_ROOTS)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting += _imported(ast.parse(_source_file(name).read_text("utf-8")))
    return tuple(found)


def _source_file(name: str) -> Path:
    return _PACKAGE.parent / (name.replace(".", "/") + ".py")


def _imported(tree: ast.AST) -> Iterator[str]:
    """The modules of ours that a module imports; those for type checkers alone are none."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "gpudoctor":
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                yield from [one for one in (name, f"{name}.__init__") if _is_needed(one)]
        yield from _imported(node)


def _is_needed(name: str) -> bool:
    return name.removesuffix(".__init__") not in _LEFT_OUT and _source_file(name).is_file()


def _name(path: str) -> str:
    return "gpudoctor." + path.replace("/", ".")


def _pynvml() -> str:
    """What the child that asks NVML needs of nvidia-ml-py, with its licence; it is written for 2.7 and newer."""
    spec = importlib.util.find_spec("pynvml")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(2, "nvidia-ml-py is not installed", "pynvml.py")
    asked = _asked_of_nvml((_PACKAGE / "probes" / "nvml_child.py").read_text("utf-8"))
    return shaken(Path(spec.origin).read_text("utf-8"), asked).replace("'''", '"""')


def _asked_of_nvml(source: str) -> re.Pattern[str]:
    """The names of nvidia-ml-py that a program mentions, also in texts and in those that are put together."""
    names = set(re.findall(r"\b(?:nvml|NVML)\w+", source))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            name = "".join(str(part.value) if isinstance(part, ast.Constant) else r"\w*" for part in node.values)
            names.update([name] if name.startswith("nvml") else [])
    return re.compile("|".join(sorted(names)))


def shaken(source: str, wanted: re.Pattern[str]) -> str:
    """A module without the functions, classes and plain values that nothing wanted leads to.

    Statements that do something, and values that are looked through by name (NVML_ERROR_…), stay.
    """
    statements = _statements(source)
    waiting = [part for part in statements if part.stays or any(map(wanted.fullmatch, part.defines))]
    kept = list(waiting)
    while waiting:
        needed = waiting.pop().uses
        found = [part for part in statements if part.defines & needed and part not in kept]
        kept += found
        waiting += found
    return "".join(part.text for part in statements if part in kept)


@dataclass(frozen=True)
class _Part:
    """A statement at the top of a module with the lines before it; which names it defines, and which it uses."""

    text: str
    defines: frozenset[str]
    uses: frozenset[str]

    @property
    def stays(self) -> bool:
        """Whether it is kept, whatever is wanted."""
        return not self.defines or any(name.startswith("NVML_ERROR_") for name in self.defines)


def _statements(source: str) -> list[_Part]:
    lines, start = source.splitlines(keepends=True), 0
    parts: list[_Part] = []
    for node in ast.parse(source).body:
        end = node.end_lineno or node.lineno
        uses = frozenset(part.id for part in ast.walk(node) if isinstance(part, ast.Name))
        # The text before a statement is its own comment, but for the first one's: the licence.
        first = start if not parts else node.lineno - 1 - _decorators(node)
        parts.append(_Part("".join(lines[first:end]), frozenset(_defined(node)), uses))
        start = end
    return parts


def _decorators(node: ast.stmt) -> int:
    decorated = getattr(node, "decorator_list", ())
    return node.lineno - min((one.lineno for one in decorated), default=node.lineno)


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _quoted(source: str) -> str:
    """A literal of that text, readable where it can be."""
    readable = "'''" not in source and not source.endswith(("\\", "'"))
    return f"r'''{source}'''" if readable else ascii(source)


def _closed_fields() -> dict[str, list[str]]:
    """The fields without free text of every record, which only its types tell: the redaction passes over them."""
    records = {
        kind
        for module in (facts, target_answer, target_look, look)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    }
    closed = {kind.__name__: sorted(privacy._closed_fields(kind)) for kind in records}
    return {name: fields for name, fields in sorted(closed.items()) if fields}
