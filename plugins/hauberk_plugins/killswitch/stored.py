"""Keeping a kill switch's state in a store, for every process that shares it."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from hauberk.errors import HauberkError, StoreConflict
from hauberk.ports import Store
from hauberk_plugins.killswitch.switch import NORMAL, BadState, State

RECORD: Final = "state"
_TRIES: Final = 20


class ChangedMeanwhile(HauberkError):
    """A halt came while another was being lifted: that one stands."""


@frozen
class Stored:
    """What stands in the store.

    Attributes:
        state: The state; `None` where what stands there is none.
        version: The record's; 0 where there is none. A lift is a record too, so it only rises.
        problem: What is wrong with it; empty where nothing is.
    """

    state: State | None
    version: int
    problem: str = ""


def look(store: Store) -> Stored:
    """Read what stands there.

    Raises:
        StoreError: It cannot be read.
    """
    record = store.get(RECORD)
    if record is None:
        return Stored(NORMAL, 0)
    try:
        return Stored(State.from_bytes(record.value), record.version)
    except BadState as error:
        return Stored(None, record.version, str(error))


def raise_to(store: Store, state: State) -> Stored:
    """Have the store stop at least as much as a state, and name its incidents.

    Raises:
        StoreError: It cannot be written.
        BadState: What stands there is no state. It is left as evidence, and means halted.
    """
    for _ in range(_TRIES):
        found = look(store)
        if found.state is None:
            raise BadState(found.problem)
        joined = found.state.joined(state)
        if joined is found.state:
            return found
        try:
            return Stored(joined, store.put(RECORD, joined.to_bytes(), version=found.version))
        except StoreConflict:
            continue
    raise StoreConflict(f"record {RECORD!r} was changed {_TRIES} times in a row")


def lift(store: Store, seen: Stored, reason: str) -> Stored:
    """Put the normal state in place of what was seen, and of nothing that came later.

    Raises:
        ChangedMeanwhile: Another state stands there by then.
        StoreError: It cannot be written.
    """
    lifted = State(title=reason)
    try:
        return Stored(lifted, store.put(RECORD, lifted.to_bytes(), version=seen.version))
    except StoreConflict:
        why = "another incident came while this was being lifted: look at it, then lift again"
        raise ChangedMeanwhile(why) from None
