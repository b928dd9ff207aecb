"""A headless Chromium, driven over a pipe by its own protocol, with the standard library alone.

https://chromedevtools.github.io/devtools-protocol/ over ``--remote-debugging-pipe``: JSON messages that end with a NUL.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_PATIENCE = 60.0


class NoBrowserError(Exception):
    """There is no Chromium to start."""


def program() -> str:
    """The browser's program: ``$GPUDOCTOR_BROWSER``, else the first of the usual names. Raises NoBrowserError."""
    named = os.environ.get("GPUDOCTOR_BROWSER")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise NoBrowserError(f"none of {', '.join(NAMES)} is on PATH, and GPUDOCTOR_BROWSER names none")
    return found


class Browser:
    """The pipe to a browser and what it told unasked."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._rest = b""
        self._last = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Ask, and wait for the answer. Raises RuntimeError for a refusal, TimeoutError for silence."""
        self._last += 1
        number = self._last
        message = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        for told in self._messages():
            if told.get("id") != number:
                self.events.append(told)
                continue
            if "error" in told:
                raise RuntimeError(f"{method}: {told['error']}")
            result: dict[str, Any] = told["result"]
            return result
        raise TimeoutError(method)

    def wait(self, method: str) -> dict[str, Any]:
        """The next event of that name, one that was told already included."""
        for told in self.events:
            if told.get("method") == method:
                self.events.remove(told)
                return told
        for told in self._messages():
            if told.get("method") == method:
                return told
            self.events.append(told)
        raise TimeoutError(method)

    def _messages(self) -> Iterator[dict[str, Any]]:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            message, separator, rest = self._rest.partition(b"\0")
            if separator:
                self._rest = rest
                yield json.loads(message)
            elif select.select([self._read], [], [], 1.0)[0]:
                more = os.read(self._read, 1 << 20)
                if not more:
                    raise RuntimeError("the browser has ended")
                self._rest += more


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a profile of its own, ended and removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="gpudoctor-browser-", ignore_cleanup_errors=True) as profile:
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()
        process = _start(profile, to_read, from_write)
        os.close(to_read)
        os.close(from_write)
        try:
            yield Browser(to_write, from_read)
        finally:
            os.close(to_write)
            os.close(from_read)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _start(profile: str, reads: int, writes: int) -> subprocess.Popen[bytes]:
    # The pipe has to be descriptors 3 and 4, which a shell sets without code between fork and exec.
    options = (
        *("--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--hide-scrollbars"),
        *("--disable-extensions", "--disable-component-update", "--disable-background-networking", "--mute-audio"),
        *(("--no-sandbox", "--disable-dev-shm-usage") if os.geteuid() == 0 else ()),
        f"--user-data-dir={profile}",
    )
    line = f'exec "$0" "$@" 3<&{reads} 4>&{writes}'
    return subprocess.Popen(
        ["/bin/sh", "-c", line, program(), *options, "about:blank"],
        pass_fds=(reads, writes),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


class Tab:
    """One page in a browser."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """A call to this page."""
        return self._browser.call(method, self._session, **params)

    def open(self, path: Path, *, width: int, height: int, dark: bool = False, phone: bool = False) -> None:
        """Show a file at that size."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self._browser.events.clear()
        self.ask("Page.navigate", url=path.resolve().as_uri())
        self._browser.wait("Page.loadEventFired")

    def evaluate(self, script: str) -> Any:
        """The value of an expression, awaited, as by a user's own act. Raises RuntimeError where it throws."""
        told = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in told:
            raise RuntimeError(f"{script}: {told['exceptionDetails']}")
        return told["result"].get("value")

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            shown = {"text": text} if text and kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **shown)

    def screenshot(self, path: Path, *, height: int | None = None) -> None:
        """A picture of the page as a PNG: whole, or its upper part."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(height or size["height"], 12_000), "scale": 1}
        told = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(told["data"]))

    def told(self, *methods: str) -> list[dict[str, Any]]:
        """The parameters of the events of these names since the page was opened."""
        return [event["params"] for event in self._browser.events if event.get("method") in methods]
