from __future__ import annotations

import heapq
import sys
import threading
from collections.abc import Iterator
from itertools import count

import pytest

from hauberk_plugins.throttle.errors import LineFull, TooDear
from hauberk_plugins.throttle.limiter import RateLimiter
from hauberk_plugins.throttle.meters import Meter
from hauberk_plugins.throttle.windows import Kind, Scope, Window

MS = 1_000_000
S = 1_000 * MS
EPOCH = 1_700_000_040 * S  # a full minute


def window(kind: str = "rolling", seconds: int = 10, size: int = 2, name: str = "w") -> Window:
    return Window(name, Kind(kind), Scope.IP, seconds, size, "weight")


class Bench:
    """A limiter, its clock, and what it woke."""

    def __init__(self, *windows: Window, jitter: int = 0, **settings: int) -> None:
        self.woken: list[str] = []
        self.limiter = RateLimiter(wake=self.woken.append, **settings)
        self.meters = [self.limiter.meter((w.name,), w, jitter) for w in windows]
        self.now = 1_000 * S
        self.wall = EPOCH - self.now
        self.limiter.ask("first", (), self.now, self.now + self.wall)

    def ask(self, name: str, *costs: int) -> int:
        costs = costs or (1,) * len(self.meters)
        amounts = tuple((m, c) for m, c in zip(self.meters, costs, strict=False) if c)
        return self.limiter.ask(name, amounts, self.now, self.now + self.wall)

    def leave(self, name: str) -> None:
        self.limiter.end(name, True, self.now)

    def give_back(self, name: str) -> None:
        self.limiter.end(name, False, self.now)

    def pass_through(self, name: str, *costs: int) -> None:
        assert self.ask(name, *costs) == 0
        self.leave(name)


def test_the_same_request_asked_again_is_charged_once() -> None:
    bench = Bench(window(size=1))
    assert [bench.ask("a") for _ in range(5)] == [0] * 5
    assert bench.meters[0].open == 1


def test_dearer_content_is_charged_afresh() -> None:
    bench = Bench(window(size=5))
    bench.ask("a", 2)
    assert bench.ask("a", 4) == 0
    assert bench.meters[0].open == 4


def test_cheaper_content_keeps_its_charge_and_never_waits() -> None:
    bench = Bench(window(size=5))
    bench.ask("a", 4)
    assert bench.ask("b", 5) > 0
    assert bench.ask("a", 3) == 0
    assert bench.meters[0].open == 4


def test_two_that_both_grow_dearer_do_not_hold_what_the_other_waits_for() -> None:
    bench = Bench(window(size=10))
    bench.ask("a", 5)
    bench.ask("b", 5)
    assert bench.ask("a", 10) > 0
    assert bench.ask("b", 10) > 0
    assert bench.woken[0] == "a"
    assert bench.ask("a", 10) == 0


def test_a_charge_counts_from_its_leaving_not_from_its_grant() -> None:
    bench = Bench(window(size=1, seconds=10))
    bench.ask("slow")
    bench.now += 9 * S
    bench.leave("slow")
    bench.now += 2 * S
    assert bench.ask("b") == 8 * S + 1


@pytest.mark.parametrize("kind", ["rolling", "calendar"])
def test_a_charge_that_has_not_left_counts_however_long_it_takes(kind: str) -> None:
    bench = Bench(window(kind, size=1, seconds=10))
    bench.ask("slow")
    for _ in range(100):
        bench.now += 7 * S
        assert bench.ask("b") > 0


def test_what_did_not_leave_is_given_back_at_once_and_wakes_the_next() -> None:
    bench = Bench(window(size=1))
    bench.ask("a")
    assert bench.ask("b") > 0
    bench.give_back("a")
    assert bench.woken == ["b"]
    assert bench.ask("b") == 0


def test_what_is_given_back_wakes_as_many_as_it_has_room_for_and_no_more() -> None:
    bench = Bench(window(size=3))
    bench.ask("a", 3)
    for name in "bcdefg":
        assert bench.ask(name) > 0
    bench.give_back("a")
    # Two more are told that their turn comes sooner; the others hear when they are as far.
    assert bench.woken == ["b", "c", "d", "e", "f"]
    assert [bench.ask(name) for name in "bcd"] == [0, 0, 0]


