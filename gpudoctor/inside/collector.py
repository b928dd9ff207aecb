# What the standalone collector begins with: it stands in for msgspec, dataclasses and newer words of the standard
# library, loads gpudoctor's own sources (SOURCES, below, written for Python 3.6), looks, and prints what it saw.

import argparse
import ast
import builtins
import functools
import itertools
import json
import os
import platform
import queue
import signal
import sys
import types
import typing

SOURCES = {}  # type: dict  # name of a module -> its source
PARENTS = frozenset(("gpudoctor", "gpudoctor.collector", "gpudoctor.inside"))
CLOSED = {}  # type: dict  # name of a record -> its fields that hold no free text, for the redaction
VERSION = "0"
MOST_SECONDS = 240.0
MOST_BLOCK = 100000  # characters that gpudoctor reads at most


# ------------------------------------------------------------------------------------------------- msgspec


class ValidationError(ValueError):
    pass


def _own_annotations(kind):
    own = vars(kind).get("__annotations__")
    if own is None and sys.version_info >= (3, 10):
        own = kind.__annotations__
    return own or {}


class Struct(object):
    """Records as msgspec makes them, as far as they are needed to look and to write JSON."""

    __struct_fields__ = ()
    _defaults = {}
    _hints = {}
    _tag_field = None
    _tag = None

    def __init_subclass__(cls, tag_field=None, tag=None, **_):
        super().__init_subclass__()
        own = _own_annotations(cls)
        fields = [name for name in cls.__struct_fields__ if name not in own] + list(own)
        cls._defaults = dict(cls._defaults, **{name: vars(cls)[name] for name in own if name in vars(cls)})
        cls._hints = dict(cls._hints, **{name: (text, cls.__module__) for name, text in own.items()})
        cls.__struct_fields__ = tuple(fields)
        cls._tag_field = tag_field or cls._tag_field
        if tag is not None:
            cls._given_tag = staticmethod(tag) if callable(tag) else tag
        given = getattr(cls, "_given_tag", None)
        cls._tag = given(cls.__name__) if callable(given) else given

    def __init__(self, *args, **values):
        values.update(zip(self.__struct_fields__, args))
        for name in self.__struct_fields__:
            if name in values:
                value = values.pop(name)
            elif name in self._defaults:
                value = self._defaults[name]
                value = value.copy() if isinstance(value, (dict, list)) else value
            else:
                raise TypeError("%s lacks %s" % (type(self).__name__, name))
            self.__dict__[name] = value
        if values:
            raise TypeError("%s has no %s" % (type(self).__name__, ", ".join(sorted(values))))

    def __eq__(self, other):
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return hash((type(self),) + tuple(self.__dict__[name] for name in self.__struct_fields__))

    def __repr__(self):
        return "%s(%r)" % (type(self).__name__, self.__dict__)


def replace_struct(record, **changes):
    return type(record)(**dict(record.__dict__, **changes))


