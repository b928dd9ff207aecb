"""Children of gpudoctor's own interpreter, which hold foreign libraries (NVML, libcuda) away from our process.

Their program is the source of a module of this package, ``main(*arguments)`` is its start, and its messages are lines
of JSON: ``step`` names what comes next, ``done`` is the last one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gpudoctor.children import MARK, Child, Ending, Limits
from gpudoctor.facts import Missing
from gpudoctor.warm import OPTIONS, environment, import_path, take
from gpudoctor.world import World

__all__ = ["ended_early", "import_path", "own_child"]

# A module of ours under its own name, so that the modules after it can import it: the child has no import path to us.
_MODULE = (
    "import sys; module = sys.modules[{0!a}] = type(sys)({0!a}); exec(compile({1!a}, {0!a}, 'exec'), vars(module))\n"
)


def own_child(
    module: str,
    arguments: tuple[Any, ...],
    world: World,
    limits: Limits,
    *,
    modules: tuple[str, ...] = (),
    listens: bool = False,
) -> Child:
    """A child that runs ``main(mark, *arguments)`` of a module here, under the user's environment variables.

    The arguments are plain values (text, numbers, lists, dictionaries, None). ``modules`` are those of ours that it
    imports, in the order in which they need one another. One that ``listens`` gets instructions by ``send``.
    """
    names = [f"{__package__}.{name}" for name in (*modules, module)]
    sources = [source(name) for name in (*modules, module)]
    # The arguments are a literal at the end of the program, so that both arrive in one piece.
    program = "".join(map(_MODULE.format, names, sources)) + f"module.main(*{(MARK, *arguments)!a})\n"
    environ = environment(world.environ)
    return Child.python(
        sys.executable,
        program,
        environ=environ,
        limits=limits,
        options=OPTIONS,
        listens=listens,
        process=take(module, environ),
    )


def source(module: str) -> str:
    """The source of a module here, as a child's program."""
    return Path(__file__).with_name(f"{module}.py").read_text("ascii")


def ended_early(ending: Ending, where: str, limits: Limits) -> Missing:
    """A child's end before its last message as a fact; ``where`` is the step that it had announced."""
    if ending.how == "not-started":
        return Missing("unreadable", ending.detail, "start of a child process")
    if ending.how in ("hung", "timed-out"):
        waited = f"no answer for {limits.idle:g} s" if ending.how == "hung" and limits.idle else "no answer in time"
        asleep = f"process {ending.pid} sleeps in {ending.wait_channel or 'the kernel'}" if ending.stuck else ""
        return Missing("timed-out", "; ".join(part for part in (waited, asleep) if part), where)
    last_line = ending.tail[-1].strip() if ending.tail else ""
    return Missing("crashed", ": ".join(part for part in (ending.words, last_line) if part), where)
