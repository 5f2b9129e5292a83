from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hauberk import Denied, Request
from hauberk.accounts import Account
from hauberk.errors import StoreError
from hauberk.guard import Guard
from hauberk.testing import FakeClock, MemoryStore, OpenVenue, Providers, make_plan
from hauberk_plugins.throttle.errors import NotKept
from hauberk_plugins.throttle.kept import Kept, boot_id
from hauberk_plugins.throttle.limiter import RateLimiter
from hauberk_plugins.throttle.plugin import ThrottleConfig, ThrottlePlugin
from hauberk_plugins.throttle.windows import Kind, Scope, Window

S = 1_000_000_000
KEY = ("v", "", "ip", "", "w")


class CountingStore(MemoryStore):
    """Counts what is written."""

    writes = 0

    def put(self, name: str, value: bytes, *, version: int | None = None) -> int:
        self.writes += 1
        return super().put(name, value, version=version)


class Process:
    """One run of a bot, on a store that outlives it."""

    def __init__(
        self, store: MemoryStore, clock: FakeClock, window: Window, boot: str = ""
    ) -> None:
        self.said: list[str] = []
        self.clock = clock
        self.kept = Kept(store, clock, self.said.append, boot)
        self.limiter = RateLimiter(keeper=self.kept)
        self.limiter.anchor(clock.monotonic_ns(), clock.wall_ns())
        self.meter = self.limiter.meter(KEY, window, 0)
        self.count = 0

    def take(self, cost: int = 1) -> int:
        self.count += 1
        now, name = self.clock.monotonic_ns(), str(self.count)
        wait = self.limiter.ask(name, ((self.meter, cost),), now, self.clock.wall_ns())
        self.limiter.end(name, wait == 0, now)
        return wait

    def fill(self) -> int:
        taken = 0
        while not self.take():
            taken += 1
        return taken

    def stop(self) -> None:
        self.limiter.close(self.kept.close, self.clock.monotonic_ns())

    @property
    def used(self) -> int:
        return sum(
            r.used for r in self.limiter.rows(self.clock.monotonic_ns(), self.clock.wall_ns())
        )


def window(kind: str = "rolling", size: int = 1_000, seconds: int = 60) -> Window:
    return Window("w", Kind(kind), Scope.IP, seconds, size, "x")


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


def rebooted(clock: FakeClock, by_s: float = 0) -> FakeClock:
    """The same wall clock, or one that is off, and another monotonic one."""
    return FakeClock(wall_ns=clock.wall_ns() + round(by_s * 1e9))


@pytest.mark.parametrize("kind", Kind)
def test_after_a_clean_end_exactly_what_was_used_counts(
    store: CountingStore, clock: FakeClock, kind: Kind
) -> None:
    shape = window(kind)
    before = Process(store, clock, shape)
    for _ in range(300):
        before.take()
    used = before.used
    before.stop()
    after = Process(store, clock, shape)
    assert used - 1 <= after.used <= used
    assert after.said == []


@pytest.mark.parametrize("kind", Kind)
def test_what_left_before_the_monotonic_clock_began_counts(
    store: CountingStore, clock: FakeClock, kind: Kind
) -> None:
    before = Process(store, clock, window(kind))
    before.take(900)
    before.stop()
    clock.advance(10)
    used, after = before.used, Process(store, rebooted(clock), window(kind))
    assert used > 0
    assert used - 1 <= after.used <= used


@pytest.mark.parametrize("kind", Kind)
def test_after_a_crash_what_was_used_counts_and_a_block_at_most(
    store: CountingStore, clock: FakeClock, kind: Kind
) -> None:
    before = Process(store, clock, window(kind))
    for _ in range(300):
        before.take()
    used = before.used
    assert used <= Process(store, clock, window(kind)).used <= used + 11


def test_most_grants_cost_no_record(store: CountingStore, clock: FakeClock) -> None:
    process = Process(store, clock, window(size=1_000))
    assert process.fill() == 1_000
    assert store.writes <= 102


