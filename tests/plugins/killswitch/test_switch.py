from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.request import Operation
from hauberk_plugins.killswitch.switch import MAX_TITLE, BadState, KillSwitch, Level, State

STILL = {Operation.PUBLIC, Operation.READ, Operation.CANCEL, Operation.REDUCE}


@pytest.mark.parametrize("operation", list(Operation))
def test_each_level_permits_what_it_says(operation: Operation) -> None:
    switch = KillSwitch()
    assert switch.permits(operation)
    switch.rise(Level.RESTRICTED, "x")
    assert switch.permits(operation) == (operation in STILL)
    switch.rise(Level.HALTED, "x")
    assert not switch.permits(operation)


@given(st.lists(st.sampled_from(Level)))
def test_it_never_sinks_and_keeps_what_raised_it(levels: list[Level]) -> None:
    switch, highest = KillSwitch(), Level.NORMAL
    for number, level in enumerate(levels):
        rose = switch.rise(level, f"incident {number}", f"i-{number}")
        assert rose == (level > highest)
        highest = max(highest, level)
        assert switch.state.level == highest
        if rose:
            assert switch.state.incident == f"i-{number}"


@given(st.lists(st.tuples(st.sampled_from(Level), st.sampled_from("abcde"))))
def test_states_join_to_the_highest_and_name_every_incident(rises: list[tuple[Level, str]]) -> None:
    state = State()
    for level, name in rises:
        state = state.joined(State(level, name, name))
    stopping = [(level, name) for level, name in rises if level]
    assert state.level == max((level for level, _ in stopping), default=Level.NORMAL)
    assert set(state.incidents) == {name for _, name in stopping}
    assert state.joined(state) is state


@given(st.sampled_from(Level), st.text(), st.text())
def test_a_state_is_read_back_as_it_was_written(level: Level, title: str, incident: str) -> None:
    state = State(level, title, incident)
    assert State.from_bytes(state.to_bytes()) == state


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b'{"level": "normal"}',
        b'{"level": "asleep", "title": "", "incident": "", "also": []}',
        b'{"level": 0, "title": "", "incident": "", "also": []}',
        b'{"level": "normal", "title": "", "incident": "", "also": [], "until": "tomorrow"}',
        b"[" * 100_000,
    ],
)
def test_what_is_not_exactly_a_state_is_not_taken_for_one(record: bytes) -> None:
    with pytest.raises(BadState):
        State.from_bytes(record)


@given(st.binary(max_size=80))
def test_no_bytes_make_it_raise_anything_else(record: bytes) -> None:
    try:
        State.from_bytes(record)
    except BadState:
        return
    assert type(json.loads(record)) is dict


def test_a_title_forges_nothing_and_is_cut() -> None:
    switch = KillSwitch()
    switch.rise(Level.HALTED, "x\nnormal since 'never'\x1b[2K" + "y" * 10_000, "i-1")
    shown = str(switch.state)
    assert shown.isprintable()
    assert len(shown) < MAX_TITLE + 100
