"""What must not leave the machine: persons, hosts, addresses, secrets, identities of hardware, other users' programs.

Facts are redacted first and rendered then, so no format can forget something. A thing that is mentioned twice keeps
one label (``GPU-a01``, ``user2``), so that a report stays readable; no label is the beginning of another one, since
CUDA takes the beginning of a UUID for the whole. Every placeholder is plain letters, digits and hyphens: inert in a
shell, in markup and in a URL. Redacting twice changes nothing more. What was hidden is counted by its kind.

What stays: versions, rule names, PCI addresses, process ids, paths (under ``~`` where they lay under a home folder),
and the public addresses that a user must type. ``Report.input`` stays as the user gave it, for scripts that match
reports with files.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from gpudoctor.facts import (
    NOT_IN_PASTE,
    Build,
    ContainerStart,
    Environment,
    Extra,
    Facts,
    Gpu,
    GpuProcess,
    Interpreter,
    Missing,
    Package,
)
from gpudoctor.findings import About, Candidate, Cause, Finding, Fix, Outcome, Report, Unknown
from gpudoctor.variables import NAMES, PREFIXES
from gpudoctor.window import DriverRange, GpuRange, Need

SECRET = "hidden-secret"  # noqa: S105 - what stands in place of one
ADDRESS = "hidden-address"
IDENTIFIER = "hidden-id"
HOST = "hidden-host"
VALUE = "hidden-value"
PROGRAM = "hidden-program"


KINDS: Mapping[str, tuple[str, str]] = {
    "user-name": ("user name", "user names"),
    "host-name": ("host name", "host names"),
    "home-folder": ("home folder", "home folders"),
    "ip-address": ("IP address", "IP addresses"),
    "mac-address": ("MAC address", "MAC addresses"),
    "e-mail-address": ("e-mail address", "e-mail addresses"),
    "device-id": ("GPU or device id", "GPU and device ids"),
    "serial-number": ("serial number", "serial numbers"),
    "identifier": ("long identifier", "long identifiers"),
    "secret": ("token, key or password", "tokens, keys and passwords"),
    "url": ("private web address", "private web addresses"),
    "variable": ("value of a variable", "values of variables"),
    "program": ("program of another user", "programs of other users"),
}
"""The kinds of hidden things as a report counts them, each in words for one and for several."""


def told(hidden: Mapping[str, int]) -> str:
    """What was hidden, in words: ``2 user names, 1 IP address``; ``nothing`` where nothing was."""
    return ", ".join(f"{count:,} {KINDS[kind][count != 1]}" for kind, count in hidden.items()) or "nothing"


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_S = TypeVar("_S", bound=Any)


class Identity(msgspec.Struct, frozen=True):
    """Who and where the caller is, where it knows: names that patterns alone cannot tell from other words."""

    user: str | None = None
    host: str | None = None
    home: str | None = None


_NOBODY = Identity()


def identify(environ: Mapping[str, str], host: str) -> Identity:
    """The caller's names as its environment variables tell them, on every system, and its host's name."""
    user = next((environ[name] for name in ("USER", "LOGNAME", "USERNAME") if environ.get(name)), None)
    home = next((environ[name] for name in ("HOME", "USERPROFILE") if environ.get(name)), None)
    return Identity(user=user, host=host or None, home=home.rstrip("/\\") or None if home else None)


def redact(facts: Facts, identity: Identity = _NOBODY) -> tuple[Facts, dict[str, int]]:
    """The facts without what must not leave the machine, and in how many places what was hidden (:data:`KINDS`)."""
    return redact_around(facts, facts, identity)


def redact_around(whole: _S, facts: Facts, identity: Identity) -> tuple[_S, dict[str, int]]:
    """The same for a record that holds these facts and more."""
    cleaner = _Cleaner(_learn(whole, facts, identity))
    return cleaner.walk(whole), cleaner.hidden()


def redact_report(report: Report, identity: Identity = _NOBODY) -> Report:
    """The report without what must not leave the machine; commands still mean the same to a shell.

    A home folder in a command becomes ``~`` where a shell expands that, else ``"$HOME"``.
    """
    cleaner = _Cleaner(_learn(report, report.facts, identity))
    clean = cleaner.walk(replace(report, input=None))
    return replace(clean, input=report.input, hidden=cleaner.hidden(report.hidden or {}))


# --------------------------------------------------------------------------------- which strings are what

# Strings that scripts rely on as names: never touched.
_NAMES: dict[type, frozenset[str]] = {
    About: frozenset({"framework"}),
    Candidate: frozenset({"rule"}),
    Cause: frozenset({"rule"}),
    Finding: frozenset({"rule", "because_of"}),
    Outcome: frozenset({"rule"}),
    Report: frozenset({"hidden"}),
}
_COMMANDS: dict[type, frozenset[str]] = {
    Candidate: frozenset({"settled_by"}),
    Finding: frozenset({"settled_by"}),
    Fix: frozenset({"commands", "verify"}),
    Unknown: frozenset({"settled_by"}),
}
_VERSION_FIELDS = frozenset(
    {"version", "cuda", "cudnn", "cudnn_built", "nccl", "driver", "found", "release", "l4t", "vbios", "libraries"}
)
_VERSION = re.compile(r"v?\d{1,5}(?:\.\d{1,5}){1,5}(?:[.+-]?[a-z]{1,4}\d{0,8}){0,3}")


@lru_cache(maxsize=1 << 12)
def _is_release(text: str) -> bool:
    return _VERSION.fullmatch(text) is not None


_PINNED = re.compile(r"[=<>~!]=\s*v?(\d+(?:\.\d+){3})(?![\w.])")


@cache
def _closed_fields(kind: type) -> frozenset[str]:
    """Fields of a record in which no text can stand but one of a closed list in the type itself."""
    return frozenset(name for name, hint in typing.get_type_hints(kind).items() if not _may_hold_text(hint))


def _may_hold_text(hint: Any) -> bool:
    if hint is ... or typing.get_origin(hint) is Literal:
        return False
    inner = typing.get_args(hint)
    return any(map(_may_hold_text, inner)) if inner else not (isinstance(hint, type) and issubclass(hint, _NO_TEXTS))


_NO_TEXTS = (int, float, Enum, type(None))


@cache
def _open_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """Fields of a record in which any text may stand."""
    untouched = _closed_fields(kind) | _NAMES.get(kind, frozenset())
    return tuple(name for name in kind.__struct_fields__ if name not in untouched)


class _Read:
    """Every open string of a value, in order, those of one record maybe as lines of one text; those of them that are
    not inert; and versions.

    ``touched`` are the id() of records and collections that hold one that is not inert, or are private as such.
    """

    __slots__ = ("telling", "texts", "touched", "versions")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.telling: list[str] = []
        self.versions: set[str] = set()
        self.touched: set[int] = set()

    def add(self, value: Any, under: str = "") -> bool:
        """Read a value from the field of that name, and whether it is to be looked at."""
        kind = value.__class__
        if kind is str:
            return self._add_text(value, under)
        if kind in _ALIKE and (known := _untouched(value, under if kind is frozenset else "")) is not None:
            if known.text:
                self.texts.append(known.text)
            if known.versions:
                self.versions.update(known.versions)
            return False
        touched = self._add_record(value) if isinstance(value, msgspec.Struct) else self._add_members(value, under)
        if touched:
            self.touched.add(id(value))
        return touched

    def _add_record(self, record: msgspec.Struct) -> bool:
        touched = type(record) in _PRIVATE
        for name in _open_fields(type(record)):
            value = getattr(record, name)
            if value and value is not NOT_IN_PASTE and self.add(value, name):
                touched = True
        return touched

    def _add_members(self, value: Any, under: str) -> bool:
        if value.__class__ is tuple and self._all_inert(value):
            return False
        touched = False
        under = "" if isinstance(value, dict) else under
        for one in _members(value):
            if self.add(one, under) or (one.__class__ is str and _announces_secret(one)):
                touched = True
        return touched

    def _all_inert(self, records: tuple[Any, ...]) -> bool:
        """Read records that hold one text each, as outcomes do, if there is nothing to look at in any of them."""
        fields = _open_fields(Outcome)
        if len(fields) != 1 or {record.__class__ for record in records} != {Outcome}:
            return False
        texts = {getattr(record, fields[0]) for record in records}
        if not all(map(_inert, texts)):
            return False
        self.texts.extend(texts)
        return True

    def _add_text(self, text: str, under: str) -> bool:
        self.texts.append(text)
        if under in _VERSION_FIELDS and _is_release(text):
            self.versions.add(text)
            return False
        if _inert(text):
            return False
        self.telling.append(text)
        return True


_PRIVATE = frozenset({ContainerStart, Environment, Extra, GpuProcess})
# Nearly all of these come again in the next report: most of its records, and the flags of a processor.
_ALIKE = frozenset({Build, DriverRange, Gpu, GpuRange, Interpreter, Missing, Need, Outcome, Package, frozenset})


class _Untouched(NamedTuple):
    """What a value without anything to look at tells: its open strings as lines, and the versions among them."""

    text: str
    versions: frozenset[str]


@lru_cache(maxsize=1 << 12)
def _untouched(value: Any, under: str) -> _Untouched | None:
    """What is read of a value, the same for each that is equal to it; None where there is something to look at."""
    read = _Read()
    touched = read._add_record(value) if isinstance(value, msgspec.Struct) else read._add_members(value, under)
    return None if touched else _Untouched("\n".join(read.texts), frozenset(read.versions))


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, tuple):
        return value
    if isinstance(value, frozenset):
        return sorted(value)
    return itertools.chain.from_iterable(value.items()) if isinstance(value, dict) else ()


# ---------------------------------------------------------------------------------------------- learning


_NONE: Mapping[str, str] = MappingProxyType({})


class _Known(NamedTuple):
    """What was learned from the whole before anything is changed, so that each thing has one label.

    ``versions`` have four parts: they look like IP addresses and are none. ``touched``, where it is known, are the
    id() of the only records and collections in which there is something to change.
    """

    home: str | None = None
    people: Mapping[str, str] = _NONE
    hosts: frozenset[str] = frozenset()
    devices: Mapping[str, str] = _NONE
    programs: Mapping[str, str] = _NONE
    versions: frozenset[str] = frozenset()
    touched: AbstractSet[int] | None = None


# Accounts and words that name no person and no machine, and that a report needs.
_GENERIC = _set(
    """
    root user users home host admin administrator guest nobody default public shared local localhost server node
    worker system machine ubuntu debian fedora centos rocky alma arch opc ec2-user azureuser vagrant runner vscode
    jovyan colab kaggle content docker podman container containerd kubernetes linux windows darwin macos dev test
    build data opt usr var tmp nvidia jetson cuda cudnn nccl gpu gpus cpu mig driver kernel module library torch
    pytorch tensorflow keras jax numpy python python3 pip uv conda mamba miniconda miniforge anaconda poetry venv env
    smoke train none true false error warning info and the for not from with this that hidden
    """
)

_SEPARATOR = r"(?:/|\\{1,2})"
_HOME = re.compile(
    rf"(?:(?<![\w.~/\\-])(?:[A-Za-z]:|(?:/[\w.-]+){{1,3}}?))?{_SEPARATOR}(?:home|[Uu]sers){_SEPARATOR}"
    r"(?P<name>[^/\\:*?\"'<>|$~\s,;()\[\]{}&`]+(?: [^/\\:*?\"'<>|$~\s,;()\[\]{}&`]+){0,3}(?=\\)"
    r"|[^/\\:*?\"'<>|$~\s,;()\[\]{}&`]+)"
    r"|(?<![\w.~/\\-])/root(?![\w.-])"
    r"|/(?:run/)?media/(?P<medium>[^/\s:;,'\"]+)"
)
_SHARED_FOLDERS = frozenset({"shared", "public", "default", "all users"})
_LABEL = re.compile(r"user\d*|host")
_PROMPT = re.compile(
    r"(?<![\w.@-])(?P<user>[A-Za-z_][\w.-]{0,31})@(?P<host>[A-Za-z0-9][\w.-]{0,63})(?=:(?:~|/(?!/))|:?\s[~/]|\s\S+\][#$])"
)
_HOST_SAID = re.compile(
    r"(?:\b(?:host ?name|nodename|computer name|master_addr|slurmd_nodename)\s*[:=]\s*|\baddr=\[?"
    r"|\bLinux (?=\S+ \d+\.\d+\.\d+)"
    r"|^[A-Z][a-z]{2} +\d{1,2} [\d:]{8} (?=\S+ kernel:)|^\d{4}-\d\d-\d\dT\S+ (?=\S+ kernel:))"
    r"(?P<host>[A-Za-z][\w.-]{0,63})",
    re.IGNORECASE | re.MULTILINE,
)
_USER_SET = re.compile(r"\b(?:SUDO_)?(?:USER|LOGNAME|USERNAME)=[\"']?(?P<user>[A-Za-z_][\w.-]{2,31})")
_USER_SAID = re.compile(
    r"(?:\b[Uu]ser ?[Nn]ame ?[:=] ?[\"']?|^[ \t]{0,8}User ?: ?|\b[ug]id=\d{1,10}\()"
    r"(?P<user>[A-Za-z_][\w.-]{2,31})(?=[\"')\],;]|\s*$)",
    re.MULTILINE,
)
_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_DEVICE = re.compile(
    rf"(?<![0-9A-Za-z])(?P<kind>MIG-GPU-|MIG-|GPU-|)(?P<uuid>{_UUID})(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z])(?P<short>(?:GPU|MIG)-(?=[a-f-]*\d)[0-9a-f]{4,8}(?:-[0-9a-f]{0,12}){0,4})(?![0-9A-Za-z])"
)
_KNOWN_PROGRAMS = re.compile(
    r"python[\d.]*|pythonw?\.exe|Xorg|X|Xwayland|gnome-shell|kwin_\w+|plasmashell|mutter\S*|sddm\S*|gdm\S*|cosmic-\w+"
    r"|nvidia-\S+|dcgm\S*|ollama|tritonserver|vllm|jupyter\S*|\[Not Found\]|\[Insufficient Permissions\]"
)


def _learn(whole: msgspec.Struct, facts: Facts, identity: Identity) -> _Known:
    read = _Read()
    read.add(whole)
    texts = [*_telling_of_gpus(facts, read), *read.telling]
    known = _taught(texts, identity) if texts else _of_caller(identity)
    versions = frozenset([*read.versions, *known.versions])
    known = known._replace(programs=_programs(facts), versions=versions)
    return known if _is_named(known, read.texts) else known._replace(touched=read.touched)


def _taught(texts: list[str], identity: Identity) -> _Known:
    """What these texts tell, beside what is known of the caller."""
    homes = _homes(texts)
    home = identity.home or next((path for path, _ in homes.most_common(1)), None)
    people = [identity.user or "", _name_in(home or ""), *map(_name_in, homes)]
    people += [*_said(_PROMPT, "user", texts), *_said(_USER_SET, "user", texts)]
    people += _said(_USER_SAID, "user", texts)
    hosts = [identity.host or "", *_said(_PROMPT, "host", texts), *_said(_HOST_SAID, "host", texts)]
    return _Known(
        home=home,
        people=_labelled(people),
        hosts=frozenset(part.lower() for name in hosts for part in (name, name.partition(".")[0]) if _telling(part)),
        devices=_devices(texts),
        versions=frozenset(version for text in texts for version in _PINNED.findall(text)),
    )


@lru_cache(maxsize=16)
def _of_caller(identity: Identity) -> _Known:
    return _taught([], identity)


def _telling_of_gpus(facts: Facts, read: _Read) -> list[str]:
    """What tells something of the GPUs comes first: their labels follow their order."""
    if id(facts.gpus) not in read.touched:
        return []
    gpus = _Read()
    gpus.add(facts.gpus)
    return gpus.telling


def _is_named(known: _Known, texts: list[str]) -> bool:
    """Whether a learned name may stand in some text, also in one that is inert by its shape."""
    joined = "\n".join(texts)
    if known.programs or (known.home is not None and known.home in joined):
        return True
    labels = known.hosts.union(known.people)
    if not joined.isascii():  # to lower the case of all takes far longer where one character is not in ASCII
        if labels and any(_pattern(labels).search(text) for text in texts if not text.isascii()):
            return True
        joined = "\n".join([text for text in texts if text.isascii()])
    return any(map(joined.lower().__contains__, labels)) and _pattern(labels).search(joined) is not None


@lru_cache(maxsize=64)
def _pattern(names: frozenset[str]) -> re.Pattern[str]:
    """These names as words of their own, in any case."""
    listed = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"(?<![A-Za-z0-9])(?:{listed})(?![A-Za-z0-9])", re.IGNORECASE)


def _homes(texts: Iterable[str]) -> Counter[str]:
    """Home folders by how often they are mentioned, as they are written."""
    found = (match for text in texts for match in _HOME.finditer(text) if not match["medium"])
    return Counter(match[0] for match in found if _is_person(match["name"] or "root"))


def _is_person(folder: str) -> bool:
    return folder.lower() not in _SHARED_FOLDERS and not _LABEL.fullmatch(folder)


def _name_in(home: str) -> str:
    return re.split(r"[/\\]", home.rstrip("/\\"))[-1]


def _said(pattern: re.Pattern[str], group: str, texts: Iterable[str]) -> Iterator[str]:
    return (match[group] for text in texts for match in pattern.finditer(text))


def _telling(name: str) -> bool:
    return len(name) > 2 and name.lower() not in _GENERIC and not _LABEL.fullmatch(name)


def _labelled(people: Iterable[str]) -> dict[str, str]:
    distinct = dict.fromkeys(name.lower() for name in people if _telling(name))
    return {name: "user" if number == 1 else f"user{number}" for number, name in enumerate(distinct, 1)}


def _devices(texts: Iterable[str]) -> dict[str, str]:
    """Each UUID's label, numbered by kind in order of mention; a shortened one shares that of its whole."""
    labels: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for match in sorted((m for text in texts for m in _DEVICE.finditer(text)), key=lambda match: match["uuid"] is None):
        kind, key = _kind_and_key(match)
        if _label_of(key, labels) is None:
            labels[key] = f"{kind}-{_place(counts[kind])}"
            counts[kind] += 1
    return labels


