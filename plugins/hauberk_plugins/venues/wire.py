"""Reading parameters back from the wire, strictly: what could be read in two ways is refused."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, NoReturn
from urllib.parse import unquote_to_bytes

from hauberk.errors import InvalidValue
from hauberk.request import Pairs

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"

#: Characters that the names of one list's items may take together.
_MAX_NAMES: Final = 4 * 1024 * 1024
_UNRESERVED: Final = (string.ascii_letters + string.digits + "-._~").encode()
#: What is left of `a=1&b=2` without its unreserved characters, by the number of parameters.
_SKELETONS: Final = [(b"=&" * n)[:-1] for n in range(33)]
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def read_form(text: str) -> Pairs:
    """Decode a query or a form body (WHATWG URL, 5.1: `+` and `%20` are a space).

    Args:
        text: As it stands on the wire, without a leading `?`.

    Returns:
        Names and values in order; empty for empty text.

    Raises:
        InvalidValue: A piece has no `=`, an escape is broken, or what it stands for is not UTF-8:
            one server would drop it and another guess.
    """
    if not text:
        return ()
    pairs = []
    for piece in text.split("&"):
        name, equals, value = piece.partition("=")
        if not equals:
            raise InvalidValue("query or form: a parameter has no '='")
        pairs.append((name, value))
    if "%" not in text and "+" not in text:
        return tuple(pairs)
    if _BROKEN_ESCAPE.search(text):
        raise InvalidValue("query or form: '%' without two hexadecimal digits")
    return tuple([(_decoded(name), _decoded(value)) for name, value in pairs])


def added_behind(names: Iterable[str]) -> re.Pattern[bytes]:
    """Compile what a query or form ends with that holds nothing behind something but these names.

    Of which nothing is escaped, so that `read_form` reads it in the one way that it looks.
    """
    plain = [name.encode() for name in names if not name.encode().translate(None, _UNRESERVED)]
    either = b"|".join(map(re.escape, sorted(plain))) or b"(?!)"
    return re.compile(rb"(?:&(?:" + either + rb")=[A-Za-z0-9\-._~]*+)*+\Z")


def certainly_begins(wire: bytes, params: Pairs) -> int:
    """Return how far a query or form certainly holds nothing but parameters, in order.

    `read_form` would find just them there. 0 says nothing: then it is to be read.
    """
    piece, count = "&".join(map("=".join, params)).encode(), len(params)
    # Nothing in it is escaped, nor would be; and it has as many "=" and "&" as it should.
    if not 0 < count < len(_SKELETONS) or piece.translate(None, _UNRESERVED) != _SKELETONS[count]:
        return 0
    return len(piece) if wire.startswith(piece) else 0


def read_json(body: bytes) -> Pairs:
    """Read a flat JSON object as parameters.

    Numbers keep their text, and `true`, `false` and `null` are those words.

    Args:
        body: UTF-8.

    Returns:
        Names and values in order, a repeated name as often as it stands there.

    Raises:
        InvalidValue: It is not a JSON object, or a value is an object or an array.
    """
    members = _loaded(body)
    if type(members) is not _Members:
        raise InvalidValue("body is not a JSON object")
    return tuple([(name, _word(value)) for name, value in members])


def read_deeply(body: bytes) -> Pairs:
    """Read any JSON as parameters: `{"a": {"b": [1, 2]}}` has `a.b.0` and `a.b.1`.

    Args:
        body: UTF-8.

    Returns:
        Names and values in order, as `read_json`; where a name could be read in two ways, it
        stands there twice.

    Raises:
        InvalidValue: It is neither a JSON object nor an array.
    """
    found: list[tuple[str, str]] = []
    document = _loaded(body)
    if not isinstance(document, list):
        raise InvalidValue("body is not a JSON object")
    _flatten(None, document, found, 1)
    return tuple(found)


def _flatten(name: str | None, value: Any, found: list[tuple[str, str]], times: int) -> None:
    """Note what a value holds, below a name; the whole document has none."""
    if type(value) is _Members:
        inside = [(str(key), item) for key, item in value]
    elif type(value) is list:
        inside = [(str(index), item) for index, item in enumerate(value)]
    else:
        found += [(name or "", _word(value))] * times
        return
    if len(inside) * len(name or "") > _MAX_NAMES:
        raise InvalidValue("body is JSON whose names are too long to be judged")
    for key, item in inside:
        # `{"a.b": 1}` must not pass for `{"a": {"b": 1}}`.
        below = key if name is None else f"{name}.{key}"  # also where the name is empty
        _flatten(below, item, found, 2 if "." in key else times)


def _loaded(body: bytes) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(
            body.decode(),
            object_pairs_hook=_Members,
            parse_int=str,
            parse_float=str,
            parse_constant=_no_constant,
        )
    return None


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object, in order, repeated names included."""


def _decoded(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    raw = unquote_to_bytes(text.replace("+", " "))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidValue("query or form: an escape is not UTF-8") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")  # RFC 8259, 6


def _word(value: Any) -> str:
    if type(value) is str:
        return value
    if value is None or type(value) is bool:
        return json.dumps(value)
    raise InvalidValue("body is JSON, but a value in it is an object or an array")
