"""`IncidentHandler` over a store: what lasts, what is one, what is forgotten."""

from __future__ import annotations

import threading

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from hauberk import Outcome, Severity
from hauberk.errors import MisuseError, StoreError
from hauberk.records import Incident, to_json
from hauberk.testing import FakeClock, MemoryStore
from hauberk_plugins.killswitch.handler import PREFIX, IncidentHandler, NoSuchIncident
from hauberk_plugins.killswitch.incident_record import BadIncident, Kept

HIGH, CRITICAL = Severity.HIGH, Severity.CRITICAL
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def handler(store: MemoryStore, clock: FakeClock) -> IncidentHandler:
    return IncidentHandler(lambda: store, clock.wall_ns, kept=5)


def incident(
    name: str, title: str = "", severity: Severity = HIGH, source: str = "bot", at_ns: int = 0
) -> Incident:
    return Incident(name, title or name, severity, source, at_ns)


def ids(handler: IncidentHandler) -> list[str]:
    return [one.incident.id for one in handler.list().kept]


@given(st.dictionaries(st.text(), JSON))
def test_details_may_have_any_name_and_any_value_of_json(details: dict[str, object]) -> None:
    store = MemoryStore()
    handler = IncidentHandler(lambda: store, lambda: 0)
    kept = handler.keep(evolve(incident("i-1"), details_json=to_json(details)))
    assert handler.get("i-1") == kept
    assert handler.get("i-1").incident.details == kept.incident.details


def test_what_each_responder_did_is_kept(handler: IncidentHandler) -> None:
    outcomes = (
        Outcome("halted", plugin="killswitch", took_ns=5),
        Outcome("not back", False, plugin="notify"),
    )
    handler.keep(incident("i-1"))
    handler.keep(evolve(incident("i-1"), outcomes=outcomes, is_contained=True), 0)
    found = handler.get("i-1").incident
    assert found.outcomes == outcomes
    assert (found.state, found.count) == ("contained", 1)


def test_states_follow_each_other(handler: IncidentHandler, clock: FakeClock) -> None:
    assert handler.keep(incident("i-1")).incident.state == "open"
    assert handler.keep(evolve(incident("i-1"), is_contained=True), 0).incident.state == "contained"
    clock.advance(5)
    resolved = handler.resolve("i-1", "key replaced")
    assert resolved.incident.state == "resolved"
    assert resolved.incident.resolution == "key replaced"
    assert resolved.resolved_ns == clock.wall_ns()


def test_the_same_of_several_processes_is_one_with_a_count(
    handler: IncidentHandler, clock: FakeClock
) -> None:
    handler.keep(incident("i-1", "odd fills"))
    clock.advance(1)
    handler.keep(incident("i-2", "odd fills"), 3)
    assert ids(handler) == ["i-1"]
    found = handler.get("i-2")
    assert found.incident.count == 4
    assert found.ids == ("i-1", "i-2")
    assert found.last_ns == clock.wall_ns()


def test_what_each_process_says_of_the_same_is_kept_the_latest_last(
    handler: IncidentHandler,
) -> None:
    def said(name: str, count: int, first: str, *others: str) -> Incident:
        one = evolve(incident(name, "leak"), count=count, details_json=f'{{"order": "{first}"}}')
        return one.again(*(f'{{"order": "{other}"}}' for other in others))

    handler.keep(said("i-1", 1, "A"))
    handler.keep(said("i-2", 1, "B"))
    handler.keep(said("i-2", 2, "B", "C"))
    handler.keep(said("i-1", 2, "A", "D"))
    handler.keep(said("i-1", 2, "A", "D"), 0)
    found = handler.get("i-1").incident
    assert (found.details, found.count) == ({"order": "A"}, 4)
    assert found.told()["repeats"] == [{"order": order} for order in "BCD"]


def test_a_record_from_before_repeats_were_kept_is_read(handler: IncidentHandler) -> None:
    record = handler.keep(incident("i-1")).to_bytes().replace(b', "repeats": []', b"")
    assert b"repeats" not in record
    assert Kept.from_bytes(record).incident.repeats == ()


@pytest.mark.parametrize(
    "other",
    [
        incident("i-2", "even fills"),
        incident("i-2", "odd fills", CRITICAL),
        incident("i-2", "odd fills", source="monitor"),
    ],
)
def test_another_title_severity_or_reporter_is_another(
    handler: IncidentHandler, other: Incident
) -> None:
    handler.keep(incident("i-1", "odd fills"))
    handler.keep(other)
    assert ids(handler) == ["i-1", "i-2"]


def test_the_same_after_it_was_resolved_is_another(handler: IncidentHandler) -> None:
    handler.keep(incident("i-1", "odd fills"))
    handler.resolve("i-1", "a test")
    handler.keep(incident("i-2", "odd fills"))
    assert [one.incident.state for one in handler.list().kept] == ["resolved", "open"]


def test_one_that_is_reported_again_while_it_is_being_resolved_is_open(
    handler: IncidentHandler,
) -> None:
    handler.keep(incident("i-1"))
    handler.resolve("i-1", "a test")
    found = handler.keep(incident("i-1"), 1)
    assert (found.incident.state, found.resolved_ns) == ("open", 0)


