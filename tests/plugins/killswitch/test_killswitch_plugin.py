from __future__ import annotations

import json
import threading
from collections.abc import Sequence

import pytest

from hauberk import Denied, Request, Severity, StoreError
from hauberk.guard import Guard
from hauberk.ports import Record
from hauberk.testing import (
    DEFAULT_URL,
    FakeClock,
    GuardFactory,
    MemoryStore,
    Providers,
    check_plugin,
    make_plan,
)
from hauberk_plugins.killswitch.plugin import KillSwitchPlugin
from hauberk_plugins.killswitch.stored import RECORD, look, raise_to
from hauberk_plugins.killswitch.switch import BadState, Level, State

BASE = "https://api.open.test"
ORDER = Request("POST", DEFAULT_URL)
CANCEL = Request("DELETE", f"{BASE}/cancel/order")
STORED: dict[str, Sequence[str]] = {"killswitch": ["store"]}


def load(store: MemoryStore) -> State:
    state = look(store).state
    assert state is not None
    return state


def turn(made: Guard) -> None:
    """Have the kill switch and the store brought together at once."""
    plugin = made.snapshot.part("killswitch").plugin  # type: ignore[union-attr]
    assert plugin._keeper.ask(30)


def switched(guard: GuardFactory, grants: dict[str, Sequence[str]] = STORED) -> Guard:
    return guard(("killswitch", KillSwitchPlugin()), grants=grants)


def test_it_keeps_the_contract() -> None:
    check_plugin(KillSwitchPlugin, grants=["store"], examples=5)


def test_a_high_incident_leaves_reading_cancelling_and_reducing(guard: GuardFactory) -> None:
    made = switched(guard)
    made.clear(ORDER)
    incident = made.report("keys were used from elsewhere", Severity.HIGH)
    with pytest.raises(Denied, match=r"restricted since 'keys were used from elsewhere'") as caught:
        made.clear(ORDER)
    assert incident.id in caught.value.reason
    assert caught.value.plugin == "killswitch"
    for path in ("cancel/order", "read/balance", "reduce/order", "public/time"):
        made.clear(Request("GET", f"{BASE}/{path}"))


def test_a_critical_incident_halts_everything(guard: GuardFactory) -> None:
    made = switched(guard)
    incident = made.report("withdrawals that nobody made", Severity.CRITICAL)
    assert incident.outcomes[0].did == "halted"
    for request in (ORDER, CANCEL, Request("GET", f"{BASE}/public/time")):
        with pytest.raises(Denied, match="halted since 'withdrawals that nobody made'"):
            made.clear(request)


@pytest.mark.parametrize("severity", [Severity.LOW, Severity.MEDIUM])
def test_what_an_outsider_can_trigger_stops_nothing(
    guard: GuardFactory, severity: Severity
) -> None:
    made = switched(guard)
    made.report("failed logins", severity)
    made.clear(ORDER)


def test_a_lesser_incident_later_does_not_loosen_it(guard: GuardFactory) -> None:
    made = switched(guard)
    first = made.report("worst", Severity.CRITICAL)
    second = made.report("bad", Severity.HIGH)
    assert second.outcomes[0].did == "halted already"
    with pytest.raises(Denied, match=first.id):
        made.clear(CANCEL)


def test_the_state_survives_a_restart(guard: GuardFactory, store: MemoryStore) -> None:
    made = switched(guard)
    incident = made.report("worst", Severity.CRITICAL)
    made.close()
    again = switched(guard)
    with pytest.raises(Denied, match=rf"halted since 'worst' \({incident.id}\)"):
        again.clear(CANCEL)


def test_without_a_store_a_restart_lifts_it(guard: GuardFactory) -> None:
    made = switched(guard, grants={})
    made.report("worst", Severity.CRITICAL)
    made.close()
    switched(guard, grants={}).clear(ORDER)


@pytest.mark.parametrize("record", [b"", b"\xff", b"{}", b'{"level": "normal"}'])
def test_a_record_that_cannot_be_parsed_means_halted(
    guard: GuardFactory, store: MemoryStore, record: bytes
) -> None:
    store.put(RECORD, record)
    made = switched(guard)
    with pytest.raises(Denied, match="halted since 'the stored state is unreadable: it "):
        made.clear(CANCEL)


def test_a_store_that_cannot_be_read_means_halted(guard: GuardFactory, store: MemoryStore) -> None:
    store.error = StoreError("the disk is gone")
    made = switched(guard)
    with pytest.raises(Denied, match="unreadable: the disk is gone"):
        made.clear(CANCEL)


def test_a_store_that_fails_in_an_unknown_way_means_halted_and_its_text_is_not_shown(
    guard: GuardFactory, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str) -> Record | None:
        raise RuntimeError("secret=hunter2")

    monkeypatch.setattr(store, "get", broken)
    made = switched(guard)
    with pytest.raises(Denied, match="unreadable: RuntimeError") as caught:
        made.clear(CANCEL)
    assert "hunter2" not in str(caught.value)


