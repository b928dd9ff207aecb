"""``gpudoctor smoke --nodes``: the command lines for several machines, or the part that this process takes."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from gpudoctor.world import World

if TYPE_CHECKING:
    from gpudoctor.collectives.job import Node, Rank

NodesOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--nodes",
        min=1,
        help="Collective operations across so many machines instead: print the command lines, or take part.",
    ),
]
RdzvOption: TypeAlias = Annotated[
    str | None, typer.Option("--rdzv", metavar="HOST:PORT", help="With --nodes: where all meet, on the first machine.")
]
NodeRankOption: TypeAlias = Annotated[
    int | None, typer.Option("--node-rank", metavar="N", help="With --rdzv: which machine this is, from 0.")
]


def taken(nodes: int | None, rdzv: str | None, node_rank: int | None) -> Node | Rank | None:
    """The part that this process takes; None where there is none. Raises typer.BadParameter."""
    if nodes is None and (rdzv is not None or node_rank is not None):
        raise typer.BadParameter("--rdzv and --node-rank need --nodes")
    if rdzv is None and node_rank is not None:
        raise typer.BadParameter("--node-rank needs --rdzv")
    if nodes is None:
        return None
    from gpudoctor.collectives.nodes import MOST_NODES, part

    if nodes > MOST_NODES:
        raise typer.BadParameter(f"at most {MOST_NODES}", param_hint="--nodes")
    try:
        return part(os.environ, nodes, rdzv, node_rank)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--nodes") from error


def lines(nodes: int, python: str | None, *, on_cpu: bool) -> str:
    """What to run on each machine. Raises typer.BadParameter for no interpreter."""
    from gpudoctor.collectives.nodes import command_lines, hosts_of
    from gpudoctor.probes.target_choice import NotAnInterpreter, choose

    try:
        executable = choose(python, os.environ).executable
        hosts = hosts_of(os.environ, platform.node())
        gpus = 0 if on_cpu else _gpus()
        return "\n".join(command_lines(nodes, gpus, hosts, executable, program=_program(), on_cpu=on_cpu)) + "\n"
    except NotAnInterpreter as error:
        raise typer.BadParameter(str(error), param_hint="--python") from error
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--nodes") from error


def _gpus() -> int:
    """How many GPUs the kernel lists here; the machine that prints the lines need not have any."""
    from gpudoctor.collectives.job import MOST_PROCESSES

    try:
        return min(len(World().list("/proc/driver/nvidia/gpus")), MOST_PROCESSES)
    except OSError:
        return 0


def _program() -> tuple[str, ...]:
    """How gpudoctor is started on a machine that sees the same files: by its script, else as a module."""
    script = shutil.which(sys.argv[0]) if os.path.basename(sys.argv[0]).startswith("gpudoctor") else None
    return (os.path.abspath(script),) if script else (sys.executable, "-m", "gpudoctor")
