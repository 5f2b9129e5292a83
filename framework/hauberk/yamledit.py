"""Changing one value of a YAML file and nothing else: no comment, quote, order or line end.

The text is cut at one place, and what comes of it is read again: unless its data are those before
with that one change, the edit is refused, and the person told to make it by hand. So whatever the
format allows, a file is never changed but as asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from attrs import frozen

from hauberk.errors import ConfigError, HauberkError
from hauberk.keypath import KeyPath, path_text
from hauberk.yamlfile import Document, inspect_yaml
from hauberk.yamlsplice import NotAlone, put_text, remove_text
from hauberk.yamltree import read_tree
from hauberk.yamlwrite import plain

#: Stands for what is not there, which `None` does not.
ABSENT: Final = object()


class CannotEdit(HauberkError):
    """One value cannot be changed by itself; nothing was.

    Attributes:
        file: The file.
        line: Where, counted from 1.
        path: Of which value.
        reason: Why, and what to do.
    """

    def __init__(self, file: str, line: int, path: str, reason: str) -> None:
        super().__init__(file, line, path, reason)
        self.file = file
        self.line = line
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path}: {self.reason}"


@frozen
class Edited:
    """A text after an edit.

    Attributes:
        text: All of it.
        line: Where the value stands, or stood, counted from 1.
    """

    text: str
    line: int


def read_document(content: bytes, file: str) -> Document:
    """Read a file in which sealed values may stand.

    Raises:
        ConfigError: Every problem found in it.
    """
    document, problems = inspect_yaml(content, file, sealed=True)
    if problems:
        raise ConfigError(problems)
    return document


def stands_at(data: Any, path: KeyPath) -> KeyPath:
    """Return a path as the data have it: in a mapping, a number is a key of that name."""
    made: list[str | int] = []
    for part in path:
        made.append(str(part) if isinstance(data, dict) else part)
        data = value_at(data, tuple(made[-1:]))
    return tuple(made)


def value_at(data: Any, path: KeyPath) -> Any:
    """Return the value at a path, or `ABSENT`."""
    for part in path:
        if isinstance(data, dict):
            data = data.get(part, ABSENT)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return ABSENT
    return data


def put(text: str, file: str, path: KeyPath, value: Any) -> Edited:
    """Set a value, or add it.

    Args:
        text: The whole file.
        file: Its name.
        path: Where, as `stands_at` returns it; of a list, the number behind its last adds an item.
        value: Plain data, or a `Sealed`.

    Raises:
        CannotEdit: It cannot be done without changing something else.
        ConfigError: The file cannot be read.
        InvalidValue: The value is of no type that YAML has.
    """
    before = read_document(text.encode(), file)
    value = plain(value)
    after = _with(before.data, path, value)
    if after is ABSENT:
        raise _refusal(before, path, _why_not(before.data, path))
    try:
        edited = put_text(text, read_tree(text), path, value)
    except NotAlone as error:
        raise _refusal(before, path, _by_hand(error)) from None
    return Edited(edited, _checked(before, path, edited, after).line(path))


def remove(text: str, file: str, path: KeyPath) -> Edited:
    """Remove a key with its value, or an item of a list, which must be there.

    Raises:
        CannotEdit: It cannot be done without changing something else.
        ConfigError: The file cannot be read.
    """
    before = read_document(text.encode(), file)
    try:
        edited = remove_text(text, read_tree(text), path)
    except NotAlone as error:
        raise _refusal(before, path, _by_hand(error)) from None
    _checked(before, path, edited, _without(before.data, path))
    return Edited(edited, before.line(path))


def _checked(before: Document, path: KeyPath, edited: str, after: Any) -> Document:
    """Read the text after an edit, and see that it is what was meant."""
    try:
        document, problems = inspect_yaml(edited.encode(), before.file, sealed=True)
    except ConfigError as error:
        document, problems = before, list(error.problems)
    if problems:
        raise _refusal(before, path, _by_hand(f"the file could not be read: {problems[0].message}"))
    for other in _differences(document.data, after, ()):
        where = path_text(other) or "the file"
        raise _refusal(before, path, _by_hand(f"{where} would change with it"))
    return document


def _refusal(document: Document, path: KeyPath, reason: str) -> CannotEdit:
    return CannotEdit(document.file, document.line(path), path_text(path), reason)


def _by_hand(why: object) -> str:
    return f"cannot be changed by itself: {why}; nothing was written, edit it by hand"


def _with(data: Any, path: KeyPath, value: Any) -> Any:
    """Return the data with a value in place, sharing the rest; `ABSENT` where it has no place."""
    if not path:
        return value
    first, *rest = path
    if data is ABSENT or data is None:
        data = {}
    below = _with(value_at(data, (first,)), tuple(rest), value)
    if isinstance(data, dict) and isinstance(first, str):
        return ABSENT if below is ABSENT else {**data, first: below}
    if isinstance(data, list) and isinstance(first, int) and first <= len(data):
        return ABSENT if below is ABSENT else [*data[:first], below, *data[first + 1 :]]
    return ABSENT


def _without(data: Any, path: KeyPath) -> Any:
    """Return the data without what is at a path."""
    first, *rest = path
    if rest:
        return _with(data, (first,), _without(data[first], tuple(rest)))
    if isinstance(data, dict):
        return {key: item for key, item in data.items() if key != first}
    return [item for index, item in enumerate(data) if index != first]


def _why_not(data: Any, path: KeyPath) -> str:
    """Say why nothing can stand at a path."""
    for depth, part in enumerate(path):
        where = path_text(path[:depth]) or "the file"
        if isinstance(data, list) and (isinstance(part, str) or part > len(data)):
            return f"{where} is a list: its items are 0 to {len(data) - 1}, {len(data)} adds one"
        if data is ABSENT or data is None:
            if isinstance(part, int):
                return f"{where} is no list: set all of it, or quote {part} if it is a name"
        elif not isinstance(data, dict | list):
            return f"{where} is neither a mapping nor a list: set it, or name another"
        data = value_at(data, (part,))
    return "nothing can stand there"


def _differences(one: Any, other: Any, at: KeyPath) -> Iterator[KeyPath]:
    """Yield where two data differ, in type too, or in the order of keys."""
    keys: Iterable[str | int] = ()
    if type(one) is not type(other):
        yield at
    elif isinstance(one, dict):
        keys = dict.fromkeys([*one, *other])
        if list(one) != list(other) and set(one) == set(other):
            yield at
    elif isinstance(one, list):
        keys = range(max(len(one), len(other)))
    elif one != other and not (one != one and other != other):  # NaN is not itself
        yield at
    for key in keys:
        yield from _differences(value_at(one, (key,)), value_at(other, (key,)), (*at, key))
