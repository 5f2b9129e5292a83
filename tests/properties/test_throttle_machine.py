"""The throttle through restarts: crashes, clean ends, clocks that step, others at the same address.

Judged by a scan of everything that ever left, which shares no code with it. The exchange's clock is
the machine's own time; what the process is shown as its wall clock steps at random.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from attrs import define
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from throttlescan import EPOCH, MS, S, most_seen
from throttlethreads import at_once

from hauberk.testing import MemoryStore
from hauberk_plugins.throttle.errors import LineFull
from hauberk_plugins.throttle.kept import Kept
from hauberk_plugins.throttle.limiter import RateLimiter
from hauberk_plugins.throttle.meters import Meter
from hauberk_plugins.throttle.windows import Kind, Scope, Window

#: What the wall clock is off by when a process starts: set back, by whole windows of each length.
BACK = [0, 0, -60 * S, -3_600 * S]
STEPS = [0, 20 * MS, -20 * MS, 700 * MS, 30 * S, -30 * S, -3_600 * S, 3_600 * S]


@define
class TwoClocks:
    """What a process sees of the exchange's time."""

    machine: ThrottleMachine

    def monotonic_ns(self) -> int:
        return self.machine.now + self.machine.boot

    def wall_ns(self) -> int:
        return EPOCH + self.machine.now + self.machine.wall_error

    def wait(self, woken: Any, ns: int) -> None:
        raise NotImplementedError

    async def await_(self, woken: Any, ns: int) -> None:
        raise NotImplementedError


@define(eq=False)
class Departure:
    at: int
    costs: tuple[int, ...]


