"""Who is calling: keys, what each may do, and the check of a signature and its time.

Binance, "Signed (TRADE and USER_DATA) endpoint security": HMAC-SHA256 over the query string and
the body as sent, joined with nothing between, without the signature, which comes last.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final

from attrs import evolve, frozen

from hauberk.secret import Secret
from hauberk_plugins.sandbox import wire
from hauberk_plugins.sandbox.accounts import Permission
from hauberk_plugins.sandbox.parameters import Parameters
from hauberk_plugins.sandbox.wire import HttpCall, Refused, bad_request

DEFAULT_RECV_WINDOW_MS: Final = 5_000
MAX_RECV_WINDOW_MS: Final = 60_000
MAX_AHEAD_MS: Final = 1_000

#: The parameters that every signed endpoint knows beside its own.
SIGNED_PARAMETERS: Final = ("recvWindow", "timestamp", "signature")

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{8,128}\Z")
_SIGNED: Final = re.compile(rb"(?:(?P<message>.*)&)?signature=(?P<signature>[^&]*)\Z", re.DOTALL)


@frozen
class ApiKey:
    """A key that the exchange issued.

    Attributes:
        key: What the header `X-MBX-APIKEY` carries.
        secret: What its owner signs with.
        account: Whose it is.
        may: What it may do.
        revoked: Whether it is dead.
    """

    key: str
    secret: Secret
    account: str
    may: frozenset[Permission]
    revoked: bool = False


class KeyRegister:
    """Every key that was issued, revoked ones too."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}

    def add(self, key: str, secret: Secret, account: str, may: Iterable[Permission]) -> None:
        """Issue a key, or issue it again with other rights.

        Raises:
            ValueError: The key has not the form of one.
        """
        if not _KEY.match(key):
            raise ValueError("an API key is 8 to 128 letters, digits, '-' or '_'")
        self._keys[key] = ApiKey(key, secret, account, frozenset(may))

    def set_revoked(self, key: str, revoked: bool) -> None:
        """Revoke or restore a key.

        Raises:
            KeyError: It was never issued.
        """
        self._keys[key] = evolve(self._keys[key], revoked=revoked)

    def find(self, headers: tuple[str, ...], permission: Permission) -> ApiKey:
        """Return the key that a request names, if it is alive and may do what is asked.

        Raises:
            Refused: -2014 for a header that is absent, repeated or malformed; -2015 for a key
                that is unknown, revoked, or lacks the permission. The answer does not say which.
        """
        if len(headers) != 1 or not _KEY.match(headers[0]):
            raise Refused(401, wire.KEY_FORMAT, "API-key format invalid.")
        known = self._keys.get(headers[0])
        if known is None or known.revoked or permission not in known.may:
            raise Refused(401, wire.KEY_REJECTED, "Invalid API-key, IP, or permissions for action.")
        return known


def check_signature(secret: Secret, call: HttpCall) -> None:
    """Check a signature over the exact bytes that were sent.

    Stricter than Binance in one point: hexadecimal digits are lower case, so that no byte of a
    signed request can be changed and still pass.

    Raises:
        Refused: -1022.
    """
    message, signature = _split(call)
    expected = hmac.new(secret.reveal(), message, hashlib.sha256).hexdigest().encode()
    if not hmac.compare_digest(expected, signature):
        raise _invalid()


def check_time(parameters: Parameters, now_ms: int) -> None:
    """Check `timestamp` against `recvWindow`, both in milliseconds, by the exchange's clock.

    Raises:
        Refused: -1021 for a stale timestamp or one from the future, -1131 for a window too wide.
    """
    timestamp = parameters.integer("timestamp")
    window = parameters.integer("recvWindow", DEFAULT_RECV_WINDOW_MS)
    if window > MAX_RECV_WINDOW_MS:
        raise bad_request(
            wire.BAD_RECV_WINDOW, f"recvWindow must be less than {MAX_RECV_WINDOW_MS}"
        )
    if timestamp >= now_ms + MAX_AHEAD_MS:
        raise bad_request(
            wire.INVALID_TIMESTAMP,
            f"Timestamp for this request was {MAX_AHEAD_MS}ms ahead of the server's time.",
        )
    if now_ms - timestamp > window:
        raise bad_request(
            wire.INVALID_TIMESTAMP, "Timestamp for this request is outside of the recvWindow."
        )


def _split(call: HttpCall) -> tuple[bytes, bytes]:
    in_body = _SIGNED.match(call.body)
    if in_body:
        return call.query + (in_body["message"] or b""), in_body["signature"]
    in_query = _SIGNED.match(call.query)
    if in_query:
        return (in_query["message"] or b"") + call.body, in_query["signature"]
    raise _invalid()


def _invalid() -> Refused:
    return bad_request(wire.INVALID_SIGNATURE, "Signature for this request is not valid.")
