"""Parameters as the exchange reads them: form-encoded, strictly, from the query and the body."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from hauberk_plugins.sandbox import wire
from hauberk_plugins.sandbox.wire import bad_request

MAX_PARAMETERS: Final = 64

_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,64}\Z")
# Printable ASCII but `#` and `&`; `%` only before two hexadecimal digits.
_RAW: Final = re.compile(rb"(?:[!\"$'-~]|%[0-9A-Fa-f]{2})*\Z")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_DECIMAL: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_INTEGER: Final = r"^[0-9]{1,19}$"


class Parameters:
    """The decoded parameters of one request, in the order in which they were sent.

    Args:
        pairs: Names and values; no name twice.
    """

    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        self.pairs = pairs
        self._values = dict(pairs)

    @classmethod
    def parse(cls, query: bytes, body: bytes) -> Parameters:
        """Read query and body.

        Raises:
            Refused: -1100 for what is not form encoding of UTF-8, -1101 for a name twice or too
                many names, -1105 for an empty value.
        """
        pairs = tuple(pair for part in (query, body) for pair in _read(part))
        if len(pairs) > MAX_PARAMETERS:
            raise bad_request(
                wire.DUPLICATE_PARAMETER,
                f"Too many parameters; expected '{MAX_PARAMETERS}' and received '{len(pairs)}'.",
            )
        if len({name for name, _ in pairs}) < len(pairs):
            raise bad_request(
                wire.DUPLICATE_PARAMETER, "Duplicate values for a parameter detected."
            )
        return cls(pairs)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __len__(self) -> int:
        return len(self._values)

    def expect(self, mandatory: tuple[str, ...], optional: tuple[str, ...]) -> None:
        """Refuse a missing mandatory parameter (-1102) and an unknown one (-1104)."""
        for name in mandatory:
            self.text(name)
        known = set(mandatory) | set(optional)
        read = sum(name in known for name in self._values)
        if read < len(self):
            raise bad_request(
                wire.UNREAD_PARAMETERS,
                f"Not all sent parameters were read; read '{read}' parameter(s) "
                f"but was sent '{len(self)}'.",
            )

    def get(self, name: str, default: str = "") -> str:
        """Return a value, or the default where the parameter was not sent."""
        return self._values.get(name, default)

    def text(self, name: str) -> str:
        """Return a mandatory value, or refuse with -1102."""
        if name not in self._values:
            raise bad_request(
                wire.MANDATORY_PARAMETER,
                f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
            )
        return self._values[name]

    def integer(self, name: str, default: int | None = None) -> int:
        """Return a natural number; mandatory where there is no default."""
        if default is not None and name not in self:
            return default
        return int(self.matching(name, _INTEGER))

    def decimal(self, name: str) -> Decimal:
        """Return a mandatory decimal number, which is never negative."""
        return Decimal(self.matching(name, _DECIMAL))

    def matching(self, name: str, legal: str) -> str:
        """Return a mandatory value that matches a pattern, or refuse with -1100."""
        value = self.text(name)
        # `$` in Python also matches before a final newline, but control characters never get here.
        if not re.match(legal, value, re.ASCII):
            raise bad_request(
                wire.ILLEGAL_CHARACTERS,
                f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.",
            )
        return value

    def one_of(self, name: str, allowed: tuple[str, ...], code: int, message: str) -> str:
        """Return a mandatory value of a list, or refuse with the code given."""
        value = self.text(name)
        if value not in allowed:
            raise bad_request(code, message)
        return value


NO_PARAMETERS: Final = Parameters(())


def _read(part: bytes) -> Iterator[tuple[str, str]]:
    if not part:
        return
    for piece in part.split(b"&"):
        raw_name, _, raw_value = piece.partition(b"=")
        name = _decode(raw_name)
        if not _NAME.match(name):
            raise bad_request(
                wire.ILLEGAL_CHARACTERS, "Illegal characters found in the name of a parameter."
            )
        value = _decode(raw_value)
        if not value:
            raise bad_request(wire.EMPTY_PARAMETER, f"Parameter '{name}' was empty.")
        yield name, value


def _decode(raw: bytes) -> str:
    if not _RAW.match(raw):
        raise _illegal("it is not percent-encoded")
    decoded = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), raw.replace(b"+", b" "))
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        raise _illegal("it is not UTF-8") from None
    if _CONTROL.search(text):
        raise _illegal("it holds control characters")
    return text


def _illegal(why: str) -> wire.Refused:
    return bad_request(wire.ILLEGAL_CHARACTERS, f"Illegal characters found in a parameter; {why}.")