def test_a_day_is_remembered_and_ages(store: CountingStore, clock: FakeClock) -> None:
    shape = window(size=1_000, seconds=86_400)
    before = Process(store, clock, shape)
    before.take(700)
    before.stop()
    clock.advance(80_000)
    assert Process(store, clock, shape).used == 700
    clock.advance(6_401)
    assert Process(store, clock, shape).used == 0


def test_what_nobody_asks_about_ages_from_the_first_start_on(
    store: CountingStore, clock: FakeClock
) -> None:
    Process(store, clock, window()).take(500)  # and crashes
    Kept(store, clock, print)
    clock.advance(61)
    assert Process(store, clock, window()).used == 0


@pytest.mark.parametrize("boot", ["", "same"])
def test_a_clock_set_back_between_runs_gives_nothing_back(
    store: CountingStore, clock: FakeClock, boot: str
) -> None:
    before = Process(store, clock, window(), boot)
    before.take(900)
    before.stop()
    clock.step_wall(-86_400)
    after = Process(store, clock, window(), boot)
    assert after.used == 900
    clock.advance(59)
    assert after.used == 900
    clock.advance(1.1)
    assert after.used == 0


def test_a_clock_set_ahead_between_runs_gives_nothing_back_while_the_machine_runs(
    store: CountingStore, clock: FakeClock
) -> None:
    before = Process(store, clock, window(), "boot-1")
    before.take(900)
    before.stop()
    clock.step_wall(3_600)
    assert Process(store, clock, window(), "boot-1").used == 900


def test_a_clock_that_stepped_back_in_a_run_makes_nothing_older_for_the_next(
    store: CountingStore, clock: FakeClock
) -> None:
    before = Process(store, clock, window(), "boot-1")
    before.take(900)
    clock.step_wall(-3_600)
    before.stop()
    assert Process(store, rebooted(clock, by_s=3_600), window(), "boot-2").used == 900


def test_a_reload_goes_on_with_records(store: CountingStore, clock: FakeClock) -> None:
    process = Process(store, clock, window())
    process.take(100)
    process.stop()
    process.take(100)
    assert Process(store, clock, window()).used >= 200


def test_what_is_open_at_the_end_may_leave_at_any_time(
    store: CountingStore, clock: FakeClock
) -> None:
    process = Process(store, clock, window())
    now = clock.monotonic_ns()
    assert process.limiter.ask("open", ((process.meter, 5),), now, clock.wall_ns()) == 0
    process.stop()
    clock.advance(100)
    process.limiter.end("open", True, clock.monotonic_ns())
    assert Process(store, clock, window()).used == 5


def test_a_window_of_seconds_counts_as_full_after_a_crash_alone(
    store: CountingStore, clock: FakeClock
) -> None:
    shape = window(seconds=2, size=10)
    crashed = Process(store, clock, shape)
    assert crashed.fill() == 10
    writes = store.writes
    assert writes == 1
    after = Process(store, clock, shape)
    assert after.used == 10
    clock.advance(2.1)
    assert after.fill() == 10
    clock.advance(2.1)
    after.stop()
    assert Process(store, clock, shape).used == 0


def names(store: MemoryStore) -> list[str]:
    return [name for name, _ in store.scan("budget/")]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"key":[],"span":1,"wall":1}',
        b'{"key":[],"span":-1,"wall":1,"boot":"","mono":0,"level":5}',
        b'{"key":[],"span":1,"wall":1,"boot":"","mono":0,"level":1e3}',
        b'{"key":[],"span":1,"wall":1,"boot":"","mono":0,"level":true}',
        b'{"key":[],"span":1,"wall":1,"boot":"","mono":0,"left":[[1]]}',
        b'{"key":[],"span":1,"wall":1,"boot":"","mono":0,"left":5}',
        b'{"key":[],"span":1,"wall":1,"boot":"","mono":0,"level":' + b"9" * 5_000 + b"}",
        b"[" * 100_000,
    ],
)
def test_a_record_that_cannot_be_read_is_a_full_window_for_its_length_and_said(
    store: CountingStore, clock: FakeClock, damage: bytes
) -> None:
    Process(store, clock, window()).take()
    store.put(names(store)[0], damage)
    after = Process(store, clock, window())
    assert after.used == 1_000
    assert any("changed by other means" in said for said in after.said)
    clock.advance(60.1)
    assert after.take() == 0
    assert Process(store, clock, window()).said == []


