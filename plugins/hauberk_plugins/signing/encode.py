"""Writing parameters: percent-encoded, raw, and as a JSON object."""

from __future__ import annotations

import string
from json.encoder import encode_basestring as _text
from typing import Final
from urllib.parse import quote

from hauberk.request import Pairs

_UNRESERVED: Final = (string.ascii_letters + string.digits + "-._~").encode()
#: What is left of `a=1&b=2` without its unreserved characters, by the number of parameters.
_SKELETONS: Final = [(b"=&" * n)[:-1] for n in range(33)]


def encode(params: Pairs, safe: str = "") -> str:
    """Write parameters as `name=value` joined by `&`, in order (RFC 3986, 2.1 and 2.3; UTF-8).

    Everything but unreserved characters is escaped, so two different lists never give the same
    text. Equal to `urllib.parse.urlencode(params, quote_via=quote)`, several times as fast where
    nothing needs escaping.

    Args:
        params: Names and values, valid Unicode.
        safe: Characters that a venue wants as they are; never `&`, `=`, `%`, `+` or `#`.
    """
    text = "&".join([f"{name}={value}" for name, value in params])
    if is_plain(text.encode(), len(params)):
        return text
    return "&".join(
        [f"{quote(name, safe=safe)}={quote(value, safe=safe)}" for name, value in params]
    )


def is_plain(text: bytes, count: int) -> bool:
    """Whether `name=value` joined by `&`, so many of them, is what `encode` writes as it stands."""
    # An unreserved character cannot need escaping, and any other leaves a mark here.
    return count < len(_SKELETONS) and text.translate(None, _UNRESERVED) == _SKELETONS[count]


def raw(params: Pairs) -> str:
    """Write parameters as `encode` does, escaping nothing: how some venues sign a query."""
    return "&".join([f"{name}={value}" for name, value in params])


def reads_one_way(params: Pairs) -> bool:
    """Whether no other parameters are written by `raw` as these are."""
    return not any("&" in value or "&" in name or "=" in name for name, value in params)


def begins_json(body: str) -> bool:
    """Whether a body begins as JSON does that is no bare value, without space.

    Right behind a query that is signed unescaped, it shows where that ends: no such text that ends
    another begins in the middle of it.
    """
    return body.startswith(("{", "["))


def json_object(params: Pairs) -> str:
    """Write parameters as a compact JSON object of text; what is beyond ASCII stays as it is."""
    return "{" + ",".join([f"{_text(name)}:{_text(value)}" for name, value in params]) + "}"
