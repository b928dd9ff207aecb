"""``tools/tf_env_collect.sh`` of TensorFlow, shell and Python: sections under ``== title ====``.

https://github.com/tensorflow/tensorflow/blob/master/tools/tf_env_collect.sh
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpudoctor.facts import Environment
from gpudoctor.intake import statements, words
from gpudoctor.intake.paste import Paste
from gpudoctor.intake.pieces import Piece, Said, SeenPackage, Trust

_SECTION = re.compile(r"== ?([a-z/][a-z /_-]{2,40}?) {0,3}={3,80}$")
_ROW = re.compile(r"([A-Za-z][\w.-]{0,60}) {1,40}\(?(\d[\w.+!-]{0,60})\)?$")
_LIBRARY = re.compile(r"(/\S{1,200}/libcu(dart|dnn)[\w.]{0,30}?\.so\.(\d{1,2}(?:\.\d{1,4}){0,3}))$")


def read_tensorflow_env(paste: Paste) -> Iterator[Piece]:
    """All sections; nvidia-smi's table and the environment's variables are read by their own formats."""
    if not (paste.holds("== ") and paste.holds("====")):
        return
    section = ""
    for position in tuple(paste.free()):
        text = paste.texts[position]
        title = _SECTION.match(text)
        if title:
            section = title[1].strip()
            paste.take(position)
            continue
        if not section:
            continue
        pieces = _line(section, text, paste.where(position))
        if pieces is not None:
            paste.take(position)
            yield from pieces


def _line(section: str, text: str, where: str) -> Iterator[Piece] | None:
    if section in ("check pips", "pips"):
        row = _ROW.match(text)
        return iter((SeenPackage(row[1], row[2], where, "pip list", installer="pip"),)) if row else None
    if section == "are we in docker":
        return iter((Said("container", "docker", where, Trust.SHOWN),)) if text == "Yes" else iter(())
    if section == "tensorflow import":
        return _import(text, where)
    if section == "cuda libs":
        return _library(text, where)
    if section == "env":
        return _variable(text, where)
    if section in ("check python", "check os platform", "cat /etc/issue"):
        return _platform(text, where)
    if section.startswith("python version"):
        found = re.match(r"\((\d), (\d{1,2}), (\d{1,2}),", text)
        return iter((Said("python", ".".join(found.groups()), where, Trust.SHOWN),)) if found else None
    return iter(()) if section in ("compiler", "check for virtualenv", "bazel version") else None


def _import(text: str, where: str) -> Iterator[Piece] | None:
    found = re.match(r"(?:tf\.version\.VERSION|tf\.VERSION) = (\d[\w.+-]{1,60})", text)
    if found:
        return iter((SeenPackage("tensorflow", found[1], where, "tensorflow.__version__"),))
    return iter(()) if text.startswith(("tf.", "Sanity check")) else None


def _library(text: str, where: str) -> Iterator[Piece] | None:
    found = _LIBRARY.match(text)
    if not found:
        return iter(()) if text.startswith("/") else None
    if found[2] == "dnn":
        return iter((Said("cudnn.file", found[1], where, Trust.SHOWN),))
    return iter((Said("toolkit", found[3], where, Trust.SHOWN),)) if "." in found[3] else iter(())


def _variable(text: str, where: str) -> Iterator[Piece] | None:
    found = re.match(r"(LD_LIBRARY_PATH|DYLD_LIBRARY_PATH) (.{1,1000})", text)
    if not found:
        return None
    unset = found[2] == "is unset" or found[1] != "LD_LIBRARY_PATH"
    return iter(()) if unset else iter((Environment(source=where, variables={found[1]: found[2]}),))


def _platform(text: str, where: str) -> Iterator[Piece] | None:
    name, colon, value = text.partition(":")
    value = value.strip()
    if text.startswith("VERSION=") or not colon:
        found = words.system(text.partition("=")[2].strip('"')) if text.startswith("VERSION=") else None
        return iter((Said("os", text.partition("=")[2].strip('"'), where),)) if found else None
    if name in ("linux distribution", "linux os distribution"):
        parts = re.findall(r"'([^'\n]{0,60})'", value)
        return iter((Said("os", " ".join(parts[:2]), where, Trust.SHOWN),)) if parts and parts[0] else iter(())
    if name == "os release version":
        return statements.read("kernel version", value, where, Trust.SHOWN)
    if name == "os platform":
        return statements.read("python platform", value, where, Trust.SHOWN)
    if name in ("python version", "machine", "os"):
        return statements.read(name, value, where, Trust.SHOWN)
    return iter(()) if name.startswith(("python ", "os ", "mac version", "uname", "architecture")) else None
