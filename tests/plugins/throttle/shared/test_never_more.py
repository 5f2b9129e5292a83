"""Random lives of several processes: no window that the exchange counts is ever overrun.

What is checked is what the exchange would count: arrivals, by its own clock, in every window.
"""

from __future__ import annotations

import random

import pytest

from hauberk.errors import StoreError
from hauberk_plugins.throttle.errors import Frozen, LineFull
from hauberk_plugins.throttle.shared.errors import BudgetLost
from hauberk_plugins.throttle.windows import Kind, Scope, Window

from .conftest import FULL
from .world import MS, Process, S, World

JITTER_NS = 100 * MS
DECAYING = Window("decaying", Kind.DECAYING, Scope.IP, 4, 6, "x")


def windows(rolling: int, calendar: int) -> tuple[Window, Window, Window]:
    return (
        Window("rolling", Kind.ROLLING, Scope.IP, 2, rolling, "x", 1),
        Window("calendar", Kind.CALENDAR, Scope.IP, 3, calendar, "x", 1),
        DECAYING,
    )


#: In each, another window is what fills first: one that never fills is not tried.
WINDOWS = (windows(7, 20), windows(9, 7))


class Lives:
    """Three processes that ask for all they can get."""

    def __init__(self, seed: int) -> None:
        draw = self.draw = random.Random(seed)
        self.world = World()
        self.has_steps = draw.random() < 0.3
        self.windows = WINDOWS[seed % 2]
        self.settings = {
            "local": (0.15, 3) if draw.random() < 0.5 else None,
            "most_ahead": draw.choice([0, 3]),
        }
        self.slots = [self._process() for _ in range(3)]
        self.open: list[tuple[Process, str]] = []
        self.asked: list[tuple[Process, str, tuple[int, ...], bool]] = []
        #: Arrivals by the exchange's clock, and amounts, by window.
        self.arrived: list[list[tuple[int, int]]] = [[] for _ in self.windows]
        self.number = 0
        for slot in self.slots:
            slot.limiter.beat()

    def live(self, steps: int) -> None:
        weights = {
            self.ask: 12,
            self.ask_again: 8,
            self.end: 16,
            self.time_passes: 10,
            self.beat: 4,
            self.die: 0.3,
            self.everybody_ends_and_begins: 0.1,
            self.the_ledger_is_lost: 0.4,
            self.the_clock_steps: 0.4 if self.has_steps else 0,
            self.the_exchange_says: 0.2,
        }
        for do in self.draw.choices(list(weights), list(weights.values()), k=steps):
            do()

    def _process(self) -> Process:
        process = self.world.process(**self.settings)
        process.meters = [process.limiter.meter(("v", w.name), w, JITTER_NS) for w in self.windows]
        return process

    def ask(self) -> None:
        self.number += 1
        draw = self.draw
        # Few kinds, as bots have them: so that some are granted in advance.
        costs = draw.choice(
            [(1, 1, 0), (1, 1, 0), (1, 0, 1), (2, 2, 1), (0, 1, 0), (0, 2, 0), (0, 0, 2)]
        )
        self._ask(draw.choice(self.slots), str(self.number), costs, draw.random() < 0.2)

    def ask_again(self) -> None:
        if self.asked:
            self._ask(*self.asked.pop(self.draw.randrange(len(self.asked))))

    def _ask(self, process: Process, name: str, costs: tuple[int, ...], is_cancel: bool) -> None:
        if process not in self.slots:
            return
        try:
            wait = process.ask(name, *costs, cancel=is_cancel)
        except (BudgetLost, LineFull, Frozen):
            process.end(name, left=False)
            return
        if wait:
            self.asked.append((process, name, costs, is_cancel))
        else:
            self.open.append((process, name))
            process.costs = {**getattr(process, "costs", {}), name: costs}

    def end(self) -> None:
        if not self.open:
            return
        process, name = self.open.pop(self.draw.randrange(len(self.open)))
        left = self.draw.random() < 0.85
        if left:
            self._leave(process, name)
        process.end(name, left=left)

    def _leave(self, process: Process, name: str) -> None:
        at = self.world.clock.monotonic_ns() + self.draw.choice(
            [0, self.draw.randrange(JITTER_NS), JITTER_NS]
        )
        for arrived, amount in zip(self.arrived, process.costs[name], strict=True):
            if amount:
                arrived.append((at, amount))

    def time_passes(self) -> None:
        ms = self.draw.choice([1, 10, 10, 50, 50, 100, 300, 700, 1_500])
        self.world.clock.advance_ns(ms * MS - self.draw.randrange(MS))

    def beat(self) -> None:
        if self.draw.random() < 0.2:
            self.world.store.error = None
        self.draw.choice(self.slots).limiter.beat()

    def die(self) -> None:
        """Killed, perhaps with requests just sent that it can tell nobody of."""
        slot = self.draw.randrange(3)
        process = self.slots[slot]
        for one in [one for one in self.open if one[0] is process]:
            self.open.remove(one)
            self._leave(*one)
        self.slots[slot] = self._process()

    def everybody_ends_and_begins(self) -> None:
        if self.world.store.error is not None:
            return
        for slot, process in enumerate(self.slots):
            for one in [one for one in self.open if one[0] is process]:
                self.open.remove(one)
                process.end(one[1], left=False)
            process.limiter.close()
            self.slots[slot] = self._process()

    def the_ledger_is_lost(self) -> None:
        self.world.store.error = StoreError("gone")

    def the_clock_steps(self) -> None:
        self.world.clock.step_wall(self.draw.choice([-3_600, -3, -0.2, 0.2, 3, 3_600]))

    def the_exchange_says(self) -> None:
        process, clock = self.draw.choice(self.slots), self.world.clock
        used = self.draw.randint(-5, 12)
        process.limiter.learn(process.meters[0], used, clock.monotonic_ns(), clock.wall_ns())

    def check(self) -> None:
        rolling, calendar, decaying = (sorted(arrived) for arrived in self.arrived)
        length = self.windows[0].seconds * S
        for index, (end, _) in enumerate(rolling):
            total = sum(amount for at, amount in rolling[: index + 1] if at > end - length)
            assert total <= self.windows[0].size
        if not self.has_steps:  # whoever reads a wrong clock first believes it
            start, length = self.world.clock.wall_ns() - self.world.clock.monotonic_ns(), 3 * S
            cells: dict[int, int] = {}
            for at, amount in calendar:
                cell = (at + start) // length
                cells[cell] = cells.get(cell, 0) + amount
            assert max(cells.values(), default=0) <= self.windows[1].size
        level, last, drained = 0, 0, DECAYING.seconds * S
        for at, amount in decaying:
            level = max(level - (at - last) * DECAYING.size, 0) + amount * drained
            last = at
            assert level <= DECAYING.size * drained


@pytest.mark.parametrize("block", range(10))
def test_no_window_is_ever_overrun(block: int) -> None:
    seeds = range(block * 100, block * 100 + (100 if FULL else 10))
    departures = 0
    for seed in seeds:
        lives = Lives(seed)
        lives.live(1_500)
        try:
            lives.check()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error
        departures += sum(len(arrived) for arrived in lives.arrived)
    # So busy that windows fill.
    assert departures > 80 * len(seeds)
