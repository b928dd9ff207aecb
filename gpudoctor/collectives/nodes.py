"""Collective operations across machines: the command lines to run on each, and which part a started process takes.

Three ways lead to the same job: ``gpudoctor smoke`` on every machine with the address of the first, the same through
Slurm once, or torchrun on every machine, whose processes are then gpudoctor's own.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from gpudoctor.collectives.job import ON_THE_CPU, Node, Rank

PORT = 29533  # near torch's own 29500, which other jobs use
MOST_NODES = 1024

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]")


def command_lines(
    nodes: int,
    gpus_per_node: int,
    hosts: Sequence[str],
    executable: str,
    *,
    program: Sequence[str] = ("gpudoctor",),
    port: int = PORT,
    on_cpu: bool = False,
) -> tuple[str, ...]:
    """Shell lines, each group after a comment that says where it is run.

    ``hosts`` are the known names of the machines, first the one that all must reach; ``gpus_per_node`` is 0 where
    that is not known. ``executable`` is the interpreter under test, ``program`` how gpudoctor is started. Raises
    ValueError for what is no host name.
    """
    if not hosts:
        raise ValueError("no host name is known for the first machine")
    endpoint = f"{host(hosts[0])}:{port}"
    device = ("--device", "cpu") if on_cpu else ()
    smoke = (*program, "smoke", "--python", executable, *device, "--nodes", str(nodes))
    processes = str(ON_THE_CPU if on_cpu else gpus_per_node or "gpu")
    on_all = (*smoke, "--rdzv", endpoint)
    lines = []
    for rank in range(nodes):
        lines.append(f"# on {host(hosts[rank]) if rank < len(hosts) else f'machine {rank} of {nodes}'}:")
        lines.append(shlex.join((*on_all, "--node-rank", str(rank))))
    return (
        *lines,
        f"# or once with Slurm, in an allocation of {nodes} nodes:",
        shlex.join((*_srun(nodes, gpus_per_node), *on_all)),
        "# or with torchrun, on every machine:",
        shlex.join((*_torchrun(nodes, processes, executable, endpoint), *smoke)),
    )


def _srun(nodes: int, gpus_per_node: int) -> tuple[str, ...]:
    gpus = (f"--gpus-per-node={gpus_per_node}",) if gpus_per_node else ()
    return ("srun", f"--nodes={nodes}", "--ntasks-per-node=1", *gpus)


def _torchrun(nodes: int, processes: str, executable: str, endpoint: str) -> tuple[str, ...]:
    # Underscores: PyTorch before 2.0 knows no other spelling.
    options = (f"--nnodes={nodes}", f"--nproc_per_node={processes}", "--rdzv_id=gpudoctor")
    rendezvous = ("--rdzv_backend=c10d", f"--rdzv_endpoint={endpoint}")
    return (executable, "-m", "torch.distributed.run", *options, *rendezvous, "--no_python")


def host(name: str) -> str:
    """The name, if it is one of a host. Raises ValueError."""
    if not _HOST.fullmatch(name):
        raise ValueError(f"{name!r} is no host name")
    return name


# ------------------------------------------------------------------------------------------- which part is ours


def part(environ: Mapping[str, str], nodes: int, rdzv: str | None, node_rank: int | None) -> Node | Rank | None:
    """The part that this process takes in a job of so many machines; None: nothing says so, the lines are wanted.

    One process of torchrun (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT) is one of the job. With ``rdzv``
    (``HOST:PORT`` of the first machine) it is one of several tasks that srun started on this node, or the whole node:
    ``node_rank``, or Slurm's own number of it. Raises ValueError with a sentence.
    """
    if rdzv is None:
        return _of_torchrun(environ, nodes)
    address, port = endpoint(rdzv)
    if node_rank is None and _number(environ, "SLURM_STEP_NUM_TASKS", nodes) > nodes:
        return _task_of_slurm(environ, nodes, address, port)
    if node_rank is None and _number(environ, "SLURM_STEP_NUM_NODES", 1) == nodes:
        node_rank = _number(environ, "SLURM_NODEID", 0 if nodes == 1 else -1)
    if node_rank is None or not 0 <= node_rank < nodes:
        raise ValueError(f"--node-rank must say which machine this is: 0 to {nodes - 1}")
    return Node(node_rank, nodes, address, port)


def _of_torchrun(environ: Mapping[str, str], nodes: int) -> Rank | None:
    if not all(environ.get(name) for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")):
        return None
    rank, world = _number(environ, "RANK", 0), _number(environ, "WORLD_SIZE", 1)
    local, port = _number(environ, "LOCAL_RANK", 0), _number(environ, "MASTER_PORT", PORT)
    return Rank(rank, local, world, nodes, host(environ["MASTER_ADDR"]), port)


def _task_of_slurm(environ: Mapping[str, str], nodes: int, address: str, port: int) -> Rank:
    rank, world = _number(environ, "SLURM_PROCID", 0), _number(environ, "SLURM_STEP_NUM_TASKS", 1)
    return Rank(rank, _number(environ, "SLURM_LOCALID", 0), world, nodes, address, port)


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"\d{1,6}", text):
        raise ValueError(f"{name} is {text!r}, no number")
    return int(text)


def endpoint(text: str) -> tuple[str, int]:
    """``HOST:PORT`` in its parts. Raises ValueError with a sentence."""
    name, _, port = text.rpartition(":")
    if not re.fullmatch(r"\d{1,5}", port) or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is no HOST:PORT of the first machine")
    return host(name), int(port)


# ------------------------------------------------------------------------------------------------- host names


def hosts_of(environ: Mapping[str, str], own: str) -> tuple[str, ...]:
    """The machines of the Slurm allocation in Slurm's order, else this one."""
    listed = environ.get("SLURM_JOB_NODELIST") or environ.get("SLURM_NODELIST")
    return expanded(listed) if listed else (own,)


def expanded(nodelist: str) -> tuple[str, ...]:
    """The names in Slurm's short form, at most 1024: ``n[01-03,7],gpu1`` is n01, n02, n03, n7, gpu1.

    https://slurm.schedmd.com/scontrol.html#OPT_hostnames
    """
    found: list[str] = []
    for group in re.findall(r"(?:[^,\[]|\[[^\[\]]*\])+", nodelist):
        pieces = re.split(r"\[([^\[\]]*)\]", group)
        choices = [tuple(_range(piece)) if at % 2 else (piece,) for at, piece in enumerate(pieces)]
        for names in product(*choices):
            found.append("".join(names))
            if len(found) == MOST_NODES:
                return tuple(found)
    return tuple(found)


def _range(text: str) -> Iterator[str]:
    for entry in text.split(","):
        first, _, last = entry.partition("-")
        if not last:
            yield first
        elif first.isdecimal() and last.isdecimal():
            upto = min(int(last), int(first) + MOST_NODES)
            yield from (str(number).zfill(len(first)) for number in range(int(first), upto + 1))