class ThrottleMachine(RuleBasedStateMachine):
    """One budget, one process after the other."""

    @initialize(
        shapes=st.lists(
            st.tuples(
                st.sampled_from(Kind), st.sampled_from([2, 6, 60]), st.integers(1, 8),
                st.integers(0, 3),
            ),
            min_size=1, max_size=2,
        ),
        jitter=st.sampled_from([0, 30, 250]),
    )  # fmt: skip
    def begin(self, shapes: list[tuple[Kind, int, int, int]], jitter: int) -> None:
        self.windows = [
            Window(f"w{n}", kind, Scope.IP, seconds, size, "weight", min(reserve, size - 1))
            for n, (kind, seconds, size, reserve) in enumerate(shapes)
        ]
        self.jitter = jitter * MS
        self.store = MemoryStore()
        self.now = self.boot = self.boots = self.wall_error = self.count = 0
        self.granted: dict[str, tuple[int, ...]] = {}
        self.waiting: dict[str, tuple[tuple[int, ...], bool]] = {}
        self.left: list[Departure] = []
        self.start()

    def start(self) -> None:
        clock = TwoClocks(self)
        self.kept = Kept(self.store, clock, lambda _: None, f"boot-{self.boots}")
        self.began_with = self.wall_error
        self.limiter = RateLimiter(keeper=self.kept, max_waiting=5)
        self.limiter.anchor(clock.monotonic_ns(), clock.wall_ns())
        self.meters: list[Meter] = [
            self.limiter.meter(("v", "", "ip", "", w.name), w, self.jitter) for w in self.windows
        ]
        self.granted.clear()
        self.waiting.clear()

    @property
    def clocks(self) -> tuple[int, int]:
        return self.now + self.boot, EPOCH + self.now + self.wall_error

    def try_to_get(self, name: str, costs: tuple[int, ...], cancel: bool) -> int:
        if name in self.granted:
            return 0
        amounts = tuple((m, c) for m, c in zip(self.meters, costs, strict=True) if c)
        try:
            wait = self.limiter.ask(name, amounts, *self.clocks, cancel)
        except LineFull:
            self.limiter.end(name, False, self.clocks[0])
            self.waiting.pop(name, None)
            return 0
        if wait:
            self.waiting[name] = (costs, cancel)
        else:
            self.waiting.pop(name, None)
            self.granted[name] = costs
        return wait

    @rule(shares=st.lists(st.integers(0, 8), min_size=3, max_size=3), cancel=st.booleans())
    def ask(self, shares: list[int], cancel: bool) -> None:
        costs = tuple(
            share % (window.size - window.reserve + 1)
            for share, window in zip(shares, self.windows, strict=False)
        )
        self.count += 1
        self.try_to_get(str(self.count), costs, cancel)

    @rule(
        share=st.integers(1, 8), cancel=st.booleans(), leaves=st.sampled_from([True, True, False])
    )
    def take_all_there_is(self, share: int, cancel: bool, leaves: bool) -> None:
        """As a bot does that sends as fast as it may, whose last ones may be on their way yet."""
        costs = tuple(1 + share % (w.size - w.reserve) for w in self.windows)
        for _ in range(9):
            self.count += 1
            name = str(self.count)
            for _ in range(4):  # it comes back when it was told to
                self.now += self.try_to_get(name, costs, cancel)
            if name not in self.granted:
                self.waiting.pop(name, None)
                self.limiter.end(name, False, self.clocks[0])
                break
            if leaves:
                self.limiter.end(name, True, self.clocks[0])
                self.left.append(Departure(self.now, self.granted.pop(name)))

    @rule(share=st.integers(1, 8), ns=st.sampled_from([0, 1, MS, 250 * MS, S, 6 * S, 61 * S]))
    def take_all_then_later_all_again(self, share: int, ns: int) -> None:
        self.take_all_there_is(share, False, True)
        self.now += ns
        self.take_all_there_is(share, False, True)

    @rule(data=st.data(), ns=st.sampled_from([0, 1, MS, 250 * MS, S, 6 * S, 61 * S]))
    def take_all_and_start_again(self, data: st.DataObject, ns: int) -> None:
        self.take_all_there_is(data.draw(st.integers(1, 8)), False, True)
        if data.draw(st.booleans()):
            self.stop_and_start(data.draw(st.sampled_from(BACK)), ns)
        else:
            self.crash(
                data.draw(st.sampled_from(BACK)), ns, data.draw(st.sampled_from([0, S])), data
            )
        self.take_all_there_is(data.draw(st.integers(1, 8)), False, True)

    @rule(share=st.integers(1, 8), threads=st.integers(2, 4))
    def threads_take_all_there_is(self, share: int, threads: int) -> None:
        """For the same amounts, so that what is left does not depend on who comes first."""
        costs = tuple(1 + share % (w.size - w.reserve) for w in self.windows)
        amounts = tuple(zip(self.meters, costs, strict=True))
        self.count += 1

        def take(thread: int) -> None:
            for number in range(4):
                name = f"{self.count}-{thread}-{number}"
                try:
                    is_granted = self.limiter.ask(name, amounts, *self.clocks) == 0
                except LineFull:
                    is_granted = False
                if is_granted:
                    self.left.append(Departure(self.now, costs))
                self.limiter.end(name, is_granted, self.clocks[0])

        at_once([partial(take, thread) for thread in range(threads)])

    @rule()
    def ask_again(self) -> None:
        for name, (costs, cancel) in list(self.waiting.items()):
            self.try_to_get(name, costs, cancel)

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        if not self.granted:
            return
        name = data.draw(st.sampled_from(sorted(self.granted)))
        costs, left = self.granted.pop(name), data.draw(st.booleans())
        self.limiter.end(name, left, self.clocks[0])
        if left:
            self.left.append(Departure(self.now, costs))

    @rule(ns=st.sampled_from([1, MS, 250 * MS, 900 * MS, S, 2 * S, 6 * S, 30 * S, 61 * S]))
    def time_passes(self, ns: int) -> None:
        self.now += ns

    @rule(step=st.sampled_from(STEPS))
    def clock_steps(self, step: int) -> None:
        self.wall_error = step

    @rule()
    def somebody_looks(self) -> None:
        self.limiter.relax(self.kept.lower)
        for row in self.limiter.rows(*self.clocks):
            assert row.left >= 0

    @rule(index=st.integers(0, 2), told=st.sampled_from([0, 1, 1, 2, 12]))
    def exchange_tells(self, index: int, told: int) -> None:
        meter = self.meters[index % len(self.meters)]
        before = {row.key: row.used for row in self.limiter.rows(*self.clocks)}
        self.limiter.learn(meter, told, *self.clocks)
        after = {row.key: row.used for row in self.limiter.rows(*self.clocks)}
        assert all(after[key] >= used for key, used in before.items()), "theirs lowered ours"

    @rule(error=st.sampled_from(BACK), away=st.sampled_from([0, MS, S, 7 * S, 61 * S]),
          boot=st.sampled_from([0, 5 * S, -S]), data=st.data())  # fmt: skip
    def crash(self, error: int, away: int, boot: int, data: st.DataObject) -> None:
        for costs in self.granted.values():
            if data.draw(st.booleans()):  # it was sent, and nobody was told
                self.left.append(Departure(self.now, costs))
        self.now += away
        self.wall_error = error
        if boot:  # only the wall clock tells how long ago it was, and it may have been set back
            self.wall_error = min(error, self.began_with)
            self.boot, self.boots = self.boot + max(boot, -self.now), self.boots + 1
        self.start()

    @rule(error=st.sampled_from(BACK), away=st.sampled_from([0, MS, S, 7 * S, 61 * S]))
    def stop_and_start(self, error: int, away: int) -> None:
        self.limiter.close(self.kept.close, self.clocks[0])
        for costs in self.granted.values():
            self.left.append(Departure(self.now, costs))
        self.now += away
        self.wall_error = error
        self.start()

    @rule()
    def write_down_and_go_on(self) -> None:
        """As a reload does, whose new instance goes on with the same budgets."""
        self.limiter.close(self.kept.close, self.clocks[0])

    @invariant()
    def never_more_than_the_size(self) -> None:
        for index, window in enumerate(getattr(self, "windows", ())):
            # What left long ago was looked at long ago.
            since = self.now - 4 * window.seconds * S
            together: dict[int, int] = {}
            for departure in self.left:
                if departure.costs[index] and departure.at > since:
                    cost = together.get(departure.at, 0) + departure.costs[index]
                    together[departure.at] = cost
            departures = sorted(together.items())
            assert most_seen(window, departures, self.jitter) <= window.size, window


TestThrottleMachine = ThrottleMachine.TestCase
TestThrottleMachine.settings = settings(
    max_examples=2 * settings.default.max_examples, stateful_step_count=40
)
