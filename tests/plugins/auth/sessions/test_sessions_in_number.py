from __future__ import annotations

from typing import TYPE_CHECKING

from hauberk import Secret
from hauberk_plugins.auth.session_record import PREFIX
from hauberk_plugins.auth.sessions import SessionManager

if TYPE_CHECKING:
    from conftest import Machine

MINUTE = 60


def is_valid(sessions: SessionManager, token: Secret) -> bool:
    return sessions.validate_session(token) is not None


def test_one_more_than_a_user_may_have_ends_the_one_that_was_idle_longest(
    machine: Machine,
) -> None:
    sessions = machine.process()
    tokens = []
    for _ in range(3):
        tokens.append(sessions.create("alice"))
        machine.clock.advance(2 * MINUTE)
    assert is_valid(sessions, tokens[0])
    machine.clock.advance(1)
    fourth = sessions.create("alice")
    assert [is_valid(sessions, token) for token in (*tokens, fourth)] == [True, False, True, True]
    assert machine.whys() == ["there was no room for more"]


def test_a_flood_of_one_users_logins_ends_nobody_elses_session(machine: Machine) -> None:
    sessions = machine.process()
    theirs = [sessions.create(user) for user in ("bob", "carol")]
    for _ in range(50):
        sessions.create("mallory")
    assert all(is_valid(sessions, token) for token in theirs)
    assert len(sessions.list("mallory")) == 3
    assert len(sessions.list()) == 5


def test_where_there_is_no_room_at_all_whoever_has_most_gives_way(machine: Machine) -> None:
    sessions = machine.process()
    for _ in range(3):
        sessions.create("mallory")
    theirs = [sessions.create(user) for user in ("alice", "bob", "carol", "dave")]
    assert len(sessions.list()) == 6
    assert len(sessions.list("mallory")) == 2
    assert all(is_valid(sessions, token) for token in theirs)


def test_where_there_is_no_room_at_all_ones_own_gives_way_before_anybody_elses(
    machine: Machine,
) -> None:
    sessions = machine.process()
    own = sessions.create("alice")
    for user in ("bob", "bob", "mallory", "mallory", "mallory"):
        sessions.create(user)
    assert is_valid(sessions, own)
    sessions.create("alice")
    assert not is_valid(sessions, own)
    assert len(sessions.list("mallory")) == 3


def test_those_that_are_over_make_room_first(machine: Machine) -> None:
    sessions = machine.process()
    for user in ("a", "b", "c"):
        sessions.create(user)
    machine.clock.advance(10 * MINUTE)
    kept = [sessions.create(user) for user in ("d", "e", "f")]
    machine.clock.advance(5 * MINUTE)
    sessions.create("g")
    assert all(is_valid(sessions, token) for token in kept)
    assert [one.user for one in sessions.list()] == ["d", "e", "f", "g"]


def test_memory_is_bounded_however_many_sessions_come_and_go(machine: Machine) -> None:
    sessions, other = machine.process(), machine.process()
    for turn in range(40):
        token = sessions.create(f"user-{turn}")
        assert is_valid(other, token)
        machine.clock.advance(16 * MINUTE)
    assert len(sessions._table.by_digest) <= machine.limits.total
    assert len(other._table.by_digest) <= machine.limits.total
    assert len(list(machine.store.scan(PREFIX))) <= machine.limits.total


def test_the_number_that_is_kept_stays_right(machine: Machine) -> None:
    sessions = machine.process()
    tokens = [sessions.create(f"user-{turn % 5}") for turn in range(12)]
    sessions.end_session(tokens[-1])
    sessions.renew(tokens[-2], ())
    sessions.end("user-0")
    machine.clock.advance(16 * MINUTE)
    is_valid(sessions, tokens[-3])
    sessions.create("user-1")
    assert sessions._shared.state.count == len(list(machine.store.scan(PREFIX)))
    sessions.end_all()
    assert sessions._shared.state.count == 0
