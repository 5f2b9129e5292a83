"""A flood of incidents that stop nothing halts nothing, and crowds out none that does."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hauberk import Denied, Request, Severity
from hauberk.ports import Record
from hauberk.records import Incident
from hauberk.testing import DEFAULT_URL, FakeClock, GuardFactory, MemoryStore
from hauberk_plugins.killswitch import book as books
from hauberk_plugins.killswitch.book import A_TURN, UNKEPT, IncidentBook
from hauberk_plugins.killswitch.handler import PREFIX, IncidentHandler
from hauberk_plugins.killswitch.plugin import KillSwitchPlugin
from hauberk_plugins.killswitch.switch import KillSwitch

LOW, CRITICAL = Severity.LOW, Severity.CRITICAL
PATIENCE_S = 30


class Counting(MemoryStore):
    """A store that counts how many of its records are read to the end."""

    scanned = 0

    def scan(self, prefix: str = "") -> Iterator[tuple[str, Record]]:
        for found in super().scan(prefix):
            self.scanned += 1
            yield found


@pytest.fixture
def store() -> Counting:
    return Counting()


@pytest.fixture
def handler(store: Counting) -> IncidentHandler:
    return IncidentHandler(lambda: store, FakeClock().wall_ns)


@pytest.fixture
def asked() -> list[int]:
    return []


@pytest.fixture
def book(handler: IncidentHandler, asked: list[int]) -> IncidentBook:
    made = IncidentBook(
        handler, KillSwitch(), lambda: asked.append(1), lambda _: None, lambda _, __: None
    )
    made.turn()
    return made


def incident(number: int, severity: Severity = LOW) -> Incident:
    return Incident(f"i-{number}", f"odd fill {number}", severity, "bot", number)


def test_each_costs_no_look_at_all_the_others(store: Counting, handler: IncidentHandler) -> None:
    for number in range(200):
        handler.keep(incident(number))
    assert store.scanned == 0
    assert len(handler.list().kept) == 200


def test_what_another_process_kept_meanwhile_is_looked_at_all_the_same(
    store: Counting, handler: IncidentHandler
) -> None:
    other = IncidentHandler(lambda: store, FakeClock().wall_ns)
    handler.keep(incident(1))
    other.keep(incident(2))
    again = Incident("i-3", "odd fill 2", LOW, "bot", 3)
    assert handler.keep(again).ids == ("i-2", "i-3")
    assert other.resolve("i-3", "a test").incident.id == "i-2"
    assert [one.incident.resolution for one in handler.list().kept] == ["", "a test"]


def test_a_change_that_did_not_last_is_not_remembered(
    store: Counting, handler: IncidentHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler.keep(incident(1))
    put = store.put

    def fails(name: str, value: bytes, *, version: int | None = None) -> int:
        if name.startswith(PREFIX):
            raise OSError("disk full")
        return put(name, value, version=version)

    with monkeypatch.context() as patched:
        patched.setattr(store, "put", fails)
        with pytest.raises(OSError, match="disk full"):
            handler.keep(incident(2))
    handler.keep(incident(3))
    assert [one.incident.id for one in handler.list().kept] == ["i-1", "i-3"]


def test_a_turn_keeps_no_more_than_so_many_and_the_halt_first(
    book: IncidentBook, handler: IncidentHandler, asked: list[int]
) -> None:
    for number in range(A_TURN + 1):
        book.keep(incident(number), 1)
    book.keep(incident(999, CRITICAL), 1)
    asked.clear()
    book.turn()
    kept = [one.incident.id for one in handler.list().kept]
    assert len(kept) == A_TURN
    assert "i-999" in kept
    assert asked  # for the others
    book.turn()
    assert len(handler.list().kept) == A_TURN + 2


def test_too_many_at_once_are_counted_and_said_and_the_halt_is_kept(
    book: IncidentBook, handler: IncidentHandler, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(books, "UNKEPT", 3)
    book.keep(incident(999, CRITICAL), 1)
    for number in range(10):
        book.keep(incident(number), 1)
    assert book.left_out == 7
    assert caplog.text.count("too many incidents at once") == 1
    book.turn()
    assert [one.incident.id for one in handler.list().kept] == ["i-0", "i-1", "i-2", "i-999"]
    assert "7 incidents were not kept, only recorded" in caplog.text
    assert book.left_out == 0


def test_what_stops_nothing_makes_the_store_forget_no_open_halt(store: Counting) -> None:
    handler = IncidentHandler(lambda: store, FakeClock().wall_ns, kept=3)
    handler.keep(incident(0, CRITICAL))
    for number in range(1, 9):
        handler.keep(incident(number))
    assert [one.incident.id for one in handler.list().kept] == ["i-0", "i-7", "i-8"]


def test_one_that_is_being_written_while_it_is_resolved_stays_resolved(
    book: IncidentBook, handler: IncidentHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, let_go = threading.Event(), threading.Event()
    keep = handler.keep

    def slow(one: Incident, times: int = 1) -> object:
        if threading.current_thread() is clerk:
            entered.set()
            assert let_go.wait(PATIENCE_S)
        return keep(one, times)

    monkeypatch.setattr(handler, "keep", slow)
    book.keep(incident(1), 1)
    clerk = threading.Thread(target=book.turn)
    clerk.start()
    assert entered.wait(PATIENCE_S)
    resolving = threading.Thread(target=book.resolve, args=("i-1", "a test"))
    resolving.start()
    resolving.join(0.05)  # where it did not wait, it is done by then
    let_go.set()
    clerk.join(PATIENCE_S)
    resolving.join(PATIENCE_S)
    found = handler.get("i-1").incident
    assert (found.resolution, found.count) == ("a test", 1)


def test_one_that_waits_behind_many_can_be_resolved(
    book: IncidentBook, handler: IncidentHandler
) -> None:
    for number in range(A_TURN + 10):
        book.keep(incident(number), 1)
    found = book.resolve(f"i-{A_TURN + 9}", "a test")
    assert found is not None
    assert found.resolution == "a test"
    assert UNKEPT > A_TURN


def test_while_incidents_are_written_down_the_halts_store_is_looked_at(
    guard: GuardFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, let_go = threading.Event(), threading.Event()

    def endless(*_: object) -> None:
        entered.set()
        assert let_go.wait(PATIENCE_S)

    made = guard(("killswitch", KillSwitchPlugin()), grants={"killswitch": ["store"]})
    part = made.snapshot.part("killswitch")
    assert part is not None
    monkeypatch.setattr(part.plugin.incident_book, "_keep", endless)
    try:
        made.report("odd fill", LOW)
        assert entered.wait(PATIENCE_S)
        assert part.plugin._keeper.ask(PATIENCE_S)
        worst = made.report("worst", CRITICAL)
        assert worst.outcomes[0].did == "halted"  # stored too
        with pytest.raises(Denied, match="worst"):
            made.clear(Request("POST", DEFAULT_URL))
    finally:
        let_go.set()
