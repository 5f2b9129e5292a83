"""Routes send side by side; what hangs is left behind, and nothing else waits for it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest
from notify_servers import PATIENCE_S

from hauberk import Severity, StoreConflict, StoreError
from hauberk.errors import HauberkError
from hauberk.memorystore import MemoryStore
from hauberk.records import Incident
from hauberk_plugins.notify.delivery import Bounded, Delivery
from hauberk_plugins.notify.desk import Desk
from hauberk_plugins.notify.entry import Entry, Retrying
from hauberk_plugins.notify.errors import OutboxFailed
from hauberk_plugins.notify.outbox import Outbox
from hauberk_plugins.notify.routing import Route
from hauberk_plugins.notify.templates import Message
from hauberk_plugins.notify.worker import Worker

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
ROUTES = {name: Route(name, Severity.LOW) for name in ("pager", "mail")}


class Stand:
    """A delivery whose time and servers the test decides."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.now = NOW
        self.store = store or MemoryStore()
        numbers = iter(range(10**6))
        self.outbox = Outbox(self.store, lambda: f"{next(numbers):08x}", lambda: 1.0, Retrying())
        self.why = ""
        self.tried: list[tuple[str, str]] = []
        self.told: list[tuple[str, str]] = []
        self.hangs = {name: threading.Event() for name in ROUTES}
        for event in self.hangs.values():
            event.set()
        self.begun = threading.Semaphore(0)
        self.delivery = Delivery(self.outbox, ROUTES, self.attempt, lambda: self.now, self.note)

    def attempt(self, route: str, message: Message) -> str:
        self.begun.release()
        assert self.hangs[route].wait(PATIENCE_S)
        self.tried.append((route, message.title))
        return self.why

    def note(self, became: str, entry: Entry, why: str) -> None:
        self.told.append((became, entry.route))

    def put(self, route: str = "pager", severity: Severity = Severity.HIGH) -> str:
        incident = Incident(f"inc-{severity}", f"{severity}", severity, "bot", self.now)
        message = Message(f"{severity}", "body", severity)
        entry = self.outbox.admit(ROUTES[route], incident, lambda: message, self.now)
        assert entry is not None
        return entry.id

    def settle(self) -> None:
        assert self.delivery.is_idle(PATIENCE_S)


@pytest.fixture
def stand() -> Iterator[Stand]:
    made = Stand()
    yield made
    for event in made.hangs.values():
        event.set()
    made.delivery.stop()
    made.settle()


def test_one_route_that_hangs_delays_no_other(stand: Stand) -> None:
    stand.hangs["pager"].clear()
    slow, quick = stand.put("pager"), stand.put("mail")
    stand.delivery.send_due()
    assert stand.delivery.results([quick], PATIENCE_S) == {quick: ""}
    assert stand.delivery.results([slow], 0) == {}
    assert not stand.delivery.is_idle()
    stand.hangs["pager"].set()
    assert stand.delivery.results([slow], PATIENCE_S) == {slow: ""}


@pytest.mark.parametrize("why", ["", "refused"])
def test_what_is_put_in_while_a_route_is_at_work_is_tried_after_it(stand: Stand, why: str) -> None:
    stand.why = why
    stand.hangs["pager"].clear()
    first = stand.put()
    stand.delivery.hurry("pager")
    assert stand.begun.acquire(timeout=PATIENCE_S)
    second = stand.put(severity=Severity.CRITICAL)
    stand.delivery.hurry("pager")
    stand.hangs["pager"].set()
    assert stand.delivery.results([first, second], PATIENCE_S) == {first: why, second: why}


def test_a_server_that_is_down_is_not_asked_for_every_message(stand: Stand) -> None:
    stand.why = "refused"
    stand.put(severity=Severity.LOW)
    stand.put(severity=Severity.MEDIUM)
    stand.put(severity=Severity.HIGH)
    stand.delivery.send_due()
    stand.settle()
    assert stand.tried == [("pager", "HIGH")]
    stand.delivery.send_due()
    stand.settle()
    assert len(stand.tried) == 1
    # What is worse and comes now is tried at once all the same.
    stand.put(severity=Severity.CRITICAL)
    stand.delivery.hurry("pager")
    stand.settle()
    assert stand.tried[1:] == [("pager", "CRITICAL")]
    stand.now += 10 * SECOND
    stand.why = ""
    stand.delivery.send_due()
    stand.settle()
    assert sorted(title for _, title in stand.tried[2:]) == ["CRITICAL", "HIGH", "LOW", "MEDIUM"]
    assert stand.told[:1] == [("failed", "pager")]
    assert stand.told[-1] == ("sent", "pager")


def test_a_clock_that_is_set_back_does_not_silence_a_route(stand: Stand) -> None:
    stand.why = "refused"
    stand.put()
    stand.delivery.send_due()
    stand.settle()
    stand.now -= 86_400 * SECOND
    stand.delivery.send_due()
    stand.settle()
    assert len(stand.tried) == 2


def test_after_its_end_nothing_is_begun(stand: Stand) -> None:
    stand.put()
    stand.delivery.stop()
    stand.delivery.hurry("pager")
    assert stand.delivery.is_idle()
    assert stand.tried == []


def test_a_store_that_fails_ends_no_thread_for_good(stand: Stand) -> None:
    entry = stand.put()
    stand.store.error = StoreError("the disk is gone")
    stand.delivery.hurry("pager")
    stand.settle()
    stand.store.error = None
    stand.delivery.hurry("pager")
    assert stand.delivery.results([entry], PATIENCE_S) == {entry: ""}


