"""A bot token as it is kept, and as it may be shown."""

from __future__ import annotations

import hmac
import json
from typing import Any, Final

from attrs import asdict, fields_dict, frozen

from hauberk_plugins.auth.bearer import owner_key
from hauberk_plugins.auth.errors import BadRecord
from hauberk_plugins.auth.session_record import SLACK_NS

FORMAT: Final = 1
#: What the name of every bot token's record begins with.
PREFIX: Final = "token/"
HOUR_NS: Final = 3_600_000_000_000
DAY_NS: Final = 24 * HOUR_NS


@frozen
class BotToken:
    """A bot token, as it may be shown.

    Attributes:
        name: For people.
        accounts: Which it is for.
        allow: Its capabilities.
        created_ns: When it was made or last rotated, nanoseconds since the epoch.
        expires_ns: When it ends.
        old_until_ns: Until when the one before its rotation is valid too; 0 if there is none.
        by: Who made it.
    """

    name: str
    accounts: tuple[str, ...]
    allow: tuple[str, ...]
    created_ns: int
    expires_ns: int
    old_until_ns: int
    by: str

    def permits(self, account: str, capability: str) -> bool:
        """Whether it is for an account and has a capability."""
        return account in self.accounts and capability in self.allow


@frozen
class TokenRecord:
    """What is kept of a bot token.

    Attributes:
        shown: What may be shown of it.
        days: How long it lasts from each rotation.
        digest: The hash of the token.
        old_digest: That of the one before its rotation; empty if there is none.
    """

    shown: BotToken
    days: int
    digest: str
    old_digest: str = ""

    def is_of(self, digest: str) -> bool:
        """Whether it is of a token with this hash, or of the one before its rotation."""
        return hmac.compare_digest(digest, self.digest) or (
            bool(self.old_digest) and hmac.compare_digest(digest, self.old_digest)
        )

    def is_valid(self, digest: str, now_ns: int) -> bool:
        """Whether a token with this hash is valid.

        Args:
            digest: Of the token that was given.
            now_ns: Nanoseconds since the epoch. Where they stand before the token was made, the
                clock was set back, and nobody knows whether the token has ended.
        """
        if not self.shown.created_ns - SLACK_NS <= now_ns < self.shown.expires_ns:
            return False
        if not self.is_of(digest):
            return False
        return hmac.compare_digest(digest, self.digest) or now_ns < self.shown.old_until_ns

    def to_bytes(self) -> bytes:
        """Write it as a record."""
        return json.dumps({"format": FORMAT, **asdict(self)}).encode()

    @classmethod
    def from_bytes(cls, value: bytes) -> TokenRecord:
        """Read a record.

        Raises:
            BadRecord: It is not what this version writes.
        """
        try:
            found: dict[str, Any] = json.loads(value)
            return _read(found)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise BadRecord(
                "the record of a bot token is not what this version writes: restore it from a "
                "backup, or revoke the token and make another"
            ) from None


def name_of(token: str) -> str:
    """Return the name of the record of the token with a name."""
    return PREFIX + owner_key(token)


def _read(found: dict[str, Any]) -> TokenRecord:
    if found.pop("format") != FORMAT or found.keys() != fields_dict(TokenRecord).keys():
        raise ValueError("it is of another version")
    shown = found["shown"]
    if shown.keys() != fields_dict(BotToken).keys():
        raise ValueError("it is of another version")
    for key in ("accounts", "allow"):
        shown[key] = tuple(_typed(text, str) for text in _typed(shown[key], list))
    for key in ("created_ns", "expires_ns", "old_until_ns"):
        _typed(shown[key], int)
    _typed(found["days"], int)
    for text in (shown["name"], shown["by"], found["digest"], found["old_digest"]):
        _typed(text, str)
    return TokenRecord(BotToken(**shown), found["days"], found["digest"], found["old_digest"])


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{kind.__name__} expected")
    return value
