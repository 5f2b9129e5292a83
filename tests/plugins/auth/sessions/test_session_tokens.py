from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from hauberk import Secret
from hauberk.errors import StoreConflict
from hauberk_plugins.auth.bearer import BOT, SESSION, make, owner_key
from hauberk_plugins.auth.sessions import SessionManager

if TYPE_CHECKING:
    from conftest import Machine

MINUTE = 60


def is_valid(sessions: SessionManager, token: Secret) -> bool:
    return sessions.validate_session(token) is not None


def test_a_token_lets_its_user_in_with_the_roles_of_the_login(machine: Machine) -> None:
    sessions = machine.process()
    session = sessions.validate_session(sessions.create("alice", ("trader",), "10.0.0.7"))
    assert session is not None
    assert (session.user, session.roles, session.source) == ("alice", ("trader",), "10.0.0.7")


def test_a_token_holds_256_random_bits_in_base64url_and_is_another_each_time(
    machine: Machine,
) -> None:
    drawn: list[int] = []

    def token_bytes(count: int) -> bytes:
        drawn.append(count)
        return secrets.token_bytes(count)

    sessions = SessionManager(
        lambda: machine.store, machine.clock.wall_ns, machine.clock.monotonic_ns, token_bytes
    )
    tokens = {sessions.create("alice").reveal_text() for _ in range(5)}
    assert len(tokens) == 5
    assert drawn == [32] * 5
    for token in tokens:
        assert len(token) == 58
        assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_randomness_that_repeats_begins_no_second_session(machine: Machine) -> None:
    sessions = SessionManager(
        lambda: machine.store, machine.clock.wall_ns, machine.clock.monotonic_ns, bytes
    )
    sessions.create("alice")
    with pytest.raises(StoreConflict):
        sessions.create("alice")


def test_the_store_has_the_hash_alone(machine: Machine) -> None:
    token = machine.process().create("alice", ("admin",)).reveal()
    for name, record in machine.store.scan():
        assert token not in name.encode() + record.value
        assert token[-20:] not in name.encode() + record.value


def test_an_id_for_people_is_no_part_of_the_token(machine: Machine) -> None:
    sessions = machine.process()
    token = sessions.create("alice")
    (session,) = sessions.list()
    assert len(session.id) == 12
    assert session.id not in token.reveal_text()
    assert not is_valid(sessions, Secret(session.id))


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"hbs_",
        b"\xff" * 58,
        b"hbs_" + b"A" * 54,
        b"hbs_" + b"A" * 53,
        b"hbs_" + b"A" * 53 + b"=",
        b"hbs_" + b"A" * 53 + b"\n",
        b"x" * 10_000_000,
    ],
)
def test_what_is_no_token_lets_nobody_in(machine: Machine, token: bytes) -> None:
    sessions = machine.process()
    sessions.create("alice")
    assert not is_valid(sessions, Secret(token))
    assert not sessions.end_session(Secret(token))
    assert sessions.renew(Secret(token), ("admin",)) is None


def test_a_token_that_differs_in_one_character_lets_nobody_in(machine: Machine) -> None:
    sessions = machine.process()
    text = sessions.create("alice").reveal_text()
    for at in range(len(text)):
        other = "A" if text[at] != "A" else "B"
        assert not is_valid(sessions, Secret(text[:at] + other + text[at + 1 :]))


def test_what_is_no_token_costs_no_read_of_the_store(machine: Machine) -> None:
    sessions = machine.process()
    before = machine.store.gets
    sessions.validate_session(Secret("x" * 58))
    sessions.validate_session(make(BOT, owner_key("alice"), secrets.token_bytes)[0])
    assert machine.store.gets == before


def test_a_flood_of_tokens_that_nobody_has_is_not_remembered(machine: Machine) -> None:
    sessions = machine.process()
    for _ in range(50):
        assert not is_valid(sessions, make(SESSION, owner_key("alice"), secrets.token_bytes)[0])
    assert sessions._table.by_digest == {}


def test_a_change_of_what_one_may_do_gives_another_token_and_ends_the_old_one(
    machine: Machine,
) -> None:
    sessions = machine.process()
    old = sessions.create("alice", ("viewer",), "console")
    fresh = sessions.renew(old, ("viewer", "operator"))
    assert fresh is not None
    assert fresh != old
    assert not is_valid(sessions, old)
    session = sessions.validate_session(fresh)
    assert session is not None
    assert (session.user, session.roles, session.source) == (
        "alice", ("viewer", "operator"), "console",
    )  # fmt: skip
    assert [one.id for one in machine.process().list()] == [session.id]


@pytest.mark.parametrize("step", [0, -MINUTE])
def test_another_token_makes_nothing_last_longer(machine: Machine, step: int) -> None:
    sessions = machine.process()
    token: Secret | None = sessions.create("alice")
    for _ in range(12 * 60 - 1):
        machine.clock.advance(MINUTE)
        machine.clock.step_wall(step)
        assert token is not None
        token = sessions.renew(token, ())
    machine.clock.advance(MINUTE)
    assert token is not None
    assert not is_valid(sessions, token)
    assert not machine.is_valid(token)


def test_a_session_that_ended_elsewhere_gets_no_other_token(machine: Machine) -> None:
    sessions, other = machine.process(), machine.process()
    token = sessions.create("alice")
    other.end("alice")
    assert sessions.renew(token, ("admin",)) is None
    assert machine.process().list() == []


def test_the_list_has_who_is_logged_in_by_user_and_time(machine: Machine) -> None:
    sessions = machine.process()
    for user in ("bob", "alice", "bob"):
        sessions.create(user, ("trader",), "10.0.0.7")
        machine.clock.advance(1)
    listed = machine.process().list()
    assert [one.user for one in listed] == ["alice", "bob", "bob"]
    assert listed[1].created_ns < listed[2].created_ns
    assert machine.process().list("bob") == listed[1:]
    assert machine.process().list("nobody") == []


def test_nothing_that_is_told_or_shown_has_a_token_in_it(machine: Machine) -> None:
    sessions = machine.process()
    tokens = [sessions.create("alice") for _ in range(5)]
    tokens.append(sessions.renew(tokens[-1], ("admin",)) or Secret(""))
    sessions.end_all()
    said = repr((machine.told, sessions.list(), sessions, vars(sessions)))
    assert not any(token.reveal_text() in said for token in tokens)
