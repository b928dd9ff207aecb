"""How containers are started: docker, podman and nerdctl commands, compose files, pods, Dockerfiles, enroot, apptainer.

Only what a text asks for: whether it was granted, other lines show.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from gpudoctor.facts import ContainerStart, Message
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, Trust

_RUN = re.compile(
    r"(?:^|[\s;&|])(?:sudo )?(docker|podman|nerdctl|nvidia-docker) (?:container )?(?:run|create|exec)\b(.{0,3000})"
)
_APPTAINER = re.compile(r"(?:^|\s)(apptainer|singularity) (?:exec|run|shell)\b(.{0,2000})")
_IMAGE = re.compile(
    r"[a-z0-9][\w.-]{0,100}(?::\d{2,5})?(?:/[\w.-]{1,100}){0,4}(?::[\w.+-]{1,100})?(?:@sha256:[0-9a-f]{8,64})?$"
)
_WITH_VALUE = """
    --gpus --runtime --device --shm-size --ipc --env -e --volume -v --name --network --net --user -u --workdir -w
    --publish -p --entrypoint --cap-add --security-opt --mount --hostname -h --memory -m --cpus --ulimit --restart
    --label -l --pid --group-add --env-file --platform --add-host --device-cgroup-rule --cgroupns --userns
    --log-driver --pull --hooks-dir --annotation --tmpfs --cpuset-cpus --cidfile --bind -B --home -H --pwd
"""
_TAKES_VALUE = frozenset(_WITH_VALUE.split())


def read_container_commands(paste: Paste) -> Iterator[Piece]:
    """Each command that starts a container. A prompt's ``\\`` line ends are joined."""
    for mark in ("docker", "podman", "nerdctl", "singularity", "apptainer"):
        for position in tuple(paste.holding(mark)):
            if paste.taken[position]:
                continue
            text, last = _joined(paste, position)
            found = _RUN.search(text) or _APPTAINER.search(text)
            if found and (
                position in paste.commands or text.startswith(("sudo", mark, "nvidia-docker", "command", "docker"))
            ):
                paste.take(position, last)
                where = paste.where(position, last)
                start = _start(found[1], found[2], where, text)
                yield start
                yield Message(source=where, text=text[:1000])
                yield Said("container", start.engine, where, Trust.MENTIONED)
                if start.image:
                    yield Said("image", start.image, where, Trust.LOGGED)


def _joined(paste: Paste, position: int) -> tuple[str, int]:
    text, last = paste.texts[position], position
    while text.endswith(("\\", "`")) and last + 1 < len(paste) and last - position < 40:
        last += 1
        text = f"{text[:-1].rstrip()} {paste.texts[last]}"
    return text, last


def _start(engine: str, arguments: str, where: str, text: str) -> ContainerStart:
    try:
        words = shlex.split(arguments)
    except ValueError:  # an unmatched quote
        words = arguments.split()
    told: dict[str, Any] = {"variables": {}, "devices": ()}
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if not word.startswith("-"):
            if _IMAGE.fullmatch(word) or word == "IMAGE":
                told["image"] = word
            break
        name, equals, value = word.partition("=")
        if not equals and name in _TAKES_VALUE and index < len(words):
            value, index = words[index], index + 1
        _option(told, name, value)
    plain = "docker" if engine == "nvidia-docker" else "apptainer" if engine == "singularity" else engine
    if engine == "nvidia-docker":
        told.setdefault("runtime", "nvidia")
        told.setdefault("gpus", "all")
    return ContainerStart(source=where, engine=plain, text=text[:1000], **told)


def _option(told: dict[str, Any], name: str, value: str) -> None:
    if name in ("--gpus", "--gpu"):
        told["gpus"] = value.strip("\"'") or "all"
    elif name in ("--nv", "--nvccli"):
        told["gpus"] = "all"
    elif name == "--runtime":
        told["runtime"] = value
    elif name == "--device":
        told["devices"] = (*told["devices"], value)
        if value.startswith("nvidia.com/gpu"):
            told["gpus"] = value.partition("=")[2] or "all"
    elif name == "--shm-size":
        told["shm"] = value
    elif name == "--ipc" and value == "host":
        told["shm"] = "host"
    elif name == "--privileged":
        told["privileged"] = True
    elif name in ("-e", "--env") and value:
        key, _, setting = value.partition("=")
        if key.startswith(("NVIDIA_", "CUDA_", "LD_")):
            told["variables"][key] = setting
            if key == "NVIDIA_DRIVER_CAPABILITIES":
                told["capabilities"] = setting


