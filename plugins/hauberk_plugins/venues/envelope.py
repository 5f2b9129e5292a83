"""Envelopes: where a venue's parameters stand when they are in neither query nor plain body."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any, Final

from attrs import frozen

from hauberk.errors import InvalidValue
from hauberk.request import Pairs, Request
from hauberk_plugins.venues.wire import read_json

_SPACE: Final = " \t\r\n"


@frozen
class EnvelopeForm:
    """How a venue wraps what a request says.

    Attributes:
        header: The header that carries a JSON object in base64; empty for the body.
        member: The member of that object that holds the parameters; empty where they are members
            of it beside what signing adds.
    """

    header: str = ""
    member: str = ""

    def read(self, signed: Request, added: frozenset[str]) -> Pairs:
        """Return the parameters that an envelope carries.

        Args:
            signed: With the envelope.
            added: Names of the members that signing may add.

        Raises:
            InvalidValue: There is no envelope, or it holds what it may not.
        """
        text = self._text(signed)
        if not self.member:
            return read_json(text)
        inner: bytes | None = None
        for name, value in members(text):
            if name == self.member and inner is None:
                inner = value
            elif name not in added or name == self.member:
                raise InvalidValue(f"the envelope holds {name!r}, which the venue does not declare")
        if inner is None:
            raise InvalidValue(f"the envelope holds no {self.member!r}")
        return read_json(inner)

    def carries(self, body: bytes, signed: Request, added: frozenset[str]) -> bool:
        """Whether a body stands in an envelope unchanged, to the byte, beside declared members.

        Or as it is, without one.
        """
        if self.header and signed.body and self.is_there(signed):
            return False  # the exchange reads the header, or this one
        if signed.body == body:
            return True
        try:
            found = members(self._text(signed))
            if self.member:
                rest = [item for item in found if item[0] != self.member]
                inside = [value for name, value in found if name == self.member]
                return inside == [body.strip()] and all(name in added for name, _ in rest)
            given = members(body)
        except InvalidValue:
            return False
        names = {name for name, _ in given}
        kept = [item for item in found if item[0] in names]
        return kept == given and all(name in names or name in added for name, _ in found)

    def is_there(self, signed: Request) -> bool:
        """Whether a request has an envelope, or a body that may be one."""
        if not self.header:
            return bool(signed.body)
        return any(name.lower() == self.header for name, _ in signed.headers)

    def _text(self, signed: Request) -> bytes:
        if not self.header:
            return signed.body
        for name, value in signed.headers:
            if name.lower() == self.header:
                try:
                    return b64decode(value, validate=True)
                except ValueError:
                    raise InvalidValue(f"header {name} is not base64") from None
        raise InvalidValue(f"there is no header {self.header}")


def members(text: bytes) -> list[tuple[str, bytes]]:
    """Return the members of a JSON object in order: names, and values as they are written.

    Raises:
        InvalidValue: It is no JSON object, or a name stands there twice.
    """
    try:
        found = _members(text.decode())
    except (ValueError, RecursionError):
        raise InvalidValue("body is not a JSON object") from None
    if len({name for name, _ in found}) != len(found):
        raise InvalidValue("body is JSON, but a name in it stands there twice")
    return found


def _members(text: str) -> list[tuple[str, bytes]]:
    decoder = json.JSONDecoder()
    found: list[tuple[str, bytes]] = []
    at = _skip(text, _after(text, _skip(text, 0), "{"))
    while text[at : at + 1] != "}":
        if found:
            at = _skip(text, _after(text, at, ","))
        name, at = decoder.raw_decode(text, at)
        if type(name) is not str:
            raise ValueError
        start = _skip(text, _after(text, _skip(text, at), ":"))
        at = _raw(decoder, text, start)
        found.append((name, text[start:at].encode()))
        at = _skip(text, at)
    if _skip(text, at + 1) != len(text):
        raise ValueError
    return found


def _raw(decoder: json.JSONDecoder, text: str, start: int) -> int:
    _: Any
    _, end = decoder.raw_decode(text, start)
    return end


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _SPACE:
        at += 1
    return at


def _after(text: str, at: int, sign: str) -> int:
    if text[at : at + 1] != sign:
        raise ValueError
    return at + 1
