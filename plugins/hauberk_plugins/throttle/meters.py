"""`Meter`: of one window, what was granted and not yet sent, and what was sent.

The exchange counts arrivals by its own clock; we only know departures by ours. What left at `t` it
counts at `t` and a lateness: the delay on the way, and what its clock is ahead of ours. The jitter
bounds how far from zero a lateness lies, early or late, and how far two lie apart. It does both if
it is no less than the longest delay and the difference of the clocks together, since nothing
arrives before it has left, and a steady difference is the same for all. So:

- A calendar window is cut by the exchange's clock: a charge counts in every cell that the time from
  `t - jitter` to `t + jitter` touches.
- A rolling window may begin at any moment, so that all being late alike changes nothing: what it
  counts together left at most its length and one jitter apart, and a charge counts for so long.
- A decaying one is as full as the stretch that fills it most: what arrived in it, less what drained
  in it. What arrived in a stretch left in one at most a jitter longer, so that the exchange's
  counter is never more than one jitter's draining above ours.
- While our wall clock is not to be trusted, a calendar window is kept as a rolling one, and
  as the clocks may have drifted apart meanwhile, of its length and two jitters.

What was granted and has not left may leave at any moment, so it counts always. Why that is enough:
take any window of the exchange, what it counts there, and of that the charge that was granted last.
At that grant every other one was open, or dated and still counted, and the sum was within the size.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from hauberk_plugins.throttle.line import Line
from hauberk_plugins.throttle.shapes import Shape, shape_of
from hauberk_plugins.throttle.windows import Window

#: An answer that took longer on its way is taken to tell of the present.
_SLOW_NS: Final = 5_000_000_000
#: Before any time there is.
_ALWAYS: Final = -(1 << 62)


class _Cells:
    """Of a calendar window: what each cell of the calendar may have been given.

    Attributes:
        amounts: By cell; of `cell` alone, `here` counts.
        cell: The cell that time stands in.
        here: What it may have been given.
        until: Time never goes back: before this, on the wall clock, only `cell` can count it.
    """

    __slots__ = ("amounts", "cell", "here", "until")

    def __init__(self) -> None:
        self.amounts: dict[int, int] = {}
        self.cell = self.here = self.until = 0

    def settle(self) -> None:
        """Leave the cell, so that `amounts` says all."""
        if self.until:
            self.amounts[self.cell] = self.here
            self.until = 0

    def enter(self, cell: int, until: int) -> None:
        """Go by one cell alone until a time."""
        self.cell, self.until = cell, until
        self.here = self.amounts.get(cell, 0)


class Meter:
    """What one window holds for one key. Not locked: its limiter is.

    All times are nanoseconds on the monotonic clock. `offset`, where it is asked for, is what to
    add to reach the wall clock that calendar windows go by, or `None` when that clock is not to
    be trusted: then any alignment is possible, and only a rolling window is safe.

    There may be a million of them, so the newest departure stands apart: most hold no other.

    Attributes:
        limit: What `used` may come to without a second look: the size, less while a record of it
            must be written first, below 0 while it is frozen or forgotten.
        total: What is open and what was dated and may yet count: never less than `used`.
        frozen: Until when nothing is granted.
        aside: The part that is kept for cancels, a meter of its own; `None` where there is none.
        gone: Its key, once it is forgotten: another may stand in its place.
    """

    __slots__ = (
        "_amount",
        "_at",
        "_cells",
        "_dated",
        "_expires",
        "_line",
        "_log",
        "aside",
        "frozen",
        "gone",
        "limit",
        "shape",
        "total",
    )

    def __init__(self, window: Window, jitter_ns: int) -> None:
        self.shape: Shape = shape_of(window, jitter_ns)
        self.limit = self.shape.size
        self.total = self.frozen = 0
        self.aside: Meter | None = None
        self.gone: tuple[str, ...] | None = None
        self._line: Line | None = None
        # What the log and the newest departure come to. Of a decaying window, its level when the
        # newest left, in units that drain `size` of in a nanosecond, and `_amount` is the same
        # as a whole number, the jitter allowed for.
        self._dated = 0
        self._at = self._amount = 0
        # When the oldest of them counts no more, once somebody has looked: a number less to hold.
        self._expires = _ALWAYS
        # When it left and how much, oldest first, without the newest.
        self._log: deque[tuple[int, int]] | None = None
        self._cells = _Cells() if self.shape.is_calendar else None

    @property
    def name(self) -> str:
        """The window's name."""
        return self.shape.window.name

    @property
    def size(self) -> int:
        """What it holds, the part for cancels aside."""
        return self.shape.size

    @property
    def open(self) -> int:
        """Granted and not yet dated."""
        return self.total - (self._amount if self.shape.is_decaying else self._dated)

    @property
    def line(self) -> Line:
        """Who waits for it."""
        if self._line is None:
            self._line = Line()
        return self._line

    @property
    def waiting(self) -> int:
        """How many wait for it."""
        return 0 if self._line is None else len(self._line)

    def ahead(self, ticket: int, alive_ns: int, by_ns: int) -> tuple[int, int | None]:
        """Add up what is kept for those who come before a ticket: see `Line.before`."""
        line = self._line
        return (0, None) if line is None else line.before(ticket, alive_ns, by_ns)

    def reshape(self, window: Window, jitter_ns: int, offset: int | None) -> None:
        """Take another size, length, kind or jitter, and keep what was counted."""
        before, departures, open_now = self.shape, list(self.departures()), self.open
        self.shape = after = shape_of(window, jitter_ns)
        self._cells = _Cells() if after.is_calendar else None
        if after.is_decaying or before.is_decaying:
            self._dated = self._amount = self._expires = 0
            self._log, self.total = None, open_now
            for left, amount in departures:
                self.date(amount, left, offset)
            return
        self._expires = _ALWAYS
        if after.is_calendar and offset is not None:
            for left, amount in departures:  # rounded up by less than the grain
                self._mark(left - before.grain + offset, left + offset, amount)

    def used(self, now: int, offset: int | None) -> int:
        """Return what counts now."""
        cells = self._cells
        if cells is None or offset is None:
            if self._dated:
                shape = self.shape
                if shape.is_decaying:
                    return -(-self._level(now) // shape.length) + self.open
                if self._expires <= now:
                    self._drop(now)
            return self.total
        wall = now + offset
        if wall >= cells.until and not self._enter(cells, wall):
            first, last = self.shape.cells_at(wall)
            amounts = cells.amounts
            most = max(amounts.get(cell, 0) for cell in range(first, last + 1))
            return most + self.total - self._dated
        return cells.here + self.total - self._dated

    def date(self, amount: int, now: int, offset: int | None) -> None:
        """Count an amount that nobody was granted, and that has left now."""
        self.total += amount
        self.leave(amount, now, offset)

    def leave(self, amount: int, now: int, offset: int | None) -> None:
        """Date an amount of what is open: it counts from now on for the window's length."""
        if self._expires <= now:  # of a decaying one, always
            if self.shape.is_decaying:
                self._fill(amount, now)
                return
            self._drop(now)
        dated = self._dated
        if dated and self._at >= now:  # it would be rounded up to the same
            self._amount += amount
        else:
            grain = self.shape.grain
            at = now if grain == 1 else -(-now // grain) * grain
            if not dated:
                self._expires = _ALWAYS
            elif self._log is None:
                self._log = deque(((self._at, self._amount),))
            else:
                self._log.append((self._at, self._amount))
            self._at, self._amount = at, amount
        self._dated = dated + amount
        cells = self._cells
        if cells is not None and offset is not None:
            wall = now + offset
            if wall < cells.until or self._enter(cells, wall):
                cells.here += amount
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
        due = self._when(wanted, now, offset)
        return due if due > self.frozen else max(self.frozen, now)

    def _when(self, wanted: int, now: int, offset: int | None) -> int:
        shape = self.shape
        free = shape.size - self.used(now, offset)
        if wanted <= free:
            return now
        if shape.is_decaying:
            excess = (wanted + self.open - shape.size) * shape.length
            return now - (-(self._level(now) + excess) // shape.size)
        if shape.is_calendar and offset is not None:
            return self._next_cell(wanted, free, now, offset)
        # What is granted as room appears is given back one span later, in the same order.
        turns, wanted = divmod(wanted - 1, shape.size)
        later = turns * shape.span
        wanted += 1 - free
        if wanted <= 0:
            return now + later
        for left, amount in self.departures():
            wanted -= amount
            if wanted <= 0:
                return left + shape.span + later
        return now + shape.span + later

    def departures(self) -> Iterator[tuple[int, int]]:
        """Yield when what may still count left, and how much, oldest first.

        Of a decaying window it is one: how much it held when the newest of them had left.
        """
        if self.shape.is_decaying:
            if self._dated:
                yield self._at, -(-self._dated // self.shape.length)
            return
        if self._log is not None:
            yield from self._log
        if self._dated:
            yield self._at, self._amount

    def is_of_before(self, used: int, now: int, offset: int | None) -> bool:
        """Whether so much, which the exchange says is used, may be what it said of the cell before.

        An answer takes its time on the way. Soon after a boundary, what is no more than what we
        know of the cell before tells nothing of the present one.
        """
        cells = self._cells
        if cells is None or offset is None:
            return False
        shape, wall = self.shape, now + offset
        slack = max(shape.jitter, min(shape.length // 4, _SLOW_NS))
        before = (wall - slack) // shape.length
        cells.settle()
        return before < (wall + shape.jitter) // shape.length and used <= cells.amounts.get(
            before, 0
        )

    def is_idle(self, now: int) -> bool:
        """Whether forgetting it would change nothing."""
        if self.waiting or self.frozen > now:
            return False
        if self._dated:
            if self.shape.is_decaying:
                self._level(now)
            elif self._at + self.shape.span <= now:
                self._drop(now)
        return not self.total and (self.aside is None or self.aside.is_idle(now))

    def _level(self, now: int) -> int:
        """How full a decaying window is at most, in units that drain `size` of in a nanosecond."""
        shape = self.shape
        level = self._dated + shape.size * (self._at + shape.jitter - now)
        if level > 0:
            return level
        self.total -= self._amount
        self._dated = self._amount = 0
        return 0

    def _fill(self, amount: int, now: int) -> None:
        if amount:
            shape = self.shape
            left = self._dated and self._dated - shape.size * (now - self._at)
            self._dated = max(left, 0) + amount * shape.length
            self._at = now
            bound = -(-(self._dated + shape.size * shape.jitter) // shape.length)
            self.total += bound - self._amount - amount
            self._amount = bound

    def _enter(self, cells: _Cells, wall: int) -> bool:
        """Go by one cell, unless more than one may count what leaves now."""
        cells.settle()
        shape = self.shape
        first, last = shape.cells_at(wall)
        if first != last:
            return False
        cells.enter(first, (first + 1) * shape.length - shape.jitter)
        return True

    def _next_cell(self, wanted: int, free: int, now: int, offset: int) -> int:
        shape = self.shape
        cells: _Cells = self._cells  # type: ignore[assignment]
        cells.settle()
        amounts = cells.amounts
        first, last = shape.cells_at(now + offset)
        if first == last:  # who goes before the boundary does not count beyond it
            wanted -= max(free, 0)
        cell = first + 1
        room = shape.size - amounts.get(cell, 0) - (self.open if cell <= last else 0)
        if wanted > room:
            wanted -= max(room, 0)
            cell += 1 + (wanted - 1) // shape.size
        return cell * shape.length + shape.jitter - offset

    def _mark(self, earliest: int, latest: int, amount: int) -> None:
        shape = self.shape
        cells: _Cells = self._cells  # type: ignore[assignment]
        cells.settle()
        amounts = cells.amounts
        first, last = shape.cells_at(earliest)[0], shape.cells_at(latest)[1]
        for cell in range(first, last + 1):
            if cell in amounts:
                amounts[cell] += amount
            else:
                for past in [known for known in amounts if known < first - 1]:
                    del amounts[past]
                amounts[cell] = amount

    def _drop(self, now: int) -> None:
        span, log, before = self.shape.span, self._log, self._dated
        dated = before
        while dated:
            expires = (log[0][0] if log else self._at) + span
            if expires > now:
                self._expires = expires
                break
            dated -= log.popleft()[1] if log else dated
        self._dated = dated
        self.total -= before - dated


def replay(meter: Meter, departures: Iterable[tuple[int, int]], offset: int | None) -> None:
    """Count what left before this process began, oldest first."""
    for left, amount in departures:
        meter.date(amount, left, offset)
