"""What the kernel asks about incidents, and what a worker does about them."""

from __future__ import annotations

import pytest
from attrs import evolve

from hauberk import Severity
from hauberk.errors import StoreError
from hauberk.records import Incident
from hauberk.testing import FakeClock, MemoryStore
from hauberk_plugins.killswitch.book import IncidentBook
from hauberk_plugins.killswitch.handler import PREFIX, IncidentHandler
from hauberk_plugins.killswitch.switch import KillSwitch, Level

HIGH, CRITICAL = Severity.HIGH, Severity.CRITICAL


class Desk:
    """A book, and what it had done."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.switch = KillSwitch()
        self.asked = 0
        self.passed_on: list[str] = []
        self.ended: list[tuple[str, str]] = []
        self.handler = IncidentHandler(lambda: store, FakeClock().wall_ns)
        self.book = IncidentBook(
            self.handler,
            self.switch,
            self._ask,
            lambda incident: self.passed_on.append(incident.id),
            lambda name, how: self.ended.append((name, how)),
        )
        self.book.turn()

    def _ask(self) -> None:
        self.asked += 1


@pytest.fixture
def desk() -> Desk:
    return Desk(MemoryStore())


@pytest.fixture
def other(desk: Desk) -> Desk:
    return Desk(desk.store)


def incident(name: str, severity: Severity = HIGH) -> Incident:
    return Incident(name, "odd fills", severity, "bot", 0)


def test_it_is_kept_when_its_worker_comes(desk: Desk) -> None:
    desk.book.keep(incident("i-1"), 1)
    assert desk.asked == 1
    assert desk.handler.list().kept == ()
    desk.book.turn()
    assert desk.handler.get("i-1").incident.count == 1


def test_what_came_meanwhile_is_one_write(desk: Desk) -> None:
    desk.book.keep(incident("i-1"), 1)
    desk.book.keep(evolve(incident("i-1"), count=2), 1)
    desk.book.keep(evolve(incident("i-1"), count=2, is_contained=True), 0)
    desk.book.turn()
    found = desk.handler.get("i-1").incident
    assert (found.count, found.state) == (2, "contained")


def test_what_the_store_does_not_take_is_kept_when_it_does(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.store.error = StoreError("disk full")
    desk.book.keep(incident("i-1"), 1)
    desk.book.turn()
    desk.book.turn()
    assert desk.book.problem == "disk full"
    assert caplog.text.count("incidents are not kept: disk full") == 1
    desk.store.error = None
    desk.book.turn()
    assert desk.book.problem == ""
    assert desk.handler.get("i-1").incident.count == 1


def test_one_whose_record_is_torn_holds_up_no_other(desk: Desk) -> None:
    desk.store.put(f"{PREFIX}i-1", b"torn")
    desk.book.keep(incident("i-1"), 1)
    desk.book.keep(incident("i-2", CRITICAL), 1)
    desk.book.turn()
    assert [one.incident.id for one in desk.handler.list().kept] == ["i-2"]


def test_the_same_of_another_process_is_known_from_memory(desk: Desk, other: Desk) -> None:
    desk.book.keep(incident("i-1"), 1)
    desk.book.turn()
    assert other.book.same(incident("i-2")) is None
    other.book.turn()
    other.store.error = StoreError("down")
    found = other.book.same(incident("i-2"))
    assert found is not None
    assert found.id == "i-1"


def test_incidents_of_another_process_are_passed_on_once(desk: Desk, other: Desk) -> None:
    desk.book.keep(incident("i-1"), 1)
    desk.book.turn()
    other.book.turn()
    other.book.turn()
    desk.book.keep(incident("i-1"), 1)
    desk.book.turn()
    other.book.turn()
    assert other.passed_on == ["i-1"]


def test_those_of_before_its_start_are_not(desk: Desk) -> None:
    desk.book.keep(incident("i-1"), 1)
    desk.book.turn()
    late = Desk(desk.store)
    late.book.turn()
    assert late.passed_on == []


def test_one_that_another_process_resolved_is_over_under_each_of_its_ids(
    desk: Desk, other: Desk
) -> None:
    desk.book.keep(incident("i-1"), 1)
    desk.book.turn()
    other.book.keep(incident("i-2"), 1)  # before it knew of the first
    other.book.turn()
    desk.book.resolve("i-1", "a test")
    other.book.turn()
    assert set(other.ended) == {("i-1", "a test"), ("i-2", "a test")}
    assert other.book.same(incident("i-3")) is None


def test_one_that_is_not_kept_yet_can_be_resolved(desk: Desk) -> None:
    desk.book.keep(incident("i-1"), 1)
    found = desk.book.resolve("i-1", "a test")
    assert found is not None
    assert found.state == "resolved"
    assert desk.book.resolve("i-nobody", "x") is None


@pytest.mark.parametrize(
    ("level", "severity", "stands"),
    [
        (Level.NORMAL, Severity.LOW, True),
        (Level.NORMAL, HIGH, False),
        (Level.RESTRICTED, HIGH, True),
        (Level.RESTRICTED, CRITICAL, False),
        (Level.HALTED, CRITICAL, True),
    ],
)
def test_it_stands_while_as_much_is_stopped(
    desk: Desk, level: Level, severity: Severity, stands: bool
) -> None:
    desk.switch.rise(level, "x")
    assert desk.book.is_standing(incident("i-1", severity)) == stands
    assert bool(desk.book.halted()) == (level is Level.HALTED)


def test_without_a_store_nothing_is_kept_and_nothing_fails() -> None:
    book = IncidentBook(None, KillSwitch(), lambda: None, lambda _: None, lambda _, __: None)
    book.keep(incident("i-1"), 1)
    book.turn()
    assert book.same(incident("i-1")) is None
    assert book.resolve("i-1", "x") is None


def test_the_book_after_a_reload_keeps_what_the_one_before_had_not(desk: Desk, other: Desk) -> None:
    desk.book.keep(incident("i-1"), 1)
    other.book.take_over(desk.book)
    other.book.turn()
    assert other.handler.get("i-1").incident.count == 1
