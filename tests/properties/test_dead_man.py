"""A dead-man timer is renewed in time while all is well, and never after a halt."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hauberk.testing import FakeClock
from hauberk_plugins.killswitch.answer import DONE, Judgement
from hauberk_plugins.killswitch.beating import DeadMan
from hauberk_plugins.killswitch.lane import ATTEMPT_S, Errand

S = 1_000_000_000
TIMER = Errand("main", "futures")
COUNTDOWNS = st.integers(1, 3_600)


class World:
    """An exchange with a countdown, and a lane that keeps it armed, on one clock."""

    def __init__(self, countdown_s: int, faults: Iterator[tuple[bool, float]]) -> None:
        self.clock = FakeClock()
        self.countdown_ns = countdown_s * S
        self.is_well = True
        self.faults = faults
        self.arrived: list[int] = []
        self.tried: list[int] = []
        self.told: list[str] = []
        self.lane = DeadMan(
            lambda: [(TIMER, countdown_s)], self.beat, lambda: self.is_well, self.clock,
            lambda _errand, what, _why: self.told.append(what),
        )  # fmt: skip

    def beat(self, errand: Errand, countdown_s: int, timeout_s: float) -> Judgement:
        assert self.is_well
        self.tried.append(self.clock.monotonic_ns())
        works, share = next(self.faults, (True, 0.0))
        took_ns = round(timeout_s * share * 1e9)
        self.clock.advance_ns(took_ns // 2)
        if works:
            self.arrived.append(self.clock.monotonic_ns())
        self.clock.advance_ns(took_ns - took_ns // 2)
        return DONE if works else Judgement(False, "no answer", again=True)

    def run(self, until_ns: int) -> None:
        while self.clock.monotonic_ns() < until_ns:
            self.clock.advance_ns(self.lane.step())


@given(COUNTDOWNS, st.lists(st.floats(0, 1), max_size=50))
def test_while_all_is_well_no_countdown_runs_out(countdown_s: int, slow: list[float]) -> None:
    world = World(countdown_s, iter([(True, share) for share in slow]))
    world.run(20 * world.countdown_ns)
    gaps = [b - a for a, b in pairwise(world.arrived)]
    assert world.arrived[0] <= world.countdown_ns
    assert all(gap < world.countdown_ns for gap in gaps)
    assert world.told == ["armed"]


@given(COUNTDOWNS, st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_it_is_renewed_about_three_times_a_countdown_and_no_more(
    countdown_s: int, slow: list[float]
) -> None:
    world = World(countdown_s, iter([(True, share) for share in slow]))
    world.run(10 * world.countdown_ns)
    assert 20 <= len(world.tried) <= 31


def test_of_the_shortest_countdown_two_attempts_may_hang_to_their_end() -> None:
    world = World(1, iter([(True, 0.0), (False, 1.0), (False, 1.0), (True, 1.0)]))
    world.run(world.countdown_ns)
    assert len(world.arrived) == 2
    assert "lapsed" not in world.told


@given(COUNTDOWNS, st.data())
def test_two_attempts_in_a_row_may_fail_at_any_time(countdown_s: int, data: st.DataObject) -> None:
    def faults() -> Iterator[tuple[bool, float]]:
        failed = 0
        while True:
            works = True if failed == 2 else data.draw(st.booleans())
            failed = 0 if works else failed + 1
            yield works, data.draw(st.floats(0, 1))

    world = World(countdown_s, faults())
    world.run(8 * world.countdown_ns)
    gaps = [b - a for a, b in pairwise(world.arrived)]
    assert all(gap < world.countdown_ns for gap in gaps)
    assert "lapsed" not in world.told


@given(
    COUNTDOWNS, st.floats(0, 10), st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=30)
)
def test_nothing_is_sent_after_a_halt(
    countdown_s: int, at: float, faults: list[tuple[bool, float]]
) -> None:
    world = World(countdown_s, iter(faults))
    world.run(round(at * world.countdown_ns))
    world.is_well = False
    tried = len(world.tried)
    world.run(world.clock.monotonic_ns() + 5 * world.countdown_ns)
    assert len(world.tried) == tried


@given(COUNTDOWNS, st.floats(0.1, 5), st.floats(0.1, 5))
def test_what_was_not_well_for_a_time_is_renewed_again(
    countdown_s: int, before: float, between: float
) -> None:
    world = World(countdown_s, iter(()))
    world.run(round(before * world.countdown_ns))
    world.is_well = False
    world.run(world.clock.monotonic_ns() + round(between * world.countdown_ns))
    world.is_well = True
    again_ns = world.clock.monotonic_ns()
    world.run(again_ns + world.countdown_ns)
    assert any(at >= again_ns for at in world.tried)


@given(COUNTDOWNS)
def test_an_exchange_that_never_answers_is_tried_at_a_bounded_rate_and_told_once(
    countdown_s: int,
) -> None:
    world = World(countdown_s, iter([(True, 0.0)] + [(False, 1.0)] * 10_000))
    world.run(5 * world.countdown_ns)
    assert world.told == ["armed", "failed", "lapsed"]
    pauses = [b - a for a, b in pairwise(world.tried[1:])]
    assert all(pause >= S // 4 for pause in pauses)
    assert len(world.tried) <= 5 * countdown_s * 4 + 2


@given(COUNTDOWNS, st.integers(1, 40))
def test_timers_that_share_a_thread_and_hang_make_no_other_late(
    countdown_s: int, count: int
) -> None:
    clock = FakeClock()
    arrived: list[int] = []
    timers = [(Errand("main", "futures", f"S{number}"), countdown_s) for number in range(count)]

    def beat(errand: Errand, _countdown_s: int, timeout_s: float) -> Judgement:
        assert timeout_s <= ATTEMPT_S
        if errand.symbol == "S0":
            arrived.append(clock.monotonic_ns())
            return DONE
        clock.advance(timeout_s)
        return Judgement(False, "no answer", again=True)

    lane = DeadMan(lambda: timers, beat, lambda: True, clock, lambda *_: None)
    while clock.monotonic_ns() < 10 * countdown_s * S:
        clock.advance_ns(lane.step())
    gaps = [b - a for a, b in pairwise(arrived)]
    assert all(gap < countdown_s * S for gap in gaps)


@given(COUNTDOWNS, st.floats(0, 1))
def test_a_timer_is_taken_to_run_out_when_it_may_at_the_earliest(
    countdown_s: int, slow: float
) -> None:
    world = World(countdown_s, iter([(True, slow)] + [(False, 0.0)] * 10_000))
    wait_ns = world.lane.step()
    while "lapsed" not in world.told:
        world.clock.advance_ns(wait_ns)
        wait_ns = world.lane.step()
    pause_ns = min(max(world.countdown_ns // 12, S // 4), 5 * S)
    # It was sent at 0, and counts from when that arrived, which nobody here can know.
    assert world.countdown_ns <= world.clock.monotonic_ns() <= world.countdown_ns + pause_ns
