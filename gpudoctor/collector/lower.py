"""Python 3.10 source → the same source for Python 3.6 and newer, line by line, comments and all.

Only what 3.6 cannot compile or evaluate is written otherwise: annotations and type aliases become text, as they are
under ``from __future__ import annotations``; assignments inside expressions become loops of one turn; two string
methods become functions that the collector brings along. Whoever writes something else that 3.6 does not know finds
out from the test that compiles every module with it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

# Methods of text that came with 3.7 and 3.9, as functions of the same name with an underscore.
_METHODS = frozenset({"isascii", "removeprefix", "removesuffix"})
_GENERIC = frozenset({"Literal", "Callable", "Mapping", "Sequence", "Iterable", "dict", "list", "tuple", "set", "type"})


class CannotLowerError(ValueError):
    """Source in words that have no counterpart in Python 3.6. The message names the line."""


@dataclass(frozen=True, order=True)
class _Edit:
    start: int  # bytes, as ast counts columns
    end: int
    text: str


def lower(source: str) -> str:
    """The source for Python 3.6. Raises :class:`CannotLowerError`."""
    data = source.encode()
    result, position = [], 0
    for edit in sorted(set(_Lowering(data).edits(ast.parse(source)))):
        if edit.start < position:
            line = data[: edit.start].count(b"\n") + 1
            raise CannotLowerError(f"line {line}: two things that Python 3.6 cannot say stand within one another")
        result += [data[position : edit.start], edit.text.encode()]
        position = edit.end
    return b"".join([*result, data[position:]]).decode()


class _Lowering:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._lines = [0]
        for line in data.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def edits(self, tree: ast.AST) -> Iterator[_Edit]:
        """All places to be written otherwise."""
        lowered: set[ast.AST] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                yield self._replaced(node, "")
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                yield from self._assignment(node)
            elif isinstance(node, ast.arg) and node.annotation:
                yield self._quoted(node.annotation)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns:
                yield self._quoted(node.returns)
            elif isinstance(node, ast.Call):
                yield from self._call(node)
            elif isinstance(node, (ast.While, ast.If, ast.comprehension)):
                yield from self._condition(node, lowered)
            elif isinstance(node, ast.NamedExpr) and node not in lowered:
                raise CannotLowerError(f"line {node.lineno}: an assignment inside an expression of this kind")

    # ------------------------------------------------------------------------------------------------ types

    def _assignment(self, node: ast.Assign | ast.AnnAssign) -> Iterator[_Edit]:
        if isinstance(node, ast.AnnAssign):
            yield self._quoted(node.annotation)
            named = isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias"
        else:
            named = False
        value = node.value
        if value is not None and (named or _is_generic(value)):
            yield self._quoted(value)

    def _quoted(self, node: ast.expr) -> _Edit:
        return self._replaced(node, repr(ast.unparse(node)))

    # ------------------------------------------------------------------------------------------------ calls

    def _call(self, node: ast.Call) -> Iterator[_Edit]:
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in _METHODS:
            opened = self._data.index(b"(", self._end(function)) + 1
            yield _Edit(self._start(function.value), self._start(function.value), f"_{function.attr}(")
            yield _Edit(self._end(function.value), opened, ", " if node.args else "")
        elif isinstance(function, ast.Name) and function.id == "isinstance" and isinstance(node.args[1], ast.BinOp):
            kinds = ", ".join(ast.unparse(kind) for kind in _alternatives(node.args[1]))
            yield self._replaced(node.args[1], f"({kinds})")

    # ---------------------------------------------------------------------------- assignments in expressions

    def _condition(self, node: ast.While | ast.If | ast.comprehension, lowered: set[ast.AST]) -> Iterator[_Edit]:
        if isinstance(node, ast.comprehension):
            for test in node.ifs:
                yield from self._in_comprehension(test, lowered)
        elif isinstance(node, ast.While) and isinstance(node.test, ast.NamedExpr):
            yield from self._whole(node, node.test, f"for {self._name(node.test)} in _while(lambda: ", ")", lowered)
        elif isinstance(node, ast.If):
            yield from self._in_if(node, lowered)

    def _in_comprehension(self, test: ast.expr, lowered: set[ast.AST]) -> Iterator[_Edit]:
        """``if (name := value)`` as ``for name in (value,) if name``."""
        if isinstance(test, ast.NamedExpr):
            name, start = self._name(test), self._data.rindex(b"if", 0, self._start(test))
            closed = self._data.index(b")", self._end(test)) + 1
            yield _Edit(start, self._start(test.value), f"for {name} in (")
            yield _Edit(self._end(test.value), closed, f",) if {name}")
            lowered.add(test)

    def _in_if(self, node: ast.If, lowered: set[ast.AST]) -> Iterator[_Edit]:
        """``if a and (name := value) is not None:`` as a loop of one turn at most."""
        tests = node.test.values if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And) else []
        last = tests[-1] if tests else node.test
        found = [part for part in ast.walk(last) if isinstance(part, ast.NamedExpr)]
        if len(found) != 1 or node.orelse or _leaves_a_loop(node.body):
            return
        name = self._name(found[0])
        value, start, end = ast.unparse(found[0].value), self._start(found[0]), self._end(found[0])
        if self._data[start - 1 : start] == b"(" and self._data[end : end + 1] == b")":
            start, end = start - 1, end + 1
        told = self._data[self._start(last) if last is not found[0] else start : start].decode() + name
        told += self._data[end : max(end, self._end(last))].decode()
        before = " and ".join(f"({ast.unparse(test)})" for test in tests[:-1]) or "True"
        head = f"for {name} in [{name} for {name} in ([{value}] if {before} else []) if {told}]"
        yield _Edit(self._start(node), max(end, self._end(node.test)), head)
        lowered.add(found[0])

    def _whole(
        self, node: ast.While, named: ast.NamedExpr, before: str, after: str, lowered: set[ast.AST]
    ) -> Iterator[_Edit]:
        yield _Edit(self._start(node), self._start(named.value), before)
        yield _Edit(self._end(named.value), self._end(named), after)
        lowered.add(named)

    def _name(self, named: ast.NamedExpr) -> str:
        return named.target.id

    # ------------------------------------------------------------------------------------------------ places

    def _replaced(self, node: ast.stmt | ast.expr, text: str) -> _Edit:
        return _Edit(self._start(node), self._end(node), text)

    def _start(self, node: ast.stmt | ast.expr) -> int:
        return self._lines[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.stmt | ast.expr) -> int:
        assert node.end_lineno is not None  # noqa: S101 - ast.parse sets both
        assert node.end_col_offset is not None  # noqa: S101
        return self._lines[node.end_lineno - 1] + node.end_col_offset


def _is_generic(value: ast.expr) -> bool:
    """Whether a value is a type with parameters, or a choice of types: names of the typing module or built in."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr):
        return any(isinstance(part, ast.Constant) and part.value is None for part in _alternatives(value)) or any(
            _is_generic(part) for part in _alternatives(value)
        )
    if not isinstance(value, ast.Subscript):
        return False
    return isinstance(value.value, ast.Name) and value.value.id in _GENERIC


def _alternatives(value: ast.expr) -> list[ast.expr]:
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr):
        return [*_alternatives(value.left), *_alternatives(value.right)]
    return [value]


def _leaves_a_loop(body: list[ast.stmt]) -> bool:
    return any(isinstance(node, (ast.Break, ast.Continue)) for statement in body for node in ast.walk(statement))