def _place(number: int) -> str:
    """``a01``, ``a02`` …: all of one length, and no number that could be taken for a GPU's index."""
    letter, rest = divmod(number, 99)
    return f"{'abcdef'[letter]}{rest + 1:02}" if letter < 6 else IDENTIFIER


def _kind_and_key(match: re.Match[str]) -> tuple[str, str]:
    if match["short"]:
        kind, _, rest = match["short"].partition("-")
        return kind, rest.lower()
    kinds = {"MIG-GPU-": "GPU", "MIG-": "MIG", "GPU-": "GPU", "": "id"}
    return kinds[match["kind"]], match["uuid"].lower()


def _label_of(key: str, labels: Mapping[str, str]) -> str | None:
    if key in labels:
        return labels[key]
    return next((label for whole, label in labels.items() if whole.startswith(key)), None)


def _programs(facts: Facts) -> dict[str, str]:
    names = dict.fromkeys(
        process.name
        for gpu in facts.known_gpus()
        for process in getattr(gpu.processes, "processes", ())
        if process.name
    )
    return {name: _program(name) for name in sorted(names, key=len, reverse=True) if _program(name) != name}


def _program(name: str) -> str:
    """The bare name of a program that everybody knows; other users' programs are theirs."""
    base = re.split(r"[/\\]", name.split(maxsplit=1)[0] if name.strip() else name)[-1]
    return base if _KNOWN_PROGRAMS.fullmatch(base) else PROGRAM


