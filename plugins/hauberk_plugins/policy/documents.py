"""What a request says, as names and values: strictly, so that it has one reading."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from hauberk_plugins.policy.amounts import cut
from hauberk_plugins.policy.errors import Unreadable

#: Servers turn other characters in names into these, or cut names at them.
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII)
_BRACKETED: Final = re.compile(r"([A-Za-z0-9_-]{1,64})\[(0|[1-9][0-9]{0,3})\]((?:\[[^\[\]]*\])+)\Z")
_MAX_BYTES: Final = 1024 * 1024


def load(text: bytes | str) -> Any:
    """Read JSON: numbers keep their text, `true` and `false` are those words, `null` is `None`.

    Raises:
        Unreadable: It is none, is very long, or a name stands in an object twice, if only in
            another case of letters.
    """
    if len(text) > _MAX_BYTES:
        raise Unreadable("the body is longer than 1 MiB")
    try:
        return json.loads(
            text.decode() if isinstance(text, bytes) else text,
            object_pairs_hook=_object,
            parse_int=str,
            parse_float=str,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError):
        raise Unreadable("the body is no JSON that has one reading") from None


def word(value: Any) -> str | None:
    """Return what stands for a scalar on the wire, `None` for nothing.

    Raises:
        Unreadable: It is an object or an array.
    """
    if type(value) is str or value is None:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    raise Unreadable("where a value is due stands an object or an array")


def check_names(names: Any, known: Mapping[str, str]) -> None:
    """Check the names of one list of parameters.

    Args:
        names: All of them.
        known: The names that count, by their `casefold`.

    Raises:
        Unreadable: One is not plain, stands there twice, or is one that counts in another case of
            letters: a server may read it as that one.
    """
    seen: set[str] = set()
    for name in names:
        if type(name) is not str or _NAME.match(name) is None:
            raise Unreadable(f"the name {cut(name)} could be read in more than one way")
        folded = name.casefold()
        if folded in seen:
            raise Unreadable(f"{cut(name)} is given twice, if only in another case of letters")
        if known.get(folded, name) != name:
            raise Unreadable(f"{cut(name)} is written {known[folded]!r}")
        seen.add(folded)


def check_deeply(value: Any, known: Mapping[str, str]) -> None:
    """Check the names of every object below a value, as `check_names`."""
    if isinstance(value, dict):
        check_names(value, known)
        value = value.values()
    elif not isinstance(value, list):
        return
    for item in value:
        check_deeply(item, known)


def bracketed(params: Mapping[str, str], stem: str) -> tuple[dict[str, Any], list[Any]]:
    """Take `orders[0][volume]` apart, as forms write a list of objects.

    Args:
        params: All parameters.
        stem: The list's name.

    Returns:
        The parameters beside the list, and its items.

    Raises:
        Unreadable: The list has gaps, or is nested in a way that is not known.
    """
    beside: dict[str, Any] = {}
    items: dict[int, dict[str, Any]] = {}
    for name, value in params.items():
        match = _BRACKETED.match(name)
        if match is None or match[1] != stem:
            beside[name] = value
            continue
        at: dict[str, Any] = items.setdefault(int(match[2]), {})
        *above, last = match[3][1:-1].split("][")
        for part in above:
            at = at.setdefault(part, {})
            if not isinstance(at, dict):
                raise Unreadable(f"{cut(name)} is both a value and an object")
        if last in at:
            raise Unreadable(f"{cut(name)} is given twice")
        at[last] = value
    if sorted(items) != list(range(len(items))):
        raise Unreadable(f"the items of `{stem}` are not numbered from 0 on")
    return beside, [items[index] for index in range(len(items))]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len({name.casefold() for name in found}) != len(pairs):
        raise ValueError
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
