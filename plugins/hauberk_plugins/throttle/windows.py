"""One window of a limit: what was granted in it and not yet sent, and what was sent.

The exchange counts arrivals by its own clock; we only know departures by ours. What left at `t` it
counts at `t` and a lateness: the delay on the way, and what its clock is ahead of ours. The jitter
bounds how far from zero a lateness lies, early or late, and how far two lie apart. It does both if
it is no less than the longest delay and the difference of the clocks together, since nothing
arrives before it has left, and a steady difference is the same for all. So:

- A calendar window is cut by the exchange's clock: a charge counts in every cell that the time from
  `t - jitter` to `t + jitter` touches.
- A rolling window may begin at any moment, so that all being late alike changes nothing: what it
  counts together left at most its length and one jitter apart, and a charge counts for so long.
- While our wall clock is not to be trusted, a calendar window is kept as a rolling one, and
  as the clocks may have drifted apart meanwhile, of its length and two jitters.

What was granted and has not left may leave at any moment, so it counts always. Why that is enough:
take any window of the exchange, what it counts there, and of that the charge that was granted last.
At that grant every other one was open, or dated and still counted, and the sum was within the size.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Final

from attrs import frozen

from hauberk.errors import InvalidValue
from hauberk_plugins.throttle.line import Line

SECOND_NS: Final = 1_000_000_000
#: A window larger than this keeps its log to one part in so many of its length, rounded to the
#: safe side, so that its memory is bounded.
EXACT: Final = 4_096


class Kind(StrEnum):
    """How the exchange cuts time."""

    #: From one boundary of its clock to the next, for example each minute.
    CALENDAR = "calendar"
    #: Any stretch of that length.
    ROLLING = "rolling"


class Scope(StrEnum):
    """Who shares a budget."""

    #: Everybody who calls the venue from here.
    IP = "ip"
    #: One account.
    ACCOUNT = "account"


@frozen
class Window:
    """A limit of an exchange, as its venue file describes it.

    Attributes:
        name: Unique within the venue, for example `weight-1m`.
        kind: `calendar` or `rolling`.
        scope: `ip` or `account`.
        seconds: Its length, whole seconds.
        size: What it holds.
        counts: Which figure of an endpoint's cost it adds up, for example `weight`.

    Raises:
        InvalidValue: A value has the wrong type or lies out of range.
    """

    name: str
    kind: Kind
    scope: Scope
    seconds: int
    size: int
    counts: str

    def __attrs_post_init__(self) -> None:
        if not all(type(text) is str and text for text in (self.name, self.counts)):
            raise InvalidValue("a window's name and counts must be text")
        if type(self.kind) is not Kind or type(self.scope) is not Scope:
            raise InvalidValue(f"window {self.name!r}: kind must be a Kind and scope a Scope")
        for what, value in (("seconds", self.seconds), ("size", self.size)):
            if type(value) is not int or value < 1:
                raise InvalidValue(f"window {self.name!r}: {what} must be a whole number from 1")


class Meter:
    """What one window holds for one key. Not locked: its limiter is.

    All times are nanoseconds on the monotonic clock. `offset`, where it is asked for, is what to
    add to reach the wall clock that calendar windows go by, or `None` when that clock is not to
    be trusted: then any alignment is possible, and only a rolling window is safe.

    Attributes:
        name: The window's name.
        size: What it holds.
        open: Granted and not yet dated.
        line: Who waits for it.
    """

    __slots__ = (
        "_cell",
        "_cells",
        "_dated",
        "_grain",
        "_is_calendar",
        "_jitter",
        "_length",
        "_log",
        "_span",
        "_until",
        "line",
        "name",
        "open",
        "shape",
        "size",
    )

    def __init__(self, window: Window, jitter_ns: int) -> None:
        self.open = 0
        self.line = Line()
        self._dated = 0
        self._grain = 1
        # When it left and how much, oldest first.
        self._log: deque[list[int]] = deque()
        # Of a calendar window: what each cell of the calendar may have been given.
        self._cells: dict[int, int] = {}
        self.reshape(window, jitter_ns, None)

    def reshape(self, window: Window, jitter_ns: int, offset: int | None) -> None:
        """Take another size, length, kind or jitter, and keep what was counted."""
        self.shape = (window, jitter_ns)
        self.name = window.name
        rounded = self._grain
        self.size = window.size
        self._length = window.seconds * SECOND_NS
        self._jitter = jitter_ns
        self._is_calendar = window.kind is Kind.CALENDAR
        # One more than enough: some exchanges count both ends of a window.
        self._span = self._length + (2 if self._is_calendar else 1) * jitter_ns + 1
        self._grain = max(1, self._length // EXACT) if window.size > EXACT else 1
        self._cells = {}
        # Time never goes back: before `_until`, on the wall clock, only `_cell` can count it.
        self._cell = self._until = 0
        if self._is_calendar and offset is not None:
            for left, amount in self._log:  # rounded up by less than the grain
                self._mark(left - rounded + offset, left + offset, amount)

    def used(self, now: int, offset: int | None) -> int:
        """Return what counts now."""
        if offset is None or not self._is_calendar:
            if self._log and self._log[0][0] <= now - self._span:
                self._drop(now)
            return self._dated + self.open
        wall, cells = now + offset, self._cells
        if wall < self._until:
            return cells.get(self._cell, 0) + self.open
        first, last = self._cells_at(wall)
        if first == last:
            self._cell, self._until = first, (first + 1) * self._length - self._jitter
        return max(cells.get(cell, 0) for cell in range(first, last + 1)) + self.open

    def date(self, amount: int, now: int, offset: int | None) -> None:
        """Count an amount that has left now, from now on for the window's length."""
        log, grain = self._log, self._grain
        if log and log[0][0] <= now - self._span:
            self._drop(now)
        if log and 0 <= log[-1][0] - now < grain:  # it would be rounded up to the same
            log[-1][1] += amount
        else:
            log.append([-(-now // grain) * grain, amount])
        self._dated += amount
        if self._is_calendar and offset is not None:
            wall = now + offset
            if wall < self._until and self._cell in self._cells:
                self._cells[self._cell] += amount
            else:
                self._mark(wall, wall, amount)

    def when(self, wanted: int, now: int, offset: int | None) -> int:
        """Foretell when so much will have found room, one after the other.

        What is open is taken to leave now, and what is wanted to leave as soon as it fits, so
        the answer is never too late; it may be too early.

        Args:
            wanted: Of all who come before and of the asker; may exceed the size.
            now: Monotonic nanoseconds.
            offset: To the wall clock, or `None`.

        Returns:
            Monotonic nanoseconds; `now` if there is room now, else later.
        """
        free = self.size - self.used(now, offset)
        if wanted <= free:
            return now
        if self._is_calendar and offset is not None:
            return self._next_cell(wanted, free, now, offset)
        # What is granted as room appears is given back one span later, in the same order.
        turns, wanted = divmod(wanted - 1, self.size)
        later = turns * self._span
        wanted += 1 - free
        if wanted <= 0:
            return now + later
        for left, amount in self._log:
            wanted -= amount
            if wanted <= 0:
                return left + self._span + later
        return now + self._span + later

    def _next_cell(self, wanted: int, free: int, now: int, offset: int) -> int:
        first, last = self._cells_at(now + offset)
        if first == last:  # who goes before the boundary does not count beyond it
            wanted -= max(free, 0)
        cell = first + 1
        room = self.size - self._cells.get(cell, 0) - (self.open if cell <= last else 0)
        if wanted > room:
            wanted -= max(room, 0)
            cell += 1 + (wanted - 1) // self.size
        return cell * self._length + self._jitter - offset

    def _cells_at(self, wall: int) -> tuple[int, int]:
        """The first and the last cell in which the exchange may count what leaves now."""
        return (wall - self._jitter) // self._length, (wall + self._jitter) // self._length

    def _mark(self, earliest: int, latest: int, amount: int) -> None:
        first, last = self._cells_at(earliest)[0], self._cells_at(latest)[1]
        cells = self._cells
        for cell in range(first, last + 1):
            if cell in cells:
                cells[cell] += amount
            else:
                for past in [known for known in cells if known < first]:
                    del cells[past]
                cells[cell] = amount

    def _drop(self, now: int) -> None:
        log = self._log
        cut = now - self._span
        while log and log[0][0] <= cut:
            self._dated -= log.popleft()[1]
