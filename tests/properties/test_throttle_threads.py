"""The throttle under several threads, in one process and in several that share a budget.

Judged by a scan of everything that ever left. What each thread does is drawn beforehand; who comes
first is up to the machine.
"""

from __future__ import annotations

import itertools
import threading
from functools import partial
from typing import Any, TypeAlias

from attrs import define
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from throttlescan import EPOCH, MS, S, most_seen
from throttlethreads import at_once

from hauberk.testing import MemoryStore
from hauberk_plugins.throttle.errors import Frozen, LineFull
from hauberk_plugins.throttle.limiter import RateLimiter
from hauberk_plugins.throttle.shared.limiter import SharedLimiter
from hauberk_plugins.throttle.shared.owner import Owner
from hauberk_plugins.throttle.shared.store_backend import StoreBackend
from hauberk_plugins.throttle.windows import Kind, Scope, Window

_names = itertools.count()
JITTER = 30 * MS


#: What depends on who comes first cannot be made smaller by trying again.
unshrunk = settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])


class Clock:
    """Goes on while threads look at it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = 0

    def monotonic_ns(self) -> int:
        return self.now

    def wall_ns(self) -> int:
        return EPOCH + self.now

    def advance(self, ns: int) -> None:
        with self._lock:
            self.now += ns


@define(frozen=True)
class Ask:
    share: int
    is_cancel: bool
    #: What happens to it: it leaves, is given back, or goes on while its thread asks for more.
    then: str
    passes_ns: int
    times: int


@define(frozen=True)
class Look:
    """Somebody looks, tells what the exchange says, or has all stop for a moment."""

    what: str
    told: int


Step: TypeAlias = "Ask | Look"
STEPS = st.one_of(
    *[
        st.builds(
            Ask,
            st.integers(0, 4),
            st.booleans(),
            st.sampled_from(["leaves", "leaves", "leaves", "is given back", "goes on"]),
            st.sampled_from([0, 0, MS, 100 * MS, 700 * MS, 2 * S]),
            st.sampled_from([1, 1, 6]),
        )
    ]
    * 4,
    st.builds(Look, st.sampled_from(["rows", "learn", "freeze", "beat"]), st.integers(0, 6)),
)
WINDOWS = st.lists(
    st.tuples(
        st.sampled_from(Kind),
        st.sampled_from([1, 2, 5]),
        st.sampled_from([2, 3, 6, 40]),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=3,
)
PLANS = st.lists(st.lists(STEPS, min_size=4, max_size=14), min_size=2, max_size=4)


class Lives:
    """Threads of one or more processes, and all that left."""

    def __init__(self, shapes: list[tuple[Kind, int, int, int]]) -> None:
        self.clock = Clock()
        self.store = MemoryStore()
        self.windows = [
            Window(f"w{at}", kind, Scope.IP, seconds, size, "weight", min(reserve, size - 1))
            for at, (kind, seconds, size, reserve) in enumerate(shapes)
        ]
        self.left: list[tuple[int, tuple[int, ...]]] = []

    def alone(self) -> RateLimiter:
        limiter = RateLimiter(max_waiting=5)
        limiter.anchor(self.clock.monotonic_ns(), self.clock.wall_ns())
        return limiter

    def sharing(self) -> SharedLimiter:
        """A process of its own, on one ledger with the others."""
        clock = self.clock
        backend = StoreBackend(
            self.store, machine="m", wall_ns=clock.wall_ns, monotonic_ns=clock.monotonic_ns
        )
        owner = Owner(
            backend,
            monotonic_ns=clock.monotonic_ns,
            token=lambda: f"{next(_names):016x}",
            # Threads have the clock go on by more than a process could stand still and be alive.
            lease_us=86_400_000_000,
            timeout_us=250_000,
        )
        return SharedLimiter(owner, monotonic_ns=clock.monotonic_ns, max_waiting=5, most_ahead=3)

    def run(self, limiter: Any, thread: int, steps: list[Step]) -> None:
        """Do what one thread of a process does."""
        meters = [
            limiter.meter(("v", "", "ip", "", w.name), w, JITTER, reshape=False)
            for w in self.windows
        ]
        open_: list[tuple[str, tuple[int, ...]]] = []
        for number, step in enumerate(steps):
            if isinstance(step, Look):
                self._look(limiter, meters, step)
                continue
            costs = tuple(
                (step.share + at) % (w.size - w.reserve) + 1 for at, w in enumerate(self.windows)
            )
            amounts = tuple(zip(meters, costs, strict=True))
            for _ in range(step.times):
                name = f"{thread}-{number}-{next(_names)}"
                if self._is_granted(limiter, name, amounts, step.is_cancel):
                    open_.append((name, costs))
                    if step.then != "goes on":
                        self._end(limiter, *open_.pop(), left=step.then == "leaves")
            self.clock.advance(step.passes_ns)
        for name, costs in open_:
            self._end(limiter, name, costs, left=True)

    def _is_granted(self, limiter: Any, name: str, amounts: Any, is_cancel: bool) -> bool:
        for _ in range(3):
            now = self.clock.monotonic_ns()
            try:
                wait = limiter.ask(name, amounts, now, self.clock.wall_ns(), is_cancel)
            except (LineFull, Frozen):
                break
            if not wait:
                return True
            self.clock.advance(wait // 2 + 1)
        limiter.end(name, False, self.clock.monotonic_ns())
        return False

    def _end(self, limiter: Any, name: str, costs: tuple[int, ...], *, left: bool) -> None:
        if left:
            self.left.append((self.clock.monotonic_ns(), costs))
        limiter.end(name, left, self.clock.monotonic_ns())

    def _look(self, limiter: Any, meters: list[Any], look: Look) -> None:
        now, wall = self.clock.monotonic_ns(), self.clock.wall_ns()
        if look.what == "rows":
            assert all(row.left >= 0 for row in limiter.rows(now, wall))
        elif look.what == "learn":
            limiter.learn(meters[look.told % len(meters)], look.told, now, wall)
        elif look.what == "freeze":
            limiter.freeze(("v", ""), now + look.told * 100 * MS, now)
        elif isinstance(limiter, SharedLimiter):
            limiter.beat()

    def check(self) -> None:
        for at, window in enumerate(self.windows):
            departures = sorted((left, costs[at]) for left, costs in self.left)
            assert most_seen(window, departures, JITTER) <= window.size, window


def at_once_in(lives: Lives, limiters: list[Any], plans: list[list[Step]]) -> None:
    """Have each plan followed by a thread, in each process in turn."""
    chosen = [limiters[at % len(limiters)] for at in range(len(plans))]
    at_once([partial(lives.run, *one) for one in zip(chosen, itertools.count(), plans)])


@unshrunk
@given(shapes=WINDOWS, plans=st.tuples(PLANS, PLANS))
def test_threads_of_one_process_never_overrun_a_window(
    shapes: list[tuple[Kind, int, int, int]], plans: tuple[list[list[Step]], ...]
) -> None:
    lives = Lives(shapes)
    limiter = lives.alone()
    for some in plans:
        at_once_in(lives, [limiter], some)
    lives.check()


@unshrunk
@given(shapes=WINDOWS, plans=st.tuples(PLANS, PLANS), is_over=st.booleans())
def test_threads_of_several_processes_never_overrun_a_window(
    shapes: list[tuple[Kind, int, int, int]], plans: tuple[list[list[Step]], ...], is_over: bool
) -> None:
    lives = Lives(shapes)
    processes = [lives.sharing(), lives.sharing()]
    for some in plans:
        at_once_in(lives, processes, some)
        if is_over:  # one ends, and another begins in its place
            processes.pop(0).close()
            processes.append(lives.sharing())
    lives.check()


@unshrunk
@given(shapes=WINDOWS, plans=PLANS)
def test_threads_leave_nothing_behind(
    shapes: list[tuple[Kind, int, int, int]], plans: list[list[Step]]
) -> None:
    """What was given back, and every place in a line, is free again once the windows are over."""
    lives = Lives(shapes)
    limiter = lives.alone()
    at_once_in(lives, [limiter], plans)
    lives.clock.advance(60 * S)
    assert not [
        row
        for row in limiter.rows(lives.clock.monotonic_ns(), lives.clock.wall_ns())
        if row.used or row.waiting
    ]
