from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from attrs import define, field

from hauberk import Secret
from hauberk.errors import StoreError
from hauberk.testing import FakeClock, MemoryStore
from hauberk_plugins.auth.bearer import SESSION, make, owner_key
from hauberk_plugins.auth.errors import BadRecord
from hauberk_plugins.auth.session_errors import (
    BadToken,
    NoSuchToken,
    TokenExists,
    UnknownCapability,
)
from hauberk_plugins.auth.token_record import PREFIX
from hauberk_plugins.auth.tokens import MAX_TOKENS, BotTokens

DAY, HOUR = 86_400, 3_600


@define
class Machine:
    """What several processes share."""

    store: MemoryStore = field(factory=MemoryStore)
    clock: FakeClock = field(factory=FakeClock)
    accounts: tuple[str, ...] = ("main", "hedge")
    told: list[tuple[str, Mapping[str, Any]]] = field(factory=list)
    rechecks: list[None] = field(factory=list)

    def process(self) -> BotTokens:
        """Start one."""
        return BotTokens(
            lambda: self.store,
            self.clock.wall_ns,
            self.clock.monotonic_ns,
            secrets.token_bytes,
            lambda: self.accounts,
            tell=lambda kind, fields: self.told.append((kind, fields)),
            recheck=lambda: self.rechecks.append(None),
        )


@pytest.fixture
def machine() -> Machine:
    return Machine()


def made(tokens: BotTokens, name: str = "maker", days: int = 30) -> Secret:
    return tokens.create(name, ["main"], ["read", "trade"], days, "alice")


def is_valid(tokens: BotTokens, token: Secret) -> bool:
    return tokens.validate(token) is not None


# What it is for.


def test_a_token_is_for_its_accounts_and_its_capabilities_alone(machine: Machine) -> None:
    tokens = machine.process()
    token = tokens.validate(made(tokens))
    assert token is not None
    assert token.permits("main", "trade")
    assert not token.permits("hedge", "trade")
    assert not token.permits("main", "withdraw")
    assert not token.permits("", "read")
    assert (token.name, token.by) == ("maker", "alice")


def test_one_that_is_named_twice_is_kept_once(machine: Machine) -> None:
    tokens = machine.process()
    shown = tokens.validate(tokens.create("a", ["main", "main"], ["read", "read"], 1))
    assert shown is not None
    assert (shown.accounts, shown.allow) == (("main",), ("read",))


@pytest.mark.parametrize("name", ["", "-a", "A", "a b", "a/b", "../a", "a\n", "é", "a" * 65])
def test_a_name_that_is_none_is_refused(machine: Machine, name: str) -> None:
    with pytest.raises(BadToken, match="name"):
        made(machine.process(), name)


@pytest.mark.parametrize("days", [0, -1, 401, 10**9, 1.5, True, "30"])
def test_it_lasts_from_1_to_400_days(machine: Machine, days: Any) -> None:
    with pytest.raises(BadToken, match="from 1 to 400 days"):
        made(machine.process(), days=days)
    for fits in (1, 400):
        made(machine.process(), f"of-{fits}", fits)


def test_an_account_that_is_not_there_is_refused_with_the_nearest(machine: Machine) -> None:
    with pytest.raises(BadToken, match=r"'mian'.*main, hedge; did you mean 'main'"):
        machine.process().create("maker", ["mian"], ["read"], 30)


def test_a_capability_that_bots_cannot_have_is_refused(machine: Machine) -> None:
    for allow in (["vault.read"], ["read", "user.write"], ["*"]):
        with pytest.raises(UnknownCapability):
            machine.process().create("maker", ["main"], allow, 30)


def test_one_for_nothing_is_refused(machine: Machine) -> None:
    with pytest.raises(BadToken, match="at least one"):
        machine.process().create("maker", [], ["read"], 30)
    with pytest.raises(BadToken, match="at least one"):
        machine.process().create("maker", ["main"], [], 30)


def test_a_second_one_of_a_name_is_refused_and_the_first_stays(machine: Machine) -> None:
    tokens = machine.process()
    token = made(tokens)
    with pytest.raises(TokenExists, match="hauberk token rotate"):
        made(machine.process())
    assert is_valid(tokens, token)


