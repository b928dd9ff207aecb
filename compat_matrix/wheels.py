"""What wheels on a package index say of themselves, without downloading them whole.

pip's own client asks the index that pip is configured for (its host, certificates and credentials are pip's
business) and reads single files out of a wheel by HTTP range requests.
"""

from __future__ import annotations

import datetime
import re
import zipfile
from collections.abc import Iterable, Sequence
from email.parser import HeaderParser
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

# The flags that nvcc was given, as one text inside libtorch_python.so: what torch.cuda.get_arch_list() reports.
ARCHITECTURE_FLAGS = re.compile(rb"(?:(?:sm|compute)_\d+[af]?[ ;]?)+(?=\0)")
_LIBRARY = "torch/lib/libtorch_python.so"
_GLIBC = {"manylinux1": "2.5", "manylinux2010": "2.12", "manylinux2014": "2.17"}


class Wheel(NamedTuple):
    """One wheel of an index. ``url`` is the index's affair and is never written to the data."""

    filename: str
    url: str = ""
    requires_python: str | None = None
    yanked: bool = False

    @property
    def version(self) -> Version:
        """The version in the file name."""
        return parse_wheel_filename(self.filename)[1]

    @property
    def platforms(self) -> frozenset[str]:
        """The platforms it is for, in the matrix's words; "any" for a pure Python wheel."""
        return frozenset(filter(None, map(_platform, self._tags)))

    @property
    def pythons(self) -> frozenset[str]:
        """The Python versions it is for ("3.12", "3.13t"); empty for a py3 wheel."""
        return frozenset(filter(None, map(_python, self._tags)))

    @property
    def min_glibc(self) -> str | None:
        """The glibc that its manylinux tags promise to be enough (the lowest, if there are several)."""
        floors = [floor for tag in self._tags if (floor := _glibc(tag.platform))]
        return min(floors, key=Version) if floors else None

    @property
    def build_number(self) -> int:
        """The build tag: a higher one replaces a lower one."""
        build = parse_wheel_filename(self.filename)[2]
        return build[0] if build else 0

    @property
    def _tags(self) -> Iterable[Any]:
        return parse_wheel_filename(self.filename)[3]


class Index(Protocol):
    """A package index, real or recorded."""

    def wheels(self, project: str) -> Sequence[Wheel]:
        """All wheels of a project; empty if the index does not have it."""
        ...

    def dates(self, project: str) -> dict[str, str]:
        """The ISO date of the first upload of each version, as far as the index tells."""
        ...

    def member(self, wheel: Wheel, suffix: str) -> bytes | None:
        """One file out of a wheel, by the end of its path. None if the wheel lacks it."""
        ...


class PipIndex:
    """The index that pip is configured for (command line, environment, configuration files)."""

    def __init__(self) -> None:
        """Read pip's configuration; ask nothing yet."""
        from pip._internal.commands import create_command

        command: Any = create_command("download")
        self._options, _ = command.parse_args(["placeholder"])
        self._session: Any = command._build_session(self._options)
        self._zips: dict[str, zipfile.ZipFile] = {}

    def wheels(self, project: str) -> Sequence[Wheel]:
        """See :class:`Index`. Local folders that pip is told to look into do not count."""
        from pip._internal.index.collector import parse_links

        pages = [self._collector.fetch_response(link) for link in self._pages(project)]
        links = (link for page in pages if page is not None for link in parse_links(page))
        found = (
            Wheel(link.filename, link.url_without_fragment, link.requires_python, link.is_yanked)
            for link in links
            if link.filename.endswith(".whl")
        )
        return [wheel for wheel in found if _readable(wheel.filename)]

    def dates(self, project: str) -> dict[str, str]:
        """See :class:`Index`. From the project's JSON beside the index pages, where the index has it."""
        url = f"{self._options.index_url.rstrip('/').removesuffix('/simple')}/pypi/{project}/json"
        answer = self._session.get(url)
        if not answer.ok:
            return {}
        releases: dict[str, list[dict[str, str]]] = answer.json().get("releases", {})
        return {
            version: min(file["upload_time"] for file in files)[:10] for version, files in releases.items() if files
        }

    def member(self, wheel: Wheel, suffix: str) -> bytes | None:
        """See :class:`Index`."""
        archive = self._zip(wheel)
        path = next((name for name in archive.namelist() if name.endswith(suffix)), None)
        return archive.read(path) if path else None

    @cached_property
    def _collector(self) -> Any:
        from pip._internal.index.collector import LinkCollector

        return LinkCollector.create(self._session, options=self._options)

    def _pages(self, project: str) -> Iterable[Any]:
        sources = self._collector.collect_sources(project, lambda _: None).index_urls
        links = (source.link for source in sources if source is not None)
        return (link for link in links if link is not None and not link.is_file)

    def _zip(self, wheel: Wheel) -> zipfile.ZipFile:
        from pip._internal.network.lazy_wheel import LazyZipOverHTTP

        if wheel.url not in self._zips:
            lazy: Any = LazyZipOverHTTP(wheel.url, self._session, chunk_size=256 * 1024)
            self._zips = {wheel.url: zipfile.ZipFile(lazy)}  # one at a time: each holds a temporary file
        return self._zips[wheel.url]


