from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from attrs import evolve

from hauberk import Secret
from hauberk.errors import StoreConflict
from hauberk.ports import Store
from hauberk.testing import FakeClock, MemoryStore
from hauberk_plugins.auth.bearer import BOT, SESSION, digest, make, owner_key, read
from hauberk_plugins.auth.shared import Shared, State


class LooseStore(MemoryStore):
    """One whose transactions keep nobody else from writing in between."""

    @contextmanager
    def transaction(self) -> Iterator[MemoryStore]:
        yield self


def sharing(store: MemoryStore) -> Shared:
    return Shared(lambda: store, "shared", FakeClock().monotonic_ns)


def more(store: Store, state: State) -> tuple[State, int]:
    return evolve(state, endings=state.endings + 1), state.endings


def test_a_change_that_another_process_came_between_is_made_again() -> None:
    store = LooseStore()
    one, other = sharing(store), sharing(store)
    turns: list[int] = []

    def interrupted(store: Store, state: State) -> tuple[State, int]:
        turns.append(state.endings)
        if len(turns) < 3:
            other.change(more)
        return more(store, state)

    assert one.change(interrupted) == 2
    assert turns == [0, 1, 2]
    assert one.state.endings == 3


def test_a_change_that_others_always_come_between_is_given_up() -> None:
    store = LooseStore()
    one, other = sharing(store), sharing(store)

    def interrupted(store: Store, state: State) -> tuple[State, int]:
        other.change(more)
        return more(store, state)

    with pytest.raises(StoreConflict):
        one.change(interrupted)


def test_only_what_others_end_is_foreign() -> None:
    store = MemoryStore()
    one, other = sharing(store), sharing(store)
    one.change(more)
    one.look(at_once=True)
    assert one.foreign == 0
    other.change(lambda store, state: (evolve(state, count=7), None))
    one.look(at_once=True)
    assert one.foreign == 0
    other.change(more)
    one.change(more)
    assert one.foreign == 1
    other.change(lambda store, state: (evolve(state, generation=1), None))
    one.look(at_once=True)
    assert one.foreign == 2


# Tokens of both kinds.


def test_a_token_of_one_kind_is_none_of_the_other() -> None:
    session, known = make(SESSION, owner_key("alice"), bytes)
    bot, _ = make(BOT, owner_key("alice"), bytes)
    assert read(SESSION, session) == known
    assert read(BOT, session) is None
    assert read(SESSION, bot) is None


@pytest.mark.parametrize("text", [b"", b"hbs_", b"hbs_" + b"A" * 53, b"hbs_" + b"A" * 10_000])
def test_what_is_too_long_or_too_short_is_not_even_hashed(text: bytes) -> None:
    assert digest(Secret(text)) == ""


@pytest.mark.parametrize("bad", [b"=", b"+", b"/", b"\n", b"\0", b"\xff", b" "])
def test_what_has_other_characters_is_none(bad: bytes) -> None:
    text = make(SESSION, owner_key("alice"), bytes)[0].reveal()
    for at in (4, 30, len(text) - 1):
        assert read(SESSION, Secret(text[:at] + bad + text[at + 1 :])) is None
