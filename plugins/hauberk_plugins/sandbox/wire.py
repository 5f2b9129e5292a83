"""What goes over the wire: the request as it arrived, the answer, and the refusal.

Codes and their wording follow Binance's page "Error codes for Binance".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from hauberk.errors import HauberkError

#: What `json.dumps` takes.
Json: TypeAlias = Any

ILLEGAL_CHARACTERS: Final = -1100
DUPLICATE_PARAMETER: Final = -1101
MANDATORY_PARAMETER: Final = -1102
UNREAD_PARAMETERS: Final = -1104
EMPTY_PARAMETER: Final = -1105
PARAMETER_NOT_REQUIRED: Final = -1106
TOO_MUCH_PRECISION: Final = -1111
INVALID_TIME_IN_FORCE: Final = -1115
INVALID_ORDER_TYPE: Final = -1116
INVALID_SIDE: Final = -1117
INVALID_SYMBOL: Final = -1121
INVALID_PARAMETER: Final = -1130
BAD_RECV_WINDOW: Final = -1131
TOO_MANY_REQUESTS: Final = -1003
BACKEND_TIMEOUT: Final = -1007
FILTER_FAILURE: Final = -1013
TOO_MANY_ORDERS: Final = -1015
INVALID_TIMESTAMP: Final = -1021
INVALID_SIGNATURE: Final = -1022
ORDER_REJECTED: Final = -2010
CANCEL_REJECTED: Final = -2011
NO_SUCH_ORDER: Final = -2013
KEY_FORMAT: Final = -2014
KEY_REJECTED: Final = -2015
INSUFFICIENT_BALANCE: Final = -4026
UNKNOWN_ENDPOINT: Final = -5000


@frozen
class HttpCall:
    """A request exactly as it arrived.

    Attributes:
        method: As sent.
        path: Raw, before any decoding.
        query: Raw bytes after the `?`, which signatures cover.
        body: Raw bytes.
        api_keys: Every `X-MBX-APIKEY` header, in order.
        ip: The peer's address.
        fault: What is wrong with its framing; empty if nothing is.
    """

    method: str
    path: str
    query: bytes = b""
    body: bytes = field(default=b"", repr=False)
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    ip: str = "127.0.0.1"
    fault: str = ""


@frozen
class Answer:
    """What is sent back.

    Attributes:
        status: HTTP status.
        payload: The JSON document.
        headers: Pairs beside those of the content.
        delay_s: Seconds to hold it back; infinite means until the client gives up.
    """

    status: int
    payload: Json
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0

    def body(self) -> bytes:
        """Return the JSON text, ASCII only, so that nothing a client sent is echoed raw."""
        return json.dumps(self.payload, separators=(",", ":")).encode("ascii")


class Refused(HauberkError):
    """The exchange says no.

    Attributes:
        status: HTTP status.
        code: Binance's error code, negative.
        message: The wording.
        headers: Pairs, for example `Retry-After`.
    """

    def __init__(
        self, status: int, code: int, message: str, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = tuple(headers)

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"

    def answer(self) -> Answer:
        """Return it as it is sent."""
        return Answer(self.status, {"code": self.code, "msg": self.message}, self.headers)


def bad_request(code: int, message: str) -> Refused:
    """Return a refusal with status 400, as most are."""
    return Refused(400, code, message)
