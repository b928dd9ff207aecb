"""Where a fix is to run: whose driver, whose package manager, which Python."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from gpudoctor.facts import Container, Facts, HostedNotebook, Interpreter, Jetson, Libc, System, Wsl
from gpudoctor.matrix import Matrix

Side = Literal["machine", "container", "wsl", "windows", "jetson", "hosted"]
Family = Literal["ubuntu", "debian", "fedora", "rhel", "arch", "suse", "other"]
_FAMILIES: tuple[Family, ...] = ("ubuntu", "debian", "rhel", "fedora", "arch", "suse")


class Place(msgspec.Struct, frozen=True):
    """What prescriptions need to know of this machine, and the matrix to ask."""

    facts: Facts
    matrix: Matrix

    @property
    def system(self) -> System | None:
        """The operating system, if known."""
        return self.facts.system if isinstance(self.facts.system, System) else None

    @property
    def interpreter(self) -> Interpreter | None:
        """The interpreter under test, if known."""
        return self.facts.interpreter if isinstance(self.facts.interpreter, Interpreter) else None

    @property
    def engine(self) -> str | None:
        """The container engine this runs in, None outside."""
        return self.facts.container.engine if isinstance(self.facts.container, Container) else None

    @property
    def side(self) -> Side:
        """Who can change the driver here."""
        if isinstance(self.facts.hosted, HostedNotebook) and self.facts.hosted.service:
            return "hosted"
        if self.engine:
            return "container"
        if isinstance(self.facts.wsl, Wsl) and self.facts.wsl.version:
            return "wsl"
        if isinstance(self.facts.jetson, Jetson) and self.facts.jetson.l4t:
            return "jetson"
        return "windows" if self.system and self.system.os == "windows" else "machine"

    @property
    def family(self) -> Family:
        """Whose package manager this distribution has."""
        if self.system is None:
            return "other"
        names = (self.system.distribution or "", *self.system.like)
        # ID before ID_LIKE: Ubuntu calls itself like Debian, RHEL like Fedora.
        return next((family for name in names for family in _FAMILIES if family in name), "other")

    @property
    def wheel_platform(self) -> str:
        """The platform as the matrix names it, such as linux_x86_64."""
        machine = (self.system.architecture if self.system else None) or "x86_64"
        if self.system and self.system.os == "windows":
            return "win_amd64"
        return "linux_aarch64" if machine in ("aarch64", "arm64") else "linux_x86_64"

    @property
    def glibc(self) -> str | None:
        """The version of the C library where that is glibc."""
        libc = self.facts.libc
        return libc.version if isinstance(libc, Libc) and libc.name == "glibc" else None

    @property
    def python(self) -> str | None:
        """The Python of the environment as the matrix names it: 3.12, 3.14t."""
        if self.interpreter is None:
            return None
        match = re.match(r"(\d+\.\d+)", self.interpreter.version)
        return match[1] + ("t" if self.interpreter.free_threaded else "") if match else None
