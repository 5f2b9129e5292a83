"""What a hook was given is as it was: a change made behind a value's back is noticed and undone."""

from __future__ import annotations

from operator import attrgetter, is_
from typing import Any, Final

import attrs

from hauberk.records import Event, Incident, Login
from hauberk.request import Response

# What hooks are given besides requests, with their fields, to notice and undo a change.
_FIELDS: Final[dict[type, attrgetter[tuple[object, ...]]]] = {
    kind: attrgetter(*(a.name for a in attrs.fields(kind)))
    for kind in (Response, Login, Incident, Event)
}


def looked_at(args: tuple[Any, ...]) -> list[tuple[object, ...] | None]:
    """Note the fields of what a hook is given, but for requests, which have none to assign."""
    return [_FIELDS[type(arg)](arg) if type(arg) in _FIELDS else None for arg in args]


def undone(
    args: tuple[Any, ...], kinds: tuple[type, ...], before: list[tuple[object, ...] | None]
) -> bool:
    """Undo what a hook changed in what it was given; say whether there was anything."""
    changes = [put_back(*rest) for rest in zip(args, kinds, before, strict=True)]
    return any(changes)


def put_back(value: object, kind: type, before: tuple[object, ...] | None) -> bool:
    """Undo a change that a hook made behind the value's back; say whether there was one."""
    changed = type(value) is not kind
    if changed:
        object.__setattr__(value, "__class__", kind)
    if before is not None and not _stands(value, kind, before):
        changed = True
        for attribute, was in zip(attrs.fields(kind), before, strict=True):
            object.__setattr__(value, attribute.name, was)
    return changed


def _stands(value: object, kind: type, before: tuple[object, ...]) -> bool:
    """Whether every field is the very object it was, whatever it claims to equal."""
    try:
        now = _FIELDS[kind](value)
    except AttributeError:  # a hook took one away
        return False
    return all(map(is_, now, before))