class RecordedIndex:
    """Answers of an index from a recording (the form that :class:`Recorder` writes)."""

    def __init__(self, recording: dict[str, Any]) -> None:
        """Take a recording as plain JSON values."""
        self._recording = recording

    def wheels(self, project: str) -> Sequence[Wheel]:
        """See :class:`Index`."""
        rows = self._recording["wheels"].get(project, [])
        return [Wheel(row["filename"], "", row["requires_python"], row["yanked"]) for row in rows]

    def dates(self, project: str) -> dict[str, str]:
        """See :class:`Index`."""
        dates: dict[str, str] = self._recording["dates"].get(project, {})
        return dates

    def member(self, wheel: Wheel, suffix: str) -> bytes | None:
        """See :class:`Index`."""
        text: str | None = self._recording["members"].get(wheel.filename, {}).get(suffix)
        return None if text is None else text.encode("latin-1")


class Recorder:
    """An index that remembers what it answered, without addresses, descriptions and machine code."""

    def __init__(self, index: Index) -> None:
        """Wrap another index."""
        self._index = index
        self.recording: dict[str, Any] = {"wheels": {}, "dates": {}, "members": {}}

    def wheels(self, project: str) -> Sequence[Wheel]:
        """See :class:`Index`."""
        wheels = self._index.wheels(project)
        self.recording["wheels"][project] = [
            {"filename": w.filename, "requires_python": w.requires_python, "yanked": w.yanked} for w in wheels
        ]
        return wheels

    def dates(self, project: str) -> dict[str, str]:
        """See :class:`Index`."""
        self.recording["dates"][project] = self._index.dates(project)
        dates: dict[str, str] = self.recording["dates"][project]
        return dates

    def member(self, wheel: Wheel, suffix: str) -> bytes | None:
        """See :class:`Index`."""
        content = self._index.member(wheel, suffix)
        kept = None if content is None else _kept(content, suffix).decode("latin-1")
        self.recording["members"].setdefault(wheel.filename, {})[suffix] = kept
        return content


def requirements(metadata: bytes) -> list[Requirement]:
    """The Requires-Dist lines of a METADATA file, those that no version of the standard reads left out."""
    found = []
    for line in HeaderParser().parsestr(metadata.decode("utf-8", "replace")).get_all("Requires-Dist") or ():
        try:
            found.append(Requirement(line))
        except InvalidRequirement:
            continue
    return found


def pins(metadata: bytes, platform: str, python: str, extra: str = "") -> dict[str, str]:
    """What a wheel requires on one platform and Python: "name[extras]" → specifier, in the file's order.

    With ``extra``, only what that extra adds.
    """
    base = _environment(platform, python)
    found = {}
    for requirement in requirements(metadata):
        marker = requirement.marker
        plain = marker is None or marker.evaluate({**base, "extra": ""})
        with_extra = bool(extra) and marker is not None and marker.evaluate({**base, "extra": extra})
        if (with_extra and not plain) if extra else plain:
            found[_name(requirement)] = canonical(str(requirement.specifier))
    return found


def provides_extras(metadata: bytes) -> list[str]:
    """The extras that a METADATA file declares."""
    return HeaderParser().parsestr(metadata.decode("utf-8", "replace")).get_all("Provides-Extra") or []


def architecture_flags(index: Index, wheel: Wheel) -> tuple[list[str], list[str]] | None:
    """The capabilities with machine code and those with PTX in a torch wheel; None if it does not say."""
    library = index.member(wheel, _LIBRARY)
    found = ARCHITECTURE_FLAGS.findall(library) if library else []
    if not found:
        return None
    flags = max(found, key=len).decode().replace(";", " ").split()
    native, ptx = ([dotted(f) for f in flags if f.startswith(kind)] for kind in ("sm_", "compute_"))
    return native, ptx


