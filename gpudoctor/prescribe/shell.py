"""Commands as text: a value enters one only if it parses as what it claims to be, quoted for its shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from packaging.requirements import InvalidRequirement, Requirement

from gpudoctor.findings import Where
from gpudoctor.prescribe.place import Place


class NotPrintableError(ValueError):
    """A value that does not parse as what a command needs; the command is then not printed."""


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def requirement(text: str) -> str:
    """A requirement such as ``numpy<2``. Raises NotPrintableError for anything else, and for direct references."""
    try:
        parsed = Requirement(text)
    except InvalidRequirement as error:
        raise NotPrintableError(text) from error
    if parsed.url or parsed.marker:
        raise NotPrintableError(text)
    return str(parsed)


def python_path(text: str) -> str:
    """A path that holds in every folder, or a paste's plain ``python``. Else raises NotPrintableError.

    A ticket's and a recorded machine's paths begin at ``~``, for their home folder was hidden.
    """
    absolute = text == "python" or re.match(r"/|~/|[A-Za-z]:[\\/]", text)
    if not absolute or _CONTROL.search(text):
        raise NotPrintableError(text)
    return text


def line(place: Place, *words: str) -> str:
    """One shell line, every word quoted for this system's shell. Raises NotPrintableError for control characters."""
    if any(_CONTROL.search(word) for word in words):
        raise NotPrintableError(" ".join(words))
    if place.side != "windows":
        return " ".join(map(_posix, words))
    if any(set(word) & set('"%!^`$') for word in words):
        raise NotPrintableError(" ".join(words))
    return " ".join(f'"{word}"' if re.search(r"[^\w.:/\\=+-]", word) else word for word in words)


def _posix(word: str) -> str:
    """The word quoted, with a ``~/`` at its beginning left to the shell to expand."""
    home = "~/" if word.startswith("~/") and len(word) > 2 else ""
    return home + shlex.quote(word[len(home) :])


def printable(lines: Sequence[tuple[str, ...]], place: Place) -> tuple[str, ...]:
    """All lines, or none where one cannot be printed: half of a procedure is worse than none."""
    try:
        return tuple(line(place, *words) for words in lines)
    except NotPrintableError:
        return ()


def machine_wide(place: Place) -> Where:
    """This machine, or the host around it where this place cannot change machine-wide things."""
    return "machine" if place.side in ("machine", "windows", "jetson") else "host"


VERIFY = "gpudoctor diagnose"
"""Shows whether a fix of the machine worked."""


def verify_with(place: Place, framework: str | None = None) -> str:
    """The diagnose command that shows whether a fix worked, for the interpreter under test."""
    words = ["gpudoctor", "diagnose"]
    if framework:
        words += ["--framework", framework]
    if place.interpreter and place.interpreter.executable != "python":  # a pasted text seldom tells the path
        words += ["--python", place.interpreter.executable]
    return next(iter(printable([tuple(words)], place)), VERIFY)
