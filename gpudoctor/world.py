"""The few verbs that look at the machine: read, list, link, status, run, environ.

Probes get a World and nothing else, so that a test gives them a folder in place of ``/``. Running other programs
has its own room, :mod:`gpudoctor.children`; the World only says under which environment they run.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

READ_LIMIT = 4 << 20  # bytes; no file that a probe wants is larger, and /proc files do not say their size
_CHUNK = 64 << 10  # bytes; sysctl files answer a read with a buffer of megabytes with ENOMEM


class NodeStatus(msgspec.Struct, frozen=True):
    """What stat says of a path: kind bits and permissions, owner, group, and what this process may do."""

    mode: int
    owner: int
    group: int
    readable: bool
    writable: bool
    size: int

    @property
    def permissions(self) -> str:
        """Octal text such as ``0666``."""
        return f"{stat.S_IMODE(self.mode):04o}"


@dataclass(frozen=True)
class World:
    """The machine as seen below ``root`` with the environment ``environ``.

    Every verb takes the absolute path as the machine knows it. An absent path is a value (None, an empty tuple);
    a path that exists and cannot be looked at raises OSError, which the probe runner turns into Missing.
    """

    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def is_real(self) -> bool:
        """True when this is the running machine itself, not a folder that stands for another."""
        return self.root == Path("/")

    def at(self, path: str) -> Path:
        """Where the machine's absolute ``path`` lies for us."""
        return self.root / path.lstrip("/")

    def read(self, path: str) -> str | None:
        """The text of a file (at most READ_LIMIT bytes, undecodable bytes replaced), None if absent.

        Raises OSError when it exists and cannot be read.
        """
        data = self.read_bytes(path)
        return None if data is None else data.decode("utf-8", "replace")

    def read_bytes(self, path: str, limit: int = READ_LIMIT) -> bytes | None:
        """The first ``limit`` bytes of a file, None if absent. Raises OSError when it cannot be read."""
        chunk = min(limit, _CHUNK)
        try:
            with self.at(path).open("rb", buffering=0) as file:
                return b"".join(itertools.islice(iter(lambda: file.read(chunk), b""), limit // chunk))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def list(self, path: str) -> tuple[str, ...]:
        """Sorted names in a folder, none if it is absent. Raises OSError when it cannot be listed."""
        try:
            return tuple(sorted(os.listdir(self.at(path))))
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def link(self, path: str) -> str | None:
        """Where a symbolic link points, as written; None if the path is absent or no link."""
        try:
            return os.readlink(self.at(path))
        except OSError:
            return None

    def real(self, path: str) -> str:
        """The path with all links below the root resolved, as the machine knows it."""
        resolved = os.path.realpath(self.at(path))
        root = os.path.realpath(self.root)
        return resolved if self.is_real else "/" + os.path.relpath(resolved, root)

    def exists(self, path: str) -> bool:
        """Whether the path exists, links followed. Raises OSError when a parent folder may not be searched."""
        return self.status(path) is not None

    def status(self, path: str) -> NodeStatus | None:
        """Permissions and kind of a path, None if absent. Raises OSError when it cannot be looked at."""
        place = self.at(path)
        try:
            found = place.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return NodeStatus(
            found.st_mode,
            found.st_uid,
            found.st_gid,
            os.access(place, os.R_OK),
            os.access(place, os.W_OK),
            found.st_size,
        )
