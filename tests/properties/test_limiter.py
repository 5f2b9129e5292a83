"""Random loads on the rate limiter, judged by a scan of the departures that shares no code with it.

The exchange's clock is the simulation's time. The wall clock that the limiter is shown starts
right and then steps at random, forward and back.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from fractions import Fraction
from itertools import count
from math import ceil

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from hauberk_plugins.throttle.limiter import RateLimiter
from hauberk_plugins.throttle.turns import WORTH_WAKING_NS
from hauberk_plugins.throttle.windows import Kind, Scope, Window

MS = 1_000_000
EPOCH = 1_700_000_000_000 * MS  # what the exchange's clock shows at the simulation's 0
LEASE = 1_000 * MS


@define(eq=False)
class Call:
    """One request: what it wants, and how its bot behaves."""

    number: int
    at: int
    costs: tuple[int, ...]
    leaves_after: int
    gives_up_after: int | None
    stays_away: int
    asks: int = 0
    told: int = 0
    granted: int | None = None
    left: int | None = None
    over: bool = False
    turn: int = 0

    @property
    def id(self) -> str:
        return str(self.number)


@define(slots=False)
class Load:
    """Drives a limiter as the kernel does, without its waits."""

    windows: list[Window]
    jitter: int
    steps: list[tuple[int, int]]
    calls: list[Call]
    now: int = 0
    wall_error: int = 0
    stepped: bool = False
    waiting: dict[str, Call] = field(factory=dict)
    _events: list[tuple[int, int, Callable[[], None]]] = field(factory=list)
    _order: count[int] = field(factory=count)

    def run(self) -> None:
        self.limiter = RateLimiter(lease_ns=LEASE, wake=self._woken)
        self.meters = [self.limiter.meter((w.name,), w, self.jitter) for w in self.windows]
        self.limiter.ask("first", (), self.now, EPOCH)
        self.limiter.end("first", True, self.now)
        self.by_id = {call.id: call for call in self.calls}
        for at, error in self.steps:
            self._at(at, lambda error=error: setattr(self, "wall_error", error))
        for call in self.calls:
            self._at(call.at, lambda call=call: self._ask(call, 0))
            if call.gives_up_after is not None:
                self._at(call.at + call.gives_up_after, lambda call=call: self._give_up(call))
        while self._events:
            self.now = self._events[0][0]
            while self._events and self._events[0][0] == self.now:
                heapq.heappop(self._events)[2]()
            self._check_the_first_is_not_forgotten()

    def _at(self, at: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at, next(self._order), action))

    def _woken(self, request_id: str) -> None:
        call = self.by_id[request_id]
        call.told = self.now
        self._come_back(call)

    def _come_back(self, call: Call) -> None:
        call.turn += 1
        turn = call.turn
        self._at(max(call.told, self.now) + call.stays_away, lambda: self._ask(call, turn))

    def _ask(self, call: Call, turn: int) -> None:
        if call.over or call.granted is not None or call.turn != turn:
            return
        call.asks += 1
        amounts = tuple((m, c) for m, c in zip(self.meters, call.costs, strict=True) if c)
        wait = self.limiter.ask(call.id, amounts, self.now, EPOCH + self.now + self.wall_error)
        # The limiter knows of a step once it has been shown it.
        self.stepped = abs(self.wall_error) > max(self.jitter, 50 * MS)
        if wait:
            call.told = self.now + wait
            self.waiting[call.id] = call
            self._come_back(call)
        else:
            self.waiting.pop(call.id, None)
            call.granted = self.now
            self._at(self.now + call.leaves_after, lambda: self._leave(call))

    def _leave(self, call: Call) -> None:
        if not call.over:
            call.over, call.left = True, self.now
            self.limiter.end(call.id, True, self.now)

    def _give_up(self, call: Call) -> None:
        if not call.over:
            call.over = True
            self.waiting.pop(call.id, None)
            self.limiter.end(call.id, False, self.now)

    def _check_the_first_is_not_forgotten(self) -> None:
        if not self.waiting:
            return
        first = min(self.waiting.values(), key=lambda call: (call.at, call.number))
        if all(
            self._used(index) + cost <= window.size
            for index, (window, cost) in enumerate(zip(self.windows, first.costs, strict=True))
            if cost
        ):
            assert first.told <= self.now + WORTH_WAKING_NS, "budget is free and the first sleeps"

    def _used(self, index: int) -> int:
        window = self.windows[index]
        if window.kind is Kind.DECAYING:
            return self._used_decaying(index)
        total = 0
        for call in self.calls:
            if call.granted is None or (call.over and call.left is None):
                continue
            if call.left is None or self._still_counts(window, call.left):
                total += call.costs[index]
        return total

    def _used_decaying(self, index: int) -> int:
        window = self.windows[index]
        open_now = sum(
            call.costs[index]
            for call in self.calls
            if call.granted is not None and not call.over and call.left is None
        )
        rate = Fraction(window.size, window.seconds * 1_000 * MS)
        departures = self.departures(index)
        # However few of the last ones are looked at, what they brought less what drained since.
        stretches = [
            sum(cost for left, cost in departures if left >= since)
            - rate * (self.now - since - self.jitter)
            for since, _ in departures
        ]
        return open_now + ceil(max([0, *stretches]))

    def _still_counts(self, window: Window, left: int) -> bool:
        length = window.seconds * 1_000 * MS
        if window.kind is Kind.ROLLING:
            return self.now <= left + length + self.jitter
        if self.stepped:
            return self.now <= left + length + 2 * self.jitter
        now, then = EPOCH + self.now, EPOCH + left
        return (then + self.jitter) // length >= (now - self.jitter) // length

    def departures(self, index: int) -> list[tuple[int, int]]:
        return sorted(
            (call.left, call.costs[index])
            for call in self.calls
            if call.left is not None and call.costs[index]
        )


def worst_rolling(departures: list[tuple[int, int]], length: int, jitter: int) -> int:
    """The most that any stretch of `length` can see, each arriving up to `jitter` later."""
    return max(
        (
            sum(cost for left, cost in departures if first <= left <= first + jitter + length)
            for first, _ in departures
        ),
        default=0,
    )


def worst_calendar(departures: list[tuple[int, int]], length: int, jitter: int) -> int:
    """The most that any cell can see, each counted up to `jitter` earlier or later."""
    cells: dict[int, int] = {}
    for left, cost in departures:
        wall = EPOCH + left
        for cell in range((wall - jitter) // length, (wall + jitter) // length + 1):
            cells[cell] = cells.get(cell, 0) + cost
    return max(cells.values(), default=0)


def worst_decaying(departures: list[tuple[int, int]], window: Window, jitter: int) -> int:
    """The most that its counter can stand at, each arriving up to `jitter` later, rounded up."""
    rate = Fraction(window.size, window.seconds * 1_000 * MS)
    highest = Fraction(0)
    for moment, _ in departures:
        arrivals = sorted(
            (min(max(left, moment + jitter), left + jitter), cost) for left, cost in departures
        )
        level, then = Fraction(0), 0
        for at, cost in arrivals:
            level, then = max(Fraction(0), level - rate * (at - then)) + cost, at
            highest = max(highest, level)
    return ceil(highest)


def assert_never_more_than_size(load: Load) -> None:
    for index, window in enumerate(load.windows):
        if window.kind is Kind.DECAYING:
            seen = worst_decaying(load.departures(index), window, load.jitter)
            assert seen <= window.size, window
            continue
        scan = worst_rolling if window.kind is Kind.ROLLING else worst_calendar
        seen = scan(load.departures(index), window.seconds * 1_000 * MS, load.jitter)
        assert seen <= window.size, window


@st.composite
def loads(draw: st.DrawFn, *, well_behaved: bool = False, clock_steps: bool = True) -> Load:
    windows = [
        Window(
            f"w{number}",
            draw(st.sampled_from(Kind)),
            Scope.IP,
            draw(st.integers(1, 4)),
            draw(st.integers(1, 6)),
            "weight",
        )
        for number in range(draw(st.integers(1, 3)))
    ]
    costs = st.tuples(*(st.integers(0, window.size) for window in windows))
    calls = [
        Call(
            number=number,
            at=draw(st.integers(0, 6_000)) * MS + draw(st.integers(0, 1)),
            costs=draw(costs),
            leaves_after=draw(st.sampled_from([0, 1, MS, 40 * MS, 900 * MS, 5_000 * MS])),
            gives_up_after=None
            if well_behaved
            else draw(st.none() | st.integers(0, 9_000).map(lambda ms: ms * MS)),
            stays_away=0 if well_behaved else draw(st.sampled_from([0, 0, 0, MS, 1_500 * MS])),
        )
        for number in range(draw(st.integers(1, 14)))
    ]
    calls.sort(key=lambda call: (call.at, call.number))
    for number, call in enumerate(calls):
        call.number = number
    step = st.tuples(
        st.integers(0, 20_000).map(lambda ms: ms * MS),
        st.sampled_from([0, 20, -20, 700, -700, 30_000, -30_000, -3_600_000]).map(
            lambda ms: ms * MS
        ),
    )
    steps = draw(st.lists(step, max_size=4)) if clock_steps else []
    return Load(windows, draw(st.sampled_from([0, 30, 250])) * MS, steps, calls)


@given(loads())
def test_no_window_of_the_exchange_ever_sees_more_than_its_size(load: Load) -> None:
    load.run()
    assert_never_more_than_size(load)


@given(loads(well_behaved=True))
def test_everybody_who_keeps_asking_is_granted(load: Load) -> None:
    load.run()
    assert_never_more_than_size(load)
    assert all(call.left is not None for call in load.calls)


@given(loads())
def test_nothing_is_remembered_of_requests_that_ended(load: Load) -> None:
    load.run()
    for call in load.calls:
        load.limiter.end(call.id, False, load.now)
    assert not load.limiter._charges
    assert not load.limiter._waiters
    assert all(meter.open == 0 and not meter.line._places for meter in load.meters)
    later = load.now + 3_600_000 * MS
    assert all(meter.used(later, None) == 0 and not meter._log for meter in load.meters)
    assert all(meter.is_idle(later) for meter in load.meters)


@given(loads(well_behaved=True, clock_steps=False))
def test_who_wants_the_same_is_granted_in_the_order_of_asking(load: Load) -> None:
    for call in load.calls:
        call.costs = load.calls[0].costs
    load.run()
    granted = [call.granted for call in load.calls]
    assert granted == sorted(granted)
