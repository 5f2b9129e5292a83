"""What an exchange's answer says, as far as something is to be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from hauberk.errors import InvalidValue
from hauberk.request import Response
from hauberk_plugins.venues.wire import read_deeply

#: Clock differs too much; key unknown, revoked or not for this address; address or account shut
#: out for a time; too many requests.
SAID: Final = ("skew", "revoked", "banned", "throttled")
#: A longer answer is no error.
_MAX_BYTES: Final = 64 * 1024


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
        if self.codes and 0 < len(response.body) <= _MAX_BYTES:
            try:
                pairs = read_deeply(response.body)
            except InvalidValue:
                pairs = ()
            for name, value in pairs:
                if value in self.codes and self._is_code(name):
                    return self.codes[value]
        return self.statuses.get(response.status, "")

    def _is_code(self, name: str) -> bool:
        parent, _, last = name.rpartition(".")
        return name in self.fields or (last.isdigit() and f"{parent}.*" in self.fields)
