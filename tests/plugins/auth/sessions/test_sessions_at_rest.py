from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hauberk import Secret
from hauberk.errors import StoreError
from hauberk_plugins.auth.errors import BadRecord
from hauberk_plugins.auth.session_record import PREFIX
from hauberk_plugins.auth.sessions import SHARED, SessionManager

if TYPE_CHECKING:
    from conftest import Machine

MINUTE = 60


def is_valid(sessions: SessionManager, token: Secret) -> bool:
    return sessions.validate_session(token) is not None


def test_a_session_survives_a_restart(machine: Machine) -> None:
    token = machine.process().create("alice", ("operator",), "console")
    session = machine.process().validate_session(token)
    assert session is not None
    assert (session.user, session.roles, session.source) == ("alice", ("operator",), "console")


def test_validating_asks_the_store_once_a_second_and_writes_once_a_minute(
    machine: Machine,
) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    machine.store.gets = machine.store.puts = 0
    for _ in range(10_000):
        machine.clock.advance(0.006)
        assert is_valid(sessions, token)
    assert machine.store.gets <= 60
    assert machine.store.puts <= 1


def test_a_process_that_is_killed_has_lost_a_minute_of_use_at_most(machine: Machine) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    for _ in range(20):
        machine.clock.advance(59)
        assert is_valid(sessions, token)
    machine.clock.advance(13.9 * MINUTE)
    assert machine.is_valid(token)


def test_a_use_that_cannot_be_written_down_is_a_use(machine: Machine) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    machine.store.refuses_puts = True
    for _ in range(40):
        machine.clock.advance(MINUTE)
        assert is_valid(sessions, token)


def test_a_store_that_cannot_be_read_lets_nobody_in_once_a_second_has_passed(
    machine: Machine,
) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    machine.store.error = StoreError("the disk is gone")
    machine.clock.advance(0.99)
    assert is_valid(sessions, token)
    machine.clock.advance(0.01)
    with pytest.raises(StoreError, match="the disk is gone"):
        sessions.validate_session(token)


def test_a_session_that_cannot_be_kept_does_not_begin(machine: Machine) -> None:
    sessions = machine.process()
    machine.store.refuses_puts = True
    with pytest.raises(StoreError):
        sessions.create("alice")
    assert sessions._table.by_digest == {}
    assert machine.told == []


@pytest.mark.parametrize(
    "value", [b"", b"\xff", b"{}", b"[]", b"null", b'{"format": 2}', b"[" * 100_000]
)
def test_a_record_of_another_version_lets_nobody_in_and_keeps_nobody_out(
    machine: Machine, value: bytes
) -> None:
    token = machine.process().create("alice")
    (name,) = (name for name, _ in machine.store.scan(PREFIX))
    machine.store.put(name, value)
    sessions = machine.process()
    with pytest.raises(BadRecord, match="hauberk sessions revoke --all"):
        sessions.validate_session(token)
    assert is_valid(sessions, sessions.create("alice"))
    sessions.end_all()
    assert list(machine.store.scan(PREFIX)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"user": 7},
        {"roles": "admin"},
        {"roles": [1]},
        {"created_ns": "0"},
        {"age_ns": 1.5},
        {"seen": {"wall_ns": 0, "monotonic_ns": True, "boot": ""}},
        {"more": 1},
    ],
)
def test_a_record_with_other_types_or_fields_lets_nobody_in(
    machine: Machine, change: dict[str, Any]
) -> None:
    token = machine.process().create("alice")
    ((name, record),) = machine.store.scan(PREFIX)
    machine.store.put(name, json.dumps({**json.loads(record.value), **change}).encode())
    with pytest.raises(BadRecord):
        machine.process().validate_session(token)


@pytest.mark.parametrize("value", [b"", b"{}", b'{"endings": 1}', b'{"endings": -1}', b"[]"])
def test_what_processes_share_unreadable_lets_nobody_in(machine: Machine, value: bytes) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    machine.store.put(SHARED, value)
    machine.clock.advance(1)
    with pytest.raises(BadRecord, match="sessions"):
        sessions.validate_session(token)
