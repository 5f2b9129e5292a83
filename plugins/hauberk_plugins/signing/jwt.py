"""JSON Web Tokens (RFC 7515, RFC 7519): a header and claims, described as data."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from attrs import frozen

from hauberk_plugins.signing.template import Template

#: A value that is one of these alone is written as a number (RFC 7519, 2: NumericDate).
_NUMBERS: Final = (["", "timestamp", ""], ["", "expires", ""])
#: The tokens that a scheme has where it describes a token.
JWT_HEADER, JWT_CLAIMS = "jwt_header", "jwt_claims"

#: A value of a header or claim: text, or a list of it.
Value: TypeAlias = Template | tuple[Template, ...]


@frozen
class Token:
    """What a venue wants in its tokens, in order.

    Attributes:
        header: By name.
        claims: By name.
    """

    header: Mapping[str, Value]
    claims: Mapping[str, Value]

    def templates(self) -> Iterator[Template]:
        """Yield all that values are made of."""
        for value in (*self.header.values(), *self.claims.values()):
            yield from value if isinstance(value, tuple) else (value,)

    def folded(self, constants: Mapping[str, str]) -> Token:
        """Return the same with some tokens replaced for good, such as the key."""
        return Token(
            *(
                {
                    name: tuple(one.folded(constants) for one in value)
                    if isinstance(value, tuple)
                    else value.folded(constants)
                    for name, value in part.items()
                }
                for part in (self.header, self.claims)
            )
        )

    def write(self, values: dict[str, str]) -> None:
        """Add both parts, in base64url, to the values that they are made of."""
        values[JWT_HEADER] = _part(self.header, values)
        values[JWT_CLAIMS] = _part(self.claims, values)

    def read(self, header: str, claims: str) -> Iterator[tuple[str, Template, str]]:
        """Yield name, template and text of each value.

        Raises:
            ValueError: A part is not of the form that is written.
        """
        for part, text in ((self.header, header), (self.claims, claims)):
            found = _unpart(text)
            for name, value in part.items():
                given = found.get(name)
                if not isinstance(value, tuple):
                    yield name, value, str(given)
                elif type(given) is list and len(given) == len(value):
                    for one, item in zip(value, given, strict=True):
                        yield name, one, str(item)
                else:
                    raise ValueError("not a list of the length that is written")


def _part(part: Mapping[str, Value], values: Mapping[str, str]) -> str:
    document = {
        name: [one.render(values) for one in value]
        if isinstance(value, tuple)
        else int(value.render(values))
        if value.pieces() in _NUMBERS
        else value.render(values)
        for name, value in part.items()
    }
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _unpart(text: str) -> dict[str, Any]:
    try:
        found = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except RecursionError:
        found = None
    if type(found) is not dict:
        raise ValueError("not a JSON object")
    return found
