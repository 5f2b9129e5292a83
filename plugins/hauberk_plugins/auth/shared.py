"""What several processes that share a store tell each other: that something was ended.

Each holds in memory what it has looked up. One small record has a number that rises whenever
something that may be held is ended, in the transaction that ends it. It is read at most once a
second, when something is asked for; whoever finds it risen looks everything up anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from attrs import asdict, fields_dict, frozen

from hauberk.errors import StoreConflict
from hauberk.ports import Store
from hauberk_plugins.auth.errors import BadRecord
from hauberk_plugins.auth.parts import StoreNow

#: How old what is known of other processes may be, at most.
POLL_NS: Final = 1_000_000_000
_TRIES: Final = 20
_Result = TypeVar("_Result")


@frozen
class State:
    """What is shared.

    Attributes:
        endings: How often something was ended.
        generation: How often everything was.
        count: How many records there are.
    """

    endings: int = 0
    generation: int = 0
    count: int = 0

    def to_bytes(self) -> bytes:
        """Write it as a record."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, value: bytes) -> State:
        """Read a record.

        Raises:
            ValueError: It is none, or has more or less in it than this version knows.
        """
        found: Any = json.loads(value)
        if type(found) is not dict or found.keys() != fields_dict(cls).keys():
            raise ValueError("it has other fields")
        if not all(type(number) is int and number >= 0 for number in found.values()):
            raise ValueError("it has something else than numbers")
        return cls(**found)


class Shared:
    """The record, as this process last saw it. Not locked: whoever has it is.

    Args:
        store: The sealed store.
        name: The record's name.
        monotonic_ns: A clock that never steps back, in nanoseconds.

    Attributes:
        state: As last seen.
        foreign: How often others were seen to have ended something since this process began.
        due_ns: When it is to be read again, monotonic.
    """

    def __init__(self, store: StoreNow, name: str, monotonic_ns: Callable[[], int]) -> None:
        self._store = store
        self._name = name
        self._monotonic_ns = monotonic_ns
        self.state = State()
        self.foreign = 0
        self.due_ns = monotonic_ns()

    def look(self, *, at_once: bool = False) -> None:
        """Read it, if it is time to, or if it must be.

        Args:
            at_once: Whether it must be.

        Raises:
            StoreError: It cannot be read: then nobody knows what was ended meanwhile.
            BadRecord: It is not what this version writes.
        """
        now = self._monotonic_ns()
        if at_once or now >= self.due_ns:
            found, _ = self._read(self._store())
            self._saw(found, found, now)

    def change(self, act: Callable[[Store, State], tuple[State, _Result]]) -> _Result:
        """Change records and this one in one step; again where another process came between.

        Args:
            act: Given a store to write to and the state, returns the state as it is to stand, and
                a result; called again where another process was quicker.

        Raises:
            StoreError: Nothing was changed.
            StoreConflict: Others keep changing it.
        """
        for turn in range(_TRIES):
            now = self._monotonic_ns()
            try:
                with self._store().transaction() as store:
                    before, version = self._read(store)
                    after, result = act(store, before)
                    store.put(self._name, after.to_bytes(), version=version)
            except StoreConflict:
                if turn == _TRIES - 1:
                    raise
            else:
                self._saw(before, after, now)
                return result
        raise StoreConflict(f"{self._name!r} is being changed elsewhere all the time: try again")

    def _read(self, store: Store) -> tuple[State, int]:
        record = store.get(self._name)
        if record is None:
            return State(), 0
        try:
            return State.from_bytes(record.value), record.version
        except (ValueError, RecursionError):
            raise BadRecord(
                f"the record {self._name!r} is not what this version writes: restore it from a "
                "backup"
            ) from None

    def _saw(self, found: State, stands: State, now: int) -> None:
        was = self.state
        if (found.endings, found.generation) != (was.endings, was.generation):
            self.foreign += 1
        self.state = stands
        self.due_ns = now + POLL_NS


def untold(kind: str, fields: Mapping[str, Any]) -> None:
    """Tell nobody."""
