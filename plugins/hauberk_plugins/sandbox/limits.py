"""Counting in calendar windows, and banning those who go on.

Binance, "LIMITS": request weight per IP and orders per account, each in windows that begin at
multiples of their length since the epoch; 429 with `Retry-After` when over, and a ban, 418, of
2 minutes to 3 days for a client that does not back off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from attrs import define, field, frozen
from attrs.validators import ge

NS: Final = 1_000_000_000
MAX_ENTRIES: Final = 4_096
LONGEST_BAN_S: Final = 3 * 86_400

_UNITS: Final = ((86_400, "DAY"), (3_600, "HOUR"), (60, "MINUTE"), (1, "SECOND"))
_K = TypeVar("_K")
_V = TypeVar("_V")


@frozen
class Limit:
    """So much in a calendar window.

    Attributes:
        size: What one window lets through: weight, or orders.
        window_s: Its length in seconds.
    """

    size: int = field(validator=ge(0))
    window_s: int = field(validator=ge(1))

    @property
    def interval(self) -> tuple[int, str]:
        """Length and unit as Binance writes them, for example `(10, "SECOND")`."""
        unit_s, unit = next(u for u in _UNITS if self.window_s % u[0] == 0)
        return self.window_s // unit_s, unit

    @property
    def suffix(self) -> str:
        """The end of the header's name that reports it, for example `1M`."""
        number, unit = self.interval
        return f"{number}{unit[0]}"

    def index(self, now_ns: int) -> int:
        """Return the number of the window that a moment falls into."""
        return now_ns // (self.window_s * NS)

    def end_ns(self, now_ns: int) -> int:
        """Return the moment at which the current window ends."""
        return (self.index(now_ns) + 1) * self.window_s * NS


class CalendarCounter:
    """Counts per client in the windows of one limit.

    Windows are kept apart by their number, so a clock that steps back finds the earlier window
    with what it had already counted.

    Args:
        limit: May be replaced while counting.
    """

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._counts: dict[tuple[str, int, int], int] = {}

    def used(self, who: str, now_ns: int) -> int:
        """Return what a client has used in the current window."""
        return self._counts.get(self._key(who, now_ns), 0)

    def add(self, who: str, cost: int, now_ns: int) -> int:
        """Charge a client and return what it has now used in the current window."""
        key = self._key(who, now_ns)
        count = _bounded(self._counts, key, int) + cost
        self._counts[key] = count
        return count

    def _key(self, who: str, now_ns: int) -> tuple[str, int, int]:
        return who, self.limit.window_s, self.limit.index(now_ns)


@define
class _Conduct:
    strikes: int = 0
    quiet_until_ns: int = 0
    banned_until_ns: int = 0
    bans: int = 0


class Bans:
    """Who was told to wait, did not, and is locked out.

    Args:
        patience: How many times an address is answered 429 before it is banned.
        first_s: The first ban in seconds; each further one is twice as long, up to
            `LONGEST_BAN_S`.
    """

    def __init__(self, patience: int = 3, first_s: int = 120) -> None:
        self.patience = patience
        self._first_s = first_s
        self._conduct: dict[str, _Conduct] = {}

    def until_ns(self, ip: str, now_ns: int) -> int | None:
        """Return the moment at which a ban ends, or `None` if there is none now."""
        conduct = self._conduct.get(ip)
        if conduct is None or conduct.banned_until_ns <= now_ns:
            return None
        return conduct.banned_until_ns

    def strike(self, ip: str, retry_at_ns: int, now_ns: int) -> None:
        """Count a request over the limit, and ban the address if it had been told to wait.

        Args:
            ip: The address.
            retry_at_ns: The moment that `Retry-After` names; who waits for it starts afresh.
            now_ns: Now.
        """
        conduct = _bounded(self._conduct, ip, _Conduct)
        if now_ns >= conduct.quiet_until_ns:
            conduct.strikes = 0
        conduct.strikes += 1
        conduct.quiet_until_ns = max(conduct.quiet_until_ns, retry_at_ns)
        if conduct.strikes > self.patience:
            length_s = min(self._first_s << min(conduct.bans, 32), LONGEST_BAN_S)
            conduct.banned_until_ns = now_ns + length_s * NS
            conduct.bans += 1
            conduct.strikes = 0

    def lift(self) -> None:
        """Forget everything."""
        self._conduct.clear()


def seconds_until(at_ns: int, now_ns: int) -> int:
    """Return the whole seconds to wait for a moment: rounded up, at least 1."""
    return max(1, -((now_ns - at_ns) // NS))


def _bounded(table: dict[_K, _V], key: _K, make: Callable[[], _V]) -> _V:
    if key not in table:
        while len(table) >= MAX_ENTRIES:
            del table[next(iter(table))]
        table[key] = make()
    return table[key]