def test_there_are_only_so_many(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hauberk_plugins.auth.tokens.MAX_TOKENS", 3)
    assert MAX_TOKENS == 1_000
    tokens = machine.process()
    for turn in range(3):
        made(tokens, f"bot-{turn}")
    with pytest.raises(BadToken, match="revoke"):
        made(tokens, "one-more")
    tokens.revoke("bot-0")
    made(tokens, "one-more")


# Who has it.


def test_the_store_has_the_hash_alone_and_nothing_shows_a_token(machine: Machine) -> None:
    tokens = machine.process()
    shown = [made(tokens), tokens.rotate("maker", 1)]
    said = repr((machine.told, tokens.list(), vars(tokens), dict(machine.store.scan())))
    assert not any(token.reveal_text() in said for token in shown)


@pytest.mark.parametrize("token", [b"", b"hbt_", b"hbt_" + b"A" * 54, b"\xff" * 58])
def test_what_is_no_token_lets_nobody_in(machine: Machine, token: bytes) -> None:
    tokens = machine.process()
    made(tokens)
    assert not is_valid(tokens, Secret(token))


def test_a_token_that_differs_in_one_character_lets_nobody_in(machine: Machine) -> None:
    tokens = machine.process()
    text = made(tokens).reveal_text()
    for at in range(len(text)):
        other = "A" if text[at] != "A" else "B"
        assert not is_valid(tokens, Secret(text[:at] + other + text[at + 1 :]))


def test_a_session_is_no_bot_token(machine: Machine) -> None:
    tokens = machine.process()
    made(tokens)
    assert not is_valid(tokens, make(SESSION, owner_key("maker"), secrets.token_bytes)[0])


# When it ends.


def test_it_ends_when_it_expires_and_not_before(machine: Machine) -> None:
    tokens = machine.process()
    token = made(tokens)
    machine.clock.advance(30 * DAY - 1)
    assert is_valid(tokens, token)
    assert is_valid(machine.process(), token)
    machine.clock.advance(1)
    assert not is_valid(tokens, token)
    assert not is_valid(machine.process(), token)
    assert tokens.is_over(tokens.list()[0])


def test_a_clock_set_back_makes_none_last_longer_while_a_process_runs(machine: Machine) -> None:
    tokens = machine.process()
    token = made(tokens)
    machine.clock.advance(29 * DAY)
    machine.clock.step_wall(-20 * DAY)
    assert is_valid(tokens, token)
    machine.clock.advance(DAY)
    assert not is_valid(tokens, token)


def test_a_clock_that_stands_before_it_was_made_lets_nobody_in(machine: Machine) -> None:
    token = made(machine.process())
    machine.clock.step_wall(-6)
    assert not is_valid(machine.process(), token)
    machine.clock.step_wall(2)  # within what the clocks of two machines may disagree by
    assert is_valid(machine.process(), token)


def test_revoking_ends_it_and_the_one_before(machine: Machine) -> None:
    tokens = machine.process()
    old = made(tokens)
    fresh = tokens.rotate("maker", 24)
    assert is_valid(tokens, fresh)
    tokens.revoke("maker", "alice")
    assert not is_valid(tokens, old)
    assert not is_valid(tokens, fresh)
    assert tokens.list() == []
    assert machine.told[-1] == ("token.revoked", {"token": "maker", "by": "alice"})


@pytest.mark.parametrize(
    "act", [lambda tokens: tokens.revoke("makr"), lambda tokens: tokens.rotate("makr", 1)]
)
def test_a_name_that_nobody_has_is_told_with_the_nearest(
    machine: Machine, act: Callable[[BotTokens], object]
) -> None:
    tokens = machine.process()
    token = made(tokens)
    with pytest.raises(NoSuchToken, match="did you mean 'maker'"):
        act(tokens)
    assert is_valid(tokens, token)


@pytest.mark.parametrize(
    "end", [lambda other: other.revoke("maker"), lambda other: other.rotate("maker", 0)]
)
def test_what_another_process_ended_is_known_within_a_second(
    machine: Machine, end: Callable[[BotTokens], object]
) -> None:
    tokens, other = machine.process(), machine.process()
    token = made(tokens)
    assert is_valid(tokens, token)
    end(other)
    rechecks = len(machine.rechecks)
    machine.clock.advance(1)
    assert not is_valid(tokens, token)
    assert len(machine.rechecks) == rechecks + 1


def test_what_another_process_made_is_known_at_once(machine: Machine) -> None:
    tokens, other = machine.process(), machine.process()
    token = made(tokens)
    assert is_valid(other, token)
    assert is_valid(other, made(tokens, "other"))
    assert is_valid(other, tokens.rotate("maker", 1))


# Rotation.


def test_after_a_rotation_both_are_valid_until_the_overlap_is_over(machine: Machine) -> None:
    tokens = machine.process()
    old = made(tokens)
    assert is_valid(tokens, old)
    fresh = tokens.rotate("maker", 2)
    machine.clock.advance(2 * HOUR - 1)
    assert is_valid(tokens, old)
    assert is_valid(tokens, fresh)
    machine.clock.advance(1)
    assert not is_valid(tokens, old)
    assert is_valid(tokens, fresh)


def test_a_rotation_gives_another_end_and_nothing_else(machine: Machine) -> None:
    tokens = machine.process()
    made(tokens)
    machine.clock.advance(10 * DAY)
    fresh = tokens.rotate("maker", 1)
    machine.clock.advance(30 * DAY - 1)
    shown = tokens.validate(fresh)
    assert shown is not None
    assert (shown.accounts, shown.allow, shown.by) == (("main",), ("read", "trade"), "alice")
    machine.clock.advance(1)
    assert not is_valid(tokens, fresh)


def test_the_overlap_makes_nothing_last_beyond_its_own_end(machine: Machine) -> None:
    tokens = machine.process()
    old = made(tokens, days=1)
    machine.clock.advance(DAY - HOUR)
    tokens.rotate("maker", 24)
    machine.clock.advance(HOUR)
    assert not is_valid(tokens, old)


def test_without_an_overlap_the_old_one_ends_at_once(machine: Machine) -> None:
    tokens = machine.process()
    old = made(tokens)
    tokens.rotate("maker", 0)
    assert not is_valid(tokens, old)
    assert tokens.list()[0].old_until_ns == 0


def test_a_second_rotation_ends_the_first_of_three_at_once(machine: Machine) -> None:
    tokens = machine.process()
    first = made(tokens)
    second = tokens.rotate("maker", 24)
    third = tokens.rotate("maker", 24)
    assert [is_valid(tokens, token) for token in (first, second, third)] == [False, True, True]


@pytest.mark.parametrize("hours", [-1, 721, 0.5, True, None])
def test_the_overlap_is_from_0_to_720_hours(machine: Machine, hours: Any) -> None:
    tokens = machine.process()
    token = made(tokens)
    with pytest.raises(BadToken, match="0 to 720 hours"):
        tokens.rotate("maker", hours)
    assert is_valid(tokens, token)


# The store.


def test_validating_asks_the_store_once_a_second(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = machine.process()
    token = made(tokens)
    get, asked = machine.store.get, []
    monkeypatch.setattr(machine.store, "get", lambda name: asked.append(name) or get(name))
    for _ in range(1_000):
        machine.clock.advance(0.01)
        assert is_valid(tokens, token)
    assert len(asked) <= 11


def test_a_store_that_cannot_be_read_lets_nobody_in_once_a_second_has_passed(
    machine: Machine,
) -> None:
    tokens = machine.process()
    token = made(tokens)
    assert is_valid(tokens, token)
    machine.store.error = StoreError("the disk is gone")
    assert is_valid(tokens, token)
    machine.clock.advance(1)
    with pytest.raises(StoreError):
        tokens.validate(token)


def test_names_that_nobody_has_are_not_remembered(machine: Machine) -> None:
    tokens = machine.process()
    for turn in range(50):
        forged = bytes([turn]) * 8
        text = make(SESSION, forged.hex(), secrets.token_bytes)[0].reveal_text()
        assert not is_valid(tokens, Secret(text.replace("hbs_", "hbt_")))
    assert tokens._held == {}


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"more": 1},
        {"days": "30"},
        {"digest": None},
        {"shown": {}},
        {"shown": "maker"},
    ],
)
def test_a_record_of_another_version_lets_nobody_in(
    machine: Machine, change: dict[str, Any]
) -> None:
    token = made(machine.process())
    ((name, record),) = machine.store.scan(PREFIX)
    machine.store.put(name, json.dumps({**json.loads(record.value), **change}).encode())
    with pytest.raises(BadRecord, match="revoke"):
        machine.process().validate(token)
    machine.process().revoke("maker")
