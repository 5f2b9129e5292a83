"""JSON objects that a caller gives as a body, read strictly: nothing in them has two meanings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

#: RFC 8259, 2.
_SPACE: Final = " \t\n\r"


def read_object(text: str) -> dict[str, Any]:
    """Read a JSON object; numbers keep their text.

    Raises:
        ValueError: It is none, or a name stands twice in it, at whatever level.
    """
    return _read(_TEXTS, text)


def read_whole(text: str) -> dict[str, Any]:
    """Read a JSON object whose numbers are whole.

    Raises:
        ValueError: It is none, a name stands twice in it, at whatever level, or a number is not
            whole.
    """
    return _read(_WHOLE, text)


def is_strict(text: str) -> bool:
    """Whether it is a JSON object or array, with every name once at whatever level."""
    try:
        return type(_TEXTS.decode(text)) in (dict, list)
    except (ValueError, RecursionError):
        return False


def _read(decoder: json.JSONDecoder, text: str) -> dict[str, Any]:
    text = text.strip(_SPACE)
    try:
        found, end = decoder.raw_decode(text)
    except RecursionError:
        found, end = None, 0
    if type(found) is not dict or end != len(text):
        raise ValueError("not a JSON object")
    return found


def concat(members: Mapping[str, Any]) -> str:
    """Write names and values with nothing between them, sorted by name at every level.

    Different parameters can give the same text (`{"a": "bc"}` and `{"ab": "c"}`): Crypto.com, whose
    "Digital Signature" this is, has it so.

    Args:
        members: As from `read_object`, or parameters.
    """
    return "".join(
        [
            name + (value if type(value := members[name]) is str else _joined(value))
            for name in sorted(members)
        ]
    )


def _joined(value: Any) -> str:
    if type(value) is dict:
        return concat(value)
    if type(value) is list:
        return "".join([item if type(item) is str else _joined(item) for item in value])
    return json.dumps(value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")  # RFC 8259, 6


def _decoder(number: Callable[[str], Any]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_once,
        parse_int=number,
        parse_float=number,
        parse_constant=_no_constant,
    )


# Made once: that takes longer than to read a small object.
_TEXTS: Final = _decoder(str)
_WHOLE: Final = _decoder(int)
