"""``gpudoctor smoke``: let the frameworks train on every GPU, check and time its parts, report."""

from __future__ import annotations

import time
from enum import Enum
from typing import Annotated

import typer

from gpudoctor.cli import options
from gpudoctor.cli.again import again
from gpudoctor.cli.console import emit, whole_streams
from gpudoctor.cli.nodes import NodeRankOption, NodesOption, RdzvOption, lines, taken
from gpudoctor.cli.options import Format, checked_time_limit
from gpudoctor.cli.reporting import Output, collected, finished
from gpudoctor.cli.settings import configured, required, silenced, threshold
from gpudoctor.config import LONGEST_TIME_LIMIT
from gpudoctor.facts import Request
from gpudoctor.smoke.places import Choice

_LARGEST_BATCH = 2048


class Precision(str, Enum):
    """The number format that the networks train in."""

    FP32 = "fp32"
    TF32 = "tf32"
    FP16 = "fp16"
    BF16 = "bf16"


def smoke(
    context: typer.Context,
    framework: Annotated[
        list[options.Framework] | None,
        typer.Option("--framework", help="Train in this framework only. Repeatable; default: all that are installed."),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", metavar="0|1|...|all|cpu", help="A GPU by NVML's index, all of them, or the CPU.")
    ] = "all",
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="For all jobs together, imports not counted (default: 60).")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, max=_LARGEST_BATCH, help="Images a step (default: 64).")
    ] = None,
    precision: Annotated[
        Precision, typer.Option("--precision", help="What the networks train in; checks against the CPU stay fp32.")
    ] = Precision.FP32,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also test the memory and copies between GPUs, and parts on the CPU.")
    ] = False,
    nodes: NodesOption = None,
    rdzv: RdzvOption = None,
    node_rank: NodeRankOption = None,
    python: options.PythonOption = None,
    format: options.FormatOption = Format.TERMINAL,  # noqa: A002
    copy: options.CopyOption = False,
    preview: options.PreviewOption = False,
    output: options.OutputOption = None,
    fail_on: options.FailOnOption = None,
    time_limit: options.TimeLimitOption = None,
    verbose: options.VerboseOption = False,
    no_redact: options.NoRedactOption = False,
    ignore: options.IgnoreOption = None,
    save_facts: options.SaveFactsOption = None,
) -> int:
    """Train two small networks on every GPU, prove that it was the GPU, and check and time what training is made of."""
    from gpudoctor.doctor import Training

    whole_streams()
    checked_time_limit(time_limit)
    choice = _choice(device)
    if seconds is not None and not 1 <= seconds <= LONGEST_TIME_LIMIT:
        raise typer.BadParameter("must be between 1 and 86400", param_hint="--seconds")
    part = taken(nodes, rdzv, node_rank)
    if nodes is not None and part is None:
        emit(lines(nodes, python, on_cpu=choice == "cpu"), None)
        return 0
    settings = configured()
    silent = silenced(ignore or (), settings)
    wanted = Output(
        format=format,
        file=output,
        fail_on=threshold(fail_on, settings),
        verbose=verbose,
        redact=not no_redact,
        save_facts=save_facts,
        copy=copy,
        preview=preview,
        ticket=again(context, "--format", "markdown"),
    )
    wanted.check()
    request = Request(
        source="command line",
        required=required(framework, settings),
        allow_cpu=choice == "cpu" or settings.allow_cpu,
        quick=part is not None,  # nothing is trained: the machines compute together
    )
    training = Training(choice=choice, seconds=seconds, batch=batch_size, precision=precision.value, deep=deep)
    started, limit = time.monotonic(), time_limit or settings.time_limit
    seen = collected(python, request, wanted, limit, training, part)
    return finished(seen, wanted, silent, look=True, started=started, time_limit=limit)


def _choice(device: str) -> Choice:
    if device in ("all", "cpu"):
        return "all" if device == "all" else "cpu"
    if device.isascii() and device.isdecimal() and len(device) < 4:
        return int(device)
    raise typer.BadParameter(f"{device!r} is neither a number nor all nor cpu", param_hint="--device")
