"""`Schedule`: when an account may trade, and when next.

What a clock on the wall shows decides. So instants are turned into wall time, in which weeks and
blackouts are simple, and only the changes of the zone's offset need care. All times are integer
nanoseconds: instants since the epoch, wall times since 1970-01-01T00:00 of the zone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, TypeAlias

#: From, until: the end is not in it.
Span: TypeAlias = tuple[int, int]

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: 1970-01-01 was a Thursday, and weekdays count from Monday.
_WEEKDAY_OF_EPOCH: Final = 3
#: How far apart offsets are compared; no zone changes it twice in so short a time.
_STRIDE_NS: Final = DAY_NS // 4


class Schedule:
    """Hours of a week in a zone, without those that are blacked out.

    Args:
        zone: Whose wall clock is meant.
        weekly: By weekday, Monday is 0, spans of nanoseconds from its midnight; one that ends
            before it begins goes on into the next day. `None` for around the clock.
        blackouts: Spans of wall time.
    """

    def __init__(
        self,
        zone: tzinfo,
        weekly: Mapping[int, Iterable[Span]] | None = None,
        blackouts: Iterable[Span] = (),
    ) -> None:
        self.zone = zone
        self._days = _days({day: [(0, DAY_NS)] for day in range(7)} if weekly is None else weekly)
        self._blackouts = merged(blackouts)

    def next_opening(self, at_ns: int) -> int | None:
        """Return the first instant from this one on at which it is open, or `None` if never."""
        while True:
            offset_ns = self._offset_ns(at_ns)
            wall_ns = self._next_open_wall(at_ns + offset_ns)
            if wall_ns is None:
                return None
            opens_ns = wall_ns - offset_ns
            changes_ns = self._next_change(at_ns, opens_ns)
            if changes_ns is None:
                return opens_ns
            at_ns = changes_ns

    def wall(self, at_ns: int) -> datetime:
        """Return what the zone's wall clock shows, to the second."""
        return (_EPOCH + timedelta(seconds=at_ns // SECOND_NS)).astimezone(self.zone)

    def _offset_ns(self, at_ns: int) -> int:
        offset = self.wall(at_ns).utcoffset() or timedelta()
        return offset // timedelta(microseconds=1) * 1_000

    def _next_open_wall(self, wall_ns: int) -> int | None:
        """Search in wall time, where every day has 24 hours."""
        if not any(self._days):
            return None
        while True:
            day, time_ns = divmod(wall_ns, DAY_NS)
            spans = self._days[(day + _WEEKDAY_OF_EPOCH) % 7]
            span = next((span for span in spans if time_ns < span[1]), None)
            if span is None:
                wall_ns = (day + 1) * DAY_NS
                continue
            wall_ns = day * DAY_NS + max(time_ns, span[0])
            until_ns = self._blacked_out_until(wall_ns)
            if until_ns is None:
                return wall_ns
            wall_ns = until_ns

    def _blacked_out_until(self, wall_ns: int) -> int | None:
        index = bisect_right(self._blackouts, wall_ns, key=lambda span: span[0]) - 1
        if index < 0 or wall_ns >= self._blackouts[index][1]:
            return None
        return self._blackouts[index][1]

    def _next_change(self, after_ns: int, until_ns: int) -> int | None:
        """Return the first instant in (after, until] with another offset than `after_ns`."""
        before = self._offset_ns(after_ns)
        while after_ns < until_ns:
            stride_ns = min(after_ns + _STRIDE_NS, until_ns)
            if self._offset_ns(stride_ns) != before:
                return self._change_between(after_ns, stride_ns)
            after_ns = stride_ns
        return None

    def _change_between(self, low_ns: int, high_ns: int) -> int:
        """Find a change to the second; offsets change at whole ones."""
        before = self._offset_ns(low_ns)
        low_s, high_s = low_ns // SECOND_NS, -(-high_ns // SECOND_NS)
        while high_s - low_s > 1:
            middle_s = (low_s + high_s) // 2
            if self._offset_ns(middle_s * SECOND_NS) == before:
                low_s = middle_s
            else:
                high_s = middle_s
        return high_s * SECOND_NS


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sort spans and join those that touch, so that none overlaps another."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif start < end:
            joined.append((start, end))
    return tuple(joined)


def _days(weekly: Mapping[int, Iterable[Span]]) -> Sequence[tuple[Span, ...]]:
    """Spread spans over midnight onto the days that they touch."""
    days: list[list[Span]] = [[] for _ in range(7)]
    for day, spans in weekly.items():
        for start, end in spans:
            if start < end:
                days[day].append((start, end))
            else:
                days[day].append((start, DAY_NS))
                days[(day + 1) % 7].append((0, end))
    return [merged(spans) for spans in days]
