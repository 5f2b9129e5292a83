"""The rate limiter against an exchange that counts arrivals, as late as an adversary has them be.

Lateness is the delay on the way and what the exchange's clock is ahead. Within the bounds that
`meters.py` states, that is within one jitter of zero and within one jitter of each other, whoever
chooses it knows every departure.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from hauberk_plugins.throttle.limiter import RateLimiter
from hauberk_plugins.throttle.windows import Kind, Scope, Window

MS = 1_000_000
SECOND = 1_000 * MS
EPOCH = 1_700_000_040 * SECOND  # a full minute

#: When it left by our wall clock, and how much it costs.
Departures = Sequence[tuple[int, int]]


@frozen
class Bounds:
    """Between what the latenesses of all requests lie, nanoseconds."""

    earliest: int
    latest: int

    def nearest(self, lateness: int) -> int:
        return min(max(lateness, self.earliest), self.latest)


@frozen
class Exchange:
    """Counts what arrives, and is told nothing else."""

    kind: Kind
    length: int
    size: int

    def most(self, arrivals: Departures) -> int:
        """The most that one of its windows has seen, or that its counter stood at."""
        if self.kind is Kind.DECAYING:
            return self._highest(sorted(arrivals))
        if self.kind is Kind.CALENDAR:
            cells = {at // self.length for at, _ in arrivals}
            seen = [sum(n for at, n in arrivals if at // self.length == cell) for cell in cells]
        else:  # both ends of a stretch count
            seen = [
                sum(n for at, n in arrivals if first <= at <= first + self.length)
                for first, _ in arrivals
            ]
        return max(seen, default=0)

    def _highest(self, arrivals: Departures) -> int:
        level = highest = Fraction(0)
        then = 0
        for at, cost in arrivals:
            drained = Fraction(self.size * (at - then), self.length)
            level, then = max(Fraction(0), level - drained) + cost, at
            highest = max(highest, level)
        return ceil(highest)


def paced(window: Window, jitter: int, wishes: Departures, held: Sequence[int]) -> Departures:
    """Let requests wait as they are told and leave a while after they are granted."""
    limiter = RateLimiter(lease_ns=60 * SECOND)
    meter = limiter.meter(("w",), window, jitter)
    turns = [(at, number) for number, (at, _) in enumerate(wishes)]
    leaves: list[tuple[int, int]] = []
    left = []
    heapq.heapify(turns)
    while turns or leaves:
        if leaves and (not turns or leaves[0] <= turns[0]):
            now, number = heapq.heappop(leaves)
            limiter.end(str(number), True, now)
            left.append((EPOCH + now, wishes[number][1]))
            continue
        now, number = heapq.heappop(turns)
        wait = limiter.ask(str(number), ((meter, wishes[number][1]),), now, EPOCH + now)
        if wait:
            heapq.heappush(turns, (now + wait, number))
        else:
            heapq.heappush(leaves, (now + held[number], number))
    return left


def crowded(left: Departures, bounds: Bounds, exchange: Exchange) -> Iterator[Departures]:
    """Have as many as possible arrive soon after a moment, for each that may matter."""
    moments = {at + bounds.latest for at, _ in left}
    if exchange.kind is Kind.CALENDAR:
        moments = {moment // exchange.length * exchange.length for moment in moments}
    for moment in moments:
        yield [(at + bounds.nearest(moment - at), cost) for at, cost in left]


@st.composite
def loads(draw: st.DrawFn) -> tuple[Window, int, Departures, Sequence[int]]:
    size = draw(st.integers(1, 2))
    window = Window("w", draw(st.sampled_from(Kind)), Scope.IP, draw(st.integers(1, 2)), size, "x")
    jitter = draw(st.sampled_from([250, 30, 0])) * MS
    # About the boundaries, where it matters what the clocks differ by.
    boundary = st.integers(1, 2).map(lambda turn: turn * window.seconds * SECOND)
    about = st.integers(-4, 4).map(lambda thirds: thirds * jitter // 3)
    wish = st.tuples(st.tuples(boundary, about).map(sum), st.integers(1, size))
    wishes = draw(st.lists(wish, min_size=2, max_size=5))
    hold = st.sampled_from([0, 0, 0, 1, 40 * MS, 900 * MS])
    held = draw(st.lists(hold, min_size=len(wishes), max_size=len(wishes)))
    return window, jitter, wishes, held


@settings(max_examples=6 * settings.default.max_examples)
@given(loads(), st.data())
def test_however_late_arrivals_are_no_window_of_the_exchange_sees_more_than_its_size(
    load: tuple[Window, int, Departures, Sequence[int]], data: st.DataObject
) -> None:
    window, jitter, wishes, held = load
    earliest = -data.draw(st.sampled_from([jitter, jitter // 2, 0]), "what our clock is ahead")
    bounds = Bounds(earliest, earliest + jitter)
    exchange = Exchange(window.kind, window.seconds * SECOND, window.size)
    left = paced(window, jitter, wishes, held)
    assert len(left) == len(wishes)
    for arrivals in crowded(left, bounds, exchange):
        assert exchange.most(arrivals) <= window.size
    anyhow = st.integers(bounds.earliest, bounds.latest)
    assert exchange.most([(at + data.draw(anyhow), cost) for at, cost in left]) <= window.size


@pytest.mark.parametrize("kind", Kind)
def test_no_smaller_jitter_would_be_enough(kind: Kind) -> None:
    """So that the property above is seen to be sharp."""
    window = Window("w", kind, Scope.IP, 2, 1, "weight")
    jitter, wishes = 250 * MS, [(1_000 * MS, 1), (1_000 * MS, 1)]
    exchange = Exchange(kind, 2 * SECOND, 1)
    for used, most in ((jitter, 1), (jitter - MS, 2)):
        left = paced(window, used, wishes, [0, 0])
        found = [
            exchange.most(arrivals)
            for earliest in (0, -jitter)
            for bounds in [Bounds(earliest, earliest + jitter)]
            for arrivals in crowded(left, bounds, exchange)
        ]
        assert max(found) == most
