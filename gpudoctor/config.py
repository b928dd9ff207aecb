"""What a project says about gpudoctor: the table ``[tool.gpudoctor]`` of pyproject.toml, or gpudoctor.toml.

The nearest one counts, from the working directory upwards to the repository's root or the home folder. What the
command line says comes first.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from gpudoctor.facts import FrameworkName

LONGEST_TIME_LIMIT = 86400.0  # seconds
SMALLEST_TIME_LIMIT = 1.0

_OWN_FILE = "gpudoctor.toml"
_PROJECT_FILE = "pyproject.toml"
_ROOT_MARKS = (".git", ".hg", ".jj")
_MOST_BYTES = 1 << 20

Seconds = Annotated[float, msgspec.Meta(ge=SMALLEST_TIME_LIMIT, le=LONGEST_TIME_LIMIT)]


class ConfigError(ValueError):
    """The configuration, or a rule's name, is wrong. The message is one sentence for the user."""


class Preflight(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """``[tool.gpudoctor.preflight]``: what ``gpudoctor preflight`` requires. ``wait`` is a length of time (60s)."""

    require: tuple[str, ...] | str = ()
    wait: str | float | None = None
    on_unknown: Literal["stop", "run"] | None = None

    @property
    def requirements(self) -> tuple[str, ...]:
        """The texts of ``require``, which may be a single one."""
        return (self.require,) if isinstance(self.require, str) else self.require


class Config(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """The table. ``framework`` are those that must work here, ``time_limit`` is in seconds, None: not said."""

    ignore: tuple[str, ...] = ()
    allow_cpu: bool = False
    framework: tuple[FrameworkName, ...] = ()
    time_limit: Seconds | None = None
    fail_on: Literal["error", "warning", "never"] | None = None
    preflight: Preflight = Preflight()
    file: str = ""


_KEYS = tuple(field.encode_name for field in msgspec.structs.fields(Config) if field.name != "file")
_PREFLIGHT_KEYS = tuple(field.encode_name for field in msgspec.structs.fields(Preflight))


def load(start: Path, home: Path | None = None) -> Config:
    """The configuration that holds in a folder, an empty one where there is none. Raises ConfigError."""
    for folder in _upwards(start.absolute(), home):
        for name, place in ((_OWN_FILE, ()), (_PROJECT_FILE, ("tool", "gpudoctor"))):
            table = _table(folder / name, place)
            if table is not None:
                return _config(folder / name, table)
    return Config()


def _upwards(start: Path, home: Path | None) -> Iterator[Path]:
    for folder in (start, *start.parents):
        yield folder
        if folder == home or any((folder / mark).exists() for mark in _ROOT_MARKS):
            return


def _table(path: Path, place: tuple[str, ...]) -> Any:
    """The table at that place of a file, None where file or table is absent."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if not all(word.encode() in data for word in place):
        return None  # a project's file that says nothing of gpudoctor may be as broken as it likes
    try:
        value = msgspec.toml.decode(data)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path} is no valid TOML: {error}") from error
    for word in place:
        value = value.get(word) if isinstance(value, dict) else None
    return value


def _config(path: Path, table: Any) -> Config:
    _known(path, table, _KEYS, "")
    _known(path, table.get("preflight") if isinstance(table, dict) else None, _PREFLIGHT_KEYS, "preflight.")
    try:
        config = msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_sentence(str(error))}") from error
    return msgspec.structs.replace(config, file=path.name)


def _known(path: Path, table: Any, keys: tuple[str, ...], place: str) -> None:
    for key in table if isinstance(table, dict) else ():
        if key not in keys:
            raise ConfigError(f"{path}: gpudoctor knows no setting {place + key!r}.{near(key, keys)}")


def _sentence(error: str) -> str:
    """msgspec's message with the setting first: ``ignore: Expected `array`, got `str```."""
    what, _, where = error.partition(" - at ")
    return f"{where.strip('`').removeprefix('$.').partition('[')[0]}: {what}" if where.strip("`$") else what


def near(name: str, known: Iterable[str]) -> str:
    """`` Close to it: …`` where a known name resembles the one given, else an empty text."""
    close = difflib.get_close_matches(name, tuple(known), 3)
    return f" Close to it: {', '.join(close)}." if close else ""


def silenced(option: Iterable[str], config: Config, known: Iterable[str]) -> Mapping[str, str]:
    """The rules to silence, each with where that was said. Raises ConfigError for a name that no rule has."""
    names = frozenset(known)
    by = {**dict.fromkeys(config.ignore, config.file), **dict.fromkeys(option, "--ignore")}
    for name, place in by.items():
        if name not in names:
            close = near(name, names) or " All names: gpudoctor rules"
            raise ConfigError(f"{place}: no rule is named {name!r}.{close}")
    return by
