"""What an exchange's answer says, as far as something is to be done about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from hauberk.errors import InvalidValue
from hauberk.request import Response
from hauberk_plugins.venues.wire import read_deeply

#: Clock differs too much; key unknown, revoked or not for this address; address or account shut
#: out for a time; too many requests.
SAID: Final = ("skew", "revoked", "banned", "throttled")
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
    #: Any of the codes, and of each field the names that it stands under, as they are written.
    _any_code: re.Pattern[bytes] = field(init=False, repr=False)
    _names: tuple[tuple[bytes, ...], ...] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        codes = b"|".join(re.escape(code.encode()) for code in self.codes)
        object.__setattr__(self, "_any_code", re.compile(codes))
        names = tuple(
            tuple(f'"{part}"'.encode() for part in place.split(".") if _is_name(part))
            for place in self.fields
        )
        object.__setattr__(self, "_names", names)

    def said(self, response: Response) -> str:
        """Return one of `SAID`, or nothing; a code counts before the status.

        An answer is read only where it may hold a code: fills, books and candles are no errors.
        """
        body = response.body
        if self.codes and body and self._may_hold_a_code(body):
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
        if self._any_code.search(body) is None:
            return False
        return any(all(part in body for part in names) for names in self._names)

    def _is_code(self, name: str) -> bool:
        parent, _, last = name.rpartition(".")
        return name in self.fields or (last.isdigit() and f"{parent}.*" in self.fields)


def _is_name(part: str) -> bool:
    return part != "*" and not part.isdigit()