def test_a_store_that_cannot_be_read_at_the_start_makes_every_window_full(
    store: CountingStore, clock: FakeClock
) -> None:
    store.error = StoreError("the disk is gone")
    process = Process(store, clock, window())
    assert process.used == 1_000
    assert process.said == [
        "what was used before cannot be read, and every window counts as full: the disk is gone"
    ]


def test_what_cannot_be_kept_is_not_granted(store: CountingStore, clock: FakeClock) -> None:
    process = Process(store, clock, window())
    store.error = StoreError("the disk is full")
    with pytest.raises(NotKept, match="cannot be kept: the disk is full"):
        process.take()
    store.error = None
    assert process.take() == 0
    assert process.used == 1


def test_records_allow_less_once_much_less_is_used(store: CountingStore, clock: FakeClock) -> None:
    process = Process(store, clock, window())
    process.fill()
    clock.advance(61)
    process.take()
    process.limiter.relax(process.kept.lower)
    assert Process(store, clock, window()).used <= 12
    assert process.fill() == 999


def test_what_is_frozen_stays_frozen_over_a_restart(store: CountingStore, clock: FakeClock) -> None:
    Process(store, clock, window()).kept.froze(("v", ""), 100 * S)
    clock.advance(40)
    assert dict(Kept(store, clock, print).freezes(1)) == {("v", ""): 60 * S}
    clock.step_wall(-3_600)
    assert dict(Kept(store, clock, print).freezes(1)) == {("v", ""): 100 * S}
    clock.step_wall(3_600)
    clock.advance(60)
    assert dict(Kept(store, clock, print).freezes(1)) == {}


def test_freezes_that_cannot_be_read_freeze_everything_for_a_while(
    store: CountingStore, clock: FakeClock
) -> None:
    store.put("freezes", b"{")
    assert dict(Kept(store, clock, lambda _: None).freezes(7)) == {(): 7}


def test_the_machine_names_its_run(tmp_path: Path) -> None:
    path = tmp_path / "boot_id"
    assert boot_id(path) == ""
    path.write_text("a-b\n")
    assert boot_id(path) == "a-b"


# Through the plugin.

READ = Request("GET", "https://api.open.test/read/balance")
GRANTS = {"throttle": ["venues", "store"]}


@pytest.fixture
def run(clock: FakeClock) -> Iterator[Any]:
    providers = Providers(OpenVenue(sections={"limits": {
        "windows": ({"name": "w", "kind": "rolling", "scope": "ip", "seconds": 60, "size": 3,
                     "counts": "x"},),
        "costs": {"default": {"x": 1}},
    }}))  # fmt: skip
    made: list[Guard] = []

    def make(*, resident: bool = True) -> Guard:
        plan = make_plan(
            ("throttle", ThrottlePlugin(ThrottleConfig(jitter_ms=0))),
            providers=providers, grants=GRANTS, accounts={"main": Account("open")},
            order=["killswitch", "bots", "throttle", "signing"],
        )  # fmt: skip
        made.append(Guard(plan, clock=clock, resident=resident))
        return made[-1]

    yield make
    for guard in made:
        guard.close()


@pytest.mark.parametrize("is_clean", [True, False])
def test_a_bot_that_is_started_again_does_not_begin_anew(run: Any, is_clean: bool) -> None:
    guard = run()
    for _ in range(3):
        guard.clear(READ, timeout_s=0)
    if is_clean:
        guard.close()
    with pytest.raises(Denied, match="would have to wait 60 s"):
        run().clear(READ, timeout_s=0)


def test_a_command_that_sends_once_writes_no_records(run: Any) -> None:
    run(resident=False).clear(READ, timeout_s=0)
    run().clear(READ, timeout_s=0)


def test_records_hold_nothing_but_figures_and_whose_they_are(
    store: CountingStore, clock: FakeClock
) -> None:
    process = Process(store, clock, window())
    process.take()
    process.stop()
    [record] = [json.loads(store.get(name).value) for name in names(store)]  # type: ignore[union-attr]
    assert record.keys() == {"key", "span", "left", "wall", "boot", "mono"}