# ---------------------------------------------------------------------------------------------- patterns

_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_URL = re.compile(r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s'\"<>|`]+")
# Shapes that services give their tokens so that scanners can find them.
# https://docs.github.com/en/code-security/secret-scanning/introduction/supported-secret-scanning-patterns
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"hf_[A-Za-z0-9]{8,}|api_org_[A-Za-z0-9]{8,}|gh[pousr]_[A-Za-z0-9]{8,}|github_pat_\w{8,}|glpat-[\w-]{8,}"
    r"|sk-[\w-]{8,}|(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{8,}|xox[a-z]-[\w-]{8,}|(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}"
    r"|AIza[\w-]{20,}|ya29\.[\w-]{8,}|npm_[A-Za-z0-9]{8,}|pypi-[\w-]{16,}|nvapi-[\w-]{8,}|dckr_pat_[\w-]{8,}"
    r"|ssh-(?:rsa|ed25519|dss) [A-Za-z0-9+/=]{16,}|eyJ[\w-]{4,1000}\.[\w-]{4,}(?:\.[\w-]*)?"
    r")"
)
_BEARER = re.compile(r"(?i)\b(?P<kind>bearer|basic|digest)(?P<gap>\s+)(?P<value>[\w.~+/=-]{8,})")
# What programs take as a password without saying so; quotes may stand in others' quotes.
_OPENED = r"(?P<quote>[\\\"']{1,16})?"
_TAKEN = r"(?P<value>(?(quote)[^\n\"'\\]{1,200}|[^\s|;&\"'\\-][^\s|;&\"'\\]{0,200}))"
_CURL = re.compile(
    rf"(?P<said>\bcurl\b[^\n|;&]{{0,300}}?\s(?:-u|--user)[ =]{{0,2}}{_OPENED}[^\s:\"'|;&\\]{{1,80}}:){_TAKEN}"
)
_MYSQL = re.compile(rf"(?P<said>\b(?:mysql|mariadb)[\w-]{{0,20}}\b[^\n|;&]{{0,200}}?\s-p{_OPENED}){_TAKEN}")
_SSHPASS = re.compile(rf"(?P<said>\bsshpass\s{{1,3}}-p\s{{0,3}}{_OPENED}){_TAKEN}")
_REGISTRY = re.compile(
    rf"(?P<said>\b(?:docker|podman|nerdctl|helm|oras|skopeo)\s{{1,3}}(?:registry\s{{1,3}})?login\b[^\n|;&]{{0,200}}?\s-p\s{{0,3}}"
    rf"{_OPENED}){_TAKEN}"
)
_NETRC = re.compile(rf"(?P<said>\blogin\s{{1,3}}\S{{1,120}}\s{{1,3}}password\s{{1,3}}{_OPENED}){_TAKEN}")
_UNNAMED = (_CURL, _MYSQL, _SSHPASS, _REGISTRY, _NETRC)
_NAMED = re.compile(
    r"(?P<key>[A-Za-z][\w.-]{0,80})[\\\"']{0,2}\s{0,3}[:=]\s{0,3}\\?|(?<![\w-])(?P<option>--?[A-Za-z][\w-]{0,80})\s+"
)
# How a single quote inside a quoted word of a shell is written (shlex.quote); what follows is still inside that word.
_QUOTE_INSIDE = "'\"'\"'"
_VALUE = re.compile(rf"{_QUOTE_INSIDE}[^'\n]*'?|\"[^\"\n]*\"?|'[^'\n]*'?|[^\s\"',;&|)}}\]]+")
_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]+@(?:[\w-]+\.)+(?!service\b|socket\b|mount\b)[^\W\d_]{2,}(?![\w@-])")
_USER_AT_HOST = re.compile(
    r"(?<![\w.@%+-])[A-Za-z_][\w.-]{0,31}@(?:[A-Za-z][\w-]*|\d[\w-]{0,62}(?=[\w.-]{0,190}:[~/]))(?:\.[\w-]+)*(?![\w@/-]|\.\d|://)"
)
_MAC = re.compile(
    r"(?<![0-9A-Fa-f:-])[0-9A-Fa-f]{2}(?P<sep>[:-])(?:[0-9A-Fa-f]{2}(?P=sep)){4,}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])"
)
_IPV6 = re.compile(r"(?<![\w:.])(?!c10::)(?=[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:)[0-9A-Fa-f:]{3,39}(?:%\w+)?(?![\w:])")
_IPV4 = re.compile(r"(?<![\w.])(?<![=<>~!]=)\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\w)")
# What stands before a four-part version, and never before an address; what only a version has behind it.
_VERSION_BEFORE = re.compile(
    r"(?:\b(?:lib|nvidia-)?(?:cuda|cudnn|cublas|cublaslt|cudart|curand|cufft|cufile|cupti|cusolver|cusparse|cusparselt|nccl"
    r"|npp|nvjitlink|nvjpeg|nvrtc|nvshmem|nvtx|tensorrt|wsl)(?:[-_ ]?(?:cu|cuda[-_]?)?\d{1,2})?(?:-dev(?:el)?)?"
    r"(?: (?:build|compiler|driver|libraries|library|package|runtime|toolkit|wheel))?"
    r"|\b[a-z][\w-]{0,60}-cu\d\d|\b(?:version|release|v))[\s:=v(\"'@]{0,40}"
    r"(?:\d{1,5}(?:\.\d{1,5}){1,4}(?:\s{0,2}(?:,|/|or|and|to|vs\.?|<|>|[=!<>]=|->|→)\s{0,2})){0,4}\Z",
    re.IGNORECASE,
)
_VERSION_BEHIND = re.compile(r"\+\w|-(?:microsoft|generic|WSL|rc|post|dev|cu)")
_PORT_BEHIND = re.compile(r"[:<]\d|/\d{1,2}(?!\d)")
# Security identifiers of Windows, and fingerprints of keys as OpenSSH prints them.
_ACCOUNT = re.compile(
    r"(?<![\w-])S-1-5-21(?:-\d{1,12}){3,5}(?![\w-])|(?<!\w)SHA256:[A-Za-z0-9+/]{43}=?(?![A-Za-z0-9+/])"
)
_SHARE = re.compile(r"(?<![\w\\:])(?P<slashes>\\{2,16})(?!wsl\b|wsl\.localhost\b|hidden-)[A-Za-z][\w.-]{1,62}(?=\\)")
_ENV_OPTION = re.compile(
    r"(?<![\w-])(?P<option>(?:-e|--env)(?:=|\s{1,3})(?P<quote>[\"'\\]{1,8})?(?P<name>[A-Za-z_]\w{0,80})=)"
    r"(?P<value>(?(quote)[^\"'\n]{0,2000}|(?:[\"'\\]{1,8}[^\"'\n]{0,2000}|[^\s\"']{0,2000})))"
)
_CLOUD_HOST = re.compile(r"(?<![\w-])ip-\d{1,3}(?:-\d{1,3}){3}(?:\.[\w.-]+)?")
_SERIAL = re.compile(
    r"(?i)\b(?P<key>serial(?:[ _]?(?:number|no\.?))?)(?P<gap>\s*[:=]\s*|\s+|>)(?P<value>(?=[\w-]*\d)\w[\w-]{5,})"
)
_LONG = re.compile(
    r"(?<![0-9A-Za-z])(?:0x)?[0-9a-fA-F]{32,}(?![0-9A-Za-z])"
    r"|(?<![\w/+-])(?=[A-Za-z+]*\d)(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])[A-Za-z0-9+]{40,}={0,2}(?![\w/+-])"
)

