"""`OrderRate`: at most so many orders in any stretch of so many seconds."""

from __future__ import annotations

import re
import threading
from collections import deque
from typing import Final

from attrs import frozen

_RATE: Final = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,4})?(s|min|h|day)\Z", re.ASCII)
_SECONDS: Final = {"s": 1, "min": 60, "h": 3_600, "day": 86_400}


@frozen
class Rate:
    """So many in so many seconds.

    Attributes:
        count: At least one.
        seconds: The length of the window.
        text: As it was written.
    """

    count: int
    seconds: int
    text: str

    def __str__(self) -> str:
        return self.text


def read_rate(text: str) -> Rate:
    """Read `60/min`, `5/s` or `100/10s`.

    Raises:
        ValueError: It is not of that form.
    """
    match = _RATE.match(text)
    if match is None:
        raise ValueError("must be orders and a time, as 60/min, 5/s, 100/10s or 1000/day")
    return Rate(int(match[1]), int(match[2] or 1) * _SECONDS[match[3]], text)


class OrderRate:
    """Counts one account's orders by the monotonic clock; in memory alone.

    What was granted counts until it has left, and then for as long as the window.

    Args:
        rate: How many.
    """

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._length_ns = rate.seconds * 1_000_000_000
        self._lock = threading.Lock()
        self._open = 0
        self._dated: deque[tuple[int, int]] = deque()
        self._count = 0

    def wait_ns(self, orders: int, now_ns: int) -> int | None:
        """Say how long until so many more would fit; `None` for never.

        Never is also where orders that have not left yet stand in the way.
        """
        with self._lock:
            return self._wait_ns(orders, now_ns)

    def take(self, orders: int, now_ns: int) -> bool:
        """Count orders, if there is room."""
        with self._lock:
            if self._wait_ns(orders, now_ns) != 0:
                return False
            self._open += orders
            return True

    def end(self, orders: int, left: bool, now_ns: int) -> None:
        """Date orders that have left, or give them back."""
        with self._lock:
            self._open -= orders
            if left and orders:
                self._dated.append((now_ns, orders))
                self._count += orders

    def _wait_ns(self, orders: int, now_ns: int) -> int | None:
        dated = self._dated
        while dated and now_ns - dated[0][0] >= self._length_ns:
            self._count -= dated.popleft()[1]
        room = self.rate.count - self._open - orders
        if room < 0:
            return None
        over = self._count - room
        if over <= 0:
            return 0
        for at_ns, count in dated:
            over -= count
            if over <= 0:
                return at_ns + self._length_ns - now_ns
        return None