def test_without_a_thread_to_be_had_it_is_sent_later(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = stand.put()

    def none(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        stand.delivery.hurry("pager")
    stand.delivery.hurry("pager")
    assert stand.delivery.results([entry], PATIENCE_S) == {entry: ""}


def worker_of(stand: Stand) -> Worker:
    spare = Stand().delivery
    desk = Desk(ROUTES.values(), "notify", "bot", stand.delivery, spare, lambda: stand.now, 1.0)
    return Worker(desk, stand.delivery, ROUTES, lambda: stand.now)


def test_a_look_says_when_the_next_is_due(stand: Stand) -> None:
    worker = worker_of(stand)
    assert worker.look() == 5.0
    stand.why = "refused"
    stand.put()
    worker.look()
    stand.settle()
    assert worker.look() == 5.0  # the pause after the first attempt
    stand.now += 4 * SECOND
    assert worker.look() == 1.0
    stand.now += 10 * SECOND
    stand.why = ""
    worker.look()
    stand.settle()
    assert worker.look() == 5.0
    assert stand.outbox.entries() == []


def test_what_was_counted_is_told_when_its_window_is_over(stand: Stand) -> None:
    worker = worker_of(stand)
    stand.put()
    worker.look()
    stand.settle()
    for number in range(3):
        incident = Incident(f"inc-{number}", "again", Severity.LOW, "bot", stand.now)
        assert stand.outbox.admit(ROUTES["pager"], incident, pytest.fail, stand.now) is None
    worker.look()
    stand.settle()
    assert len(stand.tried) == 1
    stand.now += 60 * SECOND
    worker.look()
    stand.settle()
    assert stand.tried[1] == ("pager", "Hauberk LOW: 3 incidents in 0 s")


def test_ten_thousand_incidents_are_a_handful_of_messages(stand: Stand) -> None:
    spare = Stand()
    desk = Desk(ROUTES.values(), "notify", "bot", None, spare.delivery, lambda: stand.now, 1.0)
    worker = Worker(desk, spare.delivery, ROUTES, lambda: stand.now)
    for number in range(10_000):
        severity = Severity(1 + number % 4)
        stand.now += SECOND // 100  # a hundred a second, for a hundred seconds
        spare.now = stand.now
        incident = Incident(f"inc-{number}", f"{number}", severity, "monitor", stand.now)
        desk.accept(incident)
        if number % 1_000 == 999:
            worker.look()
            spare.settle()
    stand.now = spare.now = stand.now + 60 * SECOND
    worker.look()
    spare.settle()
    for route in ROUTES:
        titles = [title for name, title in spare.tried if name == route]
        assert len(titles) <= 4 + 3  # one as each severity is first seen, one a minute
        told = [re.search(r"([\d,]+) incidents", title) for title in titles]
        assert sum(int(one[1].replace(",", "")) if one else 1 for one in told) == 10_000


def test_a_store_that_fails_is_looked_at_again_and_said_once(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    worker = worker_of(stand)
    stand.store.error = StoreError("the disk is gone")
    assert (worker.look(), worker.look()) == (5.0, 5.0)
    assert caplog.text.count("the disk is gone") == 1
    stand.store.error = None
    worker.look()
    stand.store.error = StoreError("the disk is gone")
    worker.look()
    assert caplog.text.count("the disk is gone") == 2


def test_what_hangs_is_left_behind_and_asked_no_more_until_it_returns() -> None:
    freed, begun = threading.Event(), threading.Semaphore(0)
    bounded = Bounded(OutboxFailed, 0.01)

    def hang() -> None:
        begun.release()
        freed.wait(PATIENCE_S)

    with pytest.raises(OutboxFailed, match=r"did not answer within 0\.01 s"):
        bounded(hang)
    assert begun.acquire(timeout=PATIENCE_S)
    for _ in range(100):
        with pytest.raises(OutboxFailed, match="has not answered yet"):
            bounded(hang)
    assert not begun.acquire(blocking=False)
    freed.set()
    assert bounded._left_behind is not None
    bounded._left_behind.join(PATIENCE_S)
    done: list[int] = []
    Bounded(OutboxFailed, PATIENCE_S)(lambda: done.append(1))
    assert done == [1]


def test_what_it_raises_is_raised() -> None:
    def fail() -> None:
        raise StoreError("the disk is full")

    with pytest.raises(StoreError, match="the disk is full"):
        Bounded(OutboxFailed, PATIENCE_S)(fail)


def test_every_error_is_one_of_ours() -> None:
    assert issubclass(OutboxFailed, HauberkError)


def test_records_in_memory_keep_the_contract_of_a_store_as_far_as_it_is_used() -> None:
    store = MemoryStore()
    assert store.put("a", b"1", version=0) == 1
    assert store.put("a", b"2", version=1) == 2
    with pytest.raises(StoreConflict):
        store.put("a", b"3", version=1)
    with pytest.raises(RuntimeError):  # noqa: PT012, SIM117 - a transaction is a block
        with store.transaction() as within:
            within.delete("a")
            within.put("b", b"1")
            raise RuntimeError
    assert [name for name, _ in store.scan()] == ["a"]
    assert store.get_many(["a", "b"]).keys() == {"a"}
    store.delete("a", version=2)
    assert store.get("a") is None


def test_what_is_for_a_route_that_is_gone_is_told_when_it_is_given_up(stand: Stand) -> None:
    other = Route("gone", Severity.LOW)
    incident = Incident("inc-1", "keys are gone", Severity.HIGH, "bot", NOW)
    message = Message("title", "body", Severity.HIGH)
    stand.outbox.admit(other, incident, lambda: message, NOW)
    worker = worker_of(stand)
    worker.look()
    assert stand.told == []
    stand.now += Retrying().expires_ns
    worker.look()
    assert stand.told == [("dead", "gone")]
    assert stand.tried == []