def test_a_calendar_charge_counts_in_the_window_of_its_leaving() -> None:
    bench = Bench(window("calendar", seconds=60, size=1))
    bench.now += 59 * S
    bench.ask("a")
    bench.now += 2 * S  # into the next minute
    bench.leave("a")
    assert bench.ask("b") == 59 * S


def test_a_calendar_window_frees_all_at_its_boundary_and_the_jitter() -> None:
    bench = Bench(window("calendar", seconds=60, size=2), jitter=250 * MS)
    bench.now += 50 * S
    bench.pass_through("a")
    bench.pass_through("b")
    assert bench.ask("c") == 10 * S + 250 * MS
    bench.now += 10 * S + 250 * MS
    assert [bench.ask("c"), bench.ask("d")] == [0, 0]


def test_what_leaves_near_a_boundary_counts_on_both_sides_of_it() -> None:
    bench = Bench(window("calendar", seconds=60, size=1), jitter=250 * MS)
    bench.now += 60 * S - 100 * MS
    bench.pass_through("early")
    bench.now += 350 * MS
    assert bench.ask("b") == 60 * S


def test_just_after_a_boundary_the_window_before_it_still_counts() -> None:
    bench = Bench(window("calendar", seconds=60, size=1), jitter=250 * MS)
    bench.now += 50 * S
    bench.pass_through("a")
    bench.now += 10 * S + 100 * MS  # by the exchange's clock it may be in a's minute yet
    assert bench.ask("b") == 150 * MS


def test_what_leaves_near_a_boundary_counts_beyond_it_whoever_left_before() -> None:
    bench = Bench(window("calendar", seconds=60, size=2), jitter=250 * MS)
    bench.now += 50 * S
    bench.pass_through("a")
    bench.now += 10 * S - 100 * MS
    bench.pass_through("late")
    bench.now += 350 * MS
    assert bench.ask("b") == 0
    assert bench.ask("c") == 60 * S


def test_windows_are_charged_all_or_none() -> None:
    bench = Bench(window(size=5, name="wide"), window(size=1, name="narrow"))
    bench.pass_through("a")
    assert bench.ask("b") > 0
    assert [meter.open for meter in bench.meters] == [0, 0]


@pytest.mark.parametrize("step", [-3_600 * S, -30 * S, 30 * S, 61 * S, 3_600 * S])
def test_a_wall_clock_that_steps_frees_nothing_early(step: int) -> None:
    bench = Bench(window("calendar", seconds=60, size=1))
    bench.now += 30 * S
    bench.pass_through("a")
    bench.wall += step
    assert bench.ask("b") == 60 * S + 1  # any alignment is possible: only a whole length is safe


def test_a_wall_clock_off_by_the_jitter_has_not_stepped() -> None:
    bench = Bench(window("calendar", seconds=60, size=1), jitter=300 * MS)
    bench.now += 50 * S
    bench.pass_through("a")
    for step in (300 * MS, -600 * MS):
        bench.wall += step
        assert bench.ask("b") == 10 * S + 300 * MS  # by the boundary, as it was first seen
    bench.wall -= 1
    assert bench.ask("b") == 60 * S + 600 * MS + 1


def test_a_clock_set_back_an_hour_does_not_make_anybody_wait_for_an_hour() -> None:
    bench = Bench(window("calendar", seconds=60, size=1), window(seconds=60, size=1, name="r"))
    bench.pass_through("a")
    bench.wall -= 3_600 * S
    assert bench.ask("b") <= 61 * S


def test_a_reading_held_up_between_the_two_clocks_has_no_lasting_effect() -> None:
    bench = Bench(window("calendar", seconds=60, size=1))
    bench.now += 50 * S
    bench.pass_through("a")
    bench.wall += 300 * MS
    assert bench.ask("b") == 60 * S + 1
    bench.wall -= 300 * MS
    assert bench.ask("c") == 11 * S + 1  # when b's lease is over
    assert bench.woken == ["b"]
    assert bench.ask("b") == 10 * S


