"""When data keys were made, and which of them have not sealed for so long that they may go."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from math import inf
from typing import Final

from hauberk_plugins.encryption.ringfile import RingFile

#: How far the clocks of two machines may be apart, seconds, before it is said.
APART_S: Final = 60
_FORM: Final = "%Y-%m-%dT%H:%M:%SZ"


def date(wall_ns: int) -> str:
    """Return a date, or nothing where the clock shows what no calendar has."""
    try:
        return datetime.fromtimestamp(wall_ns // 10**9, UTC).strftime(_FORM)
    except (OverflowError, ValueError, OSError):
        return ""


def unused_for(ring: RingFile, seconds: float, wall_ns: int) -> frozenset[int]:
    """Return the numbers of the data keys that have not sealed for so long.

    A key has not sealed since the next one was made. One whose date is not known, or lies ahead,
    is not among them: a clock that is wrong keeps a key for longer.

    Args:
        ring: The key ring.
        seconds: How long; with 0, all but the one that seals.
        wall_ns: The time, nanoseconds since the epoch.
    """
    old = {key.number for key in ring.keys} - {ring.active}
    if not seconds:
        return frozenset(old)
    now_s = wall_ns // 10**9
    last = {key.number: _read(after.made) for key, after in pairwise(ring.keys)}
    return frozenset(n for n, at_s in last.items() if n in old and now_s - at_s >= seconds)


def ahead(ring: RingFile, wall_ns: int) -> str:
    """Return the date of a key that was made later than it is now; empty if there is none.

    Two clocks that share a ring may differ by a little.
    """
    newest = max((key.made for key in ring.keys if _read(key.made) != inf), key=_read, default="")
    return newest if newest and _read(newest) - wall_ns // 10**9 > APART_S else ""


def _read(made: str) -> float:
    """Return a date as seconds since the epoch; if it is none, one that never comes."""
    try:
        return datetime.strptime(made, _FORM).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return inf
