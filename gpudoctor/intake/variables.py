"""Environment variables: ``env``, ``export``, ``set``, ``ENV`` and ``-e``, of those that matter to GPU computing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor import variables
from gpudoctor.facts import Environment
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, Trust

_OF_JOBS = ("SLURM_", "TORCHELASTIC_")
_NO_VARIABLES = ("CUDA_ERROR", "CUDNN_STATUS", "NCCL_INFO")
_ASSIGNED = re.compile(
    r"(?:export |ENV |set |setx |setenv |declare -x |SET |-e |--env[= ])?(?:\$env:)?\"?([A-Z][A-Z0-9_]{2,60})\"? ?"
    r"(?:=|: (?=\S))(.{0,2000})"
)
_INLINE = re.compile(r"(?:^|[\s;])([A-Z][A-Z0-9_]{4,60})=([^\s;&|]{0,300})(?=\s|$)")
_PYTHON = re.compile(
    r"os\.(?:environ\[|putenv\(|environ\.setdefault\()[\"']([A-Z][A-Z0-9_]{2,60})[\"'](?:\] ?= ?|, ?)[\"']"
    r"([^\"'\n]{0,300})[\"']"
)
_PROGRAM = re.compile(
    r"(?:\S{0,100}/)?(?:python[\d.]{0,5}|torchrun|accelerate|deepspeed|bash|sh|uv|uvx|jupyter|srun|mpirun|vllm)"
)
_COMPUTED = re.compile(r"[\"']?(?:\$\(|`|\{\{|<[A-Za-z]|\$\{?\w{1,60}\}?[\"']?$|%\w{1,60}%$)")
_ECHOED = re.compile(r"(?:echo|printenv) \"?\$?\{?([A-Z][A-Z0-9_]{2,60})\}?\"?$")


def matters(name: str) -> bool:
    """Whether a name in a paste is a variable that concerns GPU computing, or a job on GPUs."""
    if name.startswith(_NO_VARIABLES):
        return False
    return variables.matters(name) or (name.startswith(_OF_JOBS) and not variables.looks_secret(name))


def read_variables(paste: Paste) -> Iterator[Piece]:
    """Each variable that a line sets or shows."""
    for position in tuple(paste.free()):
        text = paste.texts[position]
        if "_" not in text and "PYTHON" not in text:
            continue
        yield from _line(paste, position, text)


def _line(paste: Paste, position: int, text: str) -> Iterator[Piece]:
    where = paste.where(position)
    command = position in paste.commands
    echoed = _ECHOED.match(text)
    if echoed and matters(echoed[1]):
        yield from _shown_below(paste, position, echoed[1])
        return
    found = _ASSIGNED.match(text)
    inline = command and " " in found[2].strip() if found else False
    if found and matters(found[1]) and not inline and not _runs_a_program(found[2]):
        paste.take(position)
        if not _is_computed(_value(found[2])):
            yield from _variable(found[1], _value(found[2]), where)
        return
    if command or text.startswith(("srun", "torchrun", "python")) or " python" in text:
        for setting in _INLINE.finditer(text[:1000]):
            if matters(setting[1]) and not _is_computed(_value(setting[2])):
                yield from _variable(setting[1], _value(setting[2]), where)
    if "environ" in text or "putenv" in text:
        for setting in _PYTHON.finditer(text[:1000]):
            if matters(setting[1]):
                yield from _variable(setting[1], setting[2], where)


def _is_computed(value: str) -> bool:
    """Whether a shell or a template is still to make the value; a path with such a part keeps the others."""
    return _COMPUTED.match(value) is not None


def _runs_a_program(value: str) -> bool:
    """Whether a program follows the value: the line sets the variable for that program alone."""
    if value[:1] in ("'", '"'):
        return False
    following = (word for word in value[:1000].split()[1:9] if "=" not in word)
    return _PROGRAM.fullmatch(next(following, "")) is not None


def _shown_below(paste: Paste, position: int, name: str) -> Iterator[Piece]:
    """``echo $CUDA_VISIBLE_DEVICES`` and the line below it; a command right below means: empty."""
    below = position + 1
    if below >= len(paste) or paste.taken[below] or paste.numbers[below] != paste.numbers[position] + 1:
        return
    value = "" if below in paste.commands else paste.texts[below]
    paste.take(position, position if below in paste.commands else below)
    yield from _variable(name, value, paste.where(position))


def _value(text: str) -> str:
    """A value without quotes, and without a comment after it."""
    text = text.strip()
    if text[:1] in ('"', "'") and text[1:].find(text[0]) >= 0:
        return text[1 : text.index(text[0], 1)]
    return text.rstrip("\\").strip()[:1000]


def _variable(name: str, value: str, where: str) -> Iterator[Piece]:
    yield Environment(source=where, variables={name: value})
    if name in ("CUDA_HOME", "CUDA_PATH") and value[:1] in "/CD" and "cuda" in value.lower():
        yield Said("toolkit.path", value, where, Trust.SHOWN)
    if name == "CONDA_PREFIX" and value.startswith("/"):
        yield Said("conda.prefix", value, where, Trust.SHOWN)