def test_a_reading_that_comes_late_does_not_turn_time_back() -> None:
    bench = Bench(window(size=1, seconds=10))
    bench.now += 5 * S
    bench.ask("a")
    bench.now -= 1 * S
    assert bench.ask("b") > 0
    bench.leave("a")
    bench.now += 11 * S
    assert bench.ask("b") > 0  # a counts from its grant at least


def test_a_cost_above_the_size_is_refused_at_once_and_blocks_nobody() -> None:
    bench = Bench(window(size=2))
    with pytest.raises(TooDear, match="costs 3 of window 'w'"):
        bench.ask("a", 3)
    assert bench.ask("b", 2) == 0


def test_the_line_is_bounded() -> None:
    bench = Bench(window(size=1), max_waiting=2)
    bench.pass_through("a")
    bench.ask("b")
    bench.ask("c")
    with pytest.raises(LineFull, match="2 requests wait for window 'w' already") as caught:
        bench.ask("d")
    assert caught.value.wait_ns == 30 * S + 3  # behind a, b and c
    bench.give_back("b")
    assert bench.ask("d") > 0


def test_a_waiter_that_ended_leaves_the_line_at_once() -> None:
    bench = Bench(window(size=1))
    bench.pass_through("a")
    first, second = bench.ask("b"), bench.ask("c")
    assert (first, second) == (10 * S + 1, 11 * S + 2)  # c looks when b's lease is over
    bench.give_back("b")
    assert bench.woken == ["c"]
    assert bench.ask("c") == first


def test_what_left_without_a_grant_is_counted_and_calls_up_the_line() -> None:
    """As in shadow mode, in which nobody who is told to wait waits."""
    bench = Bench(window(size=1))
    bench.pass_through("a")
    bench.ask("b")
    assert bench.ask("c") == 11 * S + 2  # when b's lease is over
    bench.leave("b")
    assert bench.woken == ["c"]
    assert bench.ask("c") == 10 * S + 1
    assert bench.meters[0].used(bench.now, None) == 2


def test_a_wait_depends_on_the_place() -> None:
    bench = Bench(window(size=1, seconds=1), lease_ns=60 * S)
    bench.pass_through("a")
    assert [bench.ask(name) for name in "bcde"] == [k * (S + 1) for k in (1, 2, 3, 4)]


def test_who_comes_later_does_not_overtake() -> None:
    bench = Bench(window(size=3))
    bench.ask("a", 2)
    assert bench.ask("big", 2) > 0
    assert bench.ask("small", 1) > 0


def test_an_idle_key_does_not_wait_behind_another() -> None:
    bench = Bench(window(size=5, name="ip"), window(name="one", size=1), window(name="two", size=1))
    bench.pass_through("a", 1, 1, 0)
    for number in range(20):
        assert bench.ask(f"one{number}", 1, 1, 0) > 0
    assert [bench.ask(f"two{number}", 1, 0, 0) for number in range(4)] == [0, 0, 0, 0]


def test_who_is_blocked_at_two_windows_in_turn_is_not_overtaken_for_ever() -> None:
    bench = Bench(window(size=1, name="x", seconds=4), window(size=1, name="y", seconds=5))
    bench.pass_through("x0", 1, 0)
    bench.ask("both", 1, 1)
    for turn in range(12):
        bench.now += S
        if bench.ask("both", 1, 1) == 0:
            break
        bench.ask(f"x{turn + 1}", 1, 0)
        if bench.ask(f"y{turn}", 0, 1) == 0:
            bench.leave(f"y{turn}")
    else:
        pytest.fail("it starves")


def test_what_is_given_back_wakes_a_waiter_that_another_window_blocked_at_first() -> None:
    bench = Bench(window("calendar", 1, 1, "x"), window("calendar", 1, 1, "y"), jitter=30 * MS)
    bench.pass_through("x", 1, 0)
    bench.ask("ahead", 1, 0)
    bench.ask("both", 1, 1)
    bench.now += MS
    bench.ask("y", 0, 1)
    bench.now += 969 * MS
    bench.give_back("ahead")
    bench.give_back("y")
    assert bench.woken == ["both"]
    assert bench.ask("both", 1, 1) == 60 * MS


