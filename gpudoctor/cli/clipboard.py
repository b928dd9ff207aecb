"""``--copy``: the clipboard of this desktop, by the program that owns it, and a clear sentence where there is none."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping

import msgspec

from gpudoctor.cli.console import say
from gpudoctor.cli.preview import confirmed, interactive

_SECONDS = 5.0

# What terminals take at most (xterm, hterm: 100,000 bytes of base64; others a little less).
# https://invisible-island.net/xterm/ctlseqs/ctlseqs.html#h3-Operating-System-Commands
_MOST_OSC52 = 74_994


class Tool(msgspec.Struct, frozen=True):
    """A program that takes what it reads for the clipboard, and the encoding that it reads."""

    argv: tuple[str, ...]
    encoding: str = "utf-8"

    @property
    def name(self) -> str:
        return self.argv[0]


_XCLIP = Tool(("xclip", "-selection", "clipboard", "-in"))
_XSEL = Tool(("xsel", "--clipboard", "--input"))
_WL_COPY = Tool(("wl-copy", "--type", "text/plain;charset=utf-8"))
_PBCOPY = Tool(("pbcopy",))
_CLIP = Tool(("clip.exe",), "utf-16-le")
_TERMUX = Tool(("termux-clipboard-set",))


def tools(platform: str, environ: Mapping[str, str]) -> Iterator[Tool]:
    """The programs that may know a clipboard here, the most likely first."""
    if platform == "darwin":
        yield _PBCOPY
        return
    if platform == "win32" or environ.get("WSL_DISTRO_NAME"):
        yield _CLIP
    if environ.get("WAYLAND_DISPLAY"):
        yield _WL_COPY
    if environ.get("DISPLAY"):
        yield _XCLIP
        yield _XSEL
    if environ.get("TERMUX_VERSION"):
        yield _TERMUX


def copy(text: str) -> bool:
    """Put a text on the clipboard and say where it went, or why it went nowhere; whether it did."""
    listed = [tool for tool in tools(sys.platform, os.environ) if shutil.which(tool.name)]
    for tool in listed:
        if _took(tool, text):
            say(f"copied to the clipboard with {tool.name}: {len(text):,} characters")
            return True
    if _by_terminal(text, sys.stderr.write, os.environ):
        say(f"handed to the terminal, which does not tell whether it took it: {len(text):,} characters")
        return True
    say(f"not copied: {_why(listed, os.environ)}; -o FILE writes it to a file")
    return False


def _why(listed: list[Tool], environ: Mapping[str, str]) -> str:
    if listed:
        return f"{' and '.join(tool.name for tool in listed)} did not take it"
    if environ.get("WAYLAND_DISPLAY") or environ.get("DISPLAY"):
        return "none of wl-copy, xclip and xsel is installed"
    return "there is no clipboard here"


def _took(tool: Tool, text: str) -> bool:
    """Whether the program took the text in time.

    No child of :mod:`gpudoctor.children`: under X11 and Wayland the program itself is the clipboard and stays behind.
    """
    data = text.encode(tool.encoding, "backslashreplace")
    environ = {**os.environ, "LC_CTYPE": "UTF-8"} if tool is _PBCOPY else None
    try:
        process = subprocess.Popen(
            list(tool.argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environ,
            start_new_session=True,
        )
    except OSError:
        return False
    try:
        process.communicate(data, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        _end(process)
        return False
    except OSError:
        process.wait(_SECONDS)
        return False
    return process.returncode == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    if process.stdin:
        process.stdin.close()
    process.wait()


def _by_terminal(text: str, write: Callable[[str], object], environ: Mapping[str, str]) -> bool:
    """The terminal's own clipboard (OSC 52), which may be far away: only where there is one, and if it is wanted."""
    encoded = base64.b64encode(text.encode("utf-8", "backslashreplace")).decode("ascii")
    knows_none = environ.get("TERM", "dumb").startswith(("dumb", "linux", "screen"))
    if not interactive() or len(encoded) > _MOST_OSC52 or (knows_none and not environ.get("TMUX")):
        return False
    if not confirmed("There is no clipboard here. Hand it to the clipboard of this terminal (OSC 52)?"):
        return False
    write(f"\x1b]52;c;{encoded}\x07")
    return True