def dotted(flag: str) -> str:
    """An architecture flag as a capability: "sm_120" is 12.0."""
    digits = re.sub(r"\D", "", flag)
    return f"{digits[:-1]}.{digits[-1]}"


def by_release(wheels: Iterable[Wheel]) -> dict[str, list[Wheel]]:
    """The wheels of every final release, oldest first; pre-releases and yanked files left out."""
    found: dict[Version, list[Wheel]] = {}
    for wheel in wheels:
        if not wheel.yanked and not wheel.version.is_prerelease:
            found.setdefault(wheel.version, []).append(wheel)
    return {str(version): found[version] for version in sorted(found)}


def representative(wheels: Iterable[Wheel], platform: str, known: str | None = None) -> Wheel | None:
    """One wheel of a release for a platform: CPython 3.11 if there, else the newest; the highest build.

    ``known`` is the file read last time: it stays the choice unless a rebuild has replaced it.
    """
    fits = [w for w in wheels if platform in w.platforms]
    for wheel in fits:
        if wheel.filename == known and all(w.build_number <= wheel.build_number for w in fits):
            return wheel
    plain = [w for w in fits if not any(p.endswith("t") for p in w.pythons)]

    def preference(wheel: Wheel) -> tuple[bool, Version, int]:
        python = max(map(Version, wheel.pythons), default=Version("0"))
        return "3.11" in wheel.pythons, python, wheel.build_number

    return max(plain, key=preference, default=None)


def read_date(wheel_dates: dict[str, str], release: str) -> str:
    """The date of a release; today if the index does not tell."""
    return wheel_dates.get(release) or datetime.date.today().isoformat()


def pythons_by_platform(wheels: Iterable[Wheel]) -> dict[str, list[str]]:
    """The Pythons that a release's wheels are for, by platform, oldest first."""
    found: dict[str, set[str]] = {}
    for wheel in wheels:
        for platform in wheel.platforms - {"any"}:
            found.setdefault(platform, set()).update(wheel.pythons)
    return {platform: sorted(found[platform], key=_python_order) for platform in sorted(found)}


def _python_order(text: str) -> tuple[Version, bool]:
    return Version(text.rstrip("t")), text.endswith("t")


def _readable(filename: str) -> bool:
    try:
        parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return False
    return True


def _platform(tag: Any) -> str | None:
    name: str = tag.platform
    if name == "any":
        return "any"
    if "linux" in name:
        return next((f"linux_{cpu}" for cpu in ("x86_64", "aarch64") if name.endswith(cpu)), None)
    if name.startswith("macosx"):
        return next((f"macos_{cpu}" for cpu in ("x86_64", "arm64") if name.endswith(cpu)), None)
    return "win_amd64" if name == "win_amd64" else "win_arm64" if name == "win_arm64" else None


def _python(tag: Any) -> str | None:
    match = re.fullmatch(r"cp(\d)(\d+)", tag.interpreter)
    return f"{match[1]}.{match[2]}{'t' if tag.abi.endswith('t') else ''}" if match else None


def _glibc(platform: str) -> str | None:
    match = re.match(r"manylinux_(\d+)_(\d+)_", platform)
    return f"{match[1]}.{match[2]}" if match else _GLIBC.get(platform.split("_")[0])


def _environment(platform: str, python: str) -> dict[str, str]:
    system, machine = platform.split("_", 1)
    name, sys_platform, os_name = {
        "linux": ("Linux", "linux", "posix"),
        "win": ("Windows", "win32", "nt"),
        "macos": ("Darwin", "darwin", "posix"),
    }[system]
    python = python.rstrip("t")
    return {
        "platform_system": name,
        "sys_platform": sys_platform,
        "os_name": os_name,
        "platform_machine": "AMD64" if machine == "amd64" else machine,
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


def _name(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{canonicalize_name(requirement.name)}{extras}"


def canonical(specifier: str) -> str:
    """The clauses in the order that the data uses: upper bounds first, as pip prints them."""
    return ",".join(sorted(specifier.split(","))) if specifier else ""


def _kept(content: bytes, suffix: str) -> bytes:
    if suffix == _LIBRARY:
        return b"\0".join(ARCHITECTURE_FLAGS.findall(content)) + b"\0"
    if suffix.endswith("METADATA"):
        return content.replace(b"\r\n", b"\n").split(b"\n\n", 1)[0] + b"\n\n"
    return content