def test_who_is_due_is_not_overtaken_at_a_window_that_never_blocked_it() -> None:
    bench = Bench(window("calendar", 2, 6, "wide"), window("calendar", 1, 2, "narrow"))
    bench.pass_through("a", 2, 1)
    bench.pass_through("b", 2, 1)
    assert [bench.ask("c", 2, 1), bench.ask("d", 2, 1)] == [S, S]  # narrow alone is full
    bench.now += S
    assert bench.ask("d", 2, 1) > 0  # c is due as well, and wide has room for one of them
    assert bench.ask("c", 2, 1) == 0


def test_an_overdue_head_is_passed_over() -> None:
    bench = Bench(window(size=1, seconds=10), lease_ns=S)
    bench.pass_through("a")
    bench.now += bench.ask("stalled")
    assert bench.ask("b") == S + 1
    bench.now += S + 1
    assert bench.ask("b") == 0


def test_who_comes_back_late_still_comes_first() -> None:
    bench = Bench(window(size=1, seconds=10), lease_ns=S)
    bench.pass_through("a")
    bench.now += bench.ask("late") + 2 * S
    bench.pass_through("b")
    assert bench.ask("c") > 0
    assert bench.ask("late") == 10 * S + 1
    assert bench.ask("c") == 11 * S + 2


def test_what_left_without_a_grant_counts_all_the_same() -> None:
    bench = Bench(window(size=1, seconds=10))
    bench.pass_through("a")
    bench.ask("shadow")
    bench.now += 5 * S
    bench.leave("shadow")
    bench.now += 5 * S + 1
    assert bench.ask("b") == 5 * S


def test_ends_told_twice_or_of_strangers_change_nothing() -> None:
    bench = Bench(window(size=3))
    bench.ask("a")
    bench.leave("a")
    bench.leave("a")
    bench.give_back("a")
    bench.leave("stranger")
    assert bench.meters[0].used(bench.now, None) == 1


def test_content_that_changes_while_it_waits_keeps_the_place() -> None:
    bench = Bench(window(size=2))
    bench.ask("a", 2)
    bench.ask("b", 2)
    bench.ask("c", 1)
    bench.ask("b", 1)
    assert len(bench.meters[0].line._places) == 2
    bench.give_back("a")
    assert [bench.ask("c", 1), bench.ask("b", 1)] == [0, 0]
    assert not bench.meters[0].line._places


def test_a_smaller_window_after_a_reload_keeps_what_was_charged() -> None:
    bench = Bench(window(size=5, seconds=10))
    bench.pass_through("left", 2)
    bench.ask("open", 2)
    meter = bench.limiter.meter(("w",), window(size=3, seconds=20), 0)
    assert meter is bench.meters[0]
    assert bench.ask("b") > 0
    bench.leave("open")
    bench.now += 20 * S
    assert bench.ask("b") == 1


def test_a_rolling_window_made_a_calendar_one_keeps_what_was_charged() -> None:
    bench = Bench(window(size=2, seconds=60))
    bench.now += 20 * S
    bench.pass_through("a", 2)
    bench.limiter.meter(("w",), window("calendar", size=2, seconds=60), 0)
    assert bench.ask("b") == 40 * S


def test_a_wider_window_after_a_reload_wakes_who_waits() -> None:
    bench = Bench(window(size=1))
    bench.ask("a")
    bench.ask("b")
    bench.limiter.meter(("w",), window(size=2), 0)
    assert bench.woken == ["b"]
    assert bench.ask("b") == 0


