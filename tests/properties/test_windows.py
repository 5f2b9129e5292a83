"""What a window counts, judged by a scan of the departures that shares no code with it."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hauberk_plugins.throttle.meters import Meter
from hauberk_plugins.throttle.shapes import EXACT
from hauberk_plugins.throttle.windows import Kind, Scope, Window

S = 1_000_000_000
#: The wall clock less the monotonic one: the first boundary is amid a minute.
OFFSET = 1_700_000_000 * S
#: The two kinds of window whose log is kept whole and rounded.
SIZES = (EXACT, EXACT + 1)


class Shape(NamedTuple):
    """A window's length and its jitter, nanoseconds."""

    length: int
    jitter: int

    def window(self, kind: Kind, size: int) -> Window:
        return Window("w", kind, Scope.IP, self.length // S, size, "weight")

    def cells(self, wall: int) -> range:
        """Where the exchange may count what leaves at this time."""
        first = (wall - self.jitter) // self.length
        return range(first, (wall + self.jitter) // self.length + 1)


class Edge(NamedTuple):
    """So many boundaries ahead, and so far behind or before it."""

    ahead: int
    distance: int


class Departure(NamedTuple):
    """So much left at this time."""

    at: int
    amount: int


JITTERS = [0, 1, S // 4, S]
shapes = st.builds(Shape, st.sampled_from([S, 10 * S, 60 * S]), st.sampled_from(JITTERS))
#: What leaves, after so long or so close to one of the next boundaries.
loads = st.lists(
    st.tuples(
        st.one_of(
            st.integers(0, 90 * S),
            st.builds(
                Edge,
                st.integers(0, 2),
                st.builds(
                    lambda sign, jitter, near: sign * jitter + near,
                    st.sampled_from([-1, 1]), st.sampled_from(JITTERS), st.integers(-1, 1),
                ),
            ),
        ),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=12,
)  # fmt: skip


def later(now: int, shape: Shape, then: int | Edge) -> int:
    if type(then) is int:
        return now + then
    boundary = ((now + OFFSET) // shape.length + then.ahead) * shape.length - OFFSET
    return max(now, boundary + then.distance)


def counted_by_the_calendar(departures: list[Departure], shape: Shape, now: int) -> int:
    def cell(number: int) -> int:
        return sum(d.amount for d in departures if number in shape.cells(d.at + OFFSET))

    return max(cell(number) for number in shape.cells(now + OFFSET))


def counted_when_rolling(departures: list[Departure], span: int, now: int) -> int:
    return sum(d.amount for d in departures if d.at > now - span)


@given(shapes, loads)
@example(Shape(60 * S, S), [(0, 1), (Edge(1, -1), 5), (2 * S, 1)])
def test_a_calendar_window_counts_what_may_fall_into_the_same_cell(shape, loads) -> None:
    meter = Meter(shape.window(Kind.CALENDAR, EXACT), shape.jitter)
    departures: list[Departure] = []
    now = 0
    for then, amount in loads:
        now = later(now, shape, then)
        assert meter.used(now, OFFSET) == counted_by_the_calendar(departures, shape, now)
        meter.date(amount, now, OFFSET)
        departures.append(Departure(now, amount))
        assert meter.used(now, OFFSET) == counted_by_the_calendar(departures, shape, now)


@given(shapes, shapes, loads, loads)
def test_a_calendar_window_that_is_cut_anew_forgets_nothing_that_may_count(
    before, after, first, second
) -> None:
    meter = Meter(before.window(Kind.CALENDAR, EXACT), before.jitter)
    departures: list[Departure] = []
    now = 0
    for then, amount in first:
        now = later(now, before, then)
        meter.used(now, OFFSET)
        meter.date(amount, now, OFFSET)
        departures.append(Departure(now, amount))
    # What no longer counted under the old shape is not remembered for the other.
    span = before.length + 2 * before.jitter + 1
    departures = [d for d in departures if d.at > now - span]
    meter.reshape(after.window(Kind.CALENDAR, EXACT), after.jitter, OFFSET)
    for then, amount in second:
        now = later(now, after, then)
        assert meter.used(now, OFFSET) >= counted_by_the_calendar(departures, after, now)
        meter.date(amount, now, OFFSET)
        departures.append(Departure(now, amount))


@pytest.mark.parametrize("size", SIZES)
@given(shapes, loads)
@example(Shape(60 * S, 0), [(0, 1), (1, 5), (60 * S, 0)])
def test_a_rolling_window_counts_for_its_length_and_never_less(size, shape, loads) -> None:
    meter = Meter(shape.window(Kind.ROLLING, size), shape.jitter)
    span = shape.length + shape.jitter + 1
    grain = shape.length // EXACT if size > EXACT else 1
    departures: list[Departure] = []
    now = 0
    for then, amount in loads:
        now = later(now, shape, then)
        meter.date(amount, now, None)
        departures.append(Departure(now, amount))
        used = meter.used(now, None)
        assert used >= counted_when_rolling(departures, span, now)
        assert used <= counted_when_rolling(departures, span + grain, now)
