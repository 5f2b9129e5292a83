from __future__ import annotations

import pytest

from hauberk.request import Operation
from hauberk_plugins.throttle.errors import LineFull, TooDear
from hauberk_plugins.throttle.limiter import RateLimiter
from hauberk_plugins.throttle.limits import Limits
from hauberk_plugins.throttle.windows import Kind, Scope, Window

S = 1_000_000_000
WALL = 1_700_000_040 * S


class Bench:
    """A limiter with one rolling window of 10 s, of which some is reserved."""

    def __init__(self, size: int = 10, reserve: int = 2, **settings: int) -> None:
        self.woken: list[str] = []
        self.limiter = RateLimiter(wake=self.woken.append, **settings)
        window = Window("w", Kind.ROLLING, Scope.IP, 10, size, "weight", reserve)
        self.meter = self.limiter.meter(("v", "", "ip", "", "w"), window, 0)
        self.now = 0

    def order(self, name: str, cost: int = 1) -> int:
        return self.limiter.ask(name, ((self.meter, cost),), self.now, WALL + self.now)

    def cancel(self, name: str, cost: int = 1) -> int:
        return self.limiter.ask(name, ((self.meter, cost),), self.now, WALL + self.now, cancel=True)

    def leave(self, name: str) -> None:
        self.limiter.end(name, True, self.now)

    @property
    def used(self) -> int:
        [row] = self.limiter.rows(self.now, WALL + self.now)
        return row.used


def test_orders_never_take_what_is_reserved() -> None:
    bench = Bench()
    assert [bench.order(f"o{n}") > 0 for n in range(9)] == [False] * 8 + [True]
    assert bench.used == 8


def test_a_cancel_does_not_wait_behind_any_number_of_orders() -> None:
    bench = Bench()
    for number in range(50):
        bench.order(f"o{number}")
    assert [bench.cancel("c1"), bench.cancel("c2")] == [0, 0]
    assert bench.used == 10


def test_all_together_never_take_more_than_the_size() -> None:
    bench = Bench()
    for number in range(30):
        bench.cancel(f"c{number}")
        bench.order(f"o{number}")
    assert bench.used == 10


def test_a_flood_of_cancels_does_not_starve_orders() -> None:
    bench = Bench()
    for number in range(10):
        assert bench.cancel(f"c{number}") == 0
        bench.leave(f"c{number}")
    assert bench.order("order") > 0
    for number in range(100):
        assert bench.cancel(f"flood{number}") > 0
    bench.now += 10 * S + 1
    # The flood may take what is reserved; of the rest, the order comes first by its ticket.
    assert [bench.cancel("flood0"), bench.cancel("flood1")] == [0, 0]
    assert bench.order("order") == 0


def test_cancels_among_themselves_come_in_their_order() -> None:
    bench = Bench(size=4, reserve=2)
    for name in ("o1", "o2"):
        bench.order(name)
    for name in ("c1", "c2"):
        bench.cancel(name)
        bench.leave(name)
    assert bench.cancel("first") > 0
    assert bench.cancel("second", 2) > 0
    assert bench.cancel("third") > 0
    bench.now += 10 * S + 1
    assert bench.cancel("third") > 0  # those before it are due as well
    assert bench.cancel("first") == 0


def test_a_cancel_that_waits_takes_whichever_part_has_room_first() -> None:
    bench = Bench(size=3, reserve=1)
    bench.order("open")
    bench.order("o2")
    bench.cancel("c1")
    bench.leave("c1")
    assert bench.cancel("waits") == 10 * S + 1  # until what is reserved is free again
    bench.limiter.end("open", False, bench.now)
    assert bench.woken == ["waits"]
    assert bench.cancel("waits") == 0


def test_asked_again_a_cancel_is_charged_once_wherever_it_was_taken() -> None:
    bench = Bench()
    assert [bench.cancel("c") for _ in range(3)] == [0, 0, 0]
    assert bench.used == 1
    bench.leave("c")
    assert bench.used == 1


def test_what_costs_more_than_is_left_for_orders_is_denied_at_once() -> None:
    bench = Bench()
    with pytest.raises(TooDear):
        bench.order("o", 9)


def test_a_line_that_is_full_of_orders_turns_no_cancel_away() -> None:
    bench = Bench(size=3, reserve=1, max_waiting=2)
    for number in range(2):
        bench.order(f"o{number}")
        bench.leave(f"o{number}")
    bench.cancel("c")
    bench.leave("c")
    assert bench.order("w1") > 0
    assert bench.order("w2") > 0
    with pytest.raises(LineFull):
        bench.order("w3")
    assert bench.cancel("c2") > 0


def test_a_reload_that_takes_the_reserve_away_keeps_what_was_taken_of_it() -> None:
    bench = Bench()
    bench.cancel("c")
    bench.leave("c")
    window = Window("w", Kind.ROLLING, Scope.IP, 10, 10, "weight")
    bench.limiter.meter(("v", "", "ip", "", "w"), window, 0)
    assert bench.used == 1
    assert [bench.order(f"o{n}") > 0 for n in range(10)] == [False] * 9 + [True]


def operation(method: str, path: str) -> Operation:
    return Operation.CANCEL if method == "DELETE" else Operation.TRADE


ENDPOINTS = ("POST /order", "DELETE /order")


def reserved(size: int, share: float = 0.1, cancel: int = 1, most: int = 1) -> int:
    window = Window("w", Kind.ROLLING, Scope.IP, 10, size, "weight")
    costs = {"default": {"weight": most}, "DELETE /order": {"weight": cancel}}
    [made] = Limits((window,), costs).reserving(share, operation, ENDPOINTS).windows
    return made.reserve


def test_a_share_is_reserved_of_what_cancels_cost_and_one_at_least() -> None:
    assert reserved(100) == 10
    assert reserved(5) == 1
    assert reserved(100, share=0) == 0


def test_nothing_is_reserved_where_it_would_be_too_much_or_too_little() -> None:
    assert reserved(4) == 0
    assert reserved(100, most=100) == 0  # what costs all there is could never be granted
    assert reserved(100, most=95) == 5
    assert reserved(20, cancel=8) == 8  # less than one cancel would help nobody
    assert reserved(20, cancel=15) == 0


def test_nothing_is_reserved_of_what_no_cancel_costs() -> None:
    window = Window("orders", Kind.ROLLING, Scope.IP, 10, 100, "orders")
    costs = {"default": {}, "POST /order": {"orders": 1}}
    assert Limits((window,), costs).reserving(0.1, operation, ENDPOINTS).windows == (window,)
