"""``gpudoctor matrix KIND NAME`` and ``gpudoctor matrix check DRIVER GPU PACKAGE==VERSION``."""

from __future__ import annotations

import json
from typing import Annotated, Literal, NoReturn

import typer

from gpudoctor.matrix import Matrix, Unlisted, load
from gpudoctor.matrix.answers import KINDS, text
from gpudoctor.matrix.check import Verdict, node, will_it_run
from gpudoctor.matrix.records import WheelPlatform, to_json

_EXIT = {"yes": 0, "no": 1, "not-judged": 3}
_UNKNOWN = 2
_PLATFORMS: dict[str, WheelPlatform] = {
    "linux": "linux_x86_64",
    "linux-aarch64": "linux_aarch64",
    "windows": "win_amd64",
}


def matrix(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}, or check.", metavar="KIND")],
    names: Annotated[list[str], typer.Argument(help="What to look up.", metavar="NAME...")],
    output: Annotated[
        Literal["terminal", "json"], typer.Option("--format", help="For people or for scripts.")
    ] = "terminal",
    platform: Annotated[
        Literal["linux", "linux-aarch64", "windows"],
        typer.Option(help="The platform that driver numbers and wheels are for."),
    ] = "linux",
) -> None:
    """Ask the compatibility matrix: a release, a driver, a GPU, a code, or whether a wheel runs on a node.

    check DRIVER GPU PACKAGE==VERSION exits with 0 for yes, 1 for no and 3 when it cannot be judged. A name that
    the matrix does not list exits with 2 and says what is close to it.
    """
    if kind == "check":
        _check(load(), names, output, _PLATFORMS[platform])
        return
    if kind not in KINDS:
        _refuse(f"There is no kind {kind!r}. Kinds: {', '.join(KINDS)}, check.")
    answer = KINDS[kind](load(), " ".join(names), "windows" if platform == "windows" else "linux")
    if isinstance(answer, Unlisted):
        _refuse(answer.sentence())
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False) if output == "json" else text(answer))


def _check(matrix: Matrix, names: list[str], output: str, platform: WheelPlatform) -> None:
    package, equals, version = names[-1].partition("==")
    if len(names) < 3 or not equals:
        _refuse(
            'Usage: gpudoctor matrix check DRIVER GPU PACKAGE==VERSION, as in: check 550.54.15 "RTX 4090" torch==2.6.0'
        )
    at = node(matrix, names[0], " ".join(names[1:-1]), platform)
    if isinstance(at, Unlisted):
        _refuse(at.sentence())
    verdict = will_it_run(matrix, at, package.strip().lower(), version.strip())
    if isinstance(verdict, Unlisted):
        _refuse(verdict.sentence())
    if output == "json":
        typer.echo(json.dumps(to_json(verdict), indent=2, ensure_ascii=False))
    else:
        typer.echo(_sentence(verdict))
    raise typer.Exit(_EXIT[verdict.answer])


def _sentence(verdict: Verdict) -> str:
    word = {"yes": "Yes", "no": "No", "not-judged": "Not judged"}[verdict.answer]
    sure = "" if verdict.certain else " (likely: a row it rests on is not verified)"
    instead = f"\nWhat would fit: {verdict.instead}" if verdict.instead else ""
    return f"{word}{sure}: {verdict.reason}.{instead}"


def _refuse(sentence: str) -> NoReturn:
    """One clear sentence on stderr, nothing on stdout."""
    typer.echo(sentence, err=True)
    raise typer.Exit(_UNKNOWN)
