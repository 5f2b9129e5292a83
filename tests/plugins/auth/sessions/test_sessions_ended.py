from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hauberk import Secret
from hauberk.errors import StoreError
from hauberk_plugins.auth.session_errors import NoSuchSession
from hauberk_plugins.auth.session_record import PREFIX
from hauberk_plugins.auth.sessions import SessionManager

if TYPE_CHECKING:
    from conftest import Machine

MINUTE = 60


def is_valid(sessions: SessionManager, token: Secret) -> bool:
    return sessions.validate_session(token) is not None


def test_logging_out_ends_one(machine: Machine) -> None:
    sessions = machine.process()
    token, other = sessions.create("alice"), sessions.create("alice")
    assert sessions.end_session(token)
    assert not is_valid(sessions, token)
    assert not sessions.end_session(token)
    assert is_valid(sessions, other)
    assert not machine.is_valid(token)


def test_a_change_of_a_user_ends_all_of_theirs_and_nobody_elses(machine: Machine) -> None:
    sessions = machine.process()
    mine, theirs = [sessions.create("alice") for _ in range(3)], sessions.create("bob")
    assert sessions.end("alice", "the password was changed") == 3
    assert not any(is_valid(sessions, token) for token in mine)
    assert is_valid(sessions, theirs)
    assert sessions.end("alice") == 0
    assert machine.whys() == ["the password was changed"] * 3


def test_revoking_by_id_ends_that_one(machine: Machine) -> None:
    sessions = machine.process()
    token, other = sessions.create("alice"), sessions.create("bob")
    by_user = {one.user: one.id for one in sessions.list()}
    assert machine.process().revoke(by_user["alice"]).user == "alice"
    machine.clock.advance(1)
    assert not is_valid(sessions, token)
    assert is_valid(sessions, other)


@pytest.mark.parametrize("given", ["", "0", "zz", "0" * 12, "0" * 100, "../", "A" * 12])
def test_revoking_an_id_that_nobody_has_ends_nothing(machine: Machine, given: str) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    with pytest.raises(NoSuchSession, match="hauberk sessions list"):
        sessions.revoke(given)
    assert is_valid(sessions, token)


def test_the_beginning_of_an_id_ends_nothing(machine: Machine) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    with pytest.raises(NoSuchSession):
        sessions.revoke(sessions.list()[0].id[:-1])
    assert is_valid(sessions, token)


def test_revoking_all_ends_all_at_once(machine: Machine) -> None:
    sessions = machine.process()
    tokens = [sessions.create(user) for user in ("alice", "bob", "carol")]
    assert sessions.end_all("incident 7") == 3
    assert not any(is_valid(sessions, token) for token in tokens)
    assert not any(machine.is_valid(token) for token in tokens)
    assert list(machine.store.scan(PREFIX)) == []
    assert sessions.list() == []
    assert machine.told[-1] == ("session.all_ended", {"count": 3, "why": "incident 7"})
    assert is_valid(sessions, sessions.create("alice"))


def test_what_was_damaged_after_it_was_let_in_is_ended_too(machine: Machine) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    ((name, _),) = machine.store.scan(PREFIX)
    machine.store.put(name, b"damaged")
    sessions.end("alice")
    assert not is_valid(sessions, token)
    assert list(machine.store.scan(PREFIX)) == []


def test_what_is_left_of_revoking_all_where_the_store_fails_on_the_way_is_over(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = machine.process()
    token = sessions.create("alice")

    def broken(name: str, *, version: int | None = None) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(machine.store, "delete", broken)
    sessions.end_all()
    assert list(machine.store.scan(PREFIX)) != []
    assert not is_valid(sessions, token)
    assert not machine.is_valid(token)
    assert machine.process().list() == []


def test_revoking_all_holds_in_memory_while_the_store_fails_and_is_stored_once_it_works(
    machine: Machine,
) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    machine.store.error = StoreError("the disk is gone")
    with pytest.raises(StoreError):
        sessions.end_all()
    assert not is_valid(sessions, token)
    successor = machine.process()
    successor.take_over(sessions)
    assert not is_valid(successor, token)
    with pytest.raises(StoreError):
        sessions.create("alice")
    machine.store.error = None
    assert not is_valid(sessions, token)  # it is tried once a second
    assert machine.is_valid(token)
    machine.clock.advance(1)
    assert not is_valid(sessions, token)
    assert not machine.is_valid(token)
    assert is_valid(sessions, sessions.create("alice"))


def test_a_session_that_begins_after_such_a_failure_stands(machine: Machine) -> None:
    sessions = machine.process()
    old = sessions.create("alice")
    machine.store.error = StoreError("the disk is gone")
    with pytest.raises(StoreError):
        sessions.end_all()
    machine.store.error = None
    token = sessions.create("alice")
    machine.clock.advance(2)
    assert is_valid(sessions, token)
    assert machine.is_valid(token)
    assert not is_valid(sessions, old)
