from __future__ import annotations

from hauberk_plugins.throttle.limiter import RateLimiter
from hauberk_plugins.throttle.meters import Meter
from hauberk_plugins.throttle.windows import Kind, Scope, Window

S = 1_000_000_000
WALL = 1_700_000_040 * S
WINDOW = Window("w", Kind.ROLLING, Scope.KEY, 10, 1, "x")


class Bench:
    def __init__(self) -> None:
        self.limiter = RateLimiter()
        self.now = 0

    def meter(self, name: str, window: Window = WINDOW) -> Meter:
        return self.limiter.meter(("v", "", "key", name, window.name), window, 0)

    def ask(self, request: str, meter: Meter, cost: int = 1) -> int:
        return self.limiter.ask(request, ((meter, cost),), self.now, WALL + self.now)

    def use(self, name: str) -> None:
        assert self.ask(name, self.meter(name)) == 0
        self.limiter.end(name, True, self.now)

    def crowd(self, times: int = 3) -> None:
        """Have so many others come that whoever is idle is forgotten."""
        for turn in range(times):
            self.now += 11 * S
            for number in range(2_000):
                self.meter(f"{turn}-{number}")

    @property
    def count(self) -> int:
        return len(self.limiter._registry)


def test_keys_that_are_idle_are_forgotten() -> None:
    bench = Bench()
    for turn in range(20):
        for number in range(2_000):
            bench.use(f"{turn}-{number}")
        bench.now += 11 * S
    assert bench.count < 10_000


def test_what_is_counted_or_open_or_waited_for_or_frozen_is_not_forgotten() -> None:
    bench = Bench()
    held = [bench.meter(name) for name in ("open", "waited", "frozen")]
    bench.ask("open", held[0])
    bench.ask("first", held[1])
    bench.ask("waits", held[1])
    bench.limiter.freeze(("v", "", "key", "frozen"), 1_000 * S, 0)
    bench.crowd()
    bench.use("counted")
    counted = bench.meter("counted")
    for number in range(8_000):
        bench.meter(f"more{number}")
    assert all(meter.gone is None for meter in (*held, counted))


def test_a_meter_that_was_forgotten_and_is_still_held_counts_for_everybody() -> None:
    bench = Bench()
    held = bench.meter("key")
    bench.crowd()
    assert held.gone is not None
    assert bench.ask("a", held) == 0
    bench.limiter.end("a", True, bench.now)
    assert bench.meter("key") is held
    assert bench.ask("b", bench.meter("key")) > 0


def test_two_that_hold_a_forgotten_meter_and_its_successor_share_one_budget() -> None:
    bench = Bench()
    held = bench.meter("key")
    bench.crowd()
    successor = bench.meter("key")
    assert successor is not held
    assert bench.ask("a", successor) == 0
    assert bench.ask("b", held) > 0
    bench.limiter.end("a", False, bench.now)
    assert bench.ask("b", held) == 0
    assert bench.ask("b", held) == 0
    assert bench.ask("c", successor) > 0


def test_what_the_exchange_tells_of_a_forgotten_meter_counts() -> None:
    bench = Bench()
    held = bench.meter("key")
    bench.crowd()
    bench.limiter.learn(held, 1, bench.now, WALL + bench.now)
    assert bench.ask("a", bench.meter("key")) > 0


def test_a_part_for_cancels_is_forgotten_and_comes_back_with_its_window() -> None:
    bench = Bench()
    window = Window("w", Kind.ROLLING, Scope.KEY, 10, 2, "x", 1)
    held = bench.meter("key", window)
    bench.crowd()
    assert held.gone is not None
    amounts = ((held, 1),)
    assert bench.limiter.ask("o", amounts, bench.now, WALL + bench.now) == 0
    assert bench.limiter.ask("c", amounts, bench.now, WALL + bench.now, cancel=True) == 0
    assert bench.limiter.ask("d", amounts, bench.now, WALL + bench.now, cancel=True) > 0
