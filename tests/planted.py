"""Facts in which every field of every record is there, with a text in every string that may be any text."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union

import msgspec

from gpudoctor.facts import Facts, Missing


def facts(text: str, *, missing: bool = False) -> Facts:
    """Every record of the facts, made by walking their types; ``missing``: what may be missing is, and says why."""
    return typing.cast(Facts, _value(Facts, text, missing))


def open_strings(kind: type[msgspec.Struct] = Facts) -> int:
    """How many strings of a record, and of all records inside, may be any text."""
    made = msgspec.to_builtins(_value(kind, "\x00", False))
    return str(made).count("\\x00")


def _value(hint: Any, text: str, missing: bool) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, UnionType):
        return _value(_arm(arguments, missing), text, missing)
    if origin is Literal:
        return arguments[0]
    if origin is tuple:
        return (_value(arguments[0], text, missing), _value(arguments[0], f"{text} again", missing))
    if origin is frozenset:
        return frozenset({_value(arguments[0], text, missing)})
    if origin in (dict, Mapping):
        return {f"{text} key": _value(arguments[1], text, missing), "CUDA_PATH": _value(arguments[1], text, missing)}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        hints = typing.get_type_hints(hint)
        return hint(**{name: _value(hints[name], text, missing) for name in hint.__struct_fields__})
    return text if hint is str else hint(1)


def _arm(arguments: tuple[Any, ...], missing: bool) -> Any:
    """Of a union what holds most: a record, a string; or the reason why there is none."""
    kinds = [argument for argument in arguments if argument is not type(None)]
    if Missing in kinds and len(kinds) > 1:
        return Missing if missing else next(kind for kind in kinds if kind is not Missing)
    return str if str in kinds else kinds[0]
