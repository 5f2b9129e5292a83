"""What numbers on calls are for: an old one undoes nothing, and nothing counts twice."""

from __future__ import annotations

from hauberk_plugins.throttle.shared.call import Answer, Ask, Call, Departure, Report, Status
from hauberk_plugins.throttle.shared.fields import Fields
from hauberk_plugins.throttle.shared.ledger import Sitting
from hauberk_plugins.throttle.shared.shape import Shape

SHAPE = Shape("a/", "rolling", 10_000_000, 0, 10)
NOW = 1_700_000_000_000_000


class Ledger:
    def __init__(self) -> None:
        self.state: Fields = {}
        self.meters: dict[str, Fields] = {}

    def call(self, seq: int, *, open_: int = 0, ask: int = 0, left: tuple[int, ...] = ()) -> Answer:
        """Report what is open, and departures of 3 each first told in those calls; then ask."""
        departures = tuple(Departure(first_told, 0, 3) for first_told in left)
        asks = (Ask(0, ask),) if ask else ()
        call = Call("aa", seq, reports=(Report(SHAPE, open_, departures),), asks=asks, is_look=True)
        return Sitting(self.state, self.meters, call, NOW).answer()

    def used(self, seq: int, open_: int = 0) -> int:
        return self.call(seq, open_=open_).readings[0].used


def test_a_call_that_comes_late_undoes_nothing() -> None:
    # Redis stood still: what was sent before the connection was dropped is read after what came by
    # the next one, and says that less is open.
    ledger = Ledger()
    ledger.call(1, ask=4)
    ledger.call(3, open_=4, ask=5)
    assert ledger.call(2, open_=0).status is Status.STALE
    assert ledger.used(4, open_=9) == 9


def test_the_same_call_read_twice_is_done_once() -> None:
    ledger = Ledger()
    assert ledger.call(1, ask=4).status is Status.GRANTED
    assert ledger.call(1, ask=4).status is Status.STALE
    assert ledger.used(2, open_=4) == 4


def test_a_departure_whose_answer_was_lost_is_told_again_and_counts_once() -> None:
    ledger = Ledger()
    ledger.call(1, left=(1,))
    ledger.call(2, left=(1, 2))
    assert ledger.used(3) == 6


def test_a_departure_whose_call_was_lost_counts_when_it_is_told_again() -> None:
    ledger = Ledger()
    ledger.call(2, left=(1, 2))
    assert ledger.used(3) == 6


def test_a_grant_whose_answer_was_lost_is_given_back_by_the_next_call() -> None:
    ledger = Ledger()
    ledger.call(1, ask=8)
    assert ledger.call(2, open_=0, ask=8).status is Status.GRANTED


def test_a_calendar_window_grants_nothing_that_may_arrive_before_its_boundary() -> None:
    length, jitter = 60_000_000, 250_000
    boundary = NOW // length * length + length
    shape = Shape("a/", "calendar", length, jitter, 1)
    state: Fields = {}
    meters: dict[str, Fields] = {}

    def status(seq: int, now: int, *, left: bool = False) -> Status:
        departures = (Departure(seq, 0, 1),) if left else ()
        asks = () if left else (Ask(0, 1),)
        call = Call("aa", seq, reports=(Report(shape, 0, departures),), asks=asks, claim="aa1")
        return Sitting(state, meters, call, now).answer().status

    status(1, boundary - 10 * jitter, left=True)
    for seq, early in enumerate((jitter, 1, -jitter + 1), start=2):
        assert status(seq, boundary - early) is Status.WAIT
    assert status(5, boundary + jitter) is Status.GRANTED


def test_a_meter_that_is_gone_after_a_clock_went_far_ahead_counts_as_full() -> None:
    # Redis forgets by its own clock: where that goes ahead, it forgets what still counts.
    ledger, lease = Ledger(), 60_000_000
    ledger.call(1, ask=4, left=(1,))
    ledger.meters.clear()
    stepped = Call(
        *("aa", 2, 1, lease),
        *((Report(SHAPE),), (Ask(0, 1),), "aa1"),
        latest_us=1,
        stepped_us=-2 * lease,
    )
    sitting = Sitting(ledger.state, ledger.meters, stepped, NOW + 2 * lease)
    assert sitting.answer().status is Status.WAIT
    assert ledger.used(3) == 10


def test_a_meter_that_was_there_counts_what_it_counted_after_a_clock_went_ahead() -> None:
    ledger, lease = Ledger(), 60_000_000
    ledger.call(1, left=(1,))
    stepped = Call("aa", 2, 1, lease, (Report(SHAPE),), latest_us=1, stepped_us=-2 * lease)
    Sitting(ledger.state, ledger.meters, stepped, NOW + 2 * lease).answer()
    assert ledger.used(3) == 3
