"""`StoreBackend`: keeps the ledger in the port `Store`, for the processes of one machine.

Its clock is the machine's wall clock, held to the monotonic one, which all processes of a machine
have in common from one start of it to the next: each call leaves both behind for the next to
compare, whoever makes it. Several machines may share a store that they all reach, if their wall
clocks agree to within the jitter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

from attrs import evolve

from hauberk.errors import HauberkError, StoreError
from hauberk.ports import Record, Store
from hauberk_plugins.throttle.bounded import TIMEOUT_S, Bounded
from hauberk_plugins.throttle.shared.call import Answer, BackendLost, Call, Status
from hauberk_plugins.throttle.shared.fields import Fields, UnreadableRecord, number
from hauberk_plugins.throttle.shared.ledger import Sitting

#: How far the wall clock may part from the monotonic one and be taken for steady: so much at once,
#: and such a part of the time that passed, as when it is being corrected slowly.
STEP_US: Final = 50_000
DRIFT: Final = 1_000
#: Of how many other machines, and starts of this one, the clocks are kept.
MOST_MACHINES: Final = 32
_STATE: Final = "shared/state"
_METERS: Final = "shared/meter/"
#: So many are deleted in a transaction: others wait for it.
_AT_ONCE: Final = 100


class StoreBackend:
    """Does each call in one transaction.

    Args:
        store: Of the plugin.
        machine: What tells this start of this machine from all others, letters and digits.
        wall_ns: Its wall clock.
        monotonic_ns: Its monotonic clock.
    """

    where = "the store"

    def __init__(
        self,
        store: Store,
        *,
        machine: str,
        wall_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
    ) -> None:
        self._store = store
        self._machine = machine
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._calling = Bounded("hauberk-throttle-store")

    def call(self, call: Call) -> Answer:
        """Do what a call says.

        Raises:
            BackendLost: It cannot be done, or whether it was is not known.
        """
        try:
            return self._calling.call(lambda: self._called(call), TIMEOUT_S)
        except TimeoutError:
            raise BackendLost(
                f"the store has not answered within {TIMEOUT_S:g} s: something keeps it locked"
            ) from None

    def _called(self, call: Call) -> Answer:
        names = {report.shape.name: f"{_METERS}{report.shape.name}" for report in call.reports}
        try:
            with self._store.transaction() as store:
                found = store.get_many([_STATE, *names.values()])
                state = _fields(_STATE, found.get(_STATE))
                meters = {name: _fields(at, found.get(at)) for name, at in names.items()}
                answer = self._sit(state, meters, call)
                if answer.status in (Status.GRANTED, Status.WAIT, Status.FROZEN):
                    store.put(_STATE, _bytes(state))
                    now = number(state, "last")
                    for report in call.reports:
                        name, shape = report.shape.name, report.shape
                        # Nothing in it can matter then any more, twice over.
                        kept = now + 2 * (shape.longest_us() + 2 * call.lease_us)
                        meters[name]["kept"] = kept
                        store.put(names[name], _bytes(meters[name]))
        except UnreadableRecord as error:
            raise BackendLost(
                f"the store holds a record that the ledger never wrote ({error}): delete the "
                "throttle's records that begin with 'shared/' while nothing is sent"
            ) from None
        except StoreError as error:
            raise BackendLost(f"the store fails: {error}") from error
        except HauberkError as error:
            raise BackendLost(f"the store cannot be used: {error}") from error
        return answer

    def sweep(self) -> None:
        """Delete the records that nobody has used for so long that nothing in them matters.

        Raises:
            BackendLost: The store fails.
        """
        try:
            now = _clock(self._store.get(_STATE))
            found = [name for name, record in self._store.scan(_METERS) if _is_past(record, now)]
            for at in range(0, len(found), _AT_ONCE):
                self._delete(found[at : at + _AT_ONCE])
        except HauberkError as error:
            raise BackendLost(f"the store fails: {error}") from error

    def _delete(self, names: Sequence[str]) -> None:
        """Delete those of them that are still as idle as they were found."""
        with self._store.transaction() as store:
            found = store.get_many([_STATE, *names])
            now = _clock(found.pop(_STATE, None))
            for name, record in found.items():
                if _is_past(record, now):
                    store.delete(name)

    def close(self) -> None:
        """Nothing is open."""

    def _sit(self, state: Fields, meters: dict[str, Fields], call: Call) -> Answer:
        raw, now = self._wall_ns() // 1_000, self._monotonic_ns() // 1_000
        field = f"m{self._machine}"
        # Both clocks as the last call on this machine left them.
        then = str(state.get(field, ""))
        latest = shift = stepped = 0
        if then:
            was_raw, was_now = (int(part) for part in _two(then))
            passed = now - was_now
            ahead = raw - was_raw - passed
            if passed >= 0 and abs(ahead) > STEP_US + passed // DRIFT:
                latest, shift, stepped = 1, number(state, "shift"), -ahead
        answer = Sitting(
            state, meters, evolve(call, latest_us=latest, shift_us=shift, stepped_us=stepped), raw
        ).answer()
        others = [name for name in state if name[0] == "m" and name != field]
        for other in others[:-MOST_MACHINES]:
            del state[other]
        state[field] = f"{raw}:{now}"
        # The limiter has no clock of the store's to compare its own with.
        return answer._replace(raw_us=0, shift_us=0)


def _clock(state: Record | None) -> int:
    """The ledger's time at the last call."""
    try:
        return number(_fields(_STATE, state), "last")
    except UnreadableRecord:
        return 0


def _is_past(record: Record, now: int) -> bool:
    try:
        kept = number(_fields("", record), "kept")
    except UnreadableRecord:
        return False  # whoever uses it is told
    return 0 < kept < now


def _two(text: str) -> tuple[str, str]:
    raw, _, now = text.partition(":")
    if not (raw.isdecimal() and now.isdecimal()):
        raise UnreadableRecord("its clocks are no numbers")
    return raw, now


def _fields(name: str, record: Record | None) -> Fields:
    if record is None:
        return {}
    try:
        fields = json.loads(record.value)
    except ValueError:
        raise UnreadableRecord(f"{name} is no JSON") from None
    if type(fields) is not dict or not all(type(v) in (int, str) for v in fields.values()):
        raise UnreadableRecord(f"{name} has other things than numbers and texts")
    return fields


def _bytes(fields: Fields) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()
