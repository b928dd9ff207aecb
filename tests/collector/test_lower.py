"""Laws: lowered source is source for Python 3.6, and means the same."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from typing import Any

import pytest

import gpudoctor
from gpudoctor.collector.build import carried, sources
from gpudoctor.collector.lower import CannotLowerError, lower
from tests.collector.places import oldest

_COMPILE = """
import json, sys
for name, source in json.load(sys.stdin):
    try:
        compile(source, name, "exec")
    except SyntaxError as error:
        print("%s, line %d: %s" % (name, error.lineno, error.text))
"""


def test_everything_that_the_collector_carries_is_source_for_the_oldest_python() -> None:
    told = subprocess.run(
        [oldest(), "-c", _COMPILE], input=json.dumps(list(sources())), capture_output=True, encoding="utf-8", check=True
    )
    assert told.stdout == ""


@pytest.mark.parametrize("name", carried())
def test_lowering_keeps_every_line_in_its_place(name: str) -> None:
    (folder,) = gpudoctor.__path__
    path = f"{folder}/{name.partition('.')[2].replace('.', '/')}.py"
    with open(path, encoding="utf-8") as file:
        before = file.read()
    after = lower(before)
    comments = [line for line in before.splitlines() if line.lstrip().startswith("#")]
    assert [line for line in after.splitlines() if line.lstrip().startswith("#")] == comments
    names = [node.name for node in ast.walk(ast.parse(before)) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert [
        node.name for node in ast.walk(ast.parse(after)) if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    ] == names


NEW = """
from __future__ import annotations

Alias = dict[str, int] | None
Choice: TypeAlias = Literal["a", "b"]

def annotated(x: int | None = 3, *rest: list[str], y: tuple[int, ...] = ()) -> dict[str, int] | None:
    total: list[int] = [x, *y]
    return total

def while_named(text):
    found, position = [], 0
    while match := re.search("[0-9]+", text[position:]):
        found.append(match[0])
        position += match.end()
    return found

def in_comprehension(items):
    return [half for item in items if (half := item // 2)]

def in_if(value):
    if value in ("é", "b", "c") and (other := {"b": 1, "é": None}.get(value)) is not None:
        return other
    return "none"

def plain_if(value):
    if kept := value.strip():
        return kept
    return "blank"

def methods(text):
    return text.isascii(), text.removeprefix("ab"), text.strip().removesuffix("yz")

def kinds(value):
    return isinstance(value, str | bytes), isinstance(value, int)
"""
CALLS = (
    "annotated(1, y=(2,))",
    "while_named('a1b22c')",
    "while_named('')",
    "in_comprehension([0, 1, 2, 9])",
    "in_if('b')",
    "in_if('é')",
    "in_if('c')",
    "in_if('x')",
    "plain_if(' a ')",
    "plain_if(' ')",
    "methods('abxyz')",
    "methods(' é ')",
    "kinds('a')",
    "kinds(3)",
)


def _run(source: str, python: str, names: str) -> Any:
    """What the calls give in that Python."""
    (folder,) = gpudoctor.__path__
    program = f"import sys\nsys.path.insert(0, {folder + '/inside'!r})\n{names}\n"
    program += f"import json, re\n{source}\nsys.stdout.write(json.dumps([{', '.join(CALLS)}]))"
    done = subprocess.run([python, "-B", "-"], input=program.encode(), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def test_lowered_source_does_the_same_in_the_oldest_python() -> None:
    lowered = _run(lower(NEW), oldest(), "from collector import _isascii, _removeprefix, _removesuffix, _while")
    plain = NEW.replace("from __future__ import annotations", "")
    assert lowered == _run(plain, sys.executable, "from typing import Literal, TypeAlias")


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("\nvalue = (name := 3)\n", 2),
        ("def f(x):\n    if x and (y := g(x)):\n        for _ in y: break\n    else:\n        return y\n", 2),
        ("\n\nprint(f(a := 3))\n", 3),
    ],
)
def test_what_has_no_counterpart_is_refused_with_its_line(source: str, line: int) -> None:
    with pytest.raises(CannotLowerError, match=f"line {line}:"):
        lower(source)