def saturate(bench: Bench, bots: int, each: int, leave_ns: int) -> tuple[float, int]:
    """Let bots send one request after the other; return asks a request, and the time it took."""
    order, asks, began = count(), 0, bench.now
    events = [(bench.now, next(order), f"{bot}-0", "ask") for bot in range(bots)]
    told: dict[str, int] = {}
    while events:
        at, _, name, what = heapq.heappop(events)
        bench.now = max(at, bench.now)
        if what == "leave":
            bench.leave(name)
            bot, _, number = name.partition("-")
            if int(number) + 1 < each:
                following = f"{bot}-{int(number) + 1}"
                heapq.heappush(events, (bench.now, next(order), following, "ask"))
        elif told.get(name, at) == at:
            asks += 1
            told.pop(name, None)
            if wait := bench.ask(name):
                told[name] = bench.now + max(wait, MS)
                heapq.heappush(events, (told[name], next(order), name, "ask"))
            else:
                heapq.heappush(events, (bench.now + leave_ns, next(order), name, "leave"))
        while bench.woken:
            name = bench.woken.pop()
            if told.get(name, 0) > bench.now:
                told[name] = bench.now
                heapq.heappush(events, (bench.now, next(order), name, "ask"))
    return asks / (bots * each), bench.now - began


@pytest.mark.parametrize(
    ("windows", "leave_ns"),
    [
        ([window("calendar", seconds=60, size=20)], 0),
        ([window("calendar", seconds=60, size=20)], 3 * MS),
        ([window("rolling", seconds=10, size=20)], 0),
        ([window("rolling", seconds=10, size=20)], 3 * MS),
        ([window("rolling", seconds=10, size=1)], 3 * MS),
        (
            [
                window("calendar", seconds=60, size=60, name="weight"),
                window("rolling", seconds=10, size=20, name="orders"),
            ],
            3 * MS,
        ),
    ],
)
def test_under_saturation_a_request_is_asked_a_few_times_and_the_budget_is_used(
    windows: list[Window], leave_ns: int
) -> None:
    bench = Bench(*windows, jitter=250 * MS)
    asks, took = saturate(bench, bots=50, each=4, leave_ns=leave_ns)
    assert asks <= 4
    # 200 requests: the first fill at once, then as fast as the tightest window allows.
    rounds = max((200 / w.size - 1) * (w.seconds * S + 250 * MS) for w in windows)
    assert took <= 1.1 * rounds + 60 * S


def test_stalled_heads_do_not_halve_the_rate() -> None:
    bench = Bench(window(size=1, seconds=10), lease_ns=S)
    bench.pass_through("a")
    told: dict[str, int] = {}
    for number in range(10):
        bench.ask(f"stalled{number}")
        told[f"live{number}"] = bench.now + bench.ask(f"live{number}")
    while told:
        name = min(told, key=lambda name: told[name])
        bench.now = max(bench.now, told[name])
        if wait := bench.ask(name):
            told[name] = bench.now + wait
        else:
            bench.leave(name)
            del told[name]
        for woken in bench.woken:
            if woken in told:
                told[woken] = bench.now
        bench.woken.clear()
    # Each of the ten that stall costs its lease, not a window.
    assert bench.now <= 1_000 * S + 10 * (10 * S + S + 2)


@pytest.fixture
def _switching() -> Iterator[None]:
    """Have threads interrupt each other as often as Python lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_switching")
def test_threads_together_never_take_more_than_there_is() -> None:
    bench = Bench(window(size=100, seconds=3_600), window("calendar", 3_600, 100, "c"))
    left: list[str] = []

    def bot(number: int) -> None:
        for turn in range(300):
            name = f"{number}-{turn}"
            if bench.ask(name) == 0 and turn % 3 == 0:
                left.append(name)
                bench.leave(name)
            else:
                bench.give_back(name)

    threads = [threading.Thread(target=bot, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(left) == 100
    for meter in bench.meters:
        assert (meter.open, meter.line._places, meter.line.claimed) == (0, [], 0)
        assert meter.used(bench.now, bench.wall) == 100


def test_a_large_window_is_remembered_in_bounded_memory_and_never_short() -> None:
    bench = Bench(window(size=200_000, seconds=86_400))
    meter: Meter = bench.meters[0]
    for number in range(20_000):
        bench.pass_through(str(number))
        bench.now += 4 * S
    assert len(meter._log) < 5_000
    assert meter.used(bench.now, None) == 20_000
    bench.now = 1_000 * S + 86_400 * S
    assert meter.used(bench.now, None) == 20_000
