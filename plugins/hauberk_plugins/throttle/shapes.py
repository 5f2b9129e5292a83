"""What follows from a window's description, worked out once for all meters that have it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from hauberk_plugins.throttle.windows import SECOND_NS, Kind, Window

#: A window larger than this keeps its log to one part in so many of its length, rounded to the
#: safe side, so that its memory is bounded.
EXACT: Final = 4_096


class Shape:
    """A window's size, length and jitter, as its meters need them. Times are nanoseconds.

    Attributes:
        window: The window.
        jitter: Its jitter.
        size: What it holds, the part for cancels aside.
        length: Its length.
        span: For how long a departure counts where no calendar cuts it off.
        grain: To what a departure's time is rounded up.
        is_calendar: Whether the exchange's clock cuts it.
        is_decaying: Whether it is a counter that drains.
    """

    __slots__ = (
        "grain",
        "is_calendar",
        "is_decaying",
        "jitter",
        "length",
        "size",
        "span",
        "window",
    )

    def __init__(self, window: Window, jitter_ns: int) -> None:
        self.window = window
        self.jitter = jitter_ns
        self.size = window.size - window.reserve
        self.length = window.seconds * SECOND_NS
        self.is_calendar = window.kind is Kind.CALENDAR
        self.is_decaying = window.kind is Kind.DECAYING
        # One more than enough: some exchanges count both ends of a window.
        self.span = self.length + (2 if self.is_calendar else 1) * jitter_ns + 1
        is_exact = window.size <= EXACT or self.is_decaying
        self.grain = 1 if is_exact else max(1, self.length // EXACT)

    def cells_at(self, wall: int) -> tuple[int, int]:
        """The first and the last cell in which the exchange may count what leaves now."""
        return (wall - self.jitter) // self.length, (wall + self.jitter) // self.length


@lru_cache(maxsize=4_096)
def shape_of(window: Window, jitter_ns: int) -> Shape:
    """Return the shape of a window: the same object for an equal one."""
    return Shape(window, jitter_ns)
