"""Several limiters on one ledger, each as a process of its own would have it; time is a test's."""

from __future__ import annotations

from itertools import count

from hauberk.testing import FakeClock, MemoryStore
from hauberk_plugins.throttle.shared.limiter import SharedLimiter
from hauberk_plugins.throttle.shared.loss import Local
from hauberk_plugins.throttle.shared.owner import Owner
from hauberk_plugins.throttle.shared.store_backend import StoreBackend
from hauberk_plugins.throttle.windows import Kind, Scope, Window

MS = 1_000_000
S = 1_000 * MS
_names = count(1)


def window(kind: str = "rolling", seconds: int = 10, size: int = 2, **more: object) -> Window:
    given = {"name": "w", **more}
    return Window(kind=Kind(kind), scope=Scope.IP, seconds=seconds, size=size, counts="x", **given)


class Process:
    """One process: a limiter, what it woke and what it said."""

    def __init__(
        self,
        world: World,
        *windows: Window,
        local: tuple[float, int] | None = None,
        most_ahead: int = 0,
        machine: str = "m1",
        grace_us: int = 0,
        **settings: int,
    ) -> None:
        self.world = world
        self.woken: list[str] = []
        self.said: list[str] = []
        self.noted: list[str] = []
        self.froze = 0
        clock = world.clock
        backend = StoreBackend(
            world.store, machine=machine, wall_ns=clock.wall_ns, monotonic_ns=clock.monotonic_ns
        )
        owner = Owner(
            backend,
            monotonic_ns=clock.monotonic_ns,
            token=lambda: f"{next(_names):016x}",
            lease_us=60_000_000,
            timeout_us=250_000,
            beat_us=400_000,
            grace_us=grace_us,
            tell=self.noted.append,
        )
        self.limiter = SharedLimiter(
            owner,
            monotonic_ns=clock.monotonic_ns,
            without=Local(*local) if local else None,
            wake=self.woken.append,
            told=self.said.append,
            froze=self._freeze,
            most_ahead=most_ahead,
            **settings,
        )
        self.meters = [self.limiter.meter(("v", "", "ip", "", w.name), w, 0) for w in windows]

    def _freeze(self) -> None:
        self.froze += 1

    def ask(self, name: str, *costs: int, cancel: bool = False) -> int:
        costs = costs or (1,) * len(self.meters)
        amounts = tuple(zip(self.meters, costs, strict=True))
        clock = self.world.clock
        return self.limiter.ask(name, amounts, clock.monotonic_ns(), clock.wall_ns(), cancel)

    def end(self, name: str, *, left: bool) -> None:
        self.limiter.end(name, left, self.world.clock.monotonic_ns())

    def passes(self, name: str, *costs: int) -> None:
        assert self.ask(name, *costs) == 0
        self.end(name, left=True)

    def row(self):
        clock = self.world.clock
        return next(self.limiter.rows(clock.monotonic_ns(), clock.wall_ns()))


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore()

    def process(self, *windows: Window, **settings: object) -> Process:
        return Process(self, *windows, **settings)

    def processes(self, number: int, *windows: Window, **settings: object) -> list[Process]:
        return [self.process(*windows, **settings) for _ in range(number)]
