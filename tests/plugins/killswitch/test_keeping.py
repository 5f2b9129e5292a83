"""One state for every process that shares a store or a state folder, and what each failure means.

A process is here a switch with its `Keeping`, whose turns the test takes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import define, field

from hauberk.errors import StoreError
from hauberk.testing import FakeClock, MemoryStore
from hauberk_plugins.killswitch.folder import HALT, RELAY, StateFolder
from hauberk_plugins.killswitch.keeping import ORPHANED_NS, PATIENCE_NS, Keeping, Standing
from hauberk_plugins.killswitch.stored import RECORD, ChangedMeanwhile, Stored
from hauberk_plugins.killswitch.switch import KillSwitch, Level, Source, State

NORMAL, RESTRICTED, HALTED = Level


@define(eq=False)
class Process:
    """A process."""

    keeping: Keeping
    clock: FakeClock
    changes: list[State] = field(factory=list)

    @property
    def level(self) -> Level:
        return self.keeping.switch.level

    def report(self, name: str, level: Level = HALTED) -> None:
        self.keeping.switch.rise(level, name, name)

    def lift(self, reason: str = "mended") -> None:
        self.keeping.lift(self.keeping.seen(), reason)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(0o700)
    return folder


Start = Callable[..., Process]


@pytest.fixture
def start(store: MemoryStore, path: Path) -> Start:
    """Start a process that shares the store and, unless told otherwise, the folder."""

    def begin(
        *, has_store: bool = True, folder: Path | None = path, shares: MemoryStore = store
    ) -> Process:
        clock, changes = FakeClock(), list[State]()
        keeping = Keeping(
            KillSwitch(),
            (lambda: shares) if has_store else None,
            None if folder is None else StateFolder(folder),
            clock.monotonic_ns,
            changes.append,
        )
        keeping.begin()
        return Process(keeping, clock, changes)

    return begin


def test_a_halt_reaches_who_shares_the_folder_without_asking_the_store(
    start: Start, store: MemoryStore
) -> None:
    one, other = start(), start()
    one.report("worst")
    one.keeping.turn()
    store.error = StoreError("down")
    other.keeping.look()
    assert other.level is HALTED
    assert other.changes == [State()]


def test_a_halt_reaches_who_shares_the_store_alone(start: Start, tmp_path: Path) -> None:
    one, other = start(), start(folder=tmp_path)
    one.report("worst")
    one.keeping.turn()
    other.keeping.turn()
    assert other.level is HALTED


def test_a_halt_that_the_store_does_not_take_reaches_who_shares_the_folder_and_a_restart(
    start: Start, store: MemoryStore
) -> None:
    one, other = start(), start()
    store.error = StoreError("disk full")
    one.report("worst")
    one.keeping.turn()
    assert one.keeping.problem == "disk full"
    other.keeping.look()
    assert other.level is HALTED
    store.error = None
    again = start()
    assert again.level is HALTED
    again.keeping.turn()
    assert store.get(RECORD) is None, "it is left to whoever reported it, for a while"
    again.clock.advance_ns(ORPHANED_NS + 1)
    again.keeping.turn()
    record = store.get(RECORD)
    assert record is not None
    assert State.from_bytes(record.value).incident == "worst"


def test_a_lift_reaches_everybody(start: Start, tmp_path: Path) -> None:
    one, beside, elsewhere = start(), start(), start(folder=tmp_path)
    one.report("worst")
    for process in (one, beside, elsewhere):
        process.keeping.turn()
    start().lift()
    one.keeping.look()
    beside.keeping.look()
    elsewhere.keeping.turn()
    assert {one.level, beside.level, elsewhere.level} == {NORMAL}
    assert start().level is NORMAL


def test_a_lift_does_not_undo_a_halt_that_came_after_it_was_looked_at(start: Start) -> None:
    one, operator = start(), start()
    one.report("first")
    one.keeping.turn()
    seen = operator.keeping.seen()
    one.report("second")
    one.keeping.turn()
    with pytest.raises(ChangedMeanwhile):
        operator.keeping.lift(seen, "mended")
    assert one.level is HALTED
    assert start().level is HALTED


def test_a_lift_does_not_undo_a_halt_that_no_store_has_yet(
    start: Start, store: MemoryStore, tmp_path: Path
) -> None:
    one, operator = start(), start(folder=tmp_path)
    one.report("first")
    one.keeping.turn()
    seen = operator.keeping.seen()
    one.report("second")  # in memory, and on its way
    operator.keeping.lift(seen, "mended")
    one.keeping.look()
    assert one.level is HALTED
    one.keeping.turn()
    operator.keeping.turn()
    assert operator.level is HALTED
    assert operator.keeping.switch.state.incident in ("first", "second")
    assert "second" in operator.keeping.switch.state.incidents


def test_the_same_incident_again_changes_nothing_that_is_stored(
    start: Start, store: MemoryStore
) -> None:
    one = start()
    one.report("worst")
    one.keeping.turn()
    before = store.get(RECORD)
    one.report("worst")
    one.keeping.turn()
    one.report("worst", RESTRICTED)
    one.keeping.turn()
    assert store.get(RECORD) == before


def test_a_lesser_incident_is_named_beside_the_one_that_halts(start: Start) -> None:
    one, other = start(), start()
    one.report("worst")
    one.keeping.turn()
    other.report("bad", RESTRICTED)
    other.keeping.turn()
    assert start().keeping.switch.state == State(HALTED, "worst", "worst", ("bad",))


def test_a_file_halts_until_it_is_removed_and_nothing_is_lifted_meanwhile(
    start: Start, path: Path
) -> None:
    one = start()
    (path / HALT).touch()
    one.keeping.look()
    assert one.level is HALTED
    with pytest.raises(Standing, match=r"HALT is there.*remove it"):
        one.lift()
    (path / HALT).unlink()
    one.keeping.look()
    assert one.level is NORMAL


def test_a_folder_that_cannot_be_read_halts_until_it_can(start: Start, path: Path) -> None:
    one = start()
    path.rename(path.with_name("away"))
    one.keeping.look()
    assert one.level is HALTED
    assert "is unreadable: it is gone" in str(one.keeping.switch.state)
    with pytest.raises(Standing, match="it is gone"):
        one.lift()
    path.with_name("away").rename(path)
    one.keeping.look()
    assert one.level is NORMAL


def test_a_store_that_cannot_be_read_at_the_start_halts_until_it_can(
    start: Start, store: MemoryStore
) -> None:
    store.error = StoreError("down")
    one = start()
    assert one.level is HALTED
    store.error = None
    one.keeping.turn()
    assert one.level is NORMAL


def test_a_store_that_is_silent_for_long_halts_and_for_a_moment_does_not(
    start: Start, store: MemoryStore
) -> None:
    one = start()
    store.error = StoreError("failing over")
    one.clock.advance_ns(PATIENCE_NS)
    one.keeping.turn()
    one.keeping.look()
    assert one.level is NORMAL
    one.clock.advance_ns(1)
    one.keeping.look()
    assert one.level is HALTED
    assert "the store is silent" in str(one.keeping.switch.state)
    store.error = None
    one.keeping.turn()
    assert one.level is NORMAL


def test_a_record_that_is_no_state_halts_at_once_and_can_be_lifted(
    start: Start, store: MemoryStore
) -> None:
    one, other = start(), start()
    store.put(RECORD, b"torn")
    one.keeping.turn()
    assert one.level is HALTED
    other.lift()
    one.keeping.look()
    one.keeping.turn()
    assert one.level is NORMAL


def test_a_halt_of_a_process_that_cannot_store_over_a_torn_record_is_lifted_with_it(
    start: Start, store: MemoryStore, path: Path
) -> None:
    one = start()
    store.put(RECORD, b"torn")
    one.report("worst")
    one.keeping.turn()
    assert one.keeping.problem == "it is not JSON"
    assert one.level is HALTED
    one.lift()
    assert one.level is NORMAL


def test_a_state_in_the_folder_that_cannot_be_read_halts_until_it_is_lifted(
    start: Start, path: Path
) -> None:
    one = start()
    (path / RELAY).write_bytes(b"torn")
    (path / RELAY).chmod(0o600)
    one.keeping.look()
    assert one.level is HALTED
    operator = start()
    seen = operator.keeping.seen()
    assert RELAY in str(seen.state)
    operator.keeping.lift(seen, "mended")
    one.keeping.look()
    assert {one.level, operator.level} == {NORMAL}


def test_a_store_put_back_to_an_earlier_day_lifts_nothing(start: Start, store: MemoryStore) -> None:
    one = start()
    early = MemoryStore()
    one.report("worst")
    one.keeping.turn()
    restored = start(shares=early)
    assert restored.level is HALTED
    restored.keeping.turn()
    record = early.get(RECORD)
    assert record is not None
    assert State.from_bytes(record.value).level is HALTED


def test_what_was_read_before_something_newer_came_does_not_take_its_place(
    start: Start, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = start(), start()
    other.report("first", RESTRICTED)
    other.keeping.turn()
    get = store.get

    def slow(name: str) -> object:
        found = get(name)
        monkeypatch.setattr(store, "get", get)
        other.report("worst")
        other.keeping.turn()
        one.keeping.look()  # the folder was quicker
        return found

    monkeypatch.setattr(store, "get", slow)
    one.keeping.turn()
    assert one.level is HALTED


def test_without_a_store_it_is_this_process_alone(start: Start) -> None:
    one, other = start(has_store=False), start(has_store=False)
    one.report("worst")
    one.keeping.turn()
    other.keeping.look()
    assert one.level is HALTED
    assert other.level is NORMAL
    one.lift()
    assert one.level is NORMAL


def test_a_folder_that_cannot_be_written_keeps_nothing_from_being_stored(
    start: Start, store: MemoryStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = start()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(StateFolder, "relay", full)
    one.report("worst")
    one.keeping.turn()
    assert one.keeping.problem == ""
    assert start().level is HALTED


def test_what_a_store_that_had_it_twice_says_is_stored_once(start: Start) -> None:
    stood = Stored(State(HALTED, "worst", "worst"), 4)
    assert stood.state is not None
    assert stood.state.joined(stood.state) is stood.state


def test_a_halt_that_was_read_before_it_was_lifted_does_not_come_back(
    start: Start, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = start(), start()
    other.report("first")
    other.keeping.turn()
    one.keeping.look()
    get = store.get

    def slow(name: str) -> object:
        found = get(name)
        monkeypatch.setattr(store, "get", get)
        other.lift()
        one.keeping.look()
        assert one.level is NORMAL
        return found

    monkeypatch.setattr(store, "get", slow)
    one.keeping.turn()
    assert one.level is NORMAL


def test_who_only_heard_of_a_halt_does_not_bring_it_back_after_the_lift(start: Start) -> None:
    one, other = start(), start()
    one.report("worst")
    one.keeping.folder.relay(Stored(one.keeping.switch.said(Source.OWN), 0))  # type: ignore[union-attr]
    other.keeping.look()
    assert other.level is HALTED
    one.keeping.turn()
    start().lift()
    other.clock.advance_ns(ORPHANED_NS + 1)
    other.keeping.look()
    other.keeping.turn()
    one.keeping.look()
    assert {one.level, other.level, start().level} == {NORMAL}


def test_what_the_folder_does_not_take_is_left_there_as_soon_as_it_does(
    start: Start, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = start(), start()
    one.report("worst")
    one.keeping.turn()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(StateFolder, "relay", full)
        one.lift()
    other.keeping.look()
    assert other.level is HALTED
    one.keeping.turn()
    other.keeping.look()
    assert other.level is NORMAL
