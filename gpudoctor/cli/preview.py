"""``--preview``: what would leave, whole, and a count of what was hidden, before anything is written or copied."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping

from gpudoctor.cli.console import say

CLIPBOARD = "the clipboard"
STDOUT = "standard output"


def interactive() -> bool:
    """Whether there is somebody to ask."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def preview(texts: Mapping[str, str], hidden: Mapping[str, int] | None, *, shown: str | None, ask: bool) -> bool:
    """Show each text and where it would go on stderr, and ask; whether they may be written.

    ``shown`` is a text that was shown already. Without anybody to ask nothing is written.
    """
    from gpudoctor.privacy import told

    for text in dict.fromkeys(texts.values()):
        where = " and ".join(place for place, same in texts.items() if same == text)
        say(f"this would go to {where}, {len(text):,} characters{':' if text != shown else ', as shown above'}")
        if text != shown and ask:
            _show(text)
    say("nothing was hidden (--no-redact)" if hidden is None else f"hidden: {told(hidden)}")
    if not texts:
        return False
    if not ask:
        say("nothing was written: there is no terminal to ask on")
        return False
    agreed = confirmed(f"Write to {' and '.join(texts)}?")
    if not agreed:
        say("nothing was written")
    return agreed


def confirmed(question: str) -> bool:
    """The answer to a question on the terminal; no answer is no."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    return False


def _show(text: str) -> None:
    """The text on stderr, with what cannot be seen as escapes."""
    from gpudoctor.render.text import escape

    lines = "".join(f"{escape(line)}\n" for line in text.splitlines())
    encoding = sys.stderr.encoding or "utf-8"
    with contextlib.suppress(OSError):
        sys.stderr.write(lines.encode(encoding, "backslashreplace").decode(encoding))
        sys.stderr.flush()