_PUBLIC_HOSTS = (
    "anaconda.com",
    "anaconda.org",
    "canonical.com",
    "centos.org",
    "conda.io",
    "debian.org",
    "docker.com",
    "docker.io",
    "fedoraproject.org",
    "ghcr.io",
    "github.com",
    "github.io",
    "githubusercontent.com",
    "google.com",
    "google.dev",
    "googleapis.com",
    "huggingface.co",
    "kernel.org",
    "launchpad.net",
    "localhost",
    "microsoft.com",
    "nvcr.io",
    "nvidia.com",
    "nvidia.github.io",
    "prefix.dev",
    "python.org",
    "pytorch.org",
    "quay.io",
    "readthedocs.io",
    "redhat.com",
    "rpmfusion.org",
    "tensorflow.org",
    "ubuntu.com",
    "aka.ms",
)

_SECRET_WORDS = _set(
    "token tokens secret secrets password passwd passphrase credential credentials authorization apikey cookie auth "
    "signature sig bearer userpass passcode"
)
_KEY_KINDS = _set(
    "api access private secret account signing encryption ssh license storage subscription service "
    "wandb comet neptune openai anthropic ngc hf huggingface azure aws gcp"
)


def secretive(name: str) -> bool:
    """Whether a variable, option or field of that name holds a secret: ``HF_TOKEN``, ``--api-key``, ``dbPassword``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    parts = [part.lower() for part in re.split(r"[\W_]+", spaced) if part]
    if any(
        part in _SECRET_WORDS or part.endswith(("password", "passwd", "secret", "token", "apikey")) for part in parts
    ):
        return True
    if len(parts) > 1 and parts[-1] in ("pass", "pwd", "pw"):
        return True
    return any(first in _KEY_KINDS and second in ("key", "keys") for first, second in itertools.pairwise(parts))


_ALLOWED_PREFIXES = (*PREFIXES, "KERAS_", "OMP_")
_ALLOWED_NAMES = NAMES | {"PATH"}


_NAMING_HOSTS = ("_ADDR", "_ADDRESS", "_CONFIG", "_HOST", "_HOSTS", "_NODELIST", "_SERVER", "_URI", "_URL")


def _allowed(variable: str) -> bool:
    """Whether a variable's value may be shown, cleaned: it is of GPU computing, and names no machines."""
    if variable in _ALLOWED_NAMES:
        return True
    return variable.startswith(_ALLOWED_PREFIXES) and not variable.endswith(_NAMING_HOSTS)