def to_builtins(value):
    if isinstance(value, Struct):
        made = {value._tag_field: value._tag} if value._tag_field else {}
        made.update((name, to_builtins(value.__dict__[name])) for name in value.__struct_fields__)
        return made
    if isinstance(value, dict):
        return {str(key): to_builtins(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return [to_builtins(item) for item in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [to_builtins(item) for item in value]
    return value


def convert(value, kind, strict=True):
    """The value as that record. Lists become tuples, as the redaction wants them."""
    if not isinstance(value, dict):
        raise ValidationError("Expected `object`, got `%s`" % type(value).__name__)
    made = {}
    for name in kind.__struct_fields__:
        text, module = kind._hints[name]
        if name in value:
            made[name] = _fit(value[name], ast.parse(text, mode="eval").body, module, name)
        elif name not in kind._defaults:
            raise ValidationError("Object missing required field `%s`" % name)
    return kind(**made)


_PLAIN = {"str": str, "int": int, "float": (int, float), "bool": bool, "None": type(None)}


def _fit(value, hint, module, place):
    """The value as an annotation, which is parsed text, wants it."""
    if isinstance(hint, ast.BinOp):
        return _fit_one_of(value, (hint.left, hint.right), module, place)
    if isinstance(hint, ast.Subscript):
        return _fit_members(value, hint, module, place)
    name = getattr(hint, "id", None) or "None"
    if name == "Any":
        return value
    if name in _PLAIN:
        if isinstance(value, _PLAIN[name]) and (name in ("bool", "None") or not isinstance(value, bool)):
            return value
        raise ValidationError("Expected `%s`, got `%s` - at `$.%s`" % (name, type(value).__name__, place))
    meant = getattr(MODULES[module], name)
    if isinstance(meant, str):  # another name for a type
        return _fit(value, ast.parse(meant, mode="eval").body, module, place)
    return value if isinstance(value, meant) else convert(value, meant)


def _fit_one_of(value, hints, module, place):
    refused = None
    for hint in hints:
        try:
            return _fit(value, hint, module, place)
        except ValidationError as error:
            refused = refused or error
    raise refused


def _fit_members(value, hint, module, place):
    kind = getattr(hint.value, "id", "")
    inner = getattr(hint.slice, "value", hint.slice) if type(hint.slice).__name__ == "Index" else hint.slice
    parts = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    if kind == "Literal":
        if value in [ast.literal_eval(part) for part in parts]:
            return value
        raise ValidationError("Invalid enum value %r - at `$.%s`" % (value, place))
    if kind == "Maybe":
        return _fit(value, parts[0], module, place)
    if kind in ("dict", "Mapping"):
        if not isinstance(value, dict):
            raise ValidationError("Expected `object`, got `%s` - at `$.%s`" % (type(value).__name__, place))
        return {_fit(key, parts[0], module, place): _fit(item, parts[1], module, place) for key, item in value.items()}
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise ValidationError("Expected `array`, got `%s` - at `$.%s`" % (type(value).__name__, place))
    if kind == "frozenset":
        return frozenset(_fit(item, parts[0], module, place) for item in value)
    if kind == "tuple" and len(parts) > 1 and not _is_dots(parts[1]):
        if len(value) != len(parts):
            raise ValidationError("Expected `array` of length %d - at `$.%s`" % (len(parts), place))
        return tuple(_fit(item, part, module, place) for item, part in zip(value, parts))
    return tuple(_fit(item, parts[0], module, place) for item in value)


def _is_dots(node):
    return type(node).__name__ == "Ellipsis" or getattr(node, "value", None) is Ellipsis


# ---------------------------------------------------------------------------------------------- dataclasses


class _Factory(object):
    def __init__(self, default_factory):
        self.make = default_factory


def field(default_factory):
    return _Factory(default_factory)


def dataclass(cls=None, **_):
    if cls is None:
        return dataclass
    names = list(getattr(cls, "_data_fields", ()))
    names += [name for name in _own_annotations(cls) if name not in names]
    cls._data_fields = tuple(names)
    cls.__init__ = _data_init
    cls.__eq__ = lambda self, other: type(self) is type(other) and self.__dict__ == other.__dict__
    cls.__hash__ = lambda self: hash(tuple(self.__dict__[name] for name in self._data_fields))
    return cls


def _data_init(self, *args, **values):
    values.update(zip(self._data_fields, args))
    for name in self._data_fields:
        if name in values:
            value = values.pop(name)
        else:
            value = getattr(type(self), name)
            value = value.make() if isinstance(value, _Factory) else value
        self.__dict__[name] = value
    if values:
        raise TypeError("%s has no %s" % (type(self).__name__, ", ".join(sorted(values))))


def replace_data(record, **changes):
    return type(record)(**dict(record.__dict__, **changes))


# ---------------------------------------------------------------------------- newer words of the standard library


class _With(object):
    """A module with additions."""

    def __init__(self, module, **additions):
        self.__dict__.update(additions)
        self._module = module

    def __getattr__(self, name):
        return getattr(self._module, name)


def _pairwise(items):
    first, second = itertools.tee(items)
    next(second, None)
    return zip(first, second)


def _get_args(alias):
    """The choices of a Literal, which stands as text."""
    return tuple(ast.literal_eval(alias[alias.index("[") : alias.rindex("]")] + ",]"))


def _isascii(text):
    return all(ord(character) < 128 for character in text)


def _removeprefix(text, prefix):
    return text[len(prefix) :] if prefix and text.startswith(prefix) else text


def _removesuffix(text, suffix):
    return text[: -len(suffix)] if suffix and text.endswith(suffix) else text


def _while(ask):
    while True:
        value = ask()
        if not value:
            return
        yield value


def _module(name, **values):
    made = types.ModuleType(name)
    vars(made).update(values)
    return made


_structs = _module("msgspec.structs", replace=replace_struct)
STAND_INS = {
    "msgspec": _module(
        "msgspec",
        Struct=Struct,
        ValidationError=ValidationError,
        convert=convert,
        to_builtins=to_builtins,
        structs=_structs,
    ),
    "msgspec.structs": _structs,
    "dataclasses": _module("dataclasses", dataclass=dataclass, field=field, replace=replace_data),
    "typing": _With(typing, TypeAlias=None, Literal=None, BinaryIO=None, get_args=_get_args),
    "functools": _With(functools, cache=functools.lru_cache(maxsize=None)),
    "itertools": _With(itertools, pairwise=_pairwise),
    "queue": _With(queue, SimpleQueue=queue.Queue),
}

# ------------------------------------------------------------------------------------------ gpudoctor's own modules

MODULES = {}  # type: dict
_import = builtins.__import__


def _load(name):
    if name in MODULES:
        return MODULES[name]
    module = MODULES[name] = types.ModuleType(name)
    module.__file__ = name
    module.__builtins__ = BUILTINS
    if name == "gpudoctor":
        module.__version__ = VERSION
    source = SOURCES.get(name + ".__init__", SOURCES.get(name, ""))
    exec(compile(source, "<%s>" % name, "exec"), vars(module))  # noqa: S102 - gpudoctor's own, from this file
    return module


def _is_ours(name):
    return name in SOURCES or name + ".__init__" in SOURCES or name in PARENTS or name in MODULES


def _imported(name, globals=None, locals=None, names=(), level=0):  # noqa: A002 - the names of __import__
    if name in STAND_INS and not level:
        return STAND_INS[name if names else name.partition(".")[0]]
    if level or not (name == "gpudoctor" or name.startswith("gpudoctor.")):
        return _import(name, globals, locals, names, level)
    if not _is_ours(name):
        raise ImportError("the collector does not carry %s" % name)
    module = _load(name)
    for part in names or ():
        if not hasattr(module, part) and _is_ours("%s.%s" % (name, part)):
            setattr(module, part, _load("%s.%s" % (name, part)))
    return module if names else MODULES["gpudoctor"]


BUILTINS = dict(
    vars(builtins),
    __import__=_imported,
    _isascii=_isascii,
    _removeprefix=_removeprefix,
    _removesuffix=_removesuffix,
    _while=_while,
)


class _Nothing(Struct):
    """A record that no collector ever meets."""


_JUDGED = {
    "gpudoctor.findings": ("About", "Candidate", "Cause", "Finding", "Fix", "Outcome", "Report", "Unknown"),
    "gpudoctor.window": ("DriverRange", "GpuRange", "Need"),
}


def prepare():
    """Give the modules what they would import and read beside themselves."""
    for name, records in _JUDGED.items():
        MODULES[name] = _module(name, **{record: type(str(record), (_Nothing,), {}) for record in records})
    own_child = _load("gpudoctor.probes.own_child")
    target_look = _load("gpudoctor.probes.target_look")
    privacy = _load("gpudoctor.privacy")
    own_child.source = _child_source
    target_look.program = lambda: SOURCES["gpudoctor.inside.collect"]
    privacy._closed_fields = lambda kind: frozenset(CLOSED.get(kind.__name__, ()))


_WITH_PYNVML = """import sys
pynvml = sys.modules['pynvml'] = type(sys)('pynvml')
exec(compile(%s, 'pynvml', 'exec'), vars(pynvml))
"""


def _child_source(module):
    source = SOURCES["gpudoctor.probes." + module]
    return _WITH_PYNVML % ascii(SOURCES["pynvml"]) + source if module == "nvml_child" else source


# ------------------------------------------------------------------------------------------------ the command


def collected(root="/", environ=None, python=None, redact=True, seconds=MOST_SECONDS):
    """What was seen, as records of gpudoctor."""
    look = _load("gpudoctor.collector.look")
    from_path = _import("pathlib").Path
    world = _load("gpudoctor.world").World(
        root=from_path(root), environ=dict(os.environ) if environ is None else dict(environ)
    )
    seen = look.collect(world, python or sys.executable, seconds)
    return look.redacted(seen, world.environ, platform.node()) if redact else seen


def document(seen, plain=False):
    """The text that is printed: for people, then for gpudoctor."""
    lines = list(_load("gpudoctor.collector.summary").lines(seen))
    if plain:
        return "\n".join(lines + ["", json.dumps(to_builtins(seen), indent=1), ""])
    block, without = _block(seen)
    if without:
        lines.append("Left out below for its length: %s." % ", ".join(without))
    if block is None:
        lines.append("The rest is too long to be pasted. With --plain it is printed whole; send that as a file.")
    return "\n".join(lines + [""] + list(block or ()) + [""])


def _block(seen):
    """The block, and what had to be left out of it; None where it is too long also then."""
    block, without = _packed(seen), []
    look = _load("gpudoctor.collector.look")
    shorter = True
    while sum(map(len, block)) > MOST_BLOCK and shorter:
        shorter = look.shortened(seen, len(without))
        if shorter:
            seen, words = shorter
            without.append(words)
            block = _packed(seen)
    return (block if shorter else None), without


def _packed(seen):
    data = json.dumps(to_builtins(seen), separators=(",", ":")).encode("ascii")
    return _load("gpudoctor.ticket").block(data)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description="Look at this machine and one Python environment, and print what gpudoctor needs to judge them. "
        "Nothing is changed, nothing is sent anywhere."
    )
    parser.add_argument("--python", metavar="EXE", help="the interpreter of the environment (default: this one)")
    parser.add_argument("--plain", action="store_true", help="print what is recorded in full, uncompressed")
    parser.add_argument("--no-redact", action="store_true", help="leave in names, addresses and identities")
    parser.add_argument("--time-limit", metavar="SECONDS", type=float, default=MOST_SECONDS)
    parser.add_argument("-o", dest="output", metavar="FILE", help="write to this file")
    options = parser.parse_args(arguments)
    if not 1 <= options.time_limit <= 86400:
        parser.error("--time-limit: a number of seconds from 1 to 86400")
    prepare()
    choice = _load("gpudoctor.probes.target_choice")
    try:
        python = choice.choose(options.python, os.environ).executable
    except choice.NotAnInterpreter as error:
        parser.error(str(error))
    return _run(options, python)


def _run(options, python):
    signal.signal(signal.SIGTERM, _stop)
    try:
        with _opened(options.output) as file:
            seen = collected(python=python, redact=not options.no_redact, seconds=options.time_limit)
            file.write(document(seen, options.plain).encode("utf-8", "replace"))
            file.flush()
    except EnvironmentError as error:
        sys.stderr.write("collect.py: %s: %s\n" % (options.output or "standard output", error.strerror))
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        _load("gpudoctor.children").kill_all()
    return 0


def _opened(path):
    return open(path or sys.stdout.fileno(), "wb", closefd=path is not None)


def _stop(*_):
    sys.exit(143)
