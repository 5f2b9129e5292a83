"""What an exchange's answer says of its limits: how much is used, and how long it shuts us out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from attrs import frozen

from hauberk.request import Pairs
from hauberk_plugins.throttle.windows import Scope

#: What an answer may mean that freezes (`Venue.said`).
THROTTLED: Final = "throttled"
BANNED: Final = "banned"
#: A header that tells of more than so many times a window is nonsense.
_ABSURD: Final = 1_000
_WHOLE: Final = re.compile(r"[0-9]{1,18}\Z")
_SECONDS: Final = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?\Z")
#: Where a library has joined several values of a header; dates have a comma of their own.
_JOINED: Final = re.compile(r",(?=\s*(?:[0-9.]+\s*(?:,|\Z)|[A-Za-z]+,))")


@frozen
class Told:
    """A header that tells of windows.

    Attributes:
        header: Its name, in lower case.
        windows: Of which; those that the request was charged in count.
        is_left: Whether it tells what is left, not what is used.
        of: The header that tells of how much; empty where it is the window's size.
    """

    header: str
    windows: frozenset[str]
    is_left: bool = False
    of: str = ""

    def used(self, headers: Mapping[str, str], size: int) -> int | None:
        """Return what is used of a window of this size; `None` where the answer does not say.

        Raises:
            ValueError: It says what cannot be.
        """
        value = headers.get(self.header)
        if value is None:
            return None
        told = _whole(value)
        if self.is_left:
            whole = headers.get(self.of)
            told = (size if whole is None else _whole(whole)) - told
            return max(0, told)
        if told > _ABSURD * size:
            raise ValueError
        return told


@frozen
class Freeze:
    """What to freeze when an exchange refuses, and for how long.

    Attributes:
        scope: Whose budgets.
        seconds: For how long, where the answer does not say; 0 for what is configured.
        until_ms: The header that says until when, milliseconds since the epoch, in lower case.
    """

    scope: Scope = Scope.IP
    seconds: int = 0
    until_ms: str = ""

    def asked_s(self, headers: Pairs, wall_ns: int) -> float | None:
        """Return for how long the answer asks to stay away, seconds; `None` where it does not.

        Said more than once, by the exchange and by what stands before it, the longest counts.
        """
        said = [(name.lower(), value) for name, value in headers]
        asked = [
            retry_after_s(part, wall_ns)
            for name, value in said if name == "retry-after" for part in _JOINED.split(value)
        ]  # fmt: skip
        if not any(seconds is not None for seconds in asked):
            asked = [
                int(value) / 1e3 - wall_ns / 1e9
                for name, value in said if name == self.until_ms and _WHOLE.match(value)
            ]  # fmt: skip
        longest = max((seconds for seconds in asked if seconds is not None), default=0.0)
        return longest if longest > 0 else None


def retry_after_s(value: str, wall_ns: int) -> float | None:
    """Read Retry-After (RFC 9110, 10.2.3): seconds, or a date.

    Args:
        value: As it stands in the answer.
        wall_ns: What time it is, nanoseconds since the epoch.

    Returns:
        Seconds from now, maybe negative; `None` for what is neither.
    """
    value = value.strip()
    if _SECONDS.match(value):
        return float(value)
    try:
        at = parsedate_to_datetime(value)
        return at.timestamp() - wall_ns / 1e9
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def by_name(headers: Pairs) -> dict[str, str]:
    """Return an answer's headers by name in lower case; one that stands twice says nothing."""
    found: dict[str, str] = {}
    twice = set()
    for name, value in headers:
        lower = name.lower()
        if lower in found:
            twice.add(lower)
        found[lower] = value
    return {name: value for name, value in found.items() if name not in twice}


def _whole(value: str) -> int:
    if not _WHOLE.match(value.strip()):
        raise ValueError
    return int(value)