_POD = ("kind: Pod", "kind: Deployment", "kind: Job", "nvidia.com/gpu")
_FROM = re.compile(r"FROM (?:--platform=\S{1,40} )?([\w./:@-]{3,200})(?: (?:AS|as) \S{1,60})?$")


def read_container_files(paste: Paste) -> Iterator[Piece]:
    """Dockerfile's FROM, compose services and pods: the image, and whether GPUs are asked for."""
    for position in tuple(paste.holding("FROM ")):
        found = _FROM.match(paste.texts[position])
        if found:
            paste.take(position)
            yield Said("image", found[1], paste.where(position), Trust.LOGGED)
            yield Said("container", "docker", paste.where(position), Trust.MENTIONED)
    if paste.holds("services:") and "image:" in paste.text:
        yield from _compose(paste)
    if "image:" in paste.text and any(mark in paste.text for mark in _POD):
        yield from _pod(paste)


def _end_of_yaml(paste: Paste, start: int) -> int:
    """The last of the lines that look like YAML, from a position on."""
    last = start
    while last + 1 < len(paste) and _YAML.match(paste.texts[last + 1]) and last - start < 200:
        if last + 1 in paste.commands or (paste.indents[last + 1] == 0 and ": " in paste.texts[last + 1]):
            break
        last += 1
    return last


_YAML = re.compile(r"[\w./-]{1,80}:(?: |$)|[\w./=-]{1,120}$|[\[\]{}\"'|]")


def _values_under(paste: Paste, start: int) -> dict[str, str]:
    """``key: value`` lines of a YAML text, the first of equal keys."""
    values: dict[str, str] = {}
    for position in range(start, min(start + 120, len(paste))):
        key, colon, value = paste.texts[position].partition(":")
        if colon and len(key) < 60:
            values.setdefault(key.strip("- \"'"), value.strip(" \"'"))
    return values


def _compose(paste: Paste) -> Iterator[Piece]:
    start = next((position for position in paste.holding("services:")), None)
    if start is None or paste.texts[start] != "services:":
        return
    values = _values_under(paste, start)
    last = _end_of_yaml(paste, start)
    paste.take(start, last)
    reserved = "capabilities" in values and "gpu" in paste.text
    where = paste.where(start, last)
    yield ContainerStart(
        source=where,
        engine="docker",
        text="docker compose",
        image=values.get("image") or None,
        gpus=(values.get("count") or values.get("device_ids") or "all") if reserved else None,
        runtime=values.get("runtime") or None,
        shm=values.get("shm_size") or ("host" if values.get("ipc") == "host" else None),
        capabilities=values.get("NVIDIA_DRIVER_CAPABILITIES") or None,
    )
    yield Said("container", "docker", where, Trust.MENTIONED)


_GPU_LIMIT = re.compile(r"['\"]?nvidia\.com/[\w.-]{1,40}['\"]?: ?['\"]?\d")  # not a scheduler's sentence on them


def _pod(paste: Paste) -> Iterator[Piece]:
    start = next(
        (position for position, text in enumerate(paste.texts) if "kind: " in text or _GPU_LIMIT.match(text)), None
    )
    if start is None:
        return
    values = _values_under(paste, start)
    last = _end_of_yaml(paste, start)
    paste.take(start, last)
    where = paste.where(start, last)
    gpus = next((value for key, value in values.items() if key.startswith("nvidia.com/")), None)
    yield ContainerStart(source=where, engine="kubernetes", text="pod", image=values.get("image") or None, gpus=gpus)
    yield Said("container", "kubernetes", where, Trust.MENTIONED)
