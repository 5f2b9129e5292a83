"""Plain data to attrs classes by cattrs, strictly: nothing is coerced, every error is found.

cattrs finds the hook of a type and builds the classes; the hooks for scalars and containers are
our own, since cattrs' would turn 5 into '5' and 'abc' into a tuple.
"""

from __future__ import annotations

import collections.abc as abc
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import Enum
from functools import cache, partial
from math import isfinite
from pathlib import Path
from shlex import quote
from typing import Any, Final, TypeVar, get_args, get_origin

import attrs
from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn, override

from hauberk.errors import ConfigError, ConfigProblem
from hauberk.keypath import path_text
from hauberk.sealed import Sealed, sealed_in
from hauberk.spelling import nearest
from hauberk.yamlfile import Document, KeyPath, shown

T = TypeVar("T")
_Found = list[tuple[KeyPath, str]]

_WORDS: Final[dict[Any, str]] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    Decimal: "a number",
    bool: "true or false",
    Path: "a path",
    dict: "a mapping",
    list: "a list",
    types.NoneType: "nothing",
}
#: In a message, where the path of the value is to stand, once it is known.
_PATH: Final = "\0"
SEQUENCES: Final = {tuple: tuple, list: list, abc.Sequence: tuple}
SETS: Final = {frozenset: frozenset, set: set, abc.Set: frozenset}
MAPPINGS: Final = {dict, abc.Mapping}


def structure(document: Document, cls: type[T], at: KeyPath = ()) -> T:
    """Make an instance of a type from the value at a path; an absent section counts as empty.

    Args:
        document: What was read.
        cls: An attrs class, or any type that its fields may have: str, int, float, bool,
            Decimal, Path, Sealed, enums, Literal, tuples, lists, sets, dicts, unions of these.
        at: The path of the value.

    Raises:
        ConfigError: Every problem found, with its line, path and, for a misspelt name, the
            nearest valid one.
        TypeError: The class cannot be structured: its author's mistake.
    """
    converter = _converter()
    try:
        hook = converter.get_structure_hook(cls)
    except Exception as error:
        raise TypeError(f"{cls} cannot be read from YAML: {error}") from error
    value = document.get(at)
    try:
        return typing.cast(T, hook({} if value is None and attrs.has(cls) else value, cls))
    except Exception as error:
        found = _found(error)
    wrong = [((*at, *path), message) for path, message in found]
    raise ConfigError(
        [document.problem(p, m.replace(_PATH, quote(path_text(p)))) for p, m in wrong]
    )


def _problem(document: Document, path: KeyPath, message: str) -> ConfigProblem:
    return document.problem(path, message.replace(_PATH, quote(path_text(path))))


def input_type(field: attrs.Attribute[Any]) -> Any:
    """Say what a field takes from the file: its type, or what its attrs converter takes."""
    if field.converter is None:
        return field.type
    try:
        hints = typing.get_type_hints(field.converter)
    except (TypeError, NameError):
        return Any
    return next((hint for name, hint in hints.items() if name != "return"), Any)


class _Refused(ValueError):
    """What is wrong at and below a value, by paths from there."""

    def __init__(self, found: _Found) -> None:
        super().__init__(found)
        self.found = found


class _WrongKind(_Refused):
    """The value is not of the kind that a type needs."""

    def __init__(self, wanted: str, value: Any) -> None:
        self.wanted = wanted
        if isinstance(value, dict | list):
            got = _WORDS[type(value)]
        elif isinstance(value, Sealed) or "text" not in wanted:
            got = shown(value)
        else:  # where text is due a key or secret may stand, if only by mistake: not shown
            got = "an empty value" if value is None else "a bare number, true or false: quote it"
        super().__init__([((), f"expected {wanted}, not {got}")])


@cache
def _converter() -> Converter:
    made = Converter(detailed_validation=True, use_alias=True)
    for kind in (str, int, float, bool, bytes, Decimal, Path, Enum):
        made.register_structure_hook(kind, _scalar)

    def among(kinds: Iterable[Any]) -> Callable[[Any], bool]:
        return lambda kind: (get_origin(kind) or kind) in kinds

    made.register_structure_hook(Sealed, _sealed)
    made.register_structure_hook_factory(lambda kind: kind is types.NoneType, lambda _: _scalar)
    made.register_structure_hook_factory(lambda kind: kind in (Any, None), lambda _: _anything)
    made.register_structure_hook_factory(attrs.has, partial(_class_hook, made))
    made.register_structure_hook_factory(among(SEQUENCES), partial(_list_hook, made))
    made.register_structure_hook_factory(among(SETS), partial(_list_hook, made))
    made.register_structure_hook_factory(among(MAPPINGS), partial(_mapping_hook, made))
    made.register_structure_hook_factory(among({typing.Literal}), _literal_hook)
    unions = among({typing.Union, types.UnionType})
    made.register_structure_hook_factory(unions, partial(_union_hook, made))
    return made


def _scalar(value: Any, kind: Any) -> Any:
    if issubclass(kind, Enum):
        return kind(_one_of(value, [member.value for member in kind]))
    given = type(value)
    if kind in (float, Decimal) and given in (int, float):
        if abs(value) > 1e300 or not isfinite(value):
            raise _Refused([((), "must be a finite number")])
        return float(value) if kind is float else Decimal(repr(value))
    if kind is Path and given is str and value and "\0" not in value:
        return Path(value)
    if given is not kind:
        raise _WrongKind(_WORDS.get(kind, kind.__name__), value)
    return value


def _sealed(value: Any, _: Any) -> Sealed:
    if isinstance(value, Sealed):
        return value
    # Not shown: it is the secret itself, or a part of it.
    raise _Refused([((), f"must be sealed: run `hauberk config set {_PATH} --sealed`")])