# ---------------------------------------------------------------------------------------------- cleaning


class _Cleaner:
    """Goes through a record and counts the places that it changes."""

    def __init__(self, known: _Known) -> None:
        self._known = known
        self._labels = {**dict.fromkeys(known.hosts, "host"), **known.people}
        self._names = _pattern(frozenset(self._labels)) if self._labels else None
        self._counts: Counter[str] = Counter()

    def hidden(self, before: Mapping[str, int] = MappingProxyType({})) -> dict[str, int]:
        """How many places were changed by the kind of what stood there, in the order of :data:`KINDS`."""
        if not self._counts and not before:
            return {}
        counts = self._counts + Counter(before)
        return {kind: counts[kind] for kind in KINDS if counts[kind]}

    def walk(self, value: _S, clean: Callable[[str], str] | None = None) -> _S:
        """The same value with every open string cleaned."""
        result: Any = value
        clean = clean or self.prose
        if isinstance(value, str):
            result = clean(value)
        elif isinstance(value, msgspec.Struct):
            result = self._record(value)
        elif isinstance(value, dict):
            result = _without_clashes((clean(key), self.walk(item, clean)) for key, item in value.items())
        elif isinstance(value, frozenset):
            result = frozenset(self.walk(item, clean) for item in value)
        elif isinstance(value, tuple):
            result = tuple(
                [item if self._passes(item) else self.walk(item, clean) for item in self._values_hidden(value)]
            )
        return typing.cast(_S, result)

    def _values_hidden(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        """Words of a command line: what follows ``--password`` is one, also as a word of its own."""
        if not any(item.__class__ is str and _announces_secret(item) for item in items[:-1]):
            return items
        announced = [False, *(isinstance(item, str) and _announces_secret(item) for item in items[:-1])]
        return tuple(
            self._changed("secret", item, SECRET) if before and isinstance(item, str) else item
            for item, before in zip(items, announced, strict=True)
        )

    def _record(self, record: msgspec.Struct) -> msgspec.Struct:
        kind = type(record)
        changes: dict[str, Any] = {}
        if isinstance(record, Environment | ContainerStart):
            changes["variables"] = self._variables(record.variables)
        if isinstance(record, Extra):
            changes["values"] = self._values(record.values)
        if isinstance(record, GpuProcess) and record.name is not None:
            changes["name"] = self._changed("program", record.name, _program(record.name))
        for name in _open_fields(kind):
            value = getattr(record, name)
            if value and name not in changes and not self._passes(value):
                changed = self.walk(value, self._way(kind, name))
                if changed != value:
                    changes[name] = changed
        return replace(record, **changes) if changes else record

    def _passes(self, value: Any) -> bool:
        """Whether it is known of a record or collection that there is nothing to change in it."""
        touched = self._known.touched
        return touched is not None and id(value) not in touched and not isinstance(value, str)

    def _way(self, kind: type, name: str) -> Callable[[str], str]:
        if name in _COMMANDS.get(kind, frozenset()):
            return self.command
        return self._version if name in _VERSION_FIELDS else self.prose

    def _version(self, text: str) -> str:
        return text if _is_release(text) else self.prose(text)

    def _variables(self, variables: Mapping[str, str]) -> dict[str, str]:
        return _without_clashes((self.prose(name), self._variable(name, value)) for name, value in variables.items())

    def _variable(self, name: str, value: str) -> str:
        if secretive(name):
            return self._changed("secret", value, SECRET)
        return self.prose(value) if _allowed(name) else self._changed("variable", value, VALUE)

    def _values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What a plug-in saw, by names of its own."""
        return _without_clashes((self.prose(name), self._value(name, value)) for name, value in values.items())

    def _value(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return self._changed("secret", value, SECRET) if secretive(name) else self.prose(value)
        return value

    def _changed(self, kind: str, old: str, new: str) -> str:
        if old != new:
            self._counts[kind] += 1
        return new

    def _sub(self, kind: str, pattern: re.Pattern[str], text: str, put: Callable[[re.Match[str]], str]) -> str:
        if not _may_match(pattern, text):
            return text
        return pattern.sub(lambda match: self._changed(kind, match[0], put(match)), text)

    # ------------------------------------------------------------------------------- one string

    def command(self, command: str) -> str:
        """A shell command, with the home folder in a form that the shell expands where it stands."""
        home = self._known.home
        if home and home in command:
            command = self._changed("home-folder", command, shell_home(command, home))
        return self._rest(command, tilde=False)

    def prose(self, text: str) -> str:
        """Any other text."""
        if self._known.home and self._known.home in text:
            bounded = rf"(?<![\w.~/\\-]){re.escape(self._known.home)}(?![\w.-])"
            text = self._sub("home-folder", re.compile(bounded), text, lambda _: "~")
        return self._rest(text, tilde=True)

    def _rest(self, text: str, tilde: bool) -> str:
        """The text without the rest of what is private. What was hidden no longer glues its neighbours together."""
        cleaned = self._once(text, tilde)
        return cleaned if cleaned == text else self._once(cleaned, tilde)

    def _once(self, text: str, tilde: bool) -> str:
        for name, shown in self._known.programs.items():
            text = self._literal(name, shown, text)
        if _inert(text):
            return self._people(text)
        text = self.by_shape(text)
        text = self._sub("home-folder", _HOME, text, lambda match: self._home(match, tilde))
        return self._people(text)

    def by_shape(self, text: str) -> str:
        """The text without what looks private wherever it stands."""
        text = self._sub("secret", _KEY_BLOCK, text, lambda _: SECRET)
        text = self._sub("url", _URL, text, lambda match: _url(match[0]))
        text = self._secrets(text)
        return self._addresses(text)

    def _literal(self, name: str, shown: str, text: str) -> str:
        return self._sub("program", re.compile(rf"(?<!\w){re.escape(name)}(?!\w)"), text, lambda _: shown)

    def _secrets(self, text: str) -> str:
        text = self._sub("secret", _TOKEN, text, lambda _: SECRET)
        text = self._sub("secret", _BEARER, text, lambda m: m["kind"] + m["gap"] + _secret_value(m["value"]))
        text = self._sub("serial-number", _SERIAL, text, lambda m: m["key"] + m["gap"] + IDENTIFIER)
        for pattern in _UNNAMED:
            text = self._sub("secret", pattern, text, lambda m: m["said"] + _secret_value(m["value"]))
        text = self._sub("variable", _ENV_OPTION, text, _env_option)
        return self._named_secrets(text)

    def _named_secrets(self, text: str) -> str:
        """Values after names such as ``token``, wherever the name stands, also inside another name's value."""
        lowered = text.lower()
        if not any(mark in lowered for mark in _SECRET_MARKS):
            return text
        position = 0
        while named := _NAMED.search(text, position):
            position = named.end()
            value = _VALUE.match(text, position)
            name = named["key"] or named["option"]
            if value and not value[0].startswith("=") and secretive(name) and not _counts_tokens(name, value[0]):
                shown = self._changed("secret", value[0], _secret_value(value[0]))
                text = text[:position] + shown + text[value.end() :]
                position += len(shown)
        return text

    def _addresses(self, text: str) -> str:
        text = self._sub("e-mail-address", _EMAIL, text, lambda _: ADDRESS)
        text = self._sub("user-name", _USER_AT_HOST, text, lambda _: "user@host")
        text = self._sub("device-id", _DEVICE, text, self._device)
        text = self._sub("identifier", _ACCOUNT, text, lambda _: IDENTIFIER)
        text = self._sub("mac-address", _MAC, text, lambda _: ADDRESS)
        text = self._sub("host-name", _CLOUD_HOST, text, lambda _: "host")
        text = self._sub("host-name", _SHARE, text, lambda match: match["slashes"] + HOST)
        text = self._sub("ip-address", _IPV6, text, lambda match: ADDRESS if _is_address(match[0]) else match[0])
        text = self._sub("ip-address", _IPV4, text, self._ipv4)
        return self._sub("identifier", _LONG, text, lambda _: IDENTIFIER)

    def _device(self, match: re.Match[str]) -> str:
        _, key = _kind_and_key(match)
        label = _label_of(key, self._known.devices) or IDENTIFIER
        return f"MIG-{label}" if match["kind"] == "MIG-GPU-" else label

    def _ipv4(self, match: re.Match[str]) -> str:
        kept = match[0] in self._known.versions or not _is_address(match[0]) or _is_version(match)
        return match[0] if kept else ADDRESS

    def _home(self, match: re.Match[str], tilde: bool) -> str:
        glued = match.start() > 0 and match.string[match.start() - 1] not in " \t\n\"'`=:;,()[]{}<>|&"
        if match[0] == self._known.home and tilde and not glued:
            return "~"
        name = match["name"] or match["medium"]
        if name is None or not _is_person(name):
            return match[0]
        return match[0][: -len(name)] + self._known.people.get(name.lower(), "user")

    def _people(self, text: str) -> str:
        if self._names is None or (text.isascii() and not self._mentioned(text.lower())):
            return text
        return self._names.sub(self._person, text)

    def _person(self, match: re.Match[str]) -> str:
        label = self._labels.get(match[0].lower(), "user")
        return self._changed("host-name" if label == "host" else "user-name", match[0], label)

    def _mentioned(self, lowered: str) -> bool:
        return any(name in lowered for name in self._labels)


_REMEMBERED = 400  # characters; what is longer is rarely met again


@lru_cache(maxsize=1 << 14)
def _inert(text: str) -> bool:
    """Whether nothing in a text is private by its shape, nor teaches a name: then only names learned elsewhere count.

    Most texts of a report are gpudoctor's own and come again in every report.
    """
    if len(text) > _REMEMBERED or any(_may_match(pattern, text) and pattern.search(text) for pattern in _TEACHING):
        return False
    return _Cleaner(_Known()).by_shape(text) == text


_TEACHING = (_HOME, _PROMPT, _HOST_SAID, _USER_SET, _USER_SAID, _DEVICE, _PINNED)

# What a text in ASCII must hold, in lower case, for a pattern to have a match in it: far faster to look for.
_MARKS: dict[re.Pattern[str], tuple[str, ...]] = {
    _HOME: ("/", "\\"),
    _PROMPT: ("@",),
    _HOST_SAID: ("host", "nodename", "computer", "linux ", " kernel:", "addr"),
    _USER_SET: ("user", "logname"),
    _USER_SAID: ("user", "id="),
    _DEVICE: ("-",),
    _KEY_BLOCK: ("-----begin",),
    _URL: ("://",),
    _TOKEN: ("_", "-", "akia", "asia", "aroa", "aida", "aiza", "ya29", "eyj"),
    _BEARER: ("bearer", "basic", "digest"),
    _CURL: ("curl",),
    _MYSQL: ("mysql", "mariadb"),
    _SSHPASS: ("sshpass",),
    _REGISTRY: ("login",),
    _NETRC: ("password",),
    _SERIAL: ("serial",),
    _EMAIL: ("@",),
    _USER_AT_HOST: ("@",),
    _MAC: (":", "-"),
    _CLOUD_HOST: ("ip-",),
    _ACCOUNT: ("s-1-5-21", "sha256:"),
    _SHARE: ("\\\\",),
    _ENV_OPTION: ("-e", "--env"),
    _IPV6: (":",),
    _IPV4: (".",),
}
_MARKS_BY_TEXT = {pattern.pattern: marks for pattern, marks in _MARKS.items()}  # to look up a pattern takes long
_SECRET_MARKS = ("token", "secret", "pass", "pwd", "pw", "credential", "auth", "key", "cookie", "sig", "bearer")


def _may_match(pattern: re.Pattern[str], text: str) -> bool:
    marks = _MARKS_BY_TEXT.get(pattern.pattern)
    return marks is None or not text.isascii() or any(map(text.lower().__contains__, marks))


def _env_option(match: re.Match[str]) -> str:
    """``-e NAME=value`` of a container's command line, with the value only where the name is one to show."""
    name, value = match["name"], match["value"]
    inside = value.lstrip("\"'\\")
    if not inside or (_allowed(name) and not secretive(name)):
        return match[0]
    return match["option"] + value.removesuffix(inside) + (SECRET if secretive(name) else VALUE)


def _announces_secret(word: str) -> bool:
    """``--password``, ``token:`` and ``secret=``, with nothing behind them."""
    return (word[:1] == "-" or word[-1:] in (":", "=")) and " " not in word and secretive(word.strip("-:="))


def _counts_tokens(name: str, value: str) -> bool:
    """``max_tokens=512`` counts pieces of text."""
    return name.lower().endswith("tokens") and value.isdecimal() and len(value) < 9


def _is_version(match: re.Match[str]) -> bool:
    """Whether four numbers are a version by what stands around them."""
    text, end = match.string, match.end()
    if _PORT_BEHIND.match(text, end):
        return False
    return bool(
        _VERSION_BEHIND.match(text, end) or _VERSION_BEFORE.search(text[max(0, match.start() - 160) : match.start()])
    )


def _without_clashes(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Items as a dictionary; keys that have become equal are numbered."""
    made: dict[str, Any] = {}
    for key, value in items:
        number, free = 1, key
        while free in made:
            number += 1
            free = f"{key}-{number}"
        made[free] = value
    return made


def _url(url: str) -> str:
    """The URL without credentials; nothing but the scheme where the host is not a public one."""
    body = url.rstrip(".,;:)]}")
    end = url[len(body) :]
    scheme, _, rest = body.partition("://")
    if scheme == "file" or scheme.startswith("hidden-") or not rest:
        return url
    try:
        host = urlsplit(body).hostname or ""
    except ValueError:
        host = ""
    if not _public(host):
        return f"{scheme}://{HOST}{end}"
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}{end}"


def _public(host: str) -> bool:
    return host in ("127.0.0.1", "::1") or any(host == known or host.endswith("." + known) for known in _PUBLIC_HOSTS)


def _secret_value(value: str) -> str:
    if value.startswith(_QUOTE_INSIDE):
        closed = value.removeprefix(_QUOTE_INSIDE).endswith("'")
        return _QUOTE_INSIDE + SECRET + ("'" if closed else "")
    quote = value[0] if value[:1] in ("'", '"') else ""
    return f"{quote}{SECRET}{quote}"


def _is_address(text: str) -> bool:
    """True for an IP address that says something of a network: not loopback, not unspecified."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


# ------------------------------------------------------------------------------------ home in a command


def shell_home(command: str, home: str) -> str:
    r"""The command with the home folder as a POSIX shell expands it: ``~`` at the start of a bare word, else $HOME.

    A folder inside single quotes leaves them (``'/home/me/my env'`` → ``"$HOME"'/my env'``). A Windows folder becomes
    PowerShell's ``$HOME``.
    """
    if "\\" in home:
        return re.sub(rf"{re.escape(home)}(?![\w.-])", lambda _: "$HOME", command)
    pieces: list[str] = []
    quote, position = "", 0
    while position < len(command):
        if _home_at(command, home, position):
            position += len(home)
            _put_home(pieces, quote, command[position : position + 1])
            continue
        character = command[position]
        length = 2 if character == "\\" and quote != "'" else 1
        quote = _next_quote(quote, character)
        pieces.append(command[position : position + length])
        position += length
    return "".join(pieces)


def _home_at(command: str, home: str, position: int) -> bool:
    if not command.startswith(home, position):
        return False
    before, after = command[:position], command[position + len(home) :]
    opens = not re.search(r"[\w.~/-]$", before) or re.search(r"(?:^|\s)-[A-Za-z]$", before)
    return bool(opens) and not re.match(r"[\w.-]", after)


def _next_quote(quote: str, character: str) -> str:
    if character not in ("'", '"'):
        return quote
    if not quote:
        return character
    return "" if quote == character else quote


def _put_home(pieces: list[str], quote: str, following: str) -> None:
    last = pieces[-1] if pieces else ""
    if quote == '"':
        pieces.append("$HOME")
    elif quote == "'" and last == "'":
        pieces[-1] = '"$HOME"\''
    elif quote == "'":
        pieces.append("'\"$HOME\"'")
    elif (not last or last in " \t;|&(") and (not following or following in "/ \t;|&)"):
        pieces.append("~")
    else:
        pieces.append('"$HOME"')
