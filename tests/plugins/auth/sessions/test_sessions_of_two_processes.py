from __future__ import annotations

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from hauberk import Secret
from hauberk.errors import StoreError
from hauberk_plugins.auth.bearer import SESSION, make, owner_key
from hauberk_plugins.auth.session_record import PREFIX
from hauberk_plugins.auth.sessions import SessionManager

if TYPE_CHECKING:
    from conftest import Machine

MINUTE = 60


def is_valid(sessions: SessionManager, token: Secret) -> bool:
    return sessions.validate_session(token) is not None


def test_what_another_process_began_is_known_at_once(machine: Machine) -> None:
    sessions, other = machine.process(), machine.process()
    assert not is_valid(other, make(SESSION, owner_key("a"), secrets.token_bytes)[0])
    assert is_valid(other, sessions.create("alice"))


def test_what_began_after_another_process_ended_all_is_known_at_once(machine: Machine) -> None:
    sessions, other = machine.process(), machine.process()
    old = sessions.create("alice")
    other.end_all()
    assert is_valid(sessions, other.create("alice"))
    assert not is_valid(sessions, old)


@pytest.mark.parametrize(
    "end",
    [
        lambda other, token: other.end_session(token),
        lambda other, token: other.end("alice"),
        lambda other, token: other.end_all(),
        lambda other, token: other.revoke(other.list()[0].id),
        lambda other, token: other.renew(token, ("viewer",)),
    ],
)
def test_what_another_process_ended_is_known_within_a_second(machine: Machine, end: Any) -> None:
    sessions, other = machine.process(), machine.process()
    token = sessions.create("alice")
    assert is_valid(sessions, token)
    end(other, token)
    rechecks = len(machine.rechecks)
    machine.clock.advance(1)
    assert not is_valid(sessions, token)
    assert len(machine.rechecks) == rechecks + 1


def test_what_another_process_made_room_with_is_known_within_a_second(machine: Machine) -> None:
    sessions, other = machine.process(), machine.process()
    token = sessions.create("alice")
    assert is_valid(sessions, token)
    machine.clock.advance(0.5)
    for _ in range(3):
        other.create("alice")
    machine.clock.advance(0.5)
    assert not is_valid(sessions, token)


def test_what_others_end_makes_nothing_last_longer_here(machine: Machine) -> None:
    sessions, other = machine.process(), machine.process()
    token, idle = sessions.create("alice"), sessions.create("alice")
    for turn in range(15):
        machine.clock.advance(MINUTE)
        other.end_session(other.create(f"user-{turn}"))
        assert is_valid(sessions, token)
    assert not is_valid(sessions, idle)


def test_one_that_another_process_uses_is_not_idle(machine: Machine) -> None:
    sessions, other = machine.process(), machine.process()
    token = sessions.create("alice")
    for _ in range(20):
        machine.clock.advance(MINUTE)
        assert is_valid(other, token)
    assert is_valid(sessions, token)


def test_one_that_is_used_in_turn_by_two_processes_goes_on(machine: Machine) -> None:
    sessions, other = machine.process(), machine.process()
    token = sessions.create("alice")
    for _ in range(50):
        machine.clock.advance(MINUTE)
        assert is_valid(other, token)
        assert is_valid(sessions, token)


def test_a_use_written_down_late_does_not_bring_back_what_was_ended(machine: Machine) -> None:
    sessions, other = machine.process(), machine.process()
    token = sessions.create("alice")
    machine.clock.advance(MINUTE)
    sessions._shared.look()
    other.end_session(token)
    assert not is_valid(sessions, token)
    assert list(machine.store.scan(PREFIX)) == []


def test_threads_that_log_in_at_once_leave_as_many_as_there_may_be(machine: Machine) -> None:
    sessions, other = machine.process(), machine.process()
    start = threading.Barrier(8)

    def log_in(turn: int) -> Secret:
        start.wait()
        return (sessions, other)[turn % 2].create("alice")

    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(log_in, range(8)))
    machine.clock.advance(1)
    assert [is_valid(sessions, token) for token in tokens].count(True) == machine.limits.per_user
    assert len(sessions.list()) == machine.limits.per_user


def test_an_incident_in_the_middle_of_a_write_ends_everything(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a signal's handler would report it, in the same thread."""
    sessions = machine.process()
    token = sessions.create("alice")
    machine.clock.advance(MINUTE)
    put, nested = machine.store.put, []

    def interrupted(name: str, value: bytes, *, version: int | None = None) -> int:
        if not nested:
            nested.append(name)
            sessions.end_all()
        return put(name, value, version=version)

    monkeypatch.setattr(machine.store, "put", interrupted)
    assert not is_valid(sessions, token)
    assert nested


def test_what_begins_while_everything_ends_in_memory_alone_is_ended_with_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = machine.process()
    put, nested = machine.store.put, []

    def interrupted(name: str, value: bytes, *, version: int | None = None) -> int:
        if not nested:
            nested.append(name)
            machine.store.refuses_puts = True
            with pytest.raises(StoreError):
                sessions.end_all()
            machine.store.refuses_puts = False
        return put(name, value, version=version)

    monkeypatch.setattr(machine.store, "put", interrupted)
    token = sessions.create("alice")
    assert not is_valid(sessions, token)
    machine.clock.advance(1)
    assert not is_valid(sessions, token)
    assert not machine.is_valid(token)