def test_it_acts_in_memory_whatever_the_store_does(guard: GuardFactory, store: MemoryStore) -> None:
    made = switched(guard)
    store.error = StoreError("disk full")
    incident = made.report("worst", Severity.CRITICAL)
    assert "halted, but a restart would lift it: not stored: disk full" in incident.outcomes[0].did
    with pytest.raises(Denied):
        made.clear(CANCEL)


def test_it_acts_in_memory_before_a_store_that_hangs(
    guard: GuardFactory, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = switched(guard)
    reached, go_on = threading.Event(), threading.Event()
    get = store.get

    def hangs(name: str) -> Record | None:
        reached.set()
        assert go_on.wait(30)
        return get(name)

    monkeypatch.setattr(store, "get", hangs)
    report = threading.Thread(target=made.report, args=("worst", Severity.CRITICAL))
    report.start()
    try:
        assert reached.wait(30)
        with pytest.raises(Denied, match="halted since 'worst'") as caught:
            made.clear(CANCEL)
        assert caught.value.plugin == "killswitch"
        report.join()  # it does not wait for ever
        outcome = made.incidents[0].outcomes[0]
        assert outcome.did.endswith("not stored: the store has not answered yet")
    finally:
        go_on.set()
        report.join()
    turn(made)
    assert load(store).level is Level.HALTED


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("method", ["get", "put"])
def test_it_acts_in_memory_before_a_store_that_ends_its_thread(
    guard: GuardFactory,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    error: BaseException,
) -> None:
    made = switched(guard)

    def ends(*_args: object, **_options: object) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(store, method, ends)
        outcome = made.report("worst", Severity.CRITICAL).outcomes[0]
        assert outcome.ok
        assert outcome.did.endswith(f"not stored: {type(error).__name__}")
        with pytest.raises(Denied, match="halted since 'worst'"):
            made.clear(CANCEL)
    turn(made)
    assert load(store).level is Level.HALTED


def test_what_a_store_raises_that_is_not_ours_is_not_shown_in_the_outcome(
    guard: GuardFactory, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = switched(guard)

    def broken(name: str) -> Record | None:
        raise RuntimeError("secret=hunter2")

    monkeypatch.setattr(store, "get", broken)
    incident = made.report("worst", Severity.CRITICAL)
    assert incident.outcomes[0].did.endswith("not stored: RuntimeError")


def test_a_full_disk_does_not_keep_a_restricted_account_from_cancelling(
    guard: GuardFactory, store: MemoryStore
) -> None:
    made = switched(guard)
    store.error = StoreError("disk full")
    made.report("bad", Severity.HIGH)
    made.clear(CANCEL)
    with pytest.raises(Denied, match="restricted since 'bad'"):
        made.clear(ORDER)


def test_what_could_not_be_stored_is_stored_as_soon_as_it_can(
    guard: GuardFactory, store: MemoryStore, clock: FakeClock
) -> None:
    made = switched(guard)
    store.error = StoreError("disk full")
    made.report("bad", Severity.HIGH)
    store.error = None
    turn(made)
    assert load(store).level is Level.RESTRICTED


def test_a_reload_does_not_lift_it(clock: FakeClock) -> None:
    providers = Providers()
    plans = [
        make_plan(("killswitch", KillSwitchPlugin()), providers=providers, grants=grants)
        for grants in ({}, STORED)
    ]
    with Guard(plans[0], clock=clock, replan=lambda: plans[1]) as made:
        incident = made.report("worst", Severity.CRITICAL)
        made.reload()
        with pytest.raises(Denied, match=incident.id):
            made.clear(CANCEL)
        # There is a store now: what was held in memory alone is in it.
        assert load(providers.store.scoped("killswitch")).incident == incident.id


def test_two_processes_on_one_store_never_lower_each_other() -> None:
    store = MemoryStore()
    raise_to(store, State(Level.HALTED, "theirs", "i-1"))
    raise_to(store, State(Level.RESTRICTED, "ours", "i-2"))
    assert load(store) == State(Level.HALTED, "theirs", "i-1", ("i-2",))


def test_a_write_that_meets_another_one_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    real, raced = store.get, []

    def get(name: str) -> Record | None:
        seen = real(name)
        if not raced:
            raced.append(1)
            store.put(RECORD, State(Level.HALTED, "theirs").to_bytes())
        return seen

    monkeypatch.setattr(store, "get", get)
    raise_to(store, State(Level.RESTRICTED, "ours"))
    assert load(store).title == "theirs"


def test_an_unreadable_record_is_left_as_evidence() -> None:
    store = MemoryStore()
    store.put(RECORD, b"scribble")
    with pytest.raises(BadState):
        raise_to(store, State(Level.HALTED, "x"))
    record = store.get(RECORD)
    assert record is not None
    assert record.value == b"scribble"


def test_the_record_is_plain_json(store: MemoryStore) -> None:
    raise_to(store, State(Level.HALTED, "worst", "i-1"))
    record = store.get(RECORD)
    assert record is not None
    assert json.loads(record.value) == {
        "level": "halted", "title": "worst", "incident": "i-1", "also": [],
    }  # fmt: skip
