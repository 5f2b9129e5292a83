"""The outbox keeps what is to be sent until it was, whoever is killed, whatever the clock does."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from attrs import evolve

from hauberk import Severity, StoreConflict, StoreError
from hauberk.records import Incident
from hauberk.testing import MemoryStore
from hauberk_plugins.notify import shelf
from hauberk_plugins.notify.entry import Entry, Retrying
from hauberk_plugins.notify.errors import NoSuchEntry, OutboxFailed
from hauberk_plugins.notify.outbox import MAX_BACKLOG, Leased, Outbox
from hauberk_plugins.notify.routing import Route
from hauberk_plugins.notify.templates import Message, digest_message

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
ROUTE = Route("pager", Severity.LOW)
RETRYING = Retrying()
_numbers = count(1)


def incident(severity: Severity = Severity.HIGH, title: str = "keys are gone") -> Incident:
    return Incident(f"inc-{next(_numbers)}", title, severity, "monitor", NOW)


def outbox(store: Any, random: float = 0.5, **retrying: int) -> Outbox:
    tokens = (f"{number:08x}" for number in _numbers)
    return Outbox(store, lambda: next(tokens), lambda: random, evolve(RETRYING, **retrying))


def put(box: Outbox, now_ns: int = NOW, severity: Severity = Severity.HIGH) -> Entry:
    """Put one in, whatever its route was told before."""
    route = Route(f"route-{next(_numbers)}", Severity.LOW)
    found = incident(severity)
    entry = box.admit(route, found, lambda: Message("title", "body", severity), now_ns)
    assert entry is not None
    return entry


def leased(box: Outbox, entry: Entry, now_ns: int = NOW) -> Leased:
    found = box.lease(entry.route, now_ns)
    assert found is not None
    assert found.entry.id == entry.id
    return found


def test_one_that_was_sent_is_gone(store: MemoryStore) -> None:
    box = outbox(store)
    entry = put(box)
    box.sent(leased(box, entry))
    assert box.entries() == box.entries(dead=True) == []
    assert box.lease(entry.route, NOW + 10**18) is None


def test_one_that_was_not_sent_waits_twice_as_long_each_time_up_to_the_longest(
    store: MemoryStore,
) -> None:
    box = outbox(store, random=1.0)
    entry, now, pauses = put(box), NOW, []
    for _ in range(10):
        assert box.failed(leased(box, entry, now), "refused", now) is None
        (kept,) = box.entries()
        pauses.append((kept.next_ns - now) // SECOND)
        assert box.lease(entry.route, kept.next_ns - 1) is None
        now = kept.next_ns
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    assert (kept.attempts, kept.why) == (10, "refused")


@pytest.mark.parametrize(("random", "pause"), [(0.0, 2.5), (0.5, 3.75), (1.0, 5.0)])
def test_a_pause_is_between_half_and_the_whole(random: float, pause: float) -> None:
    assert RETRYING.pause_ns(1, random) == pause * SECOND


def test_two_processes_do_not_send_the_same_at_the_same_time(store: MemoryStore) -> None:
    one, other = outbox(store), outbox(store)
    entry = put(one)
    leased(one, entry)
    assert other.lease(entry.route, NOW + RETRYING.lease_ns - 1) is None


def test_of_two_that_read_the_same_record_one_gets_the_lease(store: MemoryStore) -> None:
    class Late(MemoryStore):
        """Shows what stood there before another process took it."""

        def scan(self, prefix: str = "") -> Any:
            return iter(before)

        def put(self, name: str, value: bytes, *, version: int | None = None) -> int:
            return store.put(name, value, version=version)

    one, other = outbox(store), outbox(Late())
    entry = put(one)
    before = list(store.scan("entry/"))
    leased(one, entry)
    assert other.lease(entry.route, NOW) is None


def test_whoever_is_killed_while_sending_loses_the_lease(store: MemoryStore) -> None:
    entry = put(outbox(store))
    leased(outbox(store), entry)
    survivor = outbox(store)
    survivor.sent(leased(survivor, entry, NOW + RETRYING.lease_ns))
    assert survivor.entries() == []


def test_a_lease_that_was_over_undoes_nothing_of_who_took_it_over(store: MemoryStore) -> None:
    slow, quick = outbox(store), outbox(store)
    entry = put(slow)
    late = leased(slow, entry)
    later = NOW + RETRYING.lease_ns
    leased(quick, entry, later)
    assert slow.failed(late, "no answer", later) is None
    (kept,) = quick.entries()
    assert kept.leased_ns == later + RETRYING.lease_ns
    slow.sent(late)  # it was sent after all: once more would be too often
    assert quick.entries() == []


def test_it_is_given_up_when_it_has_expired_and_was_tried(store: MemoryStore) -> None:
    box = outbox(store)
    entry = put(box)
    much_later = NOW + 10 * RETRYING.expires_ns
    # A machine that was off for days: it is tried at least once.
    found = leased(box, entry, much_later)
    dead = box.failed(found, "refused", much_later)
    assert dead is not None
    assert box.entries() == []
    (kept,) = box.entries(dead=True)
    assert (kept.id, kept.why, kept.attempts) == (entry.id, "refused", 1)


def test_what_is_dead_is_sent_again_when_somebody_asks(store: MemoryStore) -> None:
    box = outbox(store, expires_ns=0)
    entry = put(box)
    assert box.failed(leased(box, entry), "refused", NOW) is not None
    assert box.lease(entry.route, NOW + 10**18) is None
    box.retry(entry.id, NOW)
    assert box.entries(dead=True) == []
    box.sent(leased(box, entry))
    with pytest.raises(NoSuchEntry, match="'gone'"):
        box.retry("gone", NOW)


def test_asking_again_does_not_take_it_from_who_sends_it(store: MemoryStore) -> None:
    box = outbox(store)
    entry = put(box)
    leased(box, entry)
    box.retry(entry.id, NOW)
    assert box.lease(entry.route, NOW) is None


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_is_set_loses_nothing(store: MemoryStore, hours: int) -> None:
    box = outbox(store)
    entry = put(box)
    box.failed(leased(box, entry), "refused", NOW)
    leased(box, entry, NOW + 3_600 * SECOND * hours)


def test_the_worst_goes_first(store: MemoryStore) -> None:
    box = outbox(store)
    for severity in (Severity.LOW, Severity.CRITICAL, Severity.MEDIUM):
        route, message = evolve(ROUTE, digest_ns=0), Message("t", "b", severity)
        box.admit(route, incident(severity), lambda: message, NOW)  # noqa: B023 - called at once
    order = []
    while (found := box.lease("pager", NOW)) is not None:
        order.append(found.entry.severity)
        box.sent(found)
    assert order[0] is Severity.CRITICAL
    assert order == sorted(order, reverse=True)


def test_a_store_that_fails_after_sending_has_it_sent_no_second_time(store: MemoryStore) -> None:
    box = outbox(store)
    entry = put(box)
    found = leased(box, entry)
    store.error = StoreError("the disk is full")
    box.sent(found)
    store.error = None
    assert box.lease(entry.route, NOW + 10**18) is None
    assert box.entries() == []


def test_a_store_that_takes_no_lease_does_not_keep_it_from_being_sent(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = outbox(store)
    entry = put(box)

    def full(*_: object, **__: object) -> int:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "put", full)
    found = leased(box, entry)
    assert found.version is None
    assert box.lease(entry.route, NOW) is None  # not all the time
    box.failed(found, "refused", NOW)
    leased(box, entry, NOW + RETRYING.lease_ns)


def test_how_much_waits_is_bounded_and_the_mildest_go_first(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "MAX_WAITING", 3)
    monkeypatch.setattr(shelf, "MAX_DEAD", 2)
    box = outbox(store)
    for at, severity in enumerate([3, 1, 4, 2, 3, 4]):
        put(box, NOW + at, Severity(severity))
    assert [one.severity for one in box.entries()] == [4, 4, 3]
    dead = box.entries(dead=True)
    assert {one.why for one in dead} == {shelf.CROWDED}
    assert len(dead) == 2


def test_while_a_server_is_down_what_comes_is_counted_in_one_message(store: MemoryStore) -> None:
    box = outbox(store)
    now = NOW
    for _ in range(100):  # an hour and a half, one a minute
        now += 61 * SECOND
        made = evolve(incident(Severity.MEDIUM), at_ns=now)
        box.flush(ROUTE, lambda window: digest_message(window, "bot", 2_000), now)
        box.admit(ROUTE, made, lambda: Message("t", "b", Severity.MEDIUM), now)
    assert len(box.entries()) <= MAX_BACKLOG + 1
    assert box.held(ROUTE) + len(box.entries()) >= 90
    # What is worse is never behind it.
    worse = incident(Severity.CRITICAL)
    assert box.admit(ROUTE, worse, lambda: Message("t", "b", Severity.CRITICAL), now) is not None


def test_what_is_for_a_route_that_is_gone_is_given_up_when_it_has_expired(
    store: MemoryStore,
) -> None:
    box = outbox(store)
    entry = put(box)
    assert box.tidy(["pager"], NOW) == []
    (lost,) = box.tidy(["pager"], entry.expires_ns)
    assert lost.id == entry.id
    assert box.entries() == []
    assert "no route" in box.entries(dead=True)[0].why


def test_a_transaction_that_another_process_was_quicker_in_is_done_again(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = outbox(store)
    begin, turns = store.transaction, iter([StoreConflict("another version"), None])

    def transaction() -> Any:
        if (error := next(turns, None)) is not None:
            raise error
        return begin()

    monkeypatch.setattr(store, "transaction", transaction)
    put(box)

    def never() -> Any:
        raise StoreConflict("another version")

    monkeypatch.setattr(store, "transaction", never)
    with pytest.raises(OutboxFailed, match="all the time"):
        put(box)


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"[]", b"null", b"{}", b'{"id": 1}', b'{"severity": 9}']
)
def test_a_record_that_cannot_be_read_stops_nothing(store: MemoryStore, raw: bytes) -> None:
    store.put("entry/broken", raw)
    store.put("dead/broken", raw)
    store.put("window/pager", raw)
    box = outbox(store)
    assert box.admit(ROUTE, incident(), lambda: Message("t", "b", Severity.HIGH), NOW) is not None
    found = box.lease("pager", NOW)
    assert found is not None
    box.sent(found)
    assert box.entries() == []


def test_an_entry_is_read_as_it_was_written(store: MemoryStore) -> None:
    entry = evolve(put(outbox(store)), why="Ünïcode \u202e", attempts=3)
    assert Entry.from_bytes(entry.to_bytes()) == entry
