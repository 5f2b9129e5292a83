"""Keeping a kill switch's state in a store, so that it survives a restart."""

from __future__ import annotations

from typing import Final

from hauberk.errors import StoreConflict
from hauberk.ports import Store
from hauberk_plugins.killswitch.switch import State

RECORD: Final = "state"
_TRIES: Final = 5


def load(store: Store) -> State:
    """Read the state; the normal one where there is none.

    Raises:
        StoreError: The record cannot be read.
        BadState: It is not one.
    """
    record = store.get(RECORD)
    return State() if record is None else State.from_bytes(record.value)


def save(store: Store, state: State) -> None:
    """Write a state, unless the same or a higher one stands there: another process may share it.

    Raises:
        StoreError: It cannot be written.
        BadState: What stands there is no state. It is left as evidence; whoever starts from it
            is halted.
    """
    for turn in range(_TRIES):
        record = store.get(RECORD)
        if record is not None and State.from_bytes(record.value).level >= state.level:
            return
        version = 0 if record is None else record.version
        try:
            store.put(RECORD, state.to_bytes(), version=version)
        except StoreConflict:
            if turn == _TRIES - 1:
                raise
        else:
            return