def _anything(value: Any, _: Any) -> Any:
    """Take what is not looked into; but nobody would open what is sealed there."""
    for found in sealed_in(value):
        raise _Refused([((), f"{found.path} is sealed, and nothing opens it there")])
    return value


def _one_of(value: Any, allowed: list[Any]) -> Any:
    """Find a value among those allowed, by exact type, so that `true` is not 1."""
    if any(type(value) is type(other) and value == other for other in allowed):
        return value
    if isinstance(value, dict | list):
        raise _WrongKind("one of " + ", ".join(map(str, allowed)), value)
    near = nearest(str(value), map(str, allowed))
    listed = ", ".join(map(str, allowed))
    raise _Refused([((), f"{shown(value)} is not one of {listed}{near}")])


def _literal_hook(kind: Any) -> Callable[[Any, Any], Any]:
    return lambda value, _: _one_of(value, list(get_args(kind)))


def _gather(converter: Converter, parts: Iterable[tuple[Any, Any, Any]]) -> list[Any]:
    """Structure (key, value, type) one by one, and raise what is wrong with all of them."""
    made, found = [], []
    for key, value, kind in parts:
        try:
            made.append(converter.structure(value, kind))
        except Exception as error:
            found += _found(error, key)
    if found:
        raise _Refused(found)
    return made


def _list_hook(converter: Converter, kind: Any) -> Callable[[Any, Any], Any]:
    origin, args = get_origin(kind) or kind, get_args(kind)
    make: Callable[[list[Any]], Any] = {**SEQUENCES, **SETS}[origin]
    fixed = origin is tuple and len(args) > 0 and args[-1] is not Ellipsis

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise _WrongKind("a list", value)
        if fixed and len(value) != len(args):
            raise _Refused([((), f"expected {len(args)} items, not {len(value)}")])
        kinds = args if fixed else (args[0] if args else Any,) * len(value)
        return make(_gather(converter, zip(range(len(value)), value, kinds, strict=True)))

    return hook


def _mapping_hook(converter: Converter, kind: Any) -> Callable[[Any, Any], Any]:
    of_key, of_value = get_args(kind) or (str, Any)

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise _WrongKind("a mapping", value)
        parts = [(key, key, of_key) for key in value] + [(*at, of_value) for at in value.items()]
        made = _gather(converter, parts)
        return dict(zip(made[: len(value)], made[len(value) :], strict=True))

    return hook


def _union_hook(converter: Converter, kind: Any) -> Callable[[Any, Any], Any]:
    arms = get_args(kind)

    def hook(value: Any, _: Any) -> Any:
        wanted: list[str] = []
        other: list[Exception] = []
        for arm in arms:
            try:
                return converter.structure(value, arm)
            except _WrongKind as error:
                wanted.append(error.wanted)
            except Exception as error:
                other.append(error)
        # An arm that took the value's kind says best what is wrong inside it.
        raise other[0] if other else _WrongKind(" or ".join(dict.fromkeys(wanted)), value)

    return hook


def _class_hook(converter: Converter, cls: type) -> Callable[[Any, Any], Any]:
    fields = {field.name: field for field in attrs.fields(attrs.resolve_types(cls)) if field.init}
    hooks: dict[str, Any] = {
        name: override(struct_hook=partial(_field, converter, field))
        for name, field in fields.items()
    }
    build: Callable[[Any, Any], Any] = make_dict_structure_fn(
        cls, converter, _cattrs_forbid_extra_keys=True, **hooks
    )

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise _WrongKind("a mapping", value)
        try:
            return build(value, cls)
        except ClassValidationError as group:
            raise _Refused(_in_class(group, fields)) from None

    return hook


def _field(converter: Converter, field: attrs.Attribute[Any], value: Any, kind: Any) -> Any:
    """Structure a field and ask its validator, so that its objection bears the field's path."""
    convert: Any = field.converter
    made = converter.structure(value, kind if convert is None else input_type(field))
    try:
        checked = made if convert is None else convert(made)
        if field.validator is not None:
            field.validator(None, field, checked)
    except AttributeError:
        pass  # it looks at the instance: the constructor asks it again
    except Exception as error:
        raise _Refused([((), _words(error, value))]) from None
    return made


def _in_class(group: ClassValidationError, fields: Mapping[str, Any]) -> _Found:
    """Read cattrs' report on one class."""
    found: _Found = []
    with_notes, others = group.group_exceptions()
    for error, note in with_notes:
        key = fields[note.name].alias
        # cattrs' own look-up of a key: what our hooks raise is never a KeyError.
        missing = isinstance(error, KeyError)
        found += [((), f"missing key {key!r}")] if missing else _found(error, key)
    for error in others:
        if isinstance(error, ForbiddenExtraKeysError):
            names = [field.alias for field in fields.values()]
            for key in sorted(error.extra_fields):
                found.append(((key,), f"unknown key {shown(key)}{nearest(key, names)}"))
        else:
            found += _found(error)
    return found


def _found(error: Exception, *key: str | int) -> _Found:
    """List what an exception says is wrong, below a key."""
    if not isinstance(error, _Refused):
        return [(key, _words(error))]
    return [((*key, *path), message) for path, message in error.found]


def _words(error: Exception, value: Any = "") -> str:
    """Say what a validator objected to; attrs' own put more than the text into `args`."""
    first = error.args[0] if error.args else None
    text = first if isinstance(first, str) and first else type(error).__name__
    text = text.replace(repr(value), shown(value))
    return "".join(char if char.isprintable() else shown(char)[1:-1] for char in text)[:200]