def test_what_comes_of_responders_after_it_was_resolved_leaves_it_resolved(
    handler: IncidentHandler,
) -> None:
    handler.keep(incident("i-1"))
    handler.resolve("i-1", "a test")
    late = evolve(incident("i-1"), outcomes=(Outcome("told", plugin="notify"),))
    assert handler.keep(late, 0).incident.resolution == "a test"


def test_what_others_did_the_first_time_still_stands(handler: IncidentHandler) -> None:
    told = (Outcome("halted", plugin="killswitch"), Outcome("told", plugin="notify"))
    handler.keep(evolve(incident("i-1"), outcomes=told))
    again = (Outcome("halted already", plugin="killswitch"),)
    found = handler.keep(evolve(incident("i-1"), outcomes=again), 1).incident
    assert {one.plugin: one.did for one in found.outcomes} == {
        "killswitch": "halted already", "notify": "told",
    }  # fmt: skip


def test_the_first_resolution_stands(handler: IncidentHandler) -> None:
    handler.keep(incident("i-1"))
    handler.resolve("i-1", "key replaced")
    assert handler.resolve("i-1", "ignored").incident.resolution == "key replaced"


@pytest.mark.parametrize("resolution", ["", "  ", None, 7])
def test_a_resolution_says_what_was_done(handler: IncidentHandler, resolution: str) -> None:
    handler.keep(incident("i-1"))
    with pytest.raises(MisuseError):
        handler.resolve("i-1", resolution)


@pytest.mark.parametrize("name", ["", "i-2", "../i-1", "i-1/", "\ud800", "x" * 10_000])
def test_an_id_that_is_nobodys_is_told(handler: IncidentHandler, name: str) -> None:
    handler.keep(incident("i-1"))
    with pytest.raises((NoSuchIncident, StoreError)):
        handler.get(name)


def test_the_oldest_that_is_resolved_is_forgotten_first(handler: IncidentHandler) -> None:
    for number in range(5):
        handler.keep(incident(f"i-{number}", at_ns=number))
    handler.resolve("i-1", "done")
    handler.resolve("i-3", "done")
    handler.keep(incident("i-5", at_ns=5))
    assert ids(handler) == ["i-0", "i-2", "i-3", "i-4", "i-5"]
    handler.keep(incident("i-6", at_ns=6))
    handler.keep(incident("i-7", at_ns=7))
    assert ids(handler) == ["i-2", "i-4", "i-5", "i-6", "i-7"], "then the oldest of all"


def test_what_cannot_be_read_is_named_and_left_as_evidence(
    handler: IncidentHandler, store: MemoryStore
) -> None:
    handler.keep(incident("i-1"))
    store.put(f"{PREFIX}i-2", b"torn")
    assert handler.list().unreadable == {"i-2": "it is not what this version writes"}
    for number in range(9):
        handler.keep(incident(f"j-{number}", at_ns=number))
    with pytest.raises(BadIncident, match="i-2"):
        handler.get("i-2")
    with pytest.raises(BadIncident, match="i-2"):
        handler.keep(incident("i-2"), 1)
    record = store.get(f"{PREFIX}i-2")
    assert record is not None
    assert record.value == b"torn"


@given(st.binary(max_size=60) | JSON.map(lambda value: to_json({"x": value}).encode()))
def test_no_bytes_are_taken_for_an_incident(record: bytes) -> None:
    with pytest.raises(BadIncident):
        Kept.from_bytes(record)


@pytest.mark.parametrize("field", ["id", "title", "severity", "source", "at_ns", "count"])
def test_a_record_with_a_field_of_another_kind_is_none(field: str) -> None:
    import json

    found = json.loads(Kept(incident("i-1"), 0).to_bytes())
    found["incident"][field] = [1]
    with pytest.raises(BadIncident):
        Kept.from_bytes(json.dumps(found).encode())


def test_every_change_has_its_stamp(handler: IncidentHandler) -> None:
    stamps = [handler.stamp()]
    handler.keep(incident("i-1"))
    stamps.append(handler.stamp())
    handler.keep(incident("i-1"), 1)
    stamps.append(handler.stamp())
    handler.resolve("i-1", "done")
    stamps.append(handler.stamp())
    assert stamps == sorted(set(stamps))


def test_a_store_that_fails_changes_nothing(handler: IncidentHandler, store: MemoryStore) -> None:
    handler.keep(incident("i-1"))
    before = handler.list()
    store.error = StoreError("disk full")
    with pytest.raises(StoreError, match="disk full"):
        handler.keep(incident("i-2"))
    store.error = None
    assert handler.list() == before


def test_reports_of_many_threads_are_all_counted(store: MemoryStore) -> None:
    # As many handlers: nothing but the store is shared, as between processes.
    handlers = [IncidentHandler(lambda: store, lambda: 0) for _ in range(4)]

    def report(number: int) -> None:
        for _ in range(10):
            handlers[number].keep(incident(f"i-{number}", "odd fills"))

    threads = [threading.Thread(target=report, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.incident.count for one in handlers[0].list().kept] == [40]
