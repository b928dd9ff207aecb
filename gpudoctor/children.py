"""Child processes: each leads its own process group, has a time limit, and dies with all that it started.

A child talks in lines of JSON behind :data:`MARK`; whatever else it or its libraries print is kept aside as its last
lines. It reads its own source and then its instructions from standard input, so nothing is written to disk and a
command line stays short. A child that uses processor time counts as working; one that is silent and idle as hung.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from gpudoctor.interrupts import held
from gpudoctor.warm import BOOTSTRAP as BOOTSTRAP

MARK = "@gpudoctor "
_MARK_BYTES = MARK.encode()

_LINE_LIMIT = 8 << 20  # characters of one marked line; a longer one is garbage
_CHUNK = 64 << 10
_TAIL_LINES = 200
_TAIL_WIDTH = 2000
_REAP_SECONDS = 1.0
_CPU_ASK_SECONDS = 0.5
_FEED_SECONDS = 10.0


class Limits(msgspec.Struct, frozen=True):
    """How long a child may take: ``deadline`` is a time.monotonic() value, ``idle`` seconds without sign of work."""

    deadline: float
    idle: float | None = None

    @classmethod
    def within(cls, seconds: float, idle: float | None = None) -> Limits:
        """Limits that end ``seconds`` from now."""
        return cls(time.monotonic() + seconds, idle)


class Ending(msgspec.Struct, frozen=True):
    """How a child ended.

    ``how`` is exited (``code``), signalled (``signal``), timed-out, hung, flooded, stopped (by us, on request) or
    not-started. ``tail`` are the last lines that it printed outside the protocol. ``stuck`` marks a child that
    survived SIGKILL (uninterruptible sleep); ``wait_channel`` is the kernel function it sleeps in.
    """

    how: Literal["exited", "signalled", "timed-out", "hung", "flooded", "stopped", "not-started"]
    code: int | None = None
    signal: str | None = None
    pid: int | None = None
    tail: tuple[str, ...] = ()
    detail: str = ""
    stuck: bool = False
    wait_channel: str | None = None
    seconds: float = 0.0

    @property
    def words(self) -> str:
        """The ending in a few words: ``exit code 3``, ``signal SIGSEGV``, ``hung``."""
        if self.how == "exited":
            return f"exit code {self.code}"
        if self.how == "signalled":
            return f"signal {self.signal}"
        return self.how.replace("-", " ") + (f": {self.detail}" if self.detail else "")


Message = dict[str, Any]
Answer = Callable[[Message], Message | None]


@dataclass
class _Output:
    """What came over the two pipes so far."""

    messages: queue.SimpleQueue[Message] = field(default_factory=queue.SimpleQueue)
    tail: deque[bytes] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))
    flooded: bool = False
    last_heard: float = field(default_factory=time.monotonic)

    def last_lines(self) -> tuple[str, ...]:
        """The last lines outside the protocol, as text, without the blank ones."""
        lines = (line.decode("utf-8", "replace").rstrip()[:_TAIL_WIDTH] for line in tuple(self.tail))
        return tuple(line for line in lines if line)


class Child:
    """One child process that speaks the protocol. Use it as a context manager: leaving it kills the whole group."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        program: str | None = None,
        environ: Mapping[str, str],
        limits: Limits,
        cwd: str | None = None,
        listens: bool = False,
        process: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self._ready = process
        self._listens = listens
        self._argv = list(argv)
        self._program = program
        self._environ = dict(environ)
        self._limits = limits
        self._cwd = cwd
        self._output = _Output()
        self._process: subprocess.Popen[bytes] | None = None
        self._threads: list[threading.Thread] = []
        self._started = time.monotonic()
        self._not_started = ""
        self._fed = threading.Event()
        self._gone_since = 0.0
        self._cpu_seen = self._cpu_moved = self._cpu_asked = 0.0

    @classmethod
    def python(
        cls,
        executable: str,
        program: str,
        *,
        environ: Mapping[str, str],
        limits: Limits,
        options: Sequence[str] = (),
        listens: bool = False,
        process: subprocess.Popen[bytes] | None = None,
    ) -> Child:
        """A child that runs ``program`` (Python source in ASCII) in another interpreter.

        One that ``listens`` gets instructions by :meth:`send`; another's standard input ends with the program.
        ``process`` is such an interpreter that was started before (:mod:`gpudoctor.warm`).
        """
        argv = [executable, *options, "-c", BOOTSTRAP]
        return cls(argv, program=program, environ=environ, limits=limits, listens=listens, process=process)

    def __enter__(self) -> Child:
        with held():
            self._start()
        return self

    def _start(self) -> None:
        self._started = self._cpu_asked = time.monotonic()
        try:
            self._process = self._ready or subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environ,
                cwd=self._cwd,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            self._not_started = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return
        _running.add(self)
        self._threads = [
            threading.Thread(target=self._listen, daemon=True),
            threading.Thread(target=self._feed, daemon=True),
        ]
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError as error:  # no more threads for this user (RLIMIT_NPROC)
            self.give_up(str(error))

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int | None:
        """The process id, None if it could not be started."""
        return self._process.pid if self._process else None

    def send(self, message: Message) -> None:
        """Write one line of JSON to the child's standard input. A child that is gone loses it."""
        if self._process and self._process.stdin and self._fed.wait(_FEED_SECONDS):
            with contextlib.suppress(OSError, ValueError):
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()

    def end_by(self, deadline: float) -> None:
        """Let it end sooner than was planned: by that moment of time.monotonic()."""
        self._limits = Limits(min(deadline, self._limits.deadline), self._limits.idle)

    def messages(self) -> Iterator[Message]:
        """The child's messages as they come, until it ends or breaks a limit; then :meth:`ending` says how."""
        while True:
            try:
                yield self._output.messages.get(timeout=0.05)
                continue
            except queue.Empty:
                pass
            if self._over() and self._output.messages.empty():
                return

    def _over(self) -> bool:
        if self._process is None:
            return True
        if self._process.poll() is None:
            return self._broken_limit() is not None
        if not self._threads[0].is_alive():
            return True
        # The child is gone, yet something holds its pipes: a process that it left behind.
        self._gone_since = self._gone_since or time.monotonic()
        self.kill()
        return time.monotonic() - self._gone_since > _REAP_SECONDS

    def _broken_limit(self) -> Literal["timed-out", "hung", "flooded"] | None:
        if self._output.flooded:
            return "flooded"
        now = time.monotonic()
        if now >= self._limits.deadline:
            return "timed-out"
        if self._limits.idle is not None and now - self._last_sign_of_work() > self._limits.idle:
            return "hung"
        return None

    def _last_sign_of_work(self) -> float:
        """When the child last spoke or its group last used processor time (time.monotonic())."""
        now = time.monotonic()
        if now - self._cpu_asked >= _CPU_ASK_SECONDS:
            self._cpu_asked = now
            used = _group_cpu_seconds(self.pid) if self.pid else 0.0
            if used > self._cpu_seen:
                self._cpu_seen, self._cpu_moved = used, now
        return max(self._output.last_heard, self._cpu_moved)

    def ending(self) -> Ending:
        """How the child ended; kills what is left of its group first."""
        seconds = time.monotonic() - self._started
        if self._process is None:
            return Ending("not-started", detail=self._not_started, seconds=seconds)
        broken = self._broken_limit() if self._process.poll() is None else None
        running = self._process.poll() is None
        stuck = not self.kill()
        for thread in self._threads[:1]:
            thread.join(_REAP_SECONDS)
        code = self._process.returncode
        tail = self._output.last_lines()
        pid = self._process.pid
        if broken or running:
            channel = _wait_channel(pid) if stuck else None
            return Ending(broken or "stopped", pid=pid, tail=tail, stuck=stuck, wait_channel=channel, seconds=seconds)
        if code is not None and code < 0:
            return Ending("signalled", signal=_signal_name(-code), pid=pid, tail=tail, seconds=seconds)
        return Ending("exited", code=code, pid=pid, tail=tail, seconds=seconds)

    def give_up(self, why: str) -> None:
        """End it as one that could not be started."""
        self.kill()
        self._process, self._not_started = None, why

    def kill(self) -> bool:
        """Kill the whole group and reap it. False when it survived (uninterruptible sleep): it is left behind."""
        if self._process is None:
            return True
        with held():
            return self._killed(self._process)

    def _killed(self, process: subprocess.Popen[bytes]) -> bool:
        _running.discard(self)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        try:
            process.wait(_REAP_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        if process.stdin and self._fed.is_set():
            with contextlib.suppress(OSError):
                process.stdin.close()
        return True

    def _feed(self) -> None:
        if self._program is not None and self._process and self._process.stdin:
            with contextlib.suppress(OSError, ValueError):
                data = self._program.encode("ascii")
                self._process.stdin.write(str(len(data)).encode() + b"\n" + data)
                self._process.stdin.flush()
                if not self._listens:
                    self._process.stdin.close()
        self._fed.set()

    def _listen(self) -> None:
        try:
            self._hear()
        except MemoryError:  # RLIMIT_AS: too much for us, however little it is
            self._output.flooded = True

    def _hear(self) -> None:
        """Read both pipes until they close; keep memory bounded whatever comes."""
        process = self._process
        assert process is not None  # noqa: S101 - the thread starts after the process
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, _Lines(self._take_line, self._output.tail))
            selector.register(process.stderr, selectors.EVENT_READ, _Lines(self._keep, self._output.tail))
            while selector.get_map():
                for key, _ in selector.select():
                    data = os.read(key.fd, _CHUNK)
                    self._output.last_heard = time.monotonic()
                    if not data:
                        key.data.close()
                        selector.unregister(key.fileobj)
                    elif not key.data.add(data):
                        self._output.flooded = True
                        return
        process.stdout.close()
        process.stderr.close()

    def _take_line(self, line: bytes) -> None:
        # A library that prints without a final newline would hide a marker at the start of a line.
        before, mark, payload = line.partition(_MARK_BYTES)
        if not mark:
            self._keep(line)
            return
        if before.strip():
            self._keep(before)
        try:
            message = json.loads(payload.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            self._keep(line)
            return
        if isinstance(message, dict):
            self._output.messages.put(message)

    def _keep(self, line: bytes) -> None:
        self._output.tail.append(line[: 4 * _TAIL_WIDTH])  # UTF-8 has up to four bytes for a character


class Listener:
    """A thread that hears a child to its end. Where no more threads can be started, the child is given up."""

    def __init__(self, child: Child, hear: Callable[[], None]) -> None:
        self._child = child
        self._hear = hear
        self._thread = threading.Thread(target=hear, daemon=True)

    def start(self) -> None:
        """Begin; the child must have been entered."""
        try:
            self._thread.start()
        except RuntimeError as error:
            self._child.give_up(str(error))
            self._hear()

    def join(self, seconds: float) -> None:
        """Wait until the child was heard to its end, but not longer."""
        if self._thread.ident is not None:
            self._thread.join(seconds)


class _Lines:
    """Cuts a byte stream into lines; refuses a stream whose output has no end in sight."""

    _TOTAL_LIMIT = 64 << 20

    def __init__(self, take: Callable[[bytes], None], tail: deque[bytes]) -> None:
        self._take = take
        self._tail = tail
        self._rest = b""
        self._total = 0

    def add(self, data: bytes) -> bool:
        self._total += len(data)
        whole = self._rest + data
        *lines, self._rest = whole.split(b"\n")
        if _MARK_BYTES not in whole and len(whole) < 2 * _CHUNK:
            # No message among them: a flood of short lines must not cost a second for each of its megabytes.
            self._tail.extend(lines)
        else:
            for line in lines:
                self._take(line)
        return len(self._rest) <= _LINE_LIMIT and self._total <= self._TOTAL_LIMIT

    def close(self) -> None:
        if self._rest:
            self._take(self._rest)
            self._rest = b""


_running: set[Child] = set()


def kill_all() -> None:
    """Kill every child that still runs: the last act before gpudoctor itself ends early."""
    with held():
        for child in tuple(_running):
            child.kill()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _group_cpu_seconds(group: int) -> float:
    """Processor seconds used by a process group so far (proc_pid_stat(5)); 0 where /proc does not tell."""
    ticks = 0
    for entry in _group_stats(group):
        ticks += sum(map(int, entry[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else 0.0


def _group_stats(group: int) -> Iterator[list[str]]:
    """Fields from ``state`` on of every process in the group."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    for name in names:
        if not name.isdecimal():
            continue
        try:
            text = Path("/proc", name, "stat").read_text("utf-8", "replace")
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        if len(fields) > 15 and fields[2] == str(group):
            yield fields


def _wait_channel(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/wchan").read_text("utf-8", "replace").strip() or None
    except OSError:
        return None
