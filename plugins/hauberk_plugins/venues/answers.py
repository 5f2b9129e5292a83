"""What an exchange's answer says, as far as something is to be done about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from attrs import frozen

from hauberk.errors import InvalidValue
from hauberk.request import Response
from hauberk_plugins.venues.wire import read_deeply

#: Clock differs too much; key unknown, revoked or not for this address; address or account shut
#: out for a time; too many requests.
SAID: Final = ("skew", "revoked", "banned", "throttled")
#: A longer answer is read only where it may hold a code: books and candles are no errors.
_SHORT: Final = 64 * 1024
#: What is longer is not read.
_MAX_BYTES: Final = 4 * 1024 * 1024
#: A letter, digit or sign of ASCII that JSON need not escape (RFC 8259, 7).
_ESCAPED: Final = re.compile(rb"\\(?:u00[2-7]|/)")


@frozen
class Answers:
    """How a venue says it.

    Attributes:
        fields: Where in a JSON answer a code stands, as `error.code`; `error.*` for every item of
            a list.
        statuses: What an HTTP status says.
        codes: What a code says.
    """

    fields: tuple[str, ...]
    statuses: Mapping[int, str]
    codes: Mapping[str, str]

    def said(self, response: Response) -> str:
        """Return one of `SAID`, or nothing; a code counts before the status."""
        body = response.body
        if self.codes and body and (len(body) <= _SHORT or self._may_hold_a_code(body)):
            try:
                pairs = read_deeply(body)
            except InvalidValue:
                pairs = ()
            for name, value in pairs:
                if value in self.codes and self._is_code(name):
                    return self.codes[value]
        return self.statuses.get(response.status, "")

    def _may_hold_a_code(self, body: bytes) -> bool:
        if len(body) > _MAX_BYTES:
            return False
        if _ESCAPED.search(body):  # names and codes may be written otherwise than here
            return True
        if not any(code.encode() in body for code in self.codes):
            return False
        parts = [[part for part in field.split(".") if _is_name(part)] for field in self.fields]
        return any(all(f'"{part}"'.encode() in body for part in field) for field in parts)

    def _is_code(self, name: str) -> bool:
        parent, _, last = name.rpartition(".")
        return name in self.fields or (last.isdigit() and f"{parent}.*" in self.fields)


def _is_name(part: str) -> bool:
    return part != "*" and not part.isdigit()
